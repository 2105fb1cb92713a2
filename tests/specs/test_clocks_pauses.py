"""What pauses and extensions do to a promise (design §5; GEN-08, AMB-51, AMB-57; P-06, P-07, P-08)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from aftersales.rules import clocks
from aftersales.rules.clocks import Extension, Pause
from aftersales.terms import Calendar, House
from aftersales.words import Due, Limit, Unable, Unit

CALENDARS = {
    2025: Calendar(year=2025, days_off={date(2025, 3, 19): "馆庆"}, makeup_workdays={}),
}


def house(**changes: Any) -> House:
    """A house that is open from 9 to 17 on working days, and what a test changes."""
    facts: dict[str, Any] = {
        "language": "zh",
        "timezone": "Asia/Shanghai",
        "currency": "CNY",
        "wd_deadline": "end_of_day",
        "makeup_days_count": False,
        "service_hours": "09:00-17:00",
        "departments": {},
        "aftersales_manager": "A01",
    }
    return House.model_validate(facts | changes)


def at(text: str, place: House | None = None) -> datetime:
    """An instant of March 2025 in house time: `07 15:00`."""
    return clocks.house_time(datetime.fromisoformat(f"2025-03-{text}"), house=place or house())


def pause(from_at: str, until_at: str, reason: str = "等客户补充材料") -> Pause:
    """A pause in March 2025."""
    return Pause(at(from_at), at(until_at), reason)


def due(start: str, limit: str, *pauses: Pause, place: House | None = None) -> Due:
    """Count a limit in March 2025 and pause it."""
    place = place or house()
    found = clocks.due(start_at=at(start), limit=Limit.parse(limit), calendars=CALENDARS, house=place)
    return clocks.paused(due=found, pauses=pauses, calendars=CALENDARS, house=place)


def written(found: Due) -> str:
    """The due time in March 2025 as the house's clock shows it."""
    return found.due_at.strftime("%d %H:%M")


def used(start: str, until: str, *pauses: Pause, unit: Unit = Unit.SERVICE_HOUR) -> timedelta:
    """How much of a promise was used."""
    return clocks.used_time(
        start_at=at(start), until_at=at(until), unit=unit, pauses=pauses, calendars=CALENDARS, house=house()
    )


OVER_THE_WEEKEND = pause("07 16:00", "10 10:00")  # Friday 16:00 to Monday 10:00


def test_p06_a_pause_over_a_weekend():
    found = due("07 15:00", "4 sh", OVER_THE_WEEKEND)

    assert written(found) == "10 13:00"


def test_p07_closed_straight_from_the_pause():
    still_paused = pause("07 16:00", "10 09:30")

    assert used("07 15:00", "10 09:30", still_paused) == timedelta(hours=1)
    found = due("07 15:00", "4 sh", still_paused)
    assert not clocks.is_overdue(due_at=found.due_at, at=at("10 09:30"))


@pytest.mark.parametrize("limit", ["30 min", "2 h", "4 sh", "1 wd", "1 d"])
@pytest.mark.parametrize("now", ["07 16:01", "07 23:59", "08 00:00", "10 00:00", "10 13:00", "12 00:00", "31 23:00"])
def test_p07_no_moment_of_a_pause_is_overdue(limit, now):
    found = due("07 15:45", limit, pause("07 16:00", now))

    assert not clocks.is_overdue(due_at=found.due_at, at=at(now))


def test_p08_a_changed_limit_keeps_used_and_paused_time():
    raised_to_two_hours = due("07 15:00", "2 sh", OVER_THE_WEEKEND)

    assert used("07 15:00", "10 10:00", OVER_THE_WEEKEND) == timedelta(hours=1)
    assert written(raised_to_two_hours) == "10 11:00"


