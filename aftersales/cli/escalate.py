"""`aftersales escalate`: look now who is to be told that a window passes or has passed (ESC-04 to ESC-09)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import click

from aftersales.words import Unable

if TYPE_CHECKING:
    from tasks.escalation import Round


@click.command()
@click.option("--dry-run", is_flag=True, help="只看会通知谁，不写入。")
@click.option(
    "--at", "moment", metavar="时间", help='假定现在是这个时间，如 "2026-11-30 09:00"；只能和 --dry-run 一起用。'
)
def escalate(dry_run: bool, moment: str | None) -> None:
    """立即查看到期和超时的环节，把该通知的写入待发，与每分钟的超时巡检相同；需要 make run 在运行。"""
    if moment and not dry_run:
        raise click.UsageError("--at 只能和 --dry-run 一起用")
    told, untagged = asyncio.run(_look(moment, dry_run=dry_run))
    if told.told or told.recounted:
        from aftersales.cli.common import make_table, screen

        table = make_table("", "售后单", "环节", "截止", "通知")
        for row in told.rows():
            table.add_row(*row)
        screen().print(table)
    if told.recounted:
        click.echo(f"按新的日历重算了 {len(told.recounted)} 个时限。")
    done = len(told.told) - len(told.failed)
    click.echo(f"{'将通知' if dry_run else '已写入待发'} {done} 项。" if done else "没有到期的提醒，也没有超时。")
    if untagged:
        click.echo(f"{untagged}。")
    if told.failed:
        first = told.failed[0]
        raise Unable(f"有 {len(told.failed)} 项出错，例如 {first.case_no}：{first.failed}；请解决后再运行一次。")


async def _look(moment: str | None, *, dry_run: bool) -> tuple[Round, str]:
    """Tell what is reached, or only say so; and what could not be tagged."""
    from aftersales.cli.common import instant
    from aftersales.cli.database import connected
    from aftersales.terms import load

    at: datetime | None = instant(moment, load().house) if moment else None
    async with connected():
        from tasks import escalation, rounds

        if dry_run:
            return await escalation.look(at=at, dry_run=True), ""
        told, untagged = await rounds.escalate_from_outside()
        return told, rounds.not_tagged(untagged)
