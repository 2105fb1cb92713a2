"""When a promise ends, and why (GEN-01 to GEN-05, AMB-10, AMB-11, AMB-57; P-03, P-04, P-05, P-09, P-28)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from aftersales import terms
from aftersales.rules import clocks
from aftersales.terms import Calendar, House
from aftersales.words import Due, Limit

CONFIG = Path(__file__).parents[2] / "config"


def house(**changes: Any) -> House:
    """A house with the default switches, and what a test changes."""
    facts: dict[str, Any] = {
        "language": "zh",
        "timezone": "Asia/Shanghai",
        "currency": "CNY",
        "wd_deadline": "end_of_day",
        "makeup_days_count": False,
        "service_hours": "24x7",
        "departments": {},
        "aftersales_manager": "A01",
    }
    return House.model_validate(facts | changes)


def calendar(year: int, *, off: Mapping[str, str] = {}, makeup: Mapping[str, str] = {}) -> dict[int, Calendar]:
    """One year's calendar, by its days `10-01`."""

    def days(named: Mapping[str, str]) -> dict[date, str]:
        return {date.fromisoformat(f"{year}-{day}"): name for day, name in named.items()}

    return {year: Calendar(year=year, days_off=days(off), makeup_workdays=days(makeup))}


# Calendar C of the pitfalls: 1 to 7 October 2026 closed, Saturday 10 October worked
C = calendar(2026, off={f"10-0{day}": "国庆节" for day in range(1, 8)}, makeup={"10-10": "国庆节"})
PLAIN = calendar(2024) | calendar(2025) | calendar(2026) | calendar(2027)


@cache
def shipped() -> dict[int, Calendar]:
    """The calendars that come with the project."""
    return terms.load(CONFIG).calendars


def due(start: str, limit: str, *, calendars: Mapping[int, Calendar] = PLAIN, at: House | None = None) -> Due:
    """Count a limit from a time of the house."""
    place = at or house()
    start_at = clocks.house_time(datetime.fromisoformat(start), house=place)
    return clocks.due(start_at=start_at, limit=Limit.parse(limit), calendars=calendars, house=place)


def written(found: Due) -> str:
    """The due time as the house's clock shows it."""
    return found.due_at.strftime("%Y-%m-%d %H:%M")


def reasons(found: Due) -> list[str]:
    """What was skipped: `03-08 周末`."""
    return [f"{day.on:%m-%d} {day.reason}" for day in found.skipped]


@pytest.mark.parametrize(
    ("start", "limit", "end"),
    [
        pytest.param("2025-03-06 15:00", "24 h", "2025-03-07 15:00", id="RET-02 submitted Thursday, decided Friday"),
        pytest.param("2025-03-07 10:00", "3 wd", "2025-03-13 00:00", id="RET-05 approved Friday, picked up Wednesday"),
        pytest.param("2025-03-14 09:00", "1 wd", "2025-03-18 00:00", id="RET-07 received Friday, inspected Monday"),
        pytest.param("2025-03-17 16:00", "2 wd", "2025-03-20 00:00", id="RET-09 passed Monday, refunded Wednesday"),
        pytest.param("2025-03-17 16:00", "3 wd", "2025-03-21 00:00", id="RET-09 the customer is told Thursday"),
        pytest.param("2025-03-14 09:00", "7 wd", "2025-03-26 00:00", id="RET-10 the whole case ends on Tuesday 25"),
        pytest.param("2025-09-30 11:00", "2 wd", "2025-10-11 00:00", id="RET-09 over the national holiday"),
    ],
)
def test_the_worked_example_of_a_return(start, limit, end):
    found = due(start, limit, calendars=shipped())

    assert written(found) == end
    assert not found.provisional


