"""What people read about a case: nothing breaks out of a table, early and late are said in words (GEN-10, AUD-01)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from aftersales.rules import chain, pages
from tests.builders import return_terms

DUE = datetime(2026, 11, 20, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("late_by", "words"),
    [
        pytest.param(timedelta(hours=-3), "提前 3 小时", id="three hours early"),
        pytest.param(timedelta(minutes=-1), "提前 1 分钟", id="a minute early"),
        pytest.param(timedelta(0), "超时 0 分钟", id="the due time is exclusive"),
        pytest.param(timedelta(hours=3, minutes=59), "超时 3 小时", id="hours are not rounded up"),
        pytest.param(timedelta(days=2), "超时 2 天", id="two days late"),
    ],
)
def test_spoken_difference(late_by: timedelta, words: str):
    assert pages.spoken_difference(DUE + late_by, DUE) == words


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        pytest.param(DUE, "2026-11-20 24:00", id="midnight ends the day before"),
        pytest.param(DUE + timedelta(minutes=1), "2026-11-21 00:01", id="a minute later is the next day"),
    ],
)
def test_gen04_a_due_time_is_shown_as_the_end_of_its_day(at: datetime, shown: str):
    reader = pages.Reader(returns=return_terms(), staff={}, departments={}, zone=ZoneInfo("Asia/Shanghai"))

    assert reader.due(at) == shown


@pytest.mark.parametrize(
    "text", ["a | b", "# head", "<script>alert(1)</script>", "[x](http://e)", "`x`", "line\nbreak", "*b*"]
)
def test_a_cell_keeps_its_text_inside_the_table(text: str):
    shown = pages.cell(text)

    assert "\n" not in shown
    assert "<" not in shown
    for character in "|#*`[":
        assert character not in shown.replace(f"\\{character}", "")


def test_the_hash_covers_the_row_and_the_one_before_it():
    row = {"case_no": "RT-1", "seq": 1, "at": DUE, "data": {"b": 1, "a": "中"}}

    first = chain.digest(prev_hash="", row=row)

    assert first == chain.digest(prev_hash="", row={**row, "data": {"a": "中", "b": 1}})
    assert first == chain.digest(prev_hash="", row={**row, "at": DUE.astimezone()})
    assert first != chain.digest(prev_hash="x", row=row)
    assert first != chain.digest(prev_hash="", row={**row, "seq": 2})
