"""`aftersales desk`: hold the desk against our cases by hand, and build it anew when Prefect's database was lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import click

from aftersales.words import Unable

if TYPE_CHECKING:
    from tasks.reconcile import Round


@click.group()
def desk() -> None:
    """核对和重建 Prefect 里的运行。"""


@desk.command()
@click.option("--dry-run", is_flag=True, help="只看，不处理。")
def check(dry_run: bool) -> None:
    """立即核对全部未完成的售后单和它们的运行，与每分钟的对账巡检相同。"""
    told = asyncio.run(_look(dry_run=dry_run))
    _show(told)
    done = sum(1 for each in told.findings if each.done)
    counted = f"发现 {done} 项，未处理" if dry_run else f"处理了 {done} 项"
    click.echo(f"核对了 {told.compared} 张未完成的售后单，{counted if done else '没有发现问题'}。")
    _complain(told)


@desk.command()
def rebuild() -> None:
    """Prefect 的数据库丢失或重建之后，让每张未完成的售后单重新停在它的环节。"""
    told = asyncio.run(_look(dry_run=False))
    rebuilt = sum(1 for each in told.findings if each.is_rebuilt)
    others = Counter(each.done for each in told.findings if each.done and not each.is_rebuilt)
    if rebuilt:
        said = f"已为 {rebuilt} 张未完成的售后单重新建立运行，它们会在一两分钟内停在各自的环节"
    else:
        said = f"核对了 {told.compared} 张未完成的售后单，没有重新建立运行"
    listed = "、".join(f"{done} {count} 项" for done, count in others.items())
    click.echo(f"{said}；另外处理了 {others.total()} 项：{listed}。" if others else f"{said}。")
    _complain(told)


def _show(told: Round) -> None:
    from rich.console import Console
    from rich.table import Table

    if told.findings:
        table = Table("售后单", "发现", "处理")
        for each in told.findings:
            table.add_row(each.case_no, each.found, each.done or f"未能处理：{each.failed}")
        Console(highlight=False).print(table)


def _complain(told: Round) -> None:
    """Say what could not be put right. Raises Unable."""
    if failed := [each for each in told.findings if each.failed]:
        raise Unable(
            f"有 {len(failed)} 张单未能处理，例如 {failed[0].case_no}：{failed[0].failed}；请解决后再运行一次。"
        )


async def _look(*, dry_run: bool) -> Round:
    from aftersales.cli.database import connected

    async with connected():
        from tasks import reconcile

        return await reconcile.look_from_outside(dry_run=dry_run)
