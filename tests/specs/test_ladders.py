"""Who is told before and after a window passes, and when (ESC-04, ESC-05, ESC-08, ESC-09, AMB-13; P-01, P-10, P-28)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest

from aftersales import terms
from aftersales.rules import clocks, ladders, pages
from aftersales.rules.clocks import Extension, Pause
from aftersales.terms import Calendar, Escalation, House
from aftersales.words import Due, Limit
from tests.specs.test_clocks import CONFIG, PLAIN, C, due, house

BOUND = Limit.parse("3 wd")
WORKDAY = "09:00-12:00, 13:00-18:00"


@cache
def shipped() -> Escalation:
    """The ladders that come with the project."""
    return terms.load(CONFIG).escalation


def climbed(
    stage: str, found: Due, *, calendars: Mapping[int, Calendar] = PLAIN, at: House | None = None
) -> list[tuple[str, str]]:
    """The rungs of a promise, as the house's clock shows them."""
    place = at or house()
    rungs = ladders.ladder(
        stage=stage, due=found, refund_bound=BOUND, escalation=shipped(), calendars=calendars, house=place
    )
    return [(rung.name, f"{clocks.in_house(rung.at, house=place):%m-%d %H:%M}") for rung in rungs]


def test_esc08_the_refund_of_wednesday_the_19th():
    """The worked example: department on Wednesday 24:00, head and customer on Thursday, manager on Friday."""
    assert climbed("refund", due("2025-03-17 16:00", "2 wd")) == [
        ("reminder", "03-19 09:00"),
        ("breach", "03-20 00:00"),
        ("head", "03-21 00:00"),
        ("bound", "03-21 00:00"),
        ("manager", "03-22 00:00"),
    ]


@pytest.mark.parametrize(
    ("passed", "limit", "told"),
    [
        pytest.param("2025-03-17 16:00", "3 wd", "03-21 00:00", id="AMB-13 three working days"),
        pytest.param("2025-03-17 16:00", "5 wd", "03-25 00:00", id="a shop that tells its customers five"),
        pytest.param("2025-03-17 16:00", "2 wd", "03-20 00:00", id="no later than what we promise ourselves"),
        pytest.param("2025-03-19 16:00", "3 wd", "03-25 00:00", id="over a weekend"),
        pytest.param("2026-09-29 16:00", "3 wd", "10-10 00:00", id="over a holiday"),
    ],
)
def test_esc08_the_customer_hears_of_it_when_what_they_were_told_has_passed(passed: str, limit: str, told: str):
    calendars = PLAIN | C
    found = due(passed, "2 wd", calendars=calendars)

    rungs = ladders.ladder(
        stage="refund",
        due=found,
        refund_bound=Limit.parse(limit),
        escalation=shipped(),
        calendars=calendars,
        house=house(),
    )

    [bound] = [rung for rung in rungs if rung.is_bound]
    assert (bound.name, bound.tell, f"{bound.at:%m-%d %H:%M}") == ("bound", ("customer",), told)
    assert bound.at == due(passed, limit, calendars=calendars).due_at, "as NTC-05 told them"


@pytest.mark.parametrize(
    ("until", "told"),
    [
        pytest.param(date(2025, 3, 20), "03-21 00:00", id="to the day that they were told anyway"),
        pytest.param(date(2025, 3, 25), "03-26 00:00", id="beyond it: they were told the new one"),
    ],
)
def test_gen08_an_extension_moves_what_the_customer_was_told(until: date, told: str):
    moved = clocks.extended(
        due=due("2025-03-17 16:00", "2 wd"),
        extension=Extension(until, "系统故障"),
        house=house(),
        at=datetime(2025, 3, 18, tzinfo=UTC),
    )

    assert dict(climbed("refund", moved))["bound"] == told


def test_amb10_what_the_customer_was_told_ends_at_the_hour_of_the_start_too():
    place = house(wd_deadline="same_time")

    found = climbed("refund", due("2026-11-16 15:00", "2 wd", at=place), at=place)

    assert dict(found)["bound"] == dict(found)["head"] == "11-19 15:00"