@pytest.mark.parametrize(
    ("start", "limit", "pauses", "end"),
    [
        pytest.param("10 10:00", "24 h", [pause("10 12:00", "10 15:00")], "11 13:00", id="h moves by the length"),
        pytest.param("10 10:00", "30 min", [pause("10 10:10", "11 10:10")], "11 10:30", id="min moves by the length"),
        pytest.param(
            "10 10:00", "24 h", [pause("11 10:00", "11 15:00")], "11 10:00", id="h, a pause from the due time"
        ),
        pytest.param("10 10:00", "24 h", [pause("11 09:59", "11 15:00")], "11 15:01", id="h, with a minute left"),
        pytest.param("10 10:00", "24 h", [pause("10 08:00", "10 12:00")], "11 12:00", id="h, paused before it began"),
        pytest.param("10 10:00", "24 h", [pause("10 12:00", "10 12:00")], "11 10:00", id="h, an empty pause"),
        pytest.param(
            "10 10:00",
            "24 h",
            [pause("10 14:00", "10 18:00"), pause("10 12:00", "10 15:00")],
            "11 16:00",
            id="h, overlapping pauses give no moment twice",
        ),
        pytest.param(
            "10 10:00",
            "24 h",
            [pause("10 12:00", "10 13:00"), pause("11 10:30", "11 12:30")],
            "11 13:00",
            id="h, a second pause in the time the first one gave",
        ),
        pytest.param("10 10:00", "4 sh", [pause("10 18:00", "11 08:00")], "10 14:00", id="sh, a pause after the end"),
        pytest.param(
            "10 16:00", "4 sh", [pause("10 18:00", "11 08:00")], "11 12:00", id="sh, closed hours give nothing"
        ),
        pytest.param("10 10:00", "1 wd", [pause("10 12:00", "10 18:00")], "12 00:00", id="wd, no day ended in it"),
        pytest.param(
            "10 10:00", "1 wd", [pause("11 12:00", "11 23:59")], "12 00:00", id="wd, until before its day ends"
        ),
        pytest.param("10 10:00", "1 wd", [pause("11 12:00", "12 00:00")], "13 00:00", id="wd, its day ended with it"),
        pytest.param(
            "10 10:00", "1 wd", [pause("10 12:00", "11 12:00")], "12 00:00", id="wd, the day of start is not its"
        ),
        pytest.param(
            "10 10:00", "2 wd", [pause("12 00:00", "12 10:00")], "13 00:00", id="wd, from when a day had ended"
        ),
        pytest.param("10 10:00", "3 wd", [pause("11 12:00", "13 12:00")], "18 00:00", id="wd, two days over a weekend"),
        pytest.param("14 10:00", "1 wd", [pause("17 10:00", "18 10:00")], "19 00:00", id="wd, into the day before"),
        pytest.param(
            "14 10:00", "2 wd", [pause("17 10:00", "18 10:00")], "21 00:00", id="wd, a day off does not count"
        ),
        pytest.param("14 10:00", "1 wd", [pause("17 10:00", "20 10:00")], "21 00:00", id="wd, longer than the promise"),
        pytest.param("14 10:00", "1 d", [pause("15 10:00", "17 10:00")], "18 00:00", id="d, two calendar days"),
    ],
)
def test_a_pause_moves_a_promise_on_its_own_clock(start, limit, pauses, end):
    assert written(due(start, limit, *pauses)) == end


@pytest.mark.parametrize(
    ("until", "end"),
    [
        pytest.param("11 09:59", "11 10:00", id="AMB-10 resumed before the day's end"),
        pytest.param("11 10:00", "12 10:00", id="AMB-10 resumed with the day's end"),
    ],
)
def test_with_same_time_a_day_ends_at_that_time(until, end):
    assert written(due("10 10:00", "1 wd", pause("10 12:00", until), place=house(wd_deadline="same_time"))) == end


def test_a_paused_day_is_listed_with_its_reason():
    found = due("14 10:00", "2 wd", pause("17 10:00", "18 10:00"))

    assert [(f"{day.on:%d}", day.reason) for day in found.skipped] == [
        ("15", "周末"),
        ("16", "周末"),
        ("17", "暂停（等客户补充材料）"),
        ("19", "馆庆"),
    ]


