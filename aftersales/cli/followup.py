"""`aftersales followup`: draw up now whom we visit, or see whom a night would draw up and why others are left out."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from aftersales.cli.common import Day, make_table, run, screen

if TYPE_CHECKING:
    from tasks.followup import Round


@click.command()
@click.option("--dry-run", is_flag=True, help="只看会排出谁，不写入。")
@click.option(
    "--date", "on", type=Day(), metavar="日期", help="看哪一天的回访，如 2026-12-01；只能和 --dry-run 一起用。"
)
@click.option("--all", "is_each", is_flag=True, help="逐个列出没有排的；只能和 --dry-run 一起用。")
def followup(dry_run: bool, on: date | None, is_each: bool) -> None:
    """立即排出当天的回访，与每天凌晨的回访巡检相同；加 --dry-run 只看排给谁、谁没有排和为什么。"""
    for given, option in ((on, "--date"), (is_each, "--all")):
        if given and not dry_run:
            raise click.UsageError(f"{option} 只能和 --dry-run 一起用")

    from tasks import followup as rounds

    async def look() -> Round:
        return await rounds.look(on=on, dry_run=dry_run)

    told = run(look)
    for title, heads, rows in (
        ("排给谁", rounds.AGENTS, told.agents()),
        ("没有排的", ("原因", "次数", "例如"), told.left_out()),
        ("逐个列出", ("回访", "原因"), told.each_left_out() if is_each else []),
    ):
        if rows:
            table = make_table(title, *heads, right=[head for head in heads if head in ("次数", "当天共有")])
            for row in rows:
                table.add_row(*row)
            screen().print(table)
    click.echo(f"{'试排（没有写入）：' if dry_run else ''}{told.said}。")