def test_esc09_the_outer_limit_tells_the_department_and_the_manager_at_once():
    rungs = ladders.ladder(
        stage="outer",
        due=due("2025-03-03 10:00", "7 wd"),
        refund_bound=BOUND,
        escalation=shipped(),
        calendars=PLAIN,
        house=house(),
    )

    assert [(rung.name, rung.tell) for rung in rungs] == [("reminder", ("assignee",)), ("breach", ("owner", "manager"))]


@pytest.mark.parametrize(
    ("stage", "start", "limit", "rungs"),
    [
        pytest.param(
            "review",
            "2025-03-06 15:00",
            "24 h",
            ["03-07 10:12", "03-07 15:00", "03-11 00:00", "03-12 00:00"],
            id="AMB-09 24 hours: four fifths, then the end of Monday",
        ),
        pytest.param(
            "review",
            "2025-03-08 00:10",
            "24 h",
            ["03-08 19:22", "03-09 00:10", "03-11 00:00", "03-12 00:00"],
            id="P-10 passed on a Sunday at ten past midnight",
        ),
        pytest.param(
            "pickup",
            "2025-03-05 10:00",
            "3 wd",
            ["03-10 09:00", "03-11 00:00", "03-12 00:00", "03-13 00:00"],
            id="a weekend inside the window",
        ),
        pytest.param(
            "inspection",
            "2025-03-13 09:00",
            "1 wd",
            ["03-14 09:00", "03-15 00:00", "03-18 00:00", "03-19 00:00"],
            id="passed on Friday 24:00: the head hears at the end of Monday",
        ),
        pytest.param(
            "inspection",
            "2025-03-31 10:00",
            "2 wd",
            ["04-02 09:00", "04-03 00:00", "04-04 00:00", "04-05 00:00"],
            id="P-28 from the 31st to the 2nd",
        ),
        pytest.param(
            "receipt",
            "2025-03-10 10:00",
            "5 d",
            ["03-15 09:00", "03-16 00:00", "03-18 00:00", "03-19 00:00"],
            id="calendar days: reminded of on a Saturday, its last day",
        ),
        pytest.param(
            "review",
            "2025-12-31 20:00",
            "24 h",
            ["01-01 15:12", "01-01 20:00", "01-03 00:00", "01-06 00:00"],
            id="over the end of the year, without a holiday",
        ),
        pytest.param(
            "review",
            "2025-03-10 10:00",
            "30 min",
            ["03-10 10:24", "03-10 10:30", "03-12 00:00", "03-13 00:00"],
            id="minutes",
        ),
    ],
)
def test_esc04_and_esc05_reminder_department_head_manager(stage: str, start: str, limit: str, rungs: list[str]):
    found = climbed(stage, due(start, limit))

    assert [name for name, _ in found] == ["reminder", "breach", "head", "manager"]
    assert [at for _, at in found] == rungs


def test_a_holiday_is_no_day_of_the_ladder():
    found = due("2026-09-30 10:00", "1 wd", calendars=C)

    assert climbed("inspection", found, calendars=C) == [
        ("reminder", "10-08 09:00"),
        ("breach", "10-09 00:00"),
        ("head", "10-10 00:00"),
        ("manager", "10-13 00:00"),
    ]


def test_p01_the_clock_put_forward_is_no_time_of_the_window():
    berlin = house(timezone="Europe/Berlin")
    found = due("2025-03-29 12:00", "24 h", at=berlin)

    assert climbed("review", found, at=berlin)[:2] == [("reminder", "03-30 08:12"), ("breach", "03-30 13:00")]


def test_service_hours_are_reminded_of_when_a_fifth_of_them_is_left():
    shop = house(service_hours=WORKDAY)
    found = due("2025-03-07 16:00", "4 sh", at=shop)

    assert climbed("review", found, at=shop)[:2] == [("reminder", "03-10 10:12"), ("breach", "03-10 11:00")]


def test_a_pause_moves_every_rung():
    found = due("2025-03-06 15:00", "24 h")
    pause = Pause(found.start_at + timedelta(hours=2), found.start_at + timedelta(hours=50), reason="等客户补充照片")
    moved = clocks.paused(due=found, pauses=[pause], calendars=PLAIN, house=house())

    assert climbed("review", moved)[:2] == [("reminder", "03-09 10:12"), ("breach", "03-09 15:00")]


