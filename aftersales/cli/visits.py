"""`aftersales visit …`: what agents have to call, recording a call, the feedback log and how visits were kept (FUP)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from aftersales.cli.common import Whole, Word, iso, json_option, json_text, make_table, run, screen
from aftersales.cli.reports import in_order, period, report
from aftersales.cli.reports import show as write_report
from aftersales.words import Effect, Feedback, Outcome, Unable, Visited, VisitKind

if TYPE_CHECKING:
    from aftersales.rules.lists import Visit

MOST = 2_000_000_000
GROUPS = {"agent": "客服", "team": "小组"}
visit_argument = click.argument("visit_id", type=Whole(MOST), metavar="回访编号")


@click.group()
def visit() -> None:
    """回访：查看清单、登记结果、反馈记录、完成率。"""


@visit.command("list")
@click.option("--agent", type=Word(), metavar="工号", help="只看某一位客服，如 C07。")
@json_option
def list_(agent: str | None, as_json: bool) -> None:
    """列出还没有回访的：在谁的清单上、截止哪天、打过几次；姓名和电话已隐去中间几位。"""
    from tasks import visits

    found = run(lambda: visits.open_visits(agent or ""))
    if as_json:
        click.echo(json_text([_data(each) for each in found]))
        return
    if not found:
        click.echo("没有待回访的客户。")
        return
    who = _names()
    table = make_table(
        "", "编号", "客服", "清单", "订单", "客户", "电话", "类型", "截止", "已打", right=("编号", "已打")
    )
    for each in found:
        table.add_row(
            str(each.id),
            who(each.agent or ""),
            each.list_no or "（待列入）",
            Text(each.order_no),
            Text(each.masked_name),
            each.masked_phone,
            Text(each.label),
            each.due_on.isoformat(),
            str(each.tries),
        )
    screen().print(table)


@visit.command("record")
@visit_argument
@click.option("--by", "--as", "operator", type=Word(), required=True, metavar="工号", help="经办人的员工编号，如 C07。")
@click.option(
    "--outcome", required=True, metavar="结果", help=f"回访结果：{'、'.join(each.label for each in Outcome)}。"
)
@click.option("--note", default="", metavar="文字", help="主要问题，客户怎么说；不写姓名、电话、账号。")
@click.option(
    "--feedback", default="", metavar="类型", help=f"反馈类型：{'、'.join(each.label for each in Feedback)}。"
)
@click.option("--measure", default="", metavar="文字", help="处理措施。")
@click.option("--effect", default="", metavar="效果", help=f"效果评估：{'、'.join(each.label for each in Effect)}。")
def record(visit_id: int, operator: str, outcome: str, note: str, feedback: str, measure: str, effect: str) -> None:
    """登记一次回访的结果，与清单上的表单同样检查；晚于别人的会告知是谁先登记的。"""
    answer = {"outcome": outcome, "note": note, "feedback": feedback, "measure": measure, "effect": effect}

    async def told() -> tuple[str, str, str]:
        from aftersales.desk import runs
        from tasks import desks, visits
        from tasks.cases import current_terms

        done, entry = await visits.record(visit_id, operator=operator, answer=answer)
        row = desks.reader(current_terms()).told(entry)
        list_no = str(done.calls[-1]["list_no"])
        warning = ""
        try:
            await runs.wake_from_outside(list_no)
        except Unable as error:
            warning = str(error)
        return f"已登记：{row.what} {row.result}（{row.actor}，{row.at}）。", list_no, warning

    sentence, list_no, warning = run(told)
    click.echo(sentence)
    if warning:
        click.echo(warning, err=True)
    else:
        click.echo(f"清单 {list_no} 正在更新，可用 aftersales visit list 查看还剩哪些。")


@visit.command("show")
@visit_argument
@json_option
def show(visit_id: int, as_json: bool) -> None:
    """显示一次回访：客户、排在哪天、打过几次、每次怎么说。"""
    from tasks import visits

    async def found() -> tuple[Visit, list[tuple[str, str, str]]]:
        from tasks import desks
        from tasks.cases import current_terms

        one = await visits.read(visit_id)
        reader = desks.reader(current_terms())
        rows = [reader.told(entry) for entry in await visits.said(one)]
        return one, [(row.at, row.actor, row.result) for row in rows]

    one, calls = run(found)
    if as_json:
        click.echo(
            json_text(_data(one) | {"calls": [dict(zip(("at", "who", "said"), call, strict=True)) for call in calls]})
        )
        return
    who = _names()
    facts = [
        ("回访", f"{one.id} {VisitKind(one.kind).label}（{_state(one)}）"),
        ("订单", one.order_no),
        ("售后单", one.case_no or ""),
        ("一并", one.merged),
        ("客户", f"{one.masked_name} {one.masked_phone}".strip()),
        ("客服", who(one.agent or "")),
        ("清单", one.list_no or ""),
        (
            "截止",
            f"{one.due_on}" + (f"（最初 {one.promised_on}）" if one.promised_on not in (None, one.due_on) else ""),
        ),
        ("已打", f"{one.tries} 次未联系上" if one.tries else ""),
        ("投诉", str(one.data.get("complaint_no", ""))),
    ]
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for label, value in facts:
        if value:
            grid.add_row(Text(label, style="bold"), Text(value))
    screen().print(grid)
    if calls:
        table = make_table("经过", "时间", "谁", "结果")
        for call in calls:
            table.add_row(*map(Text, call))
        screen().print(table)


@visit.command("feedback")
@period
@report
def feedback(since: date, until: date, form: str, out: Path | None) -> None:
    """反馈记录：每次回访的反馈类型、主要问题、处理措施、效果评估（FUP-13）。"""
    from aftersales.terms import load
    from tasks import visits

    in_order(since, until)
    house, who = load().house, _names()
    heads = {
        "at": "时间", "list_no": "清单", "agent": "经办人", "visit": "回访编号", "kind": "回访类型", "order_no": "订单",
        "outcome": "回访结果", "feedback": "反馈类型", "note": "主要问题", "measure": "处理措施", "effect": "效果评估",
    }  # fmt: skip
    rows = [
        {
            "at": (iso(row["at"], house) or "")[:16].replace("T", " "),
            "list_no": row["list_no"],
            "agent": who(row["actor"]),
            "visit": row["visit"],
            "kind": VisitKind(row["kind"]).label,
            "order_no": row["order_no"] or "",
            "outcome": Outcome(row["outcome"]).label,
            "feedback": Feedback(row["feedback"]).label if row["feedback"] else "",
            "note": row["note"] or "",
            "measure": row["measure"] or "",
            "effect": Effect(row["effect"]).label if row["effect"] else "",
        }
        for row in run(lambda: visits.feedback(since=since, until=until))
    ]
    write_report(rows, heads, form, out, right=("visit",))


@visit.command("figures")
@period
@click.option("--by", type=click.Choice(list(GROUPS)), default="agent", help="按客服（agent）或小组（team）列出。")
@report
def figures(since: date, until: date, by: str, form: str, out: Path | None) -> None:
    """回访完成率（KPI-40）：这些天应当回访的，按时完成了多少；当天还没过完的（未到期）不计入完成率。"""
    from tasks import visits

    in_order(since, until)
    heads = {
        by: GROUPS[by], "due": "应回访", "in_time": "按时完成", "late": "逾期完成", "overdue": "逾期未完成",
        "pending": "未到期", "not_reached": "其中未联系上", "problems": "其中发现问题", "share": "完成率（%）",
    }  # fmt: skip
    counts = [name for name in heads if name not in (by, "share")]
    rows = [
        {
            by: name,
            **{each: str(getattr(kept, each)) for each in counts},
            "share": "" if kept.completion is None else str(kept.completion),
        }
        for name, kept in run(lambda: visits.figures(since=since, until=until, by=by))
    ]
    write_report(rows, heads, form, out, right=[*counts, "share"])


def _names() -> Callable[[str], str]:
    """What names a member of staff by number."""
    from aftersales.terms import load

    staff = load().staff()
    return lambda number: staff[number].choice if number in staff else number


def _state(one: Visit) -> str:
    if one.outcome:
        return Outcome(one.outcome).label
    return Visited(one.state).label


def _data(one: Visit) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "kind_label": VisitKind(one.kind).label,
        "state": one.state,
        "outcome": one.outcome,
        "order_no": one.order_no,
        "case_no": one.case_no,
        "agent": one.agent,
        "list_no": one.list_no,
        "due_on": one.due_on.isoformat(),
        "promised_on": one.promised_on.isoformat() if one.promised_on else None,
        "tries": one.tries,
        "customer": {"name": one.masked_name, "phone": one.masked_phone},
        "complaint_no": one.data.get("complaint_no"),
    }