@pytest.mark.parametrize(
    ("start", "limit", "end"),
    [
        pytest.param("2025-03-10 10:00", "30 min", "2025-03-10 10:30", id="GEN-03 minutes run on the wall clock"),
        pytest.param("2025-03-10 23:45", "30 min", "2025-03-11 00:15", id="GEN-03 minutes run past midnight"),
        pytest.param("2025-03-07 15:00", "24 h", "2025-03-08 15:00", id="GEN-03 hours run on a Saturday"),
        pytest.param("2025-03-10 00:00", "24 h", "2025-03-11 00:00", id="GEN-03 from midnight to midnight"),
        pytest.param("2025-03-10 00:00", "1 wd", "2025-03-12 00:00", id="GEN-04 the first minute belongs to its day"),
        pytest.param("2025-03-10 23:59", "1 wd", "2025-03-12 00:00", id="GEN-04 the last minute belongs to its day"),
        pytest.param("2025-03-11 00:00", "1 wd", "2025-03-13 00:00", id="GEN-04 midnight belongs to the next day"),
        pytest.param("2025-03-08 10:00", "1 wd", "2025-03-11 00:00", id="GEN-04 from Saturday, Monday is the first"),
        pytest.param("2025-03-07 10:00", "1 wd", "2025-03-11 00:00", id="GEN-04 from Friday, Monday is the first"),
        pytest.param("2025-03-06 10:00", "1 wd", "2025-03-08 00:00", id="GEN-04 from Thursday, Friday 24:00"),
        pytest.param("2025-03-07 10:00", "7 d", "2025-03-15 00:00", id="7 d ends with the 7th day after the start"),
        pytest.param("2025-03-07 23:59", "1 d", "2025-03-09 00:00", id="1 d ends with the next day, weekend or not"),
        pytest.param("2024-02-28 10:00", "1 d", "2024-03-01 00:00", id="1 d into the 29th of February"),
        pytest.param("2025-03-07 17:00", "4 sh", "2025-03-07 21:00", id="AMB-06 round the clock, sh is hours"),
    ],
)
def test_a_limit_ends(start, limit, end):
    assert written(due(start, limit)) == end


def test_the_due_time_is_an_instant_of_the_house_zone():
    found = due("2025-03-07 10:00", "3 wd")

    assert found.due_at.isoformat() == "2025-03-13T00:00:00+08:00"
    assert found.start_at.isoformat() == "2025-03-07T10:00:00+08:00"


def test_a_start_in_another_zone_is_taken_to_the_house():
    late_on_thursday_in_london = datetime(2025, 3, 6, 17, tzinfo=UTC)  # Friday 01:00 in Shanghai

    found = clocks.due(start_at=late_on_thursday_in_london, limit=Limit.parse("1 wd"), calendars=PLAIN, house=house())

    assert written(found) == "2025-03-11 00:00"


def test_a_start_without_zone_is_no_instant():
    with pytest.raises(ValueError, match="no zone"):
        clocks.due(start_at=datetime(2025, 3, 7), limit=Limit.parse("1 h"), calendars=PLAIN, house=house())  # noqa: DTZ001


@pytest.mark.parametrize(
    ("closed", "end"),
    [
        pytest.param({}, "2026-03-06 00:00", id="P-03 no closed day"),
        pytest.param({"03-04": "馆庆"}, "2026-03-07 00:00", id="P-03 one closed day lengthens by one"),
        pytest.param({"03-05": "馆庆"}, "2026-03-07 00:00", id="P-03 the last day closed lengthens by one"),
        pytest.param({"03-02": "馆庆"}, "2026-03-06 00:00", id="P-03 the day of start was never counted"),
        pytest.param({"03-06": "馆庆"}, "2026-03-06 00:00", id="P-03 the day after the end changes nothing"),
        pytest.param({"03-07": "馆庆"}, "2026-03-06 00:00", id="P-03 a closed Saturday changes nothing"),
        pytest.param({"03-04": "馆庆", "03-05": "馆庆"}, "2026-03-10 00:00", id="P-03 two closed days, and a weekend"),
    ],
)
def test_a_holiday_lengthens(closed, end):
    assert written(due("2026-03-02 10:00", "3 wd", calendars=calendar(2026, off=closed))) == end