def test_p07_what_follows_the_breach_waits_for_a_pause_after_it():
    """Late on Friday 7 March, 15:00; paused from 16:00 to Wednesday noon: the head on Wednesday 24:00, not on Monday."""
    late = due("2025-03-06 15:00", "24 h")
    pause = Pause(late.due_at + timedelta(hours=1), late.due_at + timedelta(days=4, hours=21), "等待客户答复")
    kept = clocks.paused(due=late, pauses=[pause], calendars=PLAIN, house=house())

    rungs = ladders.ladder(
        stage="review",
        due=kept,
        refund_bound=BOUND,
        escalation=shipped(),
        calendars=PLAIN,
        house=house(),
        pauses=[pause],
    )

    assert kept == late
    assert [(rung.name, f"{rung.at:%m-%d %H:%M}") for rung in rungs[1:]] == [
        ("breach", "03-07 15:00"),
        ("head", "03-13 00:00"),
        ("manager", "03-14 00:00"),
    ]


def test_gen08_an_extension_to_a_sunday_is_reminded_of_on_the_friday_before():
    moved = clocks.extended(
        due=due("2025-03-10 10:00", "3 wd"),
        extension=Extension(date(2025, 3, 16), "台风"),
        house=house(),
        at=datetime(2025, 3, 12, tzinfo=UTC),
    )

    assert climbed("pickup", moved) == [
        ("reminder", "03-14 09:00"),
        ("breach", "03-17 00:00"),
        ("head", "03-18 00:00"),
        ("manager", "03-19 00:00"),
    ]


@pytest.mark.parametrize(
    ("deadline", "start", "limit", "rungs"),
    [
        pytest.param(
            "end_of_day", "2026-11-16 15:00", "2 wd", ["11-18 09:00", "11-19 00:00", "11-20 00:00", "11-21 00:00"],
            id="at the end of each day",
        ),
        pytest.param(
            "same_time", "2026-11-16 15:00", "2 wd", ["11-18 09:00", "11-18 15:00", "11-19 15:00", "11-20 15:00"],
            id="at the hour of the start",
        ),
        pytest.param(
            "same_time", "2026-11-19 15:00", "1 wd", ["11-20 09:00", "11-20 15:00", "11-23 15:00", "11-24 15:00"],
            id="at that hour of the next working day",
        ),
        pytest.param(
            "same_time", "2026-11-17 00:00", "2 wd", ["11-18 09:00", "11-19 00:00", "11-20 00:00", "11-21 00:00"],
            id="at midnight, which is the end of the day before",
        ),
        pytest.param(
            "same_time", "2026-11-16 15:00", "24 h", ["11-17 10:12", "11-17 15:00", "11-18 15:00", "11-19 15:00"],
            id="hours, then working days",
        ),
        pytest.param(
            "end_of_day", "2026-11-16 15:00", "24 h", ["11-17 10:12", "11-17 15:00", "11-19 00:00", "11-20 00:00"],
            id="hours, then whole days",
        ),
    ],
)  # fmt: skip
def test_amb10_what_follows_the_breach_ends_as_days_do_here(deadline: str, start: str, limit: str, rungs: list[str]):
    place = house(wd_deadline=deadline)
    found = due(start, limit, at=place)

    ladder = ladders.ladder(
        stage="inspection", due=found, refund_bound=BOUND, escalation=shipped(), calendars=PLAIN, house=place
    )

    assert [f"{rung.at:%m-%d %H:%M}" for rung in ladder] == rungs
    assert {rung.at.microsecond for rung in ladder} == {0}


def test_amb10_an_extension_ends_with_its_day_and_so_does_what_follows_it():
    place = house(wd_deadline="same_time")
    storm = Extension(date(2026, 11, 20), "台风")
    moved = clocks.extended(
        due=due("2026-11-16 15:00", "2 wd", at=place),
        extension=storm,
        house=place,
        at=datetime(2026, 11, 17, tzinfo=UTC),
    )

    assert climbed("inspection", moved, at=place)[1:] == [
        ("breach", "11-21 00:00"),
        ("head", "11-24 00:00"),
        ("manager", "11-25 00:00"),
    ]


