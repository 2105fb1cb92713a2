"""How follow-up is counted: visits in time, satisfaction, response, recovery (KPI-09, KPI-40, KPI-41, KPI-44)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aftersales.rules import clocks, figures
from aftersales.rules.figures import HEADS, Kept, Line, Tally
from aftersales.rules.pages import Reader
from aftersales.terms import load

LIVE = load()
STAFF = LIVE.staff()
HOUSE = LIVE.house
MOMENT = timedelta(microseconds=1)
DAY = date(2025, 3, 12)


def at(wall: str) -> datetime:
    """A time of the house."""
    return clocks.house_time(datetime.fromisoformat(wall), house=HOUSE)


# --- KPI-40: visits in time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done_on", "outcome", "today", "told"),
    [
        pytest.param(11, "reached", 14, {"in_time": 1}, id="done before its day"),
        pytest.param(12, "reached", 14, {"in_time": 1}, id="done on its due day"),
        pytest.param(13, "reached", 14, {"late": 1}, id="moved to the next list and done there is late"),
        pytest.param(12, "opted_out", 14, {"in_time": 1}, id="whoever wants no visit was reached"),
        pytest.param(12, "problem", 14, {"in_time": 1, "problems": 1}, id="a problem found is a visit made"),
        pytest.param(14, "not_reached", 14, {"late": 1, "not_reached": 1}, id="given up after three days is late"),
        pytest.param(None, "", 12, {"pending": 1}, id="not done, its day still lasts"),
        pytest.param(None, "", 13, {"overdue": 1}, id="not done, its day is over"),
    ],
)
def test_kpi40_what_became_of_a_visit(done_on: int | None, outcome: str, today: int, told: dict[str, int]):
    found = figures.kept(
        due_on=DAY,
        done_on=DAY.replace(day=done_on) if done_on else None,
        outcome=outcome,
        today=DAY.replace(day=today),
    )

    assert found == Kept(due=1, **told)


@pytest.mark.parametrize(
    ("kept", "share"),
    [
        pytest.param(Kept(), None, id="none was due"),
        pytest.param(Kept(due=3, in_time=2, late=1), "66.7", id="two of three"),
        pytest.param(Kept(due=4, in_time=4), "100.0", id="all"),
        pytest.param(Kept(due=2, overdue=2), "0.0", id="none was made"),
        pytest.param(Kept(due=2, in_time=1, pending=1), "100.0", id="what is not due yet is held against nobody"),
        pytest.param(Kept(due=2, pending=2), None, id="while nothing has come due there is no share"),
        pytest.param(Kept(due=400, in_time=1, late=399), "0.3", id="a half is rounded up: 0.25"),
        pytest.param(Kept(due=2001, in_time=1, late=2000), "0.0", id="less than a half is rounded down"),
    ],
)
def test_kpi40_completion(kept: Kept, share: str | None):
    assert kept.completion == (None if share is None else Decimal(share))


def test_kpi40_visits_add_up():
    total = Kept(due=2, in_time=1, overdue=1) + Kept(due=3, late=1, pending=2, problems=1)

    assert total == Kept(due=5, in_time=1, late=1, overdue=1, pending=2, problems=1)
    assert total.overdue + total.pending == 3


# --- KPI-09, KPI-41, KPI-44 -----------------------------------------------------------------------------------------


def test_kpi09_satisfaction_is_the_mean_of_what_was_answered():
    tally = Tally(sent=10, answered=3, points=Decimal("13"), good=2)

    assert (tally.csat, tally.good_share, tally.response_rate) == (Decimal("4.33"), Decimal("66.7"), Decimal("30.0"))


def test_svy07_no_answer_is_no_answer():
    unanswered = Tally(sent=10)

    assert (unanswered.csat, unanswered.good_share, unanswered.response_rate) == (None, None, Decimal("0.0"))
    assert Tally().response_rate is None


def test_kpi41_recovery_is_told_of_what_has_ended():
    assert Tally(revisits=5, revisits_ended=4, recovered=3).recovery_rate == Decimal("75.0")
    assert Tally(revisits=5).recovery_rate is None


def test_tallies_add_up():
    total = Tally(sent=1, answered=1, points=Decimal(4), good=1) + Tally(sent=2, answered=1, points=Decimal(1))

    assert (total.sent, total.csat, total.good_share) == (3, Decimal("2.50"), Decimal("50.0"))
    assert Tally(recommended=3, promoters=2, detractors=1).nps == Decimal("33.3")


# --- periods --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall", "off", "is_inside"),
    [
        pytest.param("2025-03-10 00:00", -MOMENT, False, id="the last moment of the day before"),
        pytest.param("2025-03-10 00:00", timedelta(), True, id="midnight, when the first day begins"),
        pytest.param("2025-03-13 00:00", -MOMENT, True, id="the last moment of the last day"),
        pytest.param("2025-03-13 00:00", timedelta(), False, id="midnight, when the last day is over"),
    ],
)
def test_a_period_goes_from_midnight_to_midnight_of_the_house(wall: str, off: timedelta, is_inside: bool):
    first, end = clocks.span(date(2025, 3, 10), date(2025, 3, 12), house=HOUSE)

    assert (first <= at(wall) + off < end) is is_inside


@pytest.mark.parametrize(
    ("on", "hours"),
    [
        pytest.param("2025-03-09", 23, id="the clock is put forward"),
        pytest.param("2025-11-02", 25, id="the clock is put back"),
        pytest.param("2025-11-03", 24, id="any other day"),
    ],
)
def test_p01_a_day_is_as_long_as_the_houses_zone_says(on: str, hours: int):
    day = date.fromisoformat(on)

    first, end = clocks.span(day, day, house=HOUSE.model_copy(update={"timezone": "America/New_York"}))

    assert (end.timestamp() - first.timestamp()) / 3600 == hours


@pytest.mark.parametrize(
    ("on", "monday"),
    [
        pytest.param("2025-03-10", "2025-03-10", id="Monday"),
        pytest.param("2025-03-16", "2025-03-10", id="Sunday"),
        pytest.param("2025-01-01", "2024-12-30", id="New Year within a week"),
    ],
)
def test_a_week_begins_on_monday(on: str, monday: str):
    assert figures.week(date.fromisoformat(on)).isoformat() == monday


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [
        pytest.param("2025-03-16", "2025-03-17", ["2025-03-10", "2025-03-17"], id="Sunday and Monday are two weeks"),
        pytest.param("2025-03-10", "2025-03-16", ["2025-03-10"], id="Monday to Sunday is one"),
        pytest.param("2025-03-12", "2025-03-12", ["2025-03-10"], id="a day"),
        pytest.param("2024-12-30", "2025-01-06", ["2024-12-30", "2025-01-06"], id="over New Year"),
    ],
)
def test_the_weeks_of_a_period(since: str, until: str, told: list[str]):
    weeks = figures.weeks(date.fromisoformat(since), date.fromisoformat(until))

    assert [each.isoformat() for each in weeks] == told


@pytest.mark.parametrize(
    ("today", "since"),
    [
        pytest.param("2025-03-16", "2024-12-23", id="on Sunday"),
        pytest.param("2025-03-17", "2024-12-30", id="on Monday the oldest week goes"),
    ],
)
def test_the_last_weeks_are_this_one_and_eleven_before(today: str, since: str):
    period = figures.last_weeks(date.fromisoformat(today))

    assert period == (date.fromisoformat(since), date.fromisoformat(today))
    assert len(figures.weeks(*period)) == 12


# --- by week, team and agent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "by", "name"),
    [
        pytest.param("C07", "agent", "C07 王小明", id="an agent"),
        pytest.param("C07", "team", "客服一组", id="their team as it is today"),
        pytest.param("C99", "agent", "C99", id="whoever has left keeps their number"),
        pytest.param("C99", "team", "未分组", id="whoever has left is in no team"),
        pytest.param("C07", "", "合计", id="all in one"),
    ],
)
def test_whose_figures_they_are(who: str, by: str, name: str):
    assert figures.group(who, by, staff=STAFF) == name


def gathered(*parts: Any) -> Any:
    """The figures of two weeks."""
    visits = [part for part in parts if isinstance(part[2], Kept)]
    surveys = [part for part in parts if isinstance(part[2], Tally)]
    return figures.gathered(visits, surveys, since=date(2025, 3, 12), until=date(2025, 3, 25), staff=STAFF)


def test_figures_are_the_same_sum_by_week_team_and_agent():
    found = gathered(
        ("C07", date(2025, 3, 16), Kept(due=2, in_time=1, late=1)),
        ("C08", date(2025, 3, 17), Kept(due=1, pending=1)),
        ("C07", date(2025, 3, 17), Tally(sent=2, answered=1, points=Decimal(4), good=1)),
        ("C99", date(2025, 3, 16), Tally(sent=1)),
    )

    assert [(line.name, line.kept.due, line.tally.sent) for line in found.weeks] == [
        ("2025-03-10", 2, 1), ("2025-03-17", 1, 2), ("2025-03-24", 0, 0),
    ]  # fmt: skip
    assert [line.name for line in found.agents] == ["C07 王小明", "C08 陈晓", "C99"]
    for lines in (found.weeks, found.teams, found.agents):
        assert sum((line.kept for line in lines), Kept()) == found.total.kept == Kept(3, 1, 1, 0, 1)
        assert sum((line.tally for line in lines), Tally()) == found.total.tally


def test_a_line_tells_every_column_and_nothing_where_there_is_nothing():
    empty, full = Line("空").cells, Line("满", Kept(due=2, in_time=1, overdue=1), Tally(sent=1)).cells

    assert list(empty) == list(full) == list(HEADS)
    assert (empty["due"], empty["completion"], empty["csat"]) == ("0", "", "")
    assert (full["completion"], full["response_rate"], full["csat"]) == ("50.0", "0.0", "")


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_has_every_week_the_link_and_one_total_in_each_table():
    page = figures.page(gathered(("C07", DAY, Kept(due=1, in_time=1))), plot="http://127.0.0.1:4300/figures/x.svg")

    assert page.startswith("# 回访和满意度\n") and "[看图](http://127.0.0.1:4300/figures/x.svg)" in page
    assert "| 2025-03-10 | 1 | 1 | 0 | 0 | 0 | 100.0 |" in page
    assert "| 2025-03-24 | 0 | 0 | 0 | 0 | 0 |  |" in page
    assert page.count("\n| 合计 | 1 | 1 |") == 3
    tables = [[line for line in part.splitlines() if line.startswith("|")] for part in page.split("\n\n")]
    assert all(len({line.count("|") for line in table}) == 1 for table in tables if table)
    heads = [table[0].strip("| ").split(" | ")[1:] for table in tables if table]
    assert [name for head in heads for name in head] == list(HEADS.values()) * 3, "each figure once a group"


def test_the_page_of_a_new_shop_says_so():
    page = figures.page(gathered(), plot="x")

    assert page.count("还没有数据。") == 2 and page.count("\n| 2025-03-") == 3 * 3


def test_when_it_was_written_is_no_part_of_what_the_page_says():
    page = figures.page(gathered(), plot="x")
    reader = Reader(returns=LIVE.returns, staff=STAFF, departments={}, zone=ZoneInfo(HOUSE.timezone))

    dated = figures.dated(page, at=at("2025-03-12 02:00"), reader=reader)

    assert "更新于" in dated and "更新于" not in page
    assert dated.startswith("# 回访和满意度\n\n更新于 ") and dated.endswith(page.partition("\n\n")[2])