def test_p04_a_closed_block_over_the_new_year():
    closed = calendar(2026, off={"12-31": "元旦"}) | calendar(2027, off={"01-01": "元旦", "01-02": "元旦"})

    found = due("2026-12-30 10:00", "1 wd", calendars=closed)

    assert written(found) == "2027-01-05 00:00"
    assert reasons(found) == ["12-31 元旦", "01-01 元旦", "01-02 元旦", "01-03 周末"]
    assert not found.provisional


@pytest.mark.parametrize(
    ("makeup_days_count", "limit", "end"),
    [
        pytest.param(True, "1 wd", "2026-10-09 00:00", id="P-05 AMB-11 counting: 1 wd ends on Thursday 8"),
        pytest.param(True, "2 wd", "2026-10-10 00:00", id="P-05 AMB-11 counting: 2 wd end on Friday 9"),
        pytest.param(True, "3 wd", "2026-10-11 00:00", id="P-05 AMB-11 counting: 3 wd end on the worked Saturday"),
        pytest.param(True, "4 wd", "2026-10-13 00:00", id="P-05 AMB-11 counting: the Sunday after is not worked"),
        pytest.param(False, "1 wd", "2026-10-09 00:00", id="P-05 AMB-11 default: 1 wd ends on Thursday 8"),
        pytest.param(False, "3 wd", "2026-10-13 00:00", id="P-05 AMB-11 default: 3 wd end on Monday 12"),
    ],
)
def test_a_worked_weekend_day(makeup_days_count, limit, end):
    found = due("2026-09-30 10:00", limit, calendars=C, at=house(makeup_days_count=makeup_days_count))

    assert written(found) == end
    assert ("10-10 周末" in reasons(found)) == (not makeup_days_count and limit == "3 wd")


@pytest.mark.parametrize(
    ("start", "limit", "missing"),
    [
        pytest.param("2026-12-30 10:00", "1 wd", (), id="P-05 the end of the year needs no next year"),
        pytest.param("2026-12-30 10:00", "2 wd", (2027,), id="P-05 one day into a year without data"),
        pytest.param("2026-12-31 10:00", "1 wd", (2027,), id="P-05 from the last day of the year"),
        pytest.param("2025-12-31 10:00", "1 wd", (), id="P-05 the day of start is not counted, its year not needed"),
        pytest.param("2025-12-30 10:00", "1 wd", (2025,), id="P-05 in a year without data"),
        pytest.param("2026-12-30 10:00", "400 wd", (2027, 2028), id="P-05 through two years without data"),
        pytest.param("2030-03-07 10:00", "24 h", (), id="P-05 hours need no calendar"),
        pytest.param("2030-03-07 10:00", "7 d", (), id="P-05 calendar days need no calendar"),
        pytest.param("2030-03-07 10:00", "4 sh", (), id="P-05 round the clock needs no calendar"),
    ],
)
def test_a_year_without_data_is_flagged(start, limit, missing):
    found = due(start, limit, calendars=C)

    assert found.missing == missing
    assert found.provisional == bool(missing)


def test_a_year_without_data_is_counted_monday_to_friday():
    found = due("2030-09-30 10:00", "2 wd", calendars={})  # a Monday; the national holiday is not known yet

    assert written(found) == "2030-10-03 00:00"
    assert reasons(found) == []


def test_service_hours_need_the_calendar_of_the_day_of_start():
    found = due("2025-12-31 10:00", "1 sh", calendars=C, at=house(service_hours="09:00-17:00"))

    assert found.missing == (2025,)


