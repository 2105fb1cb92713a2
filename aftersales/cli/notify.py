"""`aftersales notify`: test a channel, see what waits, send it now; `aftersales away`: who stands in for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any

import click

from aftersales.cli.common import Day, Whole, Word, json_option, json_text, make_table, run, screen
from aftersales.words import Unable


@click.group()
def notify() -> None:
    """通知：试发、查看待发、立即发送。"""


@notify.command("test")
@click.argument("whom", type=Word(), metavar="部门或工号")
def test(whom: str) -> None:
    """
    向一个部门或一名员工的每个渠道发一条真的试验消息，告诉您结果。

    部门写代码或名称，如 logistics 或 物流与配送部；员工写编号，如 L01。
    """
    outcomes = asyncio.run(_test(whom))
    table = make_table("", "渠道", "结果")
    for channel, (_, reason) in zip(_numbered([channel for channel, _ in outcomes]), outcomes, strict=True):
        table.add_row(channel, reason or "已送达")
    screen().print(table)
    failed = [reason for _, reason in outcomes if reason]
    if failed:
        raise Unable(f"{len(outcomes)} 个渠道中有 {len(failed)} 个没有送达，请照上面的原因检查渠道文件。")


def _numbered(channels: Sequence[str]) -> list[str]:
    """Tell addresses of one kind apart, as they follow each other in the file of channels: `json 1`, `json 2`."""
    return [
        f"{channel} {channels[:place].count(channel) + 1}" if channels.count(channel) > 1 else channel
        for place, channel in enumerate(channels)
    ]


async def _test(whom: str) -> list[tuple[str, str]]:
    from tasks import sending

    return await sending.test(whom)


@notify.command("list")
@click.option("--limit", type=Whole(1000), default=50, show_default=True, help="最多列出几条。")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """列出还没有送达的通知：在等什么、试过几次、下次什么时候。"""
    from tasks import sending

    waiting, total = run(lambda: sending.waiting(limit))
    if as_json:
        click.echo(json_text({"total": total, "notices": waiting}))
        return
    if not waiting:
        click.echo("没有待发的通知。")
        return
    table = make_table("", "编号", "售后单", "发给", "内容", "写入", "试过", "下次", "原因", right=["编号", "试过"])
    columns = ("id", "case_no", "to", "subject", "created", "tries", "next", "reason")
    for row in waiting:
        table.add_row(*(f"{row[key]} 次" if key == "tries" else str(row[key]) for key in columns))
    screen().print(table)
    if total > len(waiting):
        click.echo(f"共 {total} 条，只列出最早的 {len(waiting)} 条（--limit 可多列）。")


@notify.command("send")
def send() -> None:
    """立即发送到期的通知，与通知巡检相同。"""
    from tasks import sending

    told = run(sending.send_what_is_due)
    _show(["通知编号", "售后单", "发给", "渠道", "结果"], told.rows())
    click.echo(f"送达 {told.sent} 条，撤回 {told.withdrawn} 条，未送达 {len(told.told)} 条。")


def _show(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = make_table("", *headings)
    for row in rows:
        table.add_row(*row)
    screen().print(table)


@click.command()
@click.argument("staff", type=Word(), required=False, metavar="[工号]")
@click.argument("from_on", type=Day(), required=False, metavar="[开始日期]")
@click.argument("until_on", type=Day(), required=False, metavar="[结束日期]")
@click.option("--stand-in", type=Word(), metavar="工号", help="谁代收通知；不写由上一级代收，没有上一级的发到部门。")
@click.option("--back", is_flag=True, help="回来了：取消登记的日子。")
@click.option("--as", "operator", type=Word(), metavar="工号", help="由谁登记；不写为本人。")
@json_option
def away(
    staff: str | None,
    from_on: date | None,
    until_on: date | None,
    stand_in: str | None,
    back: bool,
    operator: str | None,
    as_json: bool,
) -> None:
    """
    登记谁哪几天不在（含首尾两天）：aftersales away L01 2026-12-01 2026-12-05 --stand-in L02

    不写参数时列出登记。不在时，发给本人的通知由代理人代收，没有代理人的发给上一级。
    """
    from tasks import absences

    if staff is None:
        if back or stand_in or operator:
            raise click.UsageError("请写上工号，如 aftersales away L01 --back")
        _list_absences(run(absences.listed), as_json)
        return
    if back:
        if from_on:
            raise click.UsageError("--back 取消全部登记，不写日期")
        if stand_in:
            raise click.UsageError("--back 取消全部登记，不写 --stand-in；换代理人请重新登记日期")
        click.echo(run(lambda: absences.back(staff)))
        return
    if from_on is None or until_on is None:
        raise click.UsageError("请写上开始日期和结束日期；回来了请写 --back")
    click.echo(run(lambda: absences.away(staff, from_on, until_on, stand_in=stand_in or "", actor=operator or "")))


def _list_absences(rows: Sequence[Any], as_json: bool) -> None:
    if as_json:
        click.echo(json_text(rows))
    elif not rows:
        click.echo("没有登记谁不在。")
    else:
        table = make_table("", "员工", "开始", "结束", "代收", "登记人")
        for row in rows:
            table.add_row(row["staff"], row["from"], row["until"], row["stand_in"], row["by"])
        screen().print(table)
