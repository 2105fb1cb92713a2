"""What commands that report share: a period, and rows as a table, a spreadsheet or JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from aftersales.cli.common import Day, harmless, json_text, make_table, screen
from aftersales.words import Unable, trouble

TABLE, CSV, JSON = "table", "csv", "json"


def period(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a period, both days included."""
    last = click.option("--to", "until", type=Day(), required=True, metavar="日期", help="到哪一天为止，含当天。")
    return click.option("--from", "since", type=Day(), required=True, metavar="日期", help="从哪一天起。")(
        last(command)
    )


def report(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a report is written."""
    out = click.option("--out", type=click.Path(path_type=Path), metavar="文件", help="写到文件。")
    return click.option(
        "--format", "form", type=click.Choice([TABLE, CSV, JSON]), default=TABLE, help="表格、CSV 或 JSON。"
    )(out(command))


def show(
    rows: Sequence[Mapping[str, str]], heads: Mapping[str, str], form: str, out: Path | None, *, right: Sequence[str]
) -> None:
    """Show rows as a table, or write them as CSV for a spreadsheet or JSON for a program."""
    if form == TABLE and out is None:
        if not rows:
            click.echo("这段时间没有记录。")
            return
        shown = make_table("", *heads.values(), right=[heads[name] for name in right])
        for row in rows:
            shown.add_row(*(Text(row.get(name, "")) for name in heads))
        screen(width=240).print(shown)
        return
    if form == JSON:
        text = json_text([{name: row.get(name, "") for name in heads} for row in rows]) + "\n"
    else:  # a table is for the screen: a file of it is a spreadsheet
        sheet = io.StringIO(newline="")
        writer = csv.writer(sheet)
        writer.writerow(heads.values())
        writer.writerows([harmless(row.get(name, "")) for name in heads] for row in rows)
        # the mark tells a spreadsheet that this is UTF-8
        text = "\ufeff" + sheet.getvalue()
    if out is None:
        click.echo(text, nl=False)
    else:
        write(out, text)
        click.echo(f"已写出 {len(rows)} 行：{out}")


def write(path: Path, text: str) -> None:
    """Write a report to a file. Raises Unable."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Unable(f"写不了 {path}（{trouble(error)}），请换一个位置。") from None


def in_order(since: date | None, until: date | None) -> None:
    """Refuse a period that ends before it begins. Raises UsageError."""
    if since and until and since > until:
        raise click.UsageError(f"--from {since} 晚于 --to {until}，请对调。", click.get_current_context())