@pytest.mark.parametrize(
    ("start", "limit", "skipped"),
    [
        pytest.param("2026-09-25 10:00", "1 wd", ["09-26 周末", "09-27 周末"], id="a weekend between"),
        pytest.param("2026-09-26 10:00", "1 wd", ["09-27 周末"], id="the day of start is never listed"),
        pytest.param(
            "2026-09-30 10:00",
            "2 wd",
            [f"10-0{day} 国庆节" for day in range(1, 8)],
            id="a day off on a weekend has the name of the day off",
        ),
        pytest.param("2026-09-24 10:00", "1 wd", [], id="the weekend after the end is not listed"),
        pytest.param("2026-09-25 10:00", "72 h", [], id="hours skip nothing"),
        pytest.param("2026-09-25 10:00", "5000 min", [], id="minutes skip nothing"),
        pytest.param("2026-09-25 10:00", "7 d", [], id="every calendar day counts"),
        pytest.param("2026-09-25 10:00", "72 sh", [], id="round the clock skips nothing"),
    ],
)
def test_every_day_that_did_not_count_has_its_reason(start, limit, skipped):
    assert reasons(due(start, limit, calendars=C)) == skipped


@pytest.mark.parametrize(
    ("start", "limit", "end", "skipped"),
    [
        pytest.param("2025-03-07 10:00", "1 wd", "2025-03-10 10:00", 2, id="AMB-10 same time on Monday"),
        pytest.param("2025-03-08 10:00", "1 wd", "2025-03-10 10:00", 1, id="AMB-10 from a Saturday"),
        pytest.param("2025-03-10 00:00", "1 wd", "2025-03-11 00:00", 0, id="AMB-10 from midnight to midnight"),
        pytest.param("2025-03-07 10:00", "1 d", "2025-03-09 00:00", 0, id="AMB-10 is about working days alone"),
    ],
)
def test_the_same_time_setting(start, limit, end, skipped):
    found = due(start, limit, at=house(wd_deadline="same_time"))

    assert written(found) == end
    assert len(found.skipped) == skipped


@pytest.mark.parametrize(
    ("service_hours", "start", "limit", "end"),
    [
        pytest.param("09:00-12:00, 13:00-18:00", "2025-03-10 11:30", "1 sh", "2025-03-10 13:30", id="P-09 over lunch"),
        pytest.param("09:00-12:00, 13:00-18:00", "2025-03-10 11:00", "1 sh", "2025-03-10 12:00", id="P-09 up to lunch"),
        pytest.param("09:00-12:00, 13:00-18:00", "2025-03-10 12:00", "1 sh", "2025-03-10 14:00", id="P-09 from lunch"),
        pytest.param("00:00-24:00", "2025-03-10 23:00", "2 sh", "2025-03-11 01:00", id="P-09 24:00 loses no minute"),
        pytest.param("00:00-24:00", "2025-03-10 00:00", "24 sh", "2025-03-11 00:00", id="P-09 one day, to the minute"),
        pytest.param("00:00-24:00", "2025-03-07 23:00", "2 sh", "2025-03-10 01:00", id="P-09 a weekend is closed"),
        pytest.param("09:00-17:00", "2025-03-07 15:00", "2 sh", "2025-03-07 17:00", id="the last minute of Friday"),
        pytest.param("09:00-17:00", "2025-03-07 16:00", "2 sh", "2025-03-10 10:00", id="over the weekend"),
        pytest.param("09:00-17:00", "2025-03-07 17:00", "1 sh", "2025-03-10 10:00", id="from closing time"),
        pytest.param("09:00-17:00", "2025-03-08 12:00", "1 sh", "2025-03-10 10:00", id="from a Saturday"),
        pytest.param("09:00-17:00", "2025-03-10 06:00", "1 sh", "2025-03-10 10:00", id="from before opening"),
    ],
)
def test_service_hours_run_inside_the_opening_hours(service_hours, start, limit, end):
    assert written(due(start, limit, at=house(service_hours=service_hours))) == end


def test_service_hours_name_the_closed_days():
    found = due("2026-09-30 16:00", "2 sh", calendars=C, at=house(service_hours="09:00-17:00"))

    assert written(found) == "2026-10-08 10:00"
    assert reasons(found) == [f"10-0{day} 国庆节" for day in range(1, 8)]


BERLIN = "Europe/Berlin"  # the clock goes forward on 2025-03-30 at 02:00, back on 2025-10-26 at 03:00