def test_a_pause_into_a_year_without_calendar_makes_provisional():
    into_april = Pause(at("31 10:00"), datetime.fromisoformat("2026-01-05T10:00:00+08:00"), "等客户补充材料")

    found = due("28 10:00", "1 wd", into_april)

    assert found.missing == (2026,)


@pytest.mark.parametrize(
    ("unit", "pauses", "days"),
    [
        pytest.param(Unit.WORKING_DAY, [], 3, id="Monday, Tuesday and Thursday ended"),
        pytest.param(Unit.DAY, [], 6, id="calendar days ended"),
        pytest.param(Unit.WORKING_DAY, [pause("17 10:00", "18 10:00")], 2, id="Monday ended in the pause"),
    ],
)
def test_used_days_are_those_that_ended_outside_the_pauses(unit, pauses, days):
    found = clocks.used_days(
        start_at=at("14 10:00"), until_at=at("21 00:00"), unit=unit, pauses=pauses, calendars=CALENDARS, house=house()
    )

    assert found == days


@pytest.mark.parametrize(
    ("unit", "hours"),
    [pytest.param(Unit.HOUR, 1 + 3, id="wall clock"), pytest.param(Unit.SERVICE_HOUR, 1 + 3, id="opening hours")],
)
def test_used_time_runs_outside_the_pauses(unit, hours):
    assert used("07 15:00", "10 13:00", OVER_THE_WEEKEND, unit=unit) == timedelta(hours=hours)


# --- extensions -----------------------------------------------------------------------------------------------------

STORM = Extension(date(2025, 3, 20), "台风停运")


def extended(promised: Due, extension: Extension, when: str = "10 12:00") -> Due:
    """Move a promise as somebody does at an instant of March 2025."""
    return clocks.extended(due=promised, extension=extension, house=house(), at=at(when))


def test_an_extension_ends_with_its_last_day():
    found = extended(due("10 10:00", "1 wd"), STORM)

    assert written(found) == "21 00:00"


def test_an_extension_is_a_date_and_never_provisional():
    counted_without_calendar = clocks.due(
        start_at=at("10 10:00"), limit=Limit.parse("1 wd"), calendars={}, house=house()
    )

    assert not extended(counted_without_calendar, STORM).provisional


@pytest.mark.parametrize(
    ("last_day", "allowed"),
    [
        pytest.param(date(2025, 3, 10), False, id="AMB-57 earlier is no extension"),
        pytest.param(date(2025, 3, 11), False, id="AMB-57 the same day is no extension"),
        pytest.param(date(2025, 3, 12), True, id="AMB-57 the next day is one"),
    ],
)
def test_an_extension_is_later(last_day, allowed):
    promised = due("10 10:00", "1 wd")

    if allowed:
        assert extended(promised, Extension(last_day, "台风停运"))
    else:
        with pytest.raises(Unable, match=r"不晚于现在的截止时间 3月11日（周二）24:00，请填更晚的日期。"):
            extended(promised, Extension(last_day, "台风停运"))


@pytest.mark.parametrize(
    ("when", "allowed"),
    [
        pytest.param("20 23:59", True, id="the last day is still running"),
        pytest.param("21 00:00", False, id="the last day is over"),
    ],
)
def test_gen_08_an_extension_is_not_past(when, allowed):
    promised = due("10 10:00", "1 wd")

    if allowed:
        assert extended(promised, STORM, when)
    else:
        with pytest.raises(Unable, match=r"延期到 2025-03-20 已经过去，请填今天或以后的日期。"):
            extended(promised, STORM, when)


@pytest.mark.parametrize(
    ("last_day", "allowed"),
    [
        pytest.param(date(2026, 3, 13), True, id="a year and a day after the last one"),
        pytest.param(date(2026, 3, 14), False, id="a day more"),
        pytest.param(date(9999, 12, 31), False, id="the last day that Python knows"),
    ],
)
def test_an_extension_is_no_slip_of_the_pen(last_day, allowed):
    promised = due("10 10:00", "1 wd")

    if allowed:
        assert clocks.extended(
            due=promised, extension=Extension(last_day, "台风停运"), at=promised.due_at, house=house()
        )
    else:
        with pytest.raises(Unable, match=rf"延期到 {last_day} 太远，最晚可以延到 2026-03-13，请填较近的日期。"):
            clocks.extended(due=promised, extension=Extension(last_day, "台风停运"), at=promised.due_at, house=house())


