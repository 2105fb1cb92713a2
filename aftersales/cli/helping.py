"""What click writes of itself on help pages, in Chinese: its own words are English, and a translation of it there is none."""

from __future__ import annotations

from collections.abc import Iterable

import click

HEADINGS = {"Options": "选项", "Commands": "命令"}
# click's own words, as they stand in the usage and behind what our own texts say
USAGE = {"[OPTIONS]": "[选项]", "[COMMAND] [ARGS]...": "[命令 …]", "COMMAND [ARGS]...": "命令 …"}
TOLD = {"Show this message and exit.": "显示这段说明。", "[required]": "[必填]", "[default: ": "[默认："}


class Chinese(click.HelpFormatter):
    """A help page whose headings and marks are Chinese."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line of usage."""
        super().write_usage(prog, _put(args, USAGE), prefix or "用法：")

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        self.write(f"{'':>{self.current_indent}}{HEADINGS.get(heading, heading)}：\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options or commands, each with what it is for."""
        super().write_dl([(first, _put(second, TOLD)) for first, second in rows], col_max, col_spacing)


def speak_chinese() -> None:
    """Let every command's help be written so: contexts of subcommands do not take the formatter of their group's."""
    click.Context.formatter_class = Chinese


def _put(text: str, words: dict[str, str]) -> str:
    for english, chinese in words.items():
        text = text.replace(english, chinese)
    return text
