"""`aftersales demo`: plays every way of a return on the running stack, in time lapse (design §5)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from aftersales.words import Stage, Unable

if TYPE_CHECKING:
    from uuid import UUID

    from rich.console import Console
    from rich.progress import Progress

    from aftersales.cli.demo_play import Played
    from aftersales.cli.demo_ways import Way
    from aftersales.stack.state import Stack
    from aftersales.store.rehearsals import Owed
    from aftersales.terms import House

TAG = "演练"  # as `tasks.desks` tags rehearsed cases
WIDE = 200  # columns that a table with whole addresses needs


class Seconds(click.ParamType):
    """How many seconds a rehearsed day is shown."""

    name = "秒"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number of seconds from 0 to 3600."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= 3600:
            self.fail(f"“{value}”应写成 0 到 3600 的秒数，如 1 或 0.5", param, ctx)
        return seconds


@click.command()
@click.option(
    "--speed",
    type=Seconds(),
    default=1.0,
    show_default=True,
    metavar="秒",
    help="演练中的一天显示几秒；0 为尽快。",
)
@click.option(
    "--only",
    multiple=True,
    metavar="文字",
    help="只演示经过中含有这些字的，如 --only 丢失；可重复填写。",
)
def demo(speed: float, only: tuple[str, ...]) -> None:
    """
    在运行中的服务上演示各种退货，不影响其他售后单。

    演练有自己的订单和时钟；每一步都像员工那样提交：新建表单、Resume 表单、到件登记、decide、signal。
    """
    from rich.console import Console

    from aftersales import terms
    from aftersales.cli import database

    house = terms.load().house
    ways = _chosen(only)
    stack = database.located()
    if stack.supervisor.pid and not stack.is_ready:
        raise Unable("服务正在启动，请等运行 make run 的窗口显示“已就绪”，再重新演示。")
    played = asyncio.run(_play(stack, house, ways, speed))
    screen = Console(highlight=False)
    if not screen.is_terminal:
        screen = Console(highlight=False, width=WIDE)
    _show(screen, played, stack.ui_url)
    if wrong := [each for each in played if not each.is_as_told]:
        raise Unable(
            f"有 {len(wrong)} 张售后单的结果与剧本不符（{'；'.join(map(_difference, wrong))}）；"
            "若改过 config/returns.yaml 的天数或开关属正常，否则请用 aftersales audit case 查看经过。"
        )


def _chosen(only: Sequence[str]) -> list[Way]:
    """The ways whose story holds one of these words, and those whose orders they are about; all without any."""
    from aftersales.cli.demo_ways import WAYS

    for word in only:
        if not any(word in way.story for way in WAYS):
            raise Unable(f"没有哪种演示的经过含有“{word}”，可以选：{'；'.join(way.story for way in WAYS)}。")
    chosen = [way for way in WAYS if not only or any(word in way.story for word in only)]
    needed = {way.again for way in chosen}
    return [way for way in WAYS if way in chosen or way.key in needed]


async def _play(stack: Stack, house: House, ways: Sequence[Way], speed: float) -> list[Played]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from sqlalchemy.exc import OperationalError

    from aftersales.cli import demo_desk, demo_play
    from aftersales.stack import schema
    from aftersales.store import engine

    schema.require(stack.database_url)
    engine.connect(stack.database_url)
    screen = Console(stderr=True, highlight=False)
    screen.print(f"正在演示 {len(ways)} 种情形，要几分钟……")
    try:
        async with demo_desk.opened(page_url=stack.page_url) as desk:
            with Progress(
                TextColumn("{task.fields[on]}"),
                BarColumn(bar_width=24),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=screen,
                transient=True,
                disable=not screen.is_terminal,
            ) as progress:
                last = max(act.day for way in ways for act in way.acts)
                audience = Screen(progress, house, days=last, speed=speed)
                played = await demo_play.play(ways, desk=desk, audience=audience)
            await desk.finish([run_id for each in played for run_id in _runs(each)])
    except OperationalError as error:
        raise Unable("演示中途与数据库的连接断了，请看运行 make run 的窗口是否正常，再重新演示。") from error
    finally:
        await engine.disconnect()
    return played


def _runs(played: Played) -> list[UUID]:
    return [*([played.run_id] if played.run_id else []), *(each.run_id for each in played.followed)]


class Screen:
    """Shows the rehearsed date and act on a bar, a day for so many seconds, and what fell due on the way."""

    def __init__(self, progress: Progress, house: House, *, days: int, speed: float) -> None:
        self._progress, self._house, self._speed = progress, house, speed
        self._task = progress.add_task("", total=days, on="")
        self._shown: tuple[datetime, float] | None = None

    async def moment(self, day: int, at: datetime, acts: Sequence[str]) -> None:
        """Let the days since the last act pass, then show this one."""
        from aftersales.rules import clocks

        loop = asyncio.get_running_loop()
        if self._shown:
            before, since = self._shown
            until = since + (at - before).total_seconds() / 86400 * self._speed
            await asyncio.sleep(max(0.0, until - loop.time()))
        self._shown = at, loop.time()
        on = clocks.spoken(at, house=self._house)
        self._progress.update(self._task, completed=day, on=on, description="、".join(acts))

    def overdue(self, owed: Owed) -> None:
        """Say what is late from now on."""
        from aftersales.rules import clocks

        department = self._house.departments[owed.owner].name
        stage = "整单时限" if owed.stage == "outer" else Stage(owed.stage).label
        due = clocks.spoken(owed.due_at, house=self._house)
        self._progress.console.print(f"{due} 到期：{owed.case_no} {stage}（{department}）")


def _show(screen: Console, played: Sequence[Played], ui_url: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from aftersales.desk import links

    wide = screen.width >= WIDE
    table = Table(title="演练结果", title_justify="left")
    for title in ("售后单", "经过", "结果"):
        table.add_column(title, no_wrap=wide or title != "经过")
    table.add_column("退款（元）", justify="right", no_wrap=True)
    table.add_column("超时", justify="right", no_wrap=True)
    if wide:
        table.add_column("在界面中打开", no_wrap=True)
    for each in played:
        url = links.run(ui_url, each.run_id)
        address = [Text(url, style=f"link {url}")] if wide else []
        number = Text(each.case_no or each.order_no, style=f"link {url}")
        table.add_row(number, each.way.story, each.end, _paid(each), str(each.late or ""), *address)
    screen.print(table)
    for each in played:
        if not wide:
            screen.print(Text(f"{each.case_no or each.order_no}  {links.run(ui_url, each.run_id)}"), soft_wrap=True)
    for each in played:
        for after in each.followed:
            told = f"{each.case_no} 之后的{after.label} {after.case_no}：{links.run(ui_url, after.run_id)}"
            screen.print(Text(told), soft_wrap=True)
    for each in played:
        if each.refusal:
            screen.print(Text(f"未受理的原因：{each.refusal}"))
    screen.print(Text(f"在界面中查看全部演练：{links.runs(ui_url, TAG)}"), soft_wrap=True)
    example = next((each.case_no for each in played if each.case_no), "")
    screen.print(Text(f"查看一张售后单的全部经过：aftersales audit case {example}"), soft_wrap=True)


def _paid(played: Played) -> str:
    total = f"{sum(played.paid):.2f}" if played.paid else ""
    return f"{total}（{len(played.paid)} 笔）" if len(played.paid) > 1 else total


def _difference(played: Played) -> str:
    def told(stage: Stage | None, paid: Sequence[Any]) -> str:
        return f"{stage.label if stage else '未受理'}{f' {sum(paid):.2f} 元' if paid else ''}"

    return f"{played.case_no or played.order_no} 应{told(played.way.ends, played.expected)}，实为{told(played.stage, played.paid)}"
