"""What commands share: words as people type them, a database, tables, JSON."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aftersales import forms
from aftersales.words import Event, Stage

if TYPE_CHECKING:
    from aftersales.terms import House

T = TypeVar("T")


class Word(click.ParamType):
    """A number or an id as people type it."""

    name = "文字"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Trim it; what cannot be stored as text is refused."""
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail("含有无法识别的字符", param, ctx)
        if "\x00" in value or not value.strip():
            self.fail("没有内容或含有空字符", param, ctx)
        return str(value).strip()


class CaseNo(Word):
    """A case number, in letters of any size."""

    name = "售后单号"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it as it is stored: in capitals."""
        return super().convert(value, param, ctx).upper()


class GateName(click.ParamType):
    """A gate by its code or its Chinese name: `review`, `审核`, `待审核`, `退款确认`."""

    name = "环节"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Find the gate. Fails with the sentence that names all of them."""
        for gate, form in forms.GATES.items():
            label = Stage(gate).label
            if value.strip() in (gate, label, label.removeprefix("待"), form.title):
                return gate
        known = "、".join(f"{gate}（{Stage(gate).label.removeprefix('待')}）" for gate in forms.GATES)
        self.fail(f"没有环节“{value}”，可选：{known}", param, ctx)


class EventName(click.ParamType):
    """An event by its code or its Chinese name: `parcel.received`, `已收货`."""

    name = "事件"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Event:
        """Find the event. Fails with the sentence that names all of them."""
        for event in Event:
            if value.strip() in (event.value, event.label):
                return event
        known = "、".join(f"{event.value}（{event.label}）" for event in Event)
        self.fail(f"没有事件“{value}”，可选：{known}", param, ctx)


class StageName(click.ParamType):
    """A stage by its code or its Chinese name: `review`, `待审核`, `审核`."""

    name = "环节"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Stage:
        """Find the stage. Fails with the sentence that names all of them."""
        if isinstance(value, Stage):
            return value
        for stage in Stage:
            if value.strip() in (stage.value, stage.label, stage.label.removeprefix("待")):
                return stage
        self.fail(f"没有环节“{value}”，可选：{'、'.join(stage.label for stage in Stage)}", param, ctx)


class Whole(click.ParamType):
    """A whole number from 1 to `most`."""

    name = "整数"

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"[0-9]{1,10}", value.strip()) or not 1 <= int(value) <= self.most:
            self.fail(f"“{value}”应写成 1 到 {self.most} 的整数", param, ctx)
        return int(value)


class Day(click.ParamType):
    """A date: 2026-03-05."""

    name = "日期"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read a date. Fails with the sentence that tells how to write it."""
        from aftersales.imports.orders import FIRST_YEAR, LAST_YEAR

        if isinstance(value, date):
            return value
        try:
            day = datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day of the house, not an instant
        except ValueError:
            self.fail(f"“{value}”不是日期，请写成 2026-03-05 这样", param, ctx)
        if not FIRST_YEAR <= day.year < LAST_YEAR:
            self.fail(f"“{value}”的年份不在 {FIRST_YEAR} 到 {LAST_YEAR - 1} 之间", param, ctx)
        return day


def by_staff(*, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the option that says who acts."""
    return click.option(
        "--as",
        "operator",
        type=Word(),
        required=required,
        metavar="工号",
        help="经办人的员工编号，如 C07。",
    )


case_argument = click.argument("case_no", type=CaseNo(), metavar="售后单号")
pairs_argument = click.argument("pairs", nargs=-1, metavar="[项目=内容]...")
json_option = click.option("--json", "as_json", is_flag=True, help="输出 JSON。")


def answer_from(form: type[forms.Form], pairs: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` words. Raises UsageError for what is no such word or no field of the form."""
    try:
        return forms.from_pairs(form, pairs)
    except forms.Misfilled as error:
        raise click.UsageError(str(error), click.get_current_context()) from None


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Do some work with the database connected."""

    async def connectedly() -> T:
        from aftersales.cli.database import connected

        async with connected():
            return await work()

    return asyncio.run(connectedly())


def json_text(data: Any) -> str:
    """Data as a program reads it."""
    return json.dumps(data, ensure_ascii=False, indent=2)


def iso(at: Any, house: House) -> str | None:
    """An instant in house time, as a program reads it."""
    from aftersales.rules import clocks

    return None if at is None else clocks.in_house(at, house=house).isoformat()


def department_name(key: str, house: House) -> str:
    """A department by its name."""
    return house.departments[key].name if key in house.departments else key


def screen(width: int = 160) -> Any:
    """A console; a pipe is wide."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = width  # a pipe or a log breaks no columns
    return console


SHORT = 20  # columns of the screen; what is no longer is a number, a date, a name: to be read and copied whole


def make_table(title: str, *headings: str, right: Sequence[str] = ()) -> Any:
    """
    A table with these headings; those in `right` hold numbers.

    Short cells are never broken; on a screen too narrow for that, each row is told line by line.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    def width(cell: Any) -> int:
        return cell_len(cell.plain if isinstance(cell, Text) else str(cell))

    class Rows(Table):
        def __rich_console__(self, console: Any, options: Any) -> Any:
            widest = [max(map(width, (column.header, *column.cells))) for column in self.columns]
            for column, wide in zip(self.columns, widest, strict=True):
                column.no_wrap = wide <= SHORT
            if sum(min(wide, SHORT) + 3 for wide in widest) < options.max_width or not console.is_terminal:
                yield from super().__rich_console__(console, options)
                return
            if self.title:
                yield Text(str(self.title))
            for row in zip(*(column.cells for column in self.columns), strict=True):
                for column, cell in zip(self.columns, row, strict=True):
                    if width(cell):
                        yield Text.assemble(f"{column.header}：" if column.header else "", cell)
                yield Text()

    table = Rows(title=title or None, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table


def harmless(cell: str) -> str:
    """A cell of a CSV that no spreadsheet takes for a formula."""
    is_number = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell)
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not is_number else cell


def instant(text: str, house: House) -> datetime:
    """Read an instant as people type it; without offset it is house time. Raises UsageError."""
    from aftersales.rules import clocks

    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.UsageError(
            f'“{text}”不是时刻，请写成 "2025-03-07 10:00" 或带时区的 2025-03-07T10:00+08:00。'
        ) from None
    try:
        if at.tzinfo is not None:
            return at.astimezone(UTC)
        placed = clocks.house_time(at, house=house)
    except OverflowError:
        raise click.UsageError(f"“{text}”超出了可计算的年份，请写近一些的时刻。") from None
    if placed.replace(tzinfo=None) != at:
        raise click.UsageError(f"“{text}”在 {house.timezone} 不存在（时钟拨快时跳过了它），请写别的时刻。")
    return placed