@pytest.mark.parametrize(
    ("start", "limit", "end"),
    [
        pytest.param("2025-03-29 12:00", "24 h", "2025-03-30T13:00:00+02:00", id="GEN-03 24 h over the 23-hour day"),
        pytest.param("2025-10-25 12:00", "24 h", "2025-10-26T11:00:00+01:00", id="GEN-03 24 h over the 25-hour day"),
        pytest.param("2025-10-26 01:30", "60 min", "2025-10-26T02:30:00+02:00", id="the first 02:30"),
        pytest.param("2025-10-26 01:30", "120 min", "2025-10-26T02:30:00+01:00", id="the second 02:30"),
        pytest.param("2025-03-28 12:00", "1 wd", "2025-04-01T00:00:00+02:00", id="a working day ends at midnight"),
        pytest.param("2025-10-25 12:00", "1 d", "2025-10-27T00:00:00+01:00", id="the 25-hour day ends at midnight"),
    ],
)
def test_a_zone_that_changes_its_clocks(start, limit, end):
    assert due(start, limit, at=house(timezone=BERLIN)).due_at.isoformat() == end


def test_late_and_early_are_told_apart_in_the_hour_that_happens_twice():
    found = due("2025-10-26 01:30", "120 min", at=house(timezone=BERLIN))

    assert not clocks.is_overdue(due_at=found.due_at, at=found.due_at - timedelta(hours=1) + timedelta(minutes=1))
    assert not clocks.is_overdue(due_at=found.due_at, at=datetime(2025, 10, 26, 0, 45, tzinfo=UTC))
    assert clocks.is_overdue(due_at=found.due_at, at=datetime(2025, 10, 26, 1, 30, tzinfo=UTC))


def test_a_midnight_that_is_jumped_over_ends_the_day_all_the_same():
    found = due("2024-04-24 10:00", "1 wd", at=house(timezone="Africa/Cairo"))  # 2024-04-26 begins at 01:00

    assert found.due_at.isoformat() == "2024-04-26T01:00:00+03:00"


@pytest.mark.parametrize(
    ("at", "late"),
    [
        pytest.param("2025-03-31 23:59", False, id="P-28 not overdue on the 31st"),
        pytest.param("2025-04-02 23:59", False, id="P-28 not overdue in the last minute of the 2nd"),
        pytest.param("2025-04-03 00:00", True, id="P-28 overdue with the first instant of the 3rd"),
    ],
)
def test_a_window_over_the_end_of_a_month(at, late):
    found = due("2025-03-31 10:00", "2 wd")

    assert (
        clocks.is_overdue(due_at=found.due_at, at=clocks.house_time(datetime.fromisoformat(at), house=house())) == late
    )


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "limit", "words"),
    [
        pytest.param("2025-03-07 10:00", "3 wd", "3月12日（周三）24:00 前", id="midnight is 24:00 of the day before"),
        pytest.param("2025-03-06 15:00", "24 h", "3月7日（周五）15:00 前", id="another time is itself"),
        pytest.param(
            "2025-03-06 15:01", "539 min", "3月6日（周四）24:00 前", id="a limit in minutes ends at 24:00 too"
        ),
        pytest.param("2025-12-31 10:00", "1 wd", "2026年1月1日（周四）24:00 前", id="the year, when it is another"),
        pytest.param("2025-12-30 10:00", "1 wd", "12月31日（周三）24:00 前", id="24:00 of the last day is this year's"),
        pytest.param("2028-03-03 10:00", "1 wd", "3月6日（周一）24:00 前（暂定）", id="P-05 provisional is said"),
    ],
)
def test_a_due_time_in_words(start, limit, words):
    assert clocks.spoken_due(due(start, limit)) == words


def test_an_instant_of_the_database_is_told_in_house_time():
    assert clocks.spoken(datetime(2025, 3, 12, 16, tzinfo=UTC), house=house()) == "3月12日（周三）24:00"


