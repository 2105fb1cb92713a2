"""`aftersales audit`: what happened, whether it was changed afterwards, what was paid, what was late, who was told (AUD-01 to AUD-04)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from aftersales.cli.common import (
    CaseNo,
    Day,
    Word,
    case_argument,
    iso,
    json_option,
    json_text,
    make_table,
    run,
    screen,
)
from aftersales.cli.reports import TABLE, in_order, period, report, show, write
from aftersales.words import ZERO, Unable

if TYPE_CHECKING:
    from aftersales.terms import Terms


@click.group()
def audit() -> None:
    """核查经过。"""


@audit.command("case")
@case_argument
@json_option
def audit_case(case_no: str, as_json: bool) -> None:
    """显示一个售后单的全部流水：谁、何时、应在何时、早晚、结果、规则、金额，并核对流水没有被改动。"""
    rows, broken, terms = asyncio.run(_audited(case_no))
    entries = [_audit_data(row, terms) for row in rows]
    if as_json:
        chain = {"intact": broken is None, "broken_at": broken, "rows": len(rows)}
        click.echo(json_text({"case_no": case_no, "chain": chain, "entries": entries}))
    else:
        _print_audit(entries)
    if broken is not None:
        raise Unable(
            f"{case_no} 的流水从第 {broken} 条起对不上（被改动、删去或插入过），请立即报告负责人并保留数据库备份。"
        )
    if not as_json:
        click.echo(f"流水共 {len(rows)} 条，哈希链完整，未被改动。")


async def _audited(case_no: str) -> tuple[list[Mapping[str, Any]], int | None, Terms]:
    from aftersales.cli.database import connected
    from aftersales.rules import chain
    from aftersales.store import records
    from aftersales.store.engine import transaction
    from tasks import outside

    async with connected(), transaction() as connection:
        _, terms = await outside.found(connection, case_no)
        rows, seq, last_hash = await records.audited(connection, case_no)
    broken = chain.breaks(rows, seq=seq, last_hash=last_hash)
    return list(rows), broken[0].number if broken else None, terms


def _audit_data(row: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    from aftersales.rules import clocks, pages
    from aftersales.store.journal import Entry
    from tasks import desks

    entry = Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
    reader = desks.reader(terms)
    try:
        told = reader.told(entry)
    except (KeyError, TypeError, ValueError):  # a row that somebody has tampered with must not hide the others
        told = pages.Row(
            reader.time(entry.at), reader.who(entry.actor), entry.entry, "", "", "内容无法读出", entry.rule
        )
    bill = row["data"] if row["kind"] == "bill" else row["data"].get("quote") or {}
    amounts = [
        {"rule": line["rule"], "label": line["label"], "amount": line["amount"]} for line in bill.get("lines", ())
    ]
    paid = row["data"].get("amount") if row["kind"] == "decision" else None
    return {
        "seq": row["seq"],
        "entry": row["entry"],
        "kind": row["kind"],
        "at": iso(row["at"], terms.house),
        "actor": row["actor"],
        "who": told.actor,
        "what": told.what,
        "due_at": iso(row["due_at"], terms.house),
        "due": "" if row["due_at"] is None else f"{clocks.spoken(row['due_at'], house=terms.house)} 前",
        "timing": told.timing,
        "result": told.result,
        "rule": row["rule"],
        "amount": bill.get("total") or paid,
        "amounts": amounts,
        "hash": row["hash"],
    }


def _print_audit(entries: Sequence[Mapping[str, Any]]) -> None:
    table = make_table(
        "",
        "序",
        "时间",
        "谁",
        "事项",
        "截止",
        "早/晚",
        "结果",
        "规则",
        "金额（元）",
        "哈希",
        right=("序", "金额（元）"),
    )
    for entry in entries:
        lines = [f"{line['amount']} {line['label']} {line['rule']}" for line in entry["amounts"]]
        table.add_row(
            str(entry["seq"]),
            entry["at"][:16].replace("T", " "),
            Text(entry["who"]),
            Text(entry["what"]),
            entry["due"],
            entry["timing"],
            Text("\n".join([entry["result"], *lines]).strip()),
            entry["rule"],
            entry["amount"] or "",
            entry["hash"][:8],
        )
    screen(width=200).print(table)


# --- was it changed afterwards --------------------------------------------------------------------------------------


@audit.command()
@click.option("--case", "case_no", type=CaseNo(), metavar="售后单号", help="只核对一张售后单。")
@click.option("--from", "since", type=Day(), help="只核对这一天起开立的售后单。")
@click.option("--to", "until", type=Day(), help="只核对到这一天为止开立的售后单。")
@click.option("--seal", type=click.Path(path_type=Path), help="与这个封存文件比较（aftersales audit seal 写出的）。")
@json_option
def verify(case_no: str | None, since: date | None, until: date | None, seal: Path | None, as_json: bool) -> None:
    """核对全部流水没有被改动、删去或插入；有封存文件时，还能发现整条链被重写。"""
    from tasks import audits

    in_order(since, until)
    kept = _seal(seal) if seal else None
    told = run(lambda: audits.verify(case_no=case_no or "", since=since, until=until, seal=kept))
    if as_json:
        findings = [asdict(each) for each in told.findings]
        click.echo(json_text({"cases": told.cases, "rows": told.rows, "intact": not findings, "findings": findings}))
    elif told.findings:
        rows = make_table("对不上的地方", "售后单", "第几条", "条目", "问题", right=("第几条",))
        for each in told.findings:
            rows.add_row(each.case_no, str(each.number or ""), each.entry, each.why)
        screen().print(rows)
    if told.findings:
        damaged = len({each.case_no for each in told.findings})
        raise Unable(
            f"有 {damaged} 张售后单的流水对不上（共 {len(told.findings)} 处），请立即报告负责人，并保留数据库备份。"
        )
    if not as_json:
        click.echo(f"核对了 {told.cases} 张售后单、{told.rows} 条流水，全部完整，未被改动。")


@audit.command()
@click.option("--out", type=click.Path(path_type=Path), help="写到文件；不写则显示。")
def seal(out: Path | None) -> None:
    """封存：写出每张售后单流水的末尾指纹。存到别处（例如打印或发给审计），以后可用 verify --seal 证明没有被重写。"""
    from tasks import audits

    text = json_text(run(audits.seal))
    if out is None:
        click.echo(text)
        return
    write(out, text + "\n")
    click.echo(f"已封存 {len(json.loads(text)['cases'])} 张售后单：{out}")


def _seal(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise Unable(f"读不了封存文件 {path}，请核对路径。") from None
    except (ValueError, RecursionError):
        raise Unable(f"{path} 不是封存文件，请用 aftersales audit seal 写出的文件。") from None


# --- refunds and windows --------------------------------------------------------------------------------------------


@audit.command()
@period
@report
def refunds(since: date, until: date, form: str, out: Path | None) -> None:
    """核对一段时间的退款：每一项扣款的规则、金额和凭证，实付与规则的结果是否一致。"""
    from aftersales import terms
    from aftersales.rules import clocks
    from tasks import audits, desks

    in_order(since, until)
    found, orders = run(lambda: audits.refunds(since=since, until=until))
    live = terms.load()
    words = desks.reader(live)
    heads = {
        "case_no": "售后单", "order_no": "订单", "entry": "条目", "at": "时间", "by": "经办", "amount": "实付（元）",
        "reference": "流水号", "rule": "规则", "label": "项目", "line_amount": "金额（元）", "evidence": "凭证",
        "approvers": "审批人", "faults": "不符",
    }  # fmt: skip
    rows = []
    for each in found:
        common = {
            "case_no": each.case_no,
            "order_no": each.order_no,
            "entry": each.entry,
            "at": clocks.in_house(each.at, house=live.house).strftime("%Y-%m-%d %H:%M"),
            "by": words.who(each.by),
            "amount": f"{each.amount:.2f}",
            "reference": each.reference,
            "evidence": "；".join(each.evidence),
            "approvers": "、".join(words.who(who) for who in dict.fromkeys(each.approvers)),
            "faults": "；".join(each.faults),
        }
        for line in each.lines or ({"rule": "", "label": "", "amount": ""},):
            rows.append({**common, "rule": line["rule"], "label": line["label"], "line_amount": line["amount"]})
    show(rows, heads, form, out, right=("amount", "line_amount"))
    paid = sum((each.amount for each in found), ZERO)
    wrong = [each for each in found if each.faults]
    if wrong or orders:
        what = "；".join([f"{each.case_no} {each.faults[0]}" for each in wrong[:3]] + orders[:3])
        raise Unable(f"有 {len(wrong) + len(orders)} 处不符：{what}。请逐笔核对，不符的列在最前面。")
    if form == TABLE or out:
        nothing = sum(1 for each in found if not each.amount)
        without = f"，另有 {nothing} 笔扣款后为零" if nothing else ""
        click.echo(f"共 {len(found) - nothing} 笔付款，合计 {paid:.2f} 元{without}，全部与规则一致。")


@audit.command()
@period
@report
def windows(since: date, until: date, form: str, out: Path | None) -> None:
    """核对一段时间内到期的时限：各环节、各部门按时多少、超时多少、平均和最长超时。"""
    from tasks import audits

    in_order(since, until)
    heads = {
        "stage": "环节", "department": "部门", "limit": "期限", "total": "到期", "on_time": "按时", "late": "超时办完",
        "overdue": "超时未办", "running": "未到期", "share": "按时率（%）", "average": "平均超时", "worst": "最长超时",
        "unit": "单位", "worst_case": "最长的一张", "extended": "延期过", "paused": "暂停过", "provisional": "暂定",
        "reasons": "延期的单和原因",
    }  # fmt: skip
    rows = []
    for each in run(lambda: audits.windows(since=since, until=until)):
        row = {name: str(getattr(each, name)) for name in heads if hasattr(each, name)}
        rows.append({**row, "worst": each.worst[0], "worst_case": each.worst[1]})
    show(rows, heads, form, out, right=("total", "on_time", "late", "overdue", "running", "share", "average", "worst"))


@audit.command()
@click.option("--case", "case_no", type=CaseNo(), metavar="售后单号", help="一张售后单的通知。")
@click.option("--department", type=Word(), metavar="部门", help="发给一个部门和它的员工的通知。")
@click.option("--from", "since", type=Day(), metavar="日期", help="从哪一天起写入的。")
@click.option("--to", "until", type=Day(), metavar="日期", help="到哪一天为止，含当天。")
@report
def notices(
    case_no: str | None, department: str | None, since: date | None, until: date | None, form: str, out: Path | None
) -> None:
    """核对通知：什么时候该通知谁，经哪个渠道，送到没有，为什么没有（AUD-04）。"""
    from tasks import audits

    in_order(since, until)
    if not (case_no or department or since or until):
        raise click.UsageError("请写 --case、--department 或 --from 和 --to，说明查哪些通知")
    heads = {
        "id": "编号", "case_no": "售后单", "entry": "条目", "notice": "通知", "subject": "标题", "to": "应通知",
        "told": "实际发给", "reached": "到点", "written": "写入", "channel": "渠道", "begun": "发送", "ended": "结束",
        "outcome": "结果", "tries": "次数", "digest": "汇总编号", "reason": "原因",
    }  # fmt: skip
    rows = run(lambda: audits.notices(case_no=case_no or "", department=department or "", since=since, until=until))
    shown = heads if form != TABLE or out else {key: heads[key] for key in _SEEN}
    show(rows, shown, form, out, right=("id", "tries") if "tries" in shown else ("id",))


# what a table of notices shows; the whole row is in CSV and JSON
_SEEN = ("id", "case_no", "subject", "to", "told", "reached", "channel", "ended", "outcome", "reason")
