"""The table as a whole: every door has its rows, each row its own sentence, and none gets lost unnoticed (issue 3)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.badinput import test_answers, test_callbacks, test_commands, test_forms, test_intake, test_rows, test_terms

DOORS: dict[str, tuple[list[Any], int]] = {
    "forms": ([*test_forms.GATES, *test_forms.APPLICATIONS, *test_forms.SMALL], 140),
    "commands": (test_commands.COMMANDS, 130),
    "rows of CSV files": (test_rows.ROWS, 40),
    "terms": (test_terms.TERMS, 30),
    "answers over HTTP": (test_answers.ANSWERS, 30),
    "callbacks": ([*test_callbacks.CALLBACKS, *test_callbacks.REQUESTS], 55),
    "shop systems": ([*test_intake.REQUESTS, *test_intake.KEYS_FILES], 90),
}


def test_every_door_has_its_rows():
    assert {door: len(rows) >= least for door, (rows, least) in DOORS.items()} == dict.fromkeys(DOORS, True)
    assert sum(least for _, least in DOORS.values()) >= 80


def test_no_row_stands_twice():
    for door, (rows, _) in DOORS.items():
        twice = [name for name, count in Counter(row.id for row in rows).items() if count > 1]
        assert not twice, door