def test_the_trace_is_json_and_reads_aloud():
    found = due("2026-12-30 10:00", "3 wd", calendars=C)

    told = clocks.trace(found, "RET-05")

    assert told == {
        "start": "2026-12-30T10:00:00+08:00",
        "limit": "3 wd",
        "rule": "RET-05",
        "due_at": "2027-01-05T00:00:00+08:00",
        "original_due_at": "2027-01-05T00:00:00+08:00",
        "provisional": True,
        "skipped": [{"date": "2027-01-02", "reason": "周末"}, {"date": "2027-01-03", "reason": "周末"}],
        "missing": [2027],
        "pauses": [],
        "extensions": [],
    }
    assert clocks.explain(told) == [
        "起算：2026年12月30日（周三）10:00",
        "时限：3 个工作日（RET-05）",
        "不计：2027年1月2日（周六）至 2027年1月3日（周日）周末",
        "截止：2027年1月4日（周一）24:00 前（暂定）",
        "暂定：没有 2027 年的日历，按周一至周五计算",
    ]


def test_neighbors_with_another_reason_are_told_apart():
    found = due("2025-09-30 11:00", "2 wd", calendars=shipped())

    assert clocks.explain(clocks.trace(found, ""))[2] == (
        "不计：10月1日（周三）至 10月5日（周日）国庆节、10月6日（周一）中秋节、10月7日（周二）至 10月8日（周三）国庆节"
    )


def test_the_calendar_version_changes_with_the_year_that_was_needed():
    found = due("2026-12-30 10:00", "3 wd", calendars=C)

    before = clocks.calendar_version(found, C)
    after = clocks.calendar_version(found, C | calendar(2027, off={"01-01": "元旦"}))

    assert before.endswith(" 2027:-")
    assert after.split()[0] == before.split()[0]
    assert not after.endswith("-")
    assert clocks.calendar_version(due("2026-12-30 10:00", "72 h", calendars=C), C) == ""


def test_the_calendar_version_reaches_to_the_last_rung():
    found = due("2026-12-29 10:00", "2 wd", calendars=C)

    version = clocks.calendar_version(found, C, until=found.due_at + timedelta(days=1))

    assert not clocks.calendar_version(found, C).endswith("-") and version.endswith(" 2027:-")
    assert clocks.years_missing(version) == [2027]
    hours = due("2026-12-31 10:00", "24 h", calendars=C)
    assert clocks.calendar_version(hours, C, until=hours.due_at + timedelta(days=3)).endswith(" 2027:-")


YEAR_2027 = calendar(2027, off={"01-01": "元旦"})


@pytest.mark.parametrize(
    ("start", "before", "after"),
    [
        pytest.param("2026-12-30 10:00", "2027-01-02", "2027-01-05", id="a holiday is no day"),
        pytest.param("2026-12-31 10:00", "2027-01-05", "2027-01-06", id="nor is the weekend after it"),
    ],
)
def test_p05_a_provisional_time_is_counted_again(start: str, before: str, after: str):
    told = clocks.trace(due(start, "2 wd", calendars=C), "RET-09")

    again = clocks.recounted(told, calendars=C | YEAR_2027, house=house())

    assert (told["due_at"][:10], again["due_at"][:10], again["original_due_at"][:10]) == (before, after, after)
    assert (again["provisional"], again["missing"]) == (False, [])
    assert again["recounted"] == [{"was": told["due_at"], "years": [2027]}]
    assert clocks.recounted(again, calendars=C | YEAR_2027, house=house()) == again


def test_p05_what_is_known_is_never_counted_again():
    told = clocks.trace(due("2026-12-28 10:00", "2 wd", calendars=C), "RET-09")

    assert clocks.recounted(told, calendars={}, house=house()) == told


def test_p05_without_its_calendar_a_time_stays_as_it_is():
    told = clocks.trace(due("2026-12-30 10:00", "2 wd", calendars=C), "RET-09")

    assert clocks.recounted(told, calendars=C | calendar(2028, off={}), house=house()) == told