def test_an_extended_promise_can_be_paused():
    until_thursday = extended(due("10 10:00", "1 wd"), STORM)

    found = clocks.paused(
        due=until_thursday, pauses=[pause("20 10:00", "21 10:00")], calendars=CALENDARS, house=house()
    )

    assert written(found) == "22 00:00"


def test_a_pause_over_an_extension_into_the_weekend_is_never_overdue():
    until_sunday = extended(due("10 10:00", "1 wd"), Extension(date(2025, 3, 16), "台风停运"))

    found = clocks.paused(due=until_sunday, pauses=[pause("15 10:00", "17 10:00")], calendars=CALENDARS, house=house())

    assert written(found) == "18 00:00"


def test_gen_08_the_trace_keeps_the_first_due_time_visible():
    promised = due("10 10:00", "1 wd")
    asked = pause("11 10:00", "12 10:00")
    moved = clocks.paused(due=promised, pauses=[asked], calendars=CALENDARS, house=house())
    moved = extended(moved, STORM)

    told = clocks.trace(moved, "RET-07", pauses=[asked], extensions=[STORM], original=promised)

    assert told["original_due_at"] == "2025-03-12T00:00:00+08:00"
    assert clocks.explain(told) == [
        "起算：2025年3月10日（周一）10:00",
        "时限：1 个工作日（RET-07）",
        "不计：3月11日（周二）暂停（等客户补充材料）",
        "暂停：3月11日（周二）10:00 至 3月12日（周三）10:00，等客户补充材料",
        "延期：至 3月20日（周四），台风停运",
        "原截止：3月11日（周二）24:00 前",
        "截止：3月20日（周四）24:00 前",
    ]


@pytest.mark.parametrize("limit", ["24 h", "1 wd", "4 sh", "7 d"])
def test_a_due_time_is_read_back_from_its_trace(limit: str):
    promised = due("07 15:00", limit)

    assert clocks.told(clocks.trace(promised, "RET-07"), house=house()) == promised


def test_p06_a_second_pause_counts_from_where_the_first_has_moved_the_due_time():
    """One working day from Monday the 10th, asked on the 11th and again on the 13th: the trace tells both."""
    first, second = pause("11 10:00", "12 10:00"), pause("12 11:00", "13 10:00", "再问一次")
    promised = due("10 10:00", "1 wd")
    once = clocks.paused(due=promised, pauses=[first], calendars=CALENDARS, house=house())
    told = clocks.with_pause(clocks.trace(promised, "RET-07"), once, first)

    twice = clocks.paused(due=clocks.told(told, house=house()), pauses=[second], calendars=CALENDARS, house=house())
    told = clocks.with_pause(told, twice, second)

    assert twice.due_at == due("10 10:00", "1 wd", first, second).due_at
    assert clocks.pauses_of(told) == [first, second]
    assert told["original_due_at"] == "2025-03-12T00:00:00+08:00"
    assert clocks.explain(told)[-2:] == ["原截止：3月11日（周二）24:00 前", "截止：3月13日（周四）24:00 前"]


def test_gen08_a_pause_keeps_the_extension_before_it_in_the_trace():
    promised = due("10 10:00", "1 wd")
    moved = extended(promised, STORM)
    told = clocks.trace(moved, "RET-07", extensions=[STORM], original=promised)

    told = clocks.with_pause(told, moved, pause("12 10:00", "12 11:00"))

    assert (told["extensions"], len(told["pauses"])) == ([{"until": "2025-03-20", "reason": "台风停运"}], 1)
    assert told["original_due_at"] == "2025-03-12T00:00:00+08:00"
