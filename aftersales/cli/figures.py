"""`aftersales figures`: the figures of follow-up by week, team or agent, and the page that tells them (KPI-40, KPI-44)."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aftersales.cli.common import Day, run
from aftersales.cli.reports import in_order, report
from aftersales.cli.reports import show as show_report
from aftersales.words import Unable

if TYPE_CHECKING:
    from aftersales.rules.figures import Figures

GROUPS = {"team": "小组", "agent": "客服"}


@click.group()
def figures() -> None:
    """数字：回访完成率、满意度、回复率、挽回率。"""


@figures.command()
@click.option("--from", "since", type=Day(), metavar="日期", help="从哪一天起；不写就是最近 12 周。")
@click.option("--to", "until", type=Day(), metavar="日期", help="到哪一天为止，含当天。")
@click.option("--by", type=click.Choice(list(GROUPS)), help="按小组（team）或客服（agent）列出；不写就按周。")
@report
def followup(since: date | None, until: date | None, by: str | None, form: str, out: Path | None) -> None:
    """
    回访和满意度的数字，按周、小组或客服；演练不计。

    不写日期就是最近 12 周，并同时更新工作台上的页面“回访和满意度”。
    """
    if (since is None) != (until is None):
        raise click.UsageError("--from 和 --to 请一起写，或都不写（最近 12 周）", click.get_current_context())
    in_order(since, until)
    warnings: list[str] = []

    async def look() -> Figures:
        from tasks import figures as tasks

        if since is None:
            try:
                await tasks.refresh_from_outside()
            except Unable as error:
                warnings.append(f"页面“回访和满意度”没有更新：{error}")
        return await tasks.followup(since=since, until=until)

    found = run(look)
    from aftersales.rules.figures import HEADS

    lines = {None: found.weeks, "team": found.teams, "agent": found.agents}[by]
    first = {(by or "week"): GROUPS.get(by or "", "周（周一起）")}
    rows = [{next(iter(first)): line.name, **line.cells} for line in (*lines, found.total)]
    show_report(rows, first | HEADS, form, out, right=list(HEADS))
    for warning in warnings:
        click.echo(warning, err=True)
