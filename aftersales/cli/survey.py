"""`aftersales survey`: what customers answered, what they answered by phone, and the figures (SVY-01 to SVY-07)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aftersales.cli.common import (
    Whole,
    by_staff,
    case_argument,
    iso,
    json_option,
    json_text,
    make_table,
    pairs_argument,
    run,
    screen,
)
from aftersales.cli.reports import in_order, period, report
from aftersales.cli.reports import show as show_report
from aftersales.rules.figures import per_cent
from aftersales.words import Process, Surveyed

if TYPE_CHECKING:
    from tasks.surveys import Shown

ASKED_BY = {"link": "链接", "staff": "电话", "": ""}
SATISFIED = {True: "满意", False: "不满意", None: ""}
GROUPS = {"agent": "首问责任人", "team": "小组"}
TIMES = {
    "ended_at": "结案",
    "sent_at": "送达客户",
    "reminded_at": "提醒",
    "expires_at": "截止",
    "answered_at": "评价",
}


class State(click.ParamType):
    """Where a survey stands, by code or Chinese name."""

    name = "状态"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Surveyed:
        """Find the state. Fails with the sentence that names all of them."""
        for state in Surveyed:
            if value in (state, state.value, state.label):
                return state
        self.fail(f"没有状态“{value}”，可选：{'、'.join(state.label for state in Surveyed)}", param, ctx)


@click.group()
def survey() -> None:
    """满意度调查：查看、登记电话里的评价、统计。"""


@survey.command()
@case_argument
@json_option
def show(case_no: str, as_json: bool) -> None:
    """一张售后单的满意度调查：到哪一步、问了什么、客户怎么答；还没有答的，列出要问的题和可选答案。"""
    from aftersales import terms
    from aftersales.rules import clocks
    from tasks import surveys

    found = run(lambda: surveys.show(case_no))
    house = terms.load().house
    if as_json:
        click.echo(json_text(_data(found, house)))
        return
    table = make_table(f"{case_no} 满意度调查", "项目", "内容")
    table.add_row("状态", found.state.label + (f"：{found.reason}" if found.reason else ""))
    if found.asked_by:
        table.add_row("方式", ASKED_BY[found.asked_by])
    for name, label in TIMES.items():
        if at := found.times[name]:
            # what went to staff has not reached the customer
            is_handed_over = name == "sent_at" and found.asked_by == "staff"
            table.add_row("交给客服" if is_handed_over else label, clocks.spoken(at, house=house))
    if found.is_satisfied is not None:
        table.add_row("结果", f"{SATISFIED[found.is_satisfied]}（折合 5 分制 {found.score} 分）")
    if found.by:
        table.add_row("登记人", found.by)
    screen().print(table)
    if found.state is Surveyed.SKIPPED:
        return
    answers = make_table("", "代码", "题目", "回答" if found.answers_given else "可选答案")
    for code, question, answer in found.answers:
        answers.add_row(code, question, answer if found.answers_given else "、".join(found.offered[code]) or "文字")
    screen().print(answers)


@survey.command("list")
@click.option("--state", type=State(), help="只列一种状态：待发送、待客户评价、已评价、未评价、不调查。")
@click.option("--dissatisfied", is_flag=True, help="只列不满意的。")
@click.option("--limit", type=Whole(1000), default=50, show_default=True, help="最多列出几份。")
@json_option
def list_(state: Surveyed | None, dissatisfied: bool, limit: int, as_json: bool) -> None:
    """列出满意度调查，新的在前；演练的不列。"""
    from aftersales import terms
    from aftersales.rules import clocks
    from tasks import surveys

    found = run(lambda: surveys.listed(state=state, is_dissatisfied=dissatisfied, limit=limit))
    house = terms.load().house
    if as_json:
        click.echo(json_text([_data(each, house) for each in found]))
        return
    if not found:
        click.echo("没有这样的满意度调查。")
        return
    table = make_table("", "售后单", "状态", "方式", "结案", "截止", "结果", "5 分制", "说明", right=["5 分制"])
    for each in found:
        ended, expires = (each.times[name] for name in ("ended_at", "expires_at"))
        table.add_row(
            each.case_no,
            each.state.label,
            ASKED_BY[each.asked_by],
            clocks.spoken(ended, house=house) if ended else "",
            clocks.spoken(expires, house=house) if expires else "",
            SATISFIED[each.is_satisfied],
            each.score,
            each.reason,
        )
    screen().print(table)


@survey.command()
@case_argument
@by_staff()
@pairs_argument
def record(case_no: str, operator: str, pairs: Sequence[str]) -> None:
    """
    登记客户在电话里的评价：aftersales survey record RT-20261122-0007 --as C02 solved=否 overall=2

    要问的题和可选答案见 aftersales survey show；没有问到的题不写。办理过这张单的人不能登记。
    """
    from tasks import surveys

    given: dict[str, str] = {}
    for pair in pairs:
        code, equals, answer = pair.partition("=")
        if not equals or not code.strip():
            raise click.UsageError(f"“{pair}”应写成 题的代码=答案，如 overall=4", click.get_current_context())
        if code.strip() in given:
            raise click.UsageError(f"“{code.strip()}”写了不止一次，请只写一次", click.get_current_context())
        given[code.strip()] = answer
    done = run(lambda: surveys.record(case_no, operator=operator, given=given))
    click.echo(f"{case_no} 的评价已登记。")
    if done.revisit_no:
        click.echo(f"客户不满意：已建立二次回访 {done.revisit_no}。")
    if done.complaint_no:
        click.echo(f"客户还有其他需要：已另立一单 {done.complaint_no}。")


@survey.command()
@period
@click.option("--by", type=click.Choice(list(GROUPS)), help="按首问责任人（agent）或小组（team）分开。")
@report
def figures(since: date, until: date, by: str | None, form: str, out: Path | None) -> None:
    """
    一段时间的满意度（按送达客户的日期）和二次回访（按建立的日期）：平均分、好评率、回复率、挽回率；演练不计。

    没有回复的只计入回复率，不计入满意度。挽回率是已结束的二次回访里客户满意的比例。
    """
    from tasks import surveys

    in_order(since, until)
    heads = {
        **({"group": GROUPS[by]} if by else {}),
        "sent": "送达", "by_phone": "其中电话", "answered": "已评价", "response_rate": "回复率（%）",
        "csat": "平均分（5 分制）", "good_share": "4–5 分（%）", "dissatisfied": "不满意", "other_need": "另有需要",
        "nps": "净推荐值", "revisits": "二次回访", "revisits_ended": "其中已结束", "recovered": "客户满意",
        "recovery_rate": "挽回率（%）",
    }  # fmt: skip
    rows = []
    for group, tally in run(lambda: surveys.figures(since=since, until=until, by=by or "")):
        values = {name: getattr(tally, name) for name in heads if name != "group"}
        rows.append({"group": group} | {name: "" if value is None else str(value) for name, value in values.items()})
    show_report(rows, heads, form, out, right=[name for name in heads if name != "group"])


@survey.command()
@period
@report
def analysis(since: date, until: date, form: str, out: Path | None) -> None:
    """
    一段时间送达的调查，逐题看：平均分、离散程度、低分和各答案的次数，低分多的在前；演练不计。

    离散是标准差，越大意见越不一。低分指折合 5 分制 2 分及以下，推荐度指 0–6 分。文字题只计次数。
    """
    from tasks import surveys

    in_order(since, until)
    heads = {
        "about": "调查", "question": "题目", "answered": "回答", "mean": "平均分（5 分制）", "spread": "离散（标准差）",
        "low": "低分", "low_share": "低分（%）", "chosen": "各答案的次数",
    }  # fmt: skip
    rows = []
    for is_regular, each in run(lambda: surveys.analysed(since=since, until=until)):
        values = {
            "about": Process.SURVEY.label if is_regular else "服务后调查",
            "question": each.question,
            "answered": each.answered,
            "mean": each.mean,
            "spread": each.spread,
            "low": each.low if each.is_judged else None,
            "low_share": per_cent(each.low, each.answered) if each.is_judged else None,
            "chosen": "、".join(f"{answer} {times} 次" for answer, times in each.chosen),
        }
        rows.append({name: "" if value is None else str(value) for name, value in values.items()})
    show_report(rows, heads, form, out, right=["answered", "mean", "spread", "low", "low_share"])


def _data(found: Shown, house: Any) -> dict[str, Any]:
    return {
        "case_no": found.case_no,
        "state": found.state.value,
        "reason": found.reason,
        **{name: iso(at, house) for name, at in found.times.items()},
        "asked_by": found.asked_by,
        "recorded_by": found.by,
        "satisfied": found.is_satisfied,
        "score": found.score or None,
        "answers": [
            {"code": code, "question": question, "answer": answer, "offered": list(found.offered[code])}
            for code, question, answer in found.answers
        ],
    }
