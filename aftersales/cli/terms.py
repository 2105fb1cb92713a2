"""
`aftersales check`, `due` and `calendar`: the numbers and the days a case is judged by.

They start without Prefect and without a database.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from aftersales import terms
from aftersales.cli.common import instant
from aftersales.rules import clocks
from aftersales.words import Limit, Unable, trouble


@click.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """检查 config/ 里的规则文件，列出每一处错误：文件、行、键和该怎么写。"""
    try:
        found = terms.load()
    except terms.TermsError as error:
        for mistake in error.mistakes:
            click.echo(str(mistake))
        click.echo(f"规则文件有 {len(error.mistakes)} 处错误，请照上面所列改正后再检查。", err=True)
        ctx.exit(1)
    years = f"（{clocks.spoken_years(found.calendars)}）" if found.calendars else ""
    click.echo(
        f"规则文件没有错误：{len(found.house.departments)} 个部门，{len(found.staff_list.staff)} 名员工，"
        f"{len(found.returns.stages)} 个环节，{len(found.returns.reasons)} 个退货原因，"
        f"{len(found.calendars)} 年日历{years}，规则版本 {terms.fingerprint(found)[:12]}。"
    )


@click.command()
@click.argument("start")
@click.argument("limit")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON：start、limit、due_at、provisional、skipped。")
def due(start: str, limit: str, as_json: bool) -> None:
    """
    计算时限何时截止，以及为什么。

    START 写成 "2025-03-07 10:00"，不带时区的按 house.yaml 的时区理解；也可带时区，如 2025-03-07T10:00+08:00；
    只写日期的按当天 00:00 起算。

    LIMIT 写成 30 min（分钟）、24 h（小时）、"3 wd"（工作日）、"7 d"（自然日）或 "4 sh"（服务小时）。

    due_at 不含该时刻本身：2025-03-13T00:00 即 3月12日24:00 前。
    """
    try:
        allowed = Limit.parse(limit)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    found = terms.load()
    started = instant(start, found.house)
    try:
        ends = clocks.due(start_at=started, limit=allowed, calendars=found.calendars, house=found.house)
    except (OverflowError, ValueError):  # Python's dates end with the year 9999
        raise click.UsageError(f"从“{start}”起算 {allowed} 超出了可计算的年份，请写近一些的时刻。") from None

    told = clocks.trace(ends, rule="")
    if as_json:
        keys = ("start", "limit", "due_at", "provisional", "skipped")
        click.echo(json.dumps({key: told[key] for key in keys}, ensure_ascii=False, indent=2))
    else:
        for line in clocks.explain(told):
            click.echo(line)
    if ends.missing:
        years = clocks.spoken_years(ends.missing)
        click.echo(
            f"缺少 {years} 年的日历（{terms.CONFIG}/calendars/{ends.missing[0]}.yaml），截止时间是暂定的，"
            f"请在放假安排公布后运行 aftersales calendar {ends.missing[0]} --write 生成，或手工填写。",
            err=True,
        )


@click.command()
@click.argument("year")
@click.option("--write", is_flag=True, help="写入 config/calendars/，不加则只显示。")
@click.option("--force", is_flag=True, help="与 --write 同用：覆盖已有的文件。")
def calendar(year: str, write: bool, force: bool) -> None:
    """生成某一年的日历文件（放假与调休），YEAR 写成四位年份，如 2026。"""
    from aftersales import calendars

    if not (year.isascii() and year.isdigit() and len(year) == 4):
        raise click.UsageError(f"“{year}”不是年份，请写成四位数字，如 2026。")
    if force and not write:
        raise click.UsageError("--force 只与 --write 同用，请加上 --write。")
    text = calendars.written(int(year))
    if not write:
        click.echo(text, nl=False)
        return
    path = terms.CONFIG / "calendars" / f"{year}.yaml"
    _write(path, text, force=force)
    click.echo(f"已写入 {path}，请与国务院办公厅的放假通知核对。")


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write a file; what a person may have corrected is overwritten only when asked."""
    if not path.parent.parent.is_dir():
        raise Unable(f"没有 {path.parent.parent} 文件夹，请在项目的根目录运行。")
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Unable(f"{path} 已经存在，可能有人改过，没有改动；确实要覆盖请加 --force。") from None
    except OSError as error:
        raise Unable(f"{path} 写不进去（{trouble(error)}），请检查文件夹的写入权限。") from None
