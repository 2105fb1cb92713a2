"""Tables of commands, on screens of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from aftersales.cli.common import make_table

LONG = "客户在电话里说台灯的开关不灵，已请他寄回，等仓库验收以后再联系"


def on_screen(width: int, *, is_terminal: bool = True) -> str:
    table = make_table("待办", "售后单号", "说明", "金额（元）", right=("金额（元）",))
    table.add_row("RT-20261127-0001", LONG, "188.00")
    table.add_row("RT-20261127-0002", "", "20.00")
    out = io.StringIO()
    Console(file=out, force_terminal=is_terminal, width=width, color_system=None).print(table)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_what_is_short_is_never_broken(width: int):
    said = on_screen(width)

    assert "│ RT-20261127-0001 │" in said and "188.00 │" in said
    assert (LONG in said) is (width == 200)


def test_a_screen_too_narrow_for_it_is_told_line_by_line():
    said = on_screen(40)

    assert said.splitlines()[:2] == ["待办", "售后单号：RT-20261127-0001"]
    assert said.endswith("售后单号：RT-20261127-0002\n金额（元）：20.00\n\n"), "an empty cell is left out"
    assert "".join(said.split()).count(LONG) == 1


def test_a_pipe_gets_a_table_at_any_width():
    assert "│ RT-20261127-0001 │" in on_screen(80, is_terminal=False)
    assert "：" not in on_screen(40, is_terminal=False)
