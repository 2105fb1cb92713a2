"""`aftersales extend`: more time for every case of a region that force majeure has touched (GEN-08, AMB-51)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from aftersales.cli.common import Day, StageName, Word, by_staff, make_table, run, screen
from aftersales.words import Stage, Unable

if TYPE_CHECKING:
    from tasks.extensions import Regional, Touched


@click.command()
@click.option(
    "--region",
    "regions",
    type=Word(),
    required=True,
    multiple=True,
    metavar="地区",
    help="订单地区的开头，如 浙江 或 “浙江 杭州”；几个地区就写几次。",
)
@click.option("--from", "since", type=Day(), required=True, metavar="日期", help="受影响的第一天。")
@click.option("--to", "until", type=Day(), required=True, metavar="日期", help="受影响的最后一天。")
@click.option("--until", "to", type=Day(), required=True, metavar="日期", help="延期到这一天的 24:00。")
@click.option("--reason", required=True, metavar="原因", help="会告知客户，如：台风，快递停运。")
@click.option(
    "--stage",
    "stages",
    type=StageName(),
    multiple=True,
    metavar="环节",
    help="只延这个环节，如 待取件；几个环节就写几次，不写就是全部。",
)
@by_staff()
@click.option("--dry-run", is_flag=True, help="只看会延哪些单、延到什么时候，不写入。")
def extend(
    regions: Sequence[str],
    since: date,
    until: date,
    to: date,
    reason: str,
    stages: Sequence[Stage],
    operator: str,
    dry_run: bool,
) -> None:
    """
    不可抗力：把一个地区在一段时间里受影响的售后单一起延期，并通知客户。

    受影响的是期限和这段时间有重叠的环节。原截止时间留在每张单的记录里。先用 --dry-run 看一遍。
    """
    from tasks import extensions

    force = extensions.force_majeure(regions=regions, since=since, until=until, to=to, reason=reason, stages=stages)

    async def told() -> tuple[Regional, str]:
        found = await extensions.extend_region(force, operator=operator, dry_run=dry_run)
        return found, "" if dry_run else await _show_anew([each.case_no for each in found.extended])

    found, warning = run(told)
    _print("将延期" if dry_run else "已延期", found.extended, "原截止", "新截止")
    _print("未包括", found.left_out, "截止", "原因")
    click.echo(
        f"{'将延期' if dry_run else '已延期'} {len(found.extended)} 张"
        + (f"，未包括 {len(found.left_out)} 张" if found.left_out else "")
        + ("。" if dry_run or not found.extended else "，客户已列入通知。")
    )
    if kept := sum(not each.is_told for each in found.extended):
        click.echo(f"其中 {kept} 张，客户预计的退款时间更晚，没有变，不另行通知。")
    if found.nowhere:
        click.echo(f"另有 {found.nowhere} 张未结案的售后单，订单没有写地区，不在其内，请逐张核对。")
    if warning:
        click.echo(warning, err=True)
    if found.failed:
        first = found.failed[0]
        raise Unable(
            f"有 {len(found.failed)} 张没有延成，例如 {first.case_no}：{first.why.rstrip('。')}；请解决后再运行一次。"
        )


def _print(title: str, rows: Sequence[Touched], *last: str) -> None:
    """Show cases as a table; the last column says until when now, or why not."""
    from rich.text import Text

    if not rows:
        return
    table = make_table(title, "售后单", "地区", "环节", *last)
    for each in rows:
        table.add_row(*map(Text, (each.case_no, each.region, each.stage.label, each.was, each.due or each.why)))
    screen().print(table)


async def _show_anew(case_nos: Sequence[str]) -> str:
    """Open the forms anew that show the old due time; answers the warning when that has to wait."""
    from aftersales.desk import runs

    try:
        async with runs.from_outside() as client:
            await runs.show_anew(client, case_nos)
    except runs.Unreachable as error:
        return (
            f"延期已登记；已经打开的表单还写着原来的截止时间，下次打开时更新（{str(error).rstrip('。')}）。"
            if case_nos
            else ""
        )
    return ""