def test_a_window_that_began_after_its_reminder_has_none():
    """With deadlines at the hour of the start, a window may begin and end before nine."""
    early = house(wd_deadline="same_time")
    found = due("2025-03-10 08:00", "1 wd", at=early)

    assert [name for name, _ in climbed("inspection", found, at=early)] == ["breach", "head", "manager"]


@pytest.mark.parametrize(
    ("passed", "rungs"),
    [
        pytest.param(
            "2026-12-28 16:00",
            [("reminder", "12-30 09:00"), ("breach", "12-31 00:00"), ("head", "01-01 00:00")],
            id="the last day that the calendar knows is the head's",
        ),
        pytest.param(
            "2026-12-29 16:00",
            [("reminder", "12-31 09:00"), ("breach", "01-01 00:00")],
            id="due on the last day that the calendar knows",
        ),
        pytest.param("2026-12-30 16:00", [], id="due on the first day that it does not know"),
    ],
)
def test_p05_a_ladder_ends_where_a_year_without_calendar_begins(passed: str, rungs: list[tuple[str, str]]):
    """Nobody is told of a time that was counted without a calendar, but the manager that there is none."""
    found = climbed("refund", due(passed, "2 wd", calendars=C), calendars=C)

    known = [rung for rung in found if rung[0] not in ("bound", "provisional")]
    assert known == rungs
    assert found[-1][0] == "provisional"


def test_p05_the_manager_hears_of_a_missing_calendar_when_the_first_rung_would_come():
    found = due("2026-12-30 16:00", "2 wd", calendars=C)

    [rung] = ladders.ladder(
        stage="refund", due=found, refund_bound=BOUND, escalation=shipped(), calendars=C, house=house()
    )

    assert (rung.name, rung.at, rung.tell, rung.missing) == ("provisional", found.due_at, ("manager",), (2027,))


def test_p05_hours_need_no_calendar_but_what_follows_them_does():
    found = climbed("review", due("2026-12-31 15:00", "24 h", calendars=C), calendars=C)

    assert found == [("reminder", "01-01 10:12"), ("breach", "01-01 15:00"), ("provisional", "01-05 00:00")]


def test_a_stage_whose_time_is_the_customers_has_no_ladder():
    assert climbed("correction", due("2025-03-10 10:00", "7 d")) == []


def test_the_rungs_come_in_the_order_of_their_times():
    for stage in shipped().returns:
        rungs = ladders.ladder(
            stage=stage,
            due=due("2025-03-10 10:00", "2 wd"),
            refund_bound=BOUND,
            escalation=shipped(),
            calendars=PLAIN,
            house=house(),
        )
        assert [rung.at for rung in rungs] == sorted(rung.at for rung in rungs)


@pytest.mark.parametrize(
    ("after", "at"),
    [
        pytest.param("2 h", "03-13 02:00", id="ESC-01 two hours, on the clock of the wall"),
        pytest.param("30 min", "03-13 00:30", id="minutes"),
        pytest.param("1 wd", "03-14 00:00", id="a working day: the day after the last one"),
        pytest.param("1 d", "03-14 00:00", id="a calendar day"),
    ],
)
def test_a_distance_counts_from_when_the_window_passed(after: str, at: str):
    passed = due("2025-03-07 10:00", "3 wd").due_at

    found = clocks.later(passed, Limit.parse(after), calendars=PLAIN, house=house()).due_at

    assert f"{found:%m-%d %H:%M}" == at


@pytest.mark.parametrize(
    ("role", "agent", "whom"),
    [
        ("assignee", "", "department:logistics"),
        ("assignee", "L02", "staff:L02"),
        ("owner", "L02", "department:logistics"),
        ("head", "L02", "staff:L01"),
        ("manager", "", "staff:A01"),
        ("customer", "", "customer"),
    ],
)
def test_whom_a_role_means(role: str, agent: str, whom: str):
    assert ladders.recipient(role, owner="logistics", agent=agent, house=terms.load(CONFIG).house) == whom


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "刚刚超时"), (1, "已超时 1 分钟"), (59, "已超时 59 分钟"), (60, "已超时 1 小时"), (72 * 60, "已超时 3 天")],
)
def test_a_delay_in_words(minutes: int, said: str):
    passed = datetime(2025, 3, 12, 16, tzinfo=UTC)

    assert pages.spoken_delay(passed, passed + timedelta(minutes=minutes)) == said
