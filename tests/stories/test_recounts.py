"""
A year without calendar: what is told of a provisional due time, and what becomes of it when the calendar comes (P-05).

The year's end of 2026, with the calendars that come with the project up to 2026; that of 2027 comes later.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.rules import clocks
from aftersales.store import rungs as rungs_of
from aftersales.store.engine import transaction
from aftersales.terms import Calendar, load
from aftersales.words import Event
from tasks import audits, cases, escalation, extensions, lapses, recounts
from tests.killing import killed
from tests.stories.conftest import Shop, Telling

HOUSE = load().house
A_MOMENT = timedelta(minutes=1)
YEAR_2027 = Calendar(
    year=2027, days_off={date(2027, 1, day): "元旦" for day in (1, 2, 3)}, makeup_workdays={date(2027, 1, 9): "元旦"}
)
LADDERS = ("ESC-05", "NTC-10", "NTC-15", "NTC-24", "ESC-08")


def at(wall: str) -> datetime:
    """A time of the house."""
    return clocks.house_time(datetime.fromisoformat(wall), house=HOUSE)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put the clock to a time of the house."""

    def put(wall: str) -> datetime:
        monkeypatch.setattr(clock, "now", lambda case=None: at(wall))
        return at(wall)

    put("2026-12-20 10:00")
    return put


@pytest.fixture(autouse=True)
def calendars(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calendars up to 2026; calling it brings that of 2027, as a restart would."""
    known = {year: calendar for year, calendar in load().calendars.items() if year < 2027}

    def put(*more: Calendar) -> None:
        terms = load().model_copy(update={"calendars": known | {each.year: each for each in more}})
        monkeypatch.setattr("aftersales.terms.load", lambda *_: terms)
        monkeypatch.setattr("tasks.cases.rulebook.load", lambda *_: terms)
        cases.current_terms.cache_clear()

    put()
    yield put
    monkeypatch.undo()
    cases.current_terms.cache_clear()


async def at_inspection(shop: Shop, time: Any, received: str) -> Telling:
    """A parcel that has come: to be inspected within one working day."""
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")
    time(received)
    await telling.signal(Event.PARCEL_RECEIVED)
    assert telling.at == "inspection-0"
    return telling


async def at_refund(shop: Shop, time: Any, passed: str) -> Telling:
    """Goods that have passed the inspection: to be paid for within two working days."""
    telling = await at_inspection(shop, time, passed)
    item = {"line": "第1行", "quantity": "1", "grade": "sellable", "cause": "no_reason"}
    await telling.decide("inspection", "W03", items=[item], result="pass")
    assert telling.at == "refund-0"
    return telling


async def told(telling: Telling, *states: str) -> list[tuple[str, str, str]]:
    """Entry, notice and recipient of what its gates' ladders have told; in a state (waiting to be sent)."""
    return [
        (row.entry, row.notice, row.recipient)
        for row in await telling.rows("outbox", "*", "order by id")
        if row.state in (states or ("queued",)) and row.notice in LADDERS and not row.entry.startswith("outer")
    ]


async def promise(telling: Telling, entry: str) -> Any:
    """A promise as it stands."""
    return next(row for row in await telling.rows("promises") if row.entry == entry)


async def rungs(telling: Telling, entry: str) -> list[tuple[str, datetime | None]]:
    """The rungs of a promise in the journal, with their times."""
    rows = (await telling.journal()).values()
    return [(each.entry, each.due_at) for each in rows if each.kind == "rung" and each.entry.startswith(f"{entry}.")]


async def test_p05_the_manager_alone_hears_of_a_breach_in_a_year_without_calendar(shop: Shop, time: Any):
    """Passed on Wednesday 30 December: two working days are counted to Friday 1 January, which nobody knows to be one."""
    telling = await at_refund(shop, time, "2026-12-30 16:00")
    found = await promise(telling, "refund-0")
    assert (found.provisional, found.due_at, found.rung_at) == (True, at("2027-01-02 00:00"), at("2027-01-02 00:00"))

    assert (await escalation.look(at=time("2027-01-01 23:59"))).told == []
    for wall in ("2027-01-02 00:00", "2027-01-02 00:01", "2027-01-20 09:00"):
        await escalation.look(at=time(wall))

    assert await told(telling, "queued", "withdrawn") == [("refund-0.provisional", "NTC-24", "staff:A01")]
    assert await rungs(telling, "refund-0") == [("refund-0.provisional", at("2027-01-02 00:00"))]
    body = next(row.body for row in await telling.rows("outbox") if row.entry == "refund-0.provisional")
    assert (
        "截止时间 1月1日（周五）24:00（暂定）" in body and "没有 2027 年的日历" in body and "config/calendars/" in body
    )
    assert (await promise(telling, "refund-0")).rung_at is None


async def test_p05_what_is_due_on_the_last_known_day_is_late_but_its_ladder_waits(shop: Shop, time: Any):
    """Passed on Tuesday 29 December: due on the 31st, as the calendar knows; what follows nobody can count."""
    telling = await at_refund(shop, time, "2026-12-29 16:00")
    assert not (await promise(telling, "refund-0")).provisional

    await escalation.look(at=time("2026-12-31 09:00"))
    await escalation.look(at=time("2027-01-01 00:00"))
    for _ in range(2):
        await escalation.look(at=time("2027-01-02 00:00"))

    assert await told(telling, "queued", "withdrawn") == [
        ("refund-0.reminder", "ESC-05", "department:aftersales"),
        ("refund-0.breach", "NTC-10", "department:aftersales"),
        ("refund-0.provisional", "NTC-24", "staff:A01"),
    ]
    body = next(row.body for row in await telling.rows("outbox") if row.entry == "refund-0.provisional")
    assert "截止时间 12月31日（周四）24:00，" in body


async def test_p05_when_the_calendar_comes_the_ladder_goes_on_where_it_stood(shop: Shop, time: Any, calendars: Any):
    telling = await at_refund(shop, time, "2026-12-29 16:00")
    await escalation.look(at=time("2027-01-02 00:00"))

    calendars(YEAR_2027)
    told_now = await escalation.look(at=time("2027-01-02 10:00"))

    assert [(each.was, each.due) for each in told_now.recounted if each.stage == "refund"] == [
        ("12月31日（周四）24:00", "12月31日（周四）24:00")
    ]
    assert ("refund-0.provisional", "NTC-24", "staff:A01") not in await told(telling)
    found = await promise(telling, "refund-0")
    assert (found.rungs, found.rung_at) == (2, at("2027-01-05 00:00"))
    assert (await escalation.look(at=time("2027-01-04 23:59"))).told == []
    await escalation.look(at=time("2027-01-05 00:00"))
    assert ("refund-0.head", "NTC-15", "staff:A01") in await told(telling)
    assert ("refund-0.bound", "ESC-08", "customer") in await told(telling)


@pytest.mark.parametrize(
    ("looked", "first"),
    [
        pytest.param("2026-12-31 10:00", [], id="before the provisional time"),
        pytest.param(
            "2027-01-02 10:00", [("refund-0.provisional", "NTC-24", "staff:A01")], id="after the manager heard"
        ),
    ],
)
async def test_p05_a_provisional_time_is_counted_again_when_the_calendar_comes(
    shop: Shop, time: Any, calendars: Any, looked: str, first: list[Any]
):
    telling = await at_refund(shop, time, "2026-12-30 16:00")
    await escalation.look(at=time(looked))
    assert await told(telling) == first

    calendars(YEAR_2027)
    counted = (await escalation.look(at=time(looked))).recounted

    assert [(each.stage, each.was, each.due) for each in counted] == [
        ("outer", "1月8日（周五）24:00（暂定）", "1月11日（周一）24:00"),
        ("refund", "1月1日（周五）24:00（暂定）", "1月4日（周一）24:00"),
    ]
    found = await promise(telling, "refund-0")
    assert (found.provisional, found.due_at, found.rungs) == (False, at("2027-01-05 00:00"), 0)
    assert found.rung_at == at("2027-01-04 09:00") and "-" not in found.calendars
    assert clocks.explain(found.trace)[2:] == [
        "不计：2027年1月1日（周五）至 2027年1月3日（周日）元旦",
        "重算：2027 年的日历已有，重算前是2027年1月1日（周五）24:00 前（暂定）",
        "截止：2027年1月4日（周一）24:00 前",
    ]
    [entry] = [each for each in (await telling.journal()).values() if each.entry == "refund-0.recount-2027"]
    assert (entry.kind, entry.due_at, entry.rule) == ("recount", at("2027-01-05 00:00"), "P-05")
    assert await told(telling) == [], "what was told of the provisional time waits no more"
    assert (await audits.verify()).findings == [], "a time that the calendar has moved stands in the journal (AUD-01)"

    again = await escalation.look(at=time("2027-01-04 08:59"))
    assert (again.recounted, again.told) == ([], [])
    await escalation.look(at=time("2027-01-04 09:00"))
    await escalation.look(at=time("2027-01-05 00:00"))
    assert await told(telling, "queued", "withdrawn") == [
        *first,
        ("refund-0.reminder-1", "ESC-05", "department:aftersales"),
        ("refund-0.breach-1", "NTC-10", "department:aftersales"),
    ]


async def test_p05_the_calendar_of_another_year_changes_nothing(shop: Shop, time: Any, calendars: Any):
    telling = await at_refund(shop, time, "2026-12-30 16:00")
    before = await promise(telling, "refund-0")

    calendars(Calendar(year=2028, days_off={}, makeup_workdays={}))

    assert (await escalation.look(at=time("2026-12-31 10:00"))).recounted == []
    assert await promise(telling, "refund-0") == before


async def test_p05_a_dry_run_counts_nothing_again(shop: Shop, time: Any, calendars: Any):
    telling = await at_refund(shop, time, "2026-12-30 16:00")
    before = await promise(telling, "refund-0")
    calendars(YEAR_2027)

    found = await escalation.look(at=time("2027-01-02 10:00"), dry_run=True)

    assert found.rows() == [
        (telling.case_no, "退款", "1月1日（周五）24:00（暂定）", "暂定 1月1日（周五）24:00：A01 何静")
    ]
    assert await promise(telling, "refund-0") == before


async def test_p05_a_date_that_an_extension_has_put_stays(shop: Shop, time: Any, calendars: Any):
    telling = await at_refund(shop, time, "2026-12-30 16:00")
    time("2026-12-31 10:00")
    await extensions.extend(telling.case_no, operator="C01", until="2027-01-08", reason="系统故障", key="k")
    customer = next(row.body for row in await telling.rows("outbox") if row.notice == "NTC-11")
    assert "（暂定）" in customer

    calendars(YEAR_2027)
    await escalation.look(at=time("2026-12-31 11:00"))

    found = await promise(telling, "refund-0")
    assert (found.provisional, found.due_at) == (False, at("2027-01-09 00:00"))
    assert "recounted" not in found.trace
    await escalation.look(at=time("2027-01-09 00:00"))
    assert ("refund-0.breach-1", "NTC-10", "department:aftersales") in await told(telling)


async def test_p05_a_pause_after_an_extension_moves_its_date_by_the_calendar_that_comes(
    shop: Shop, time: Any, calendars: Any
):
    """Extended to Thursday 31 December, asked on the 30th, answered on Friday the 1st: two ends of days were left."""
    telling = await at_inspection(shop, time, "2026-12-28 09:00")
    await extensions.extend(telling.case_no, operator="C01", until="2026-12-31", reason="系统故障", key="k")
    time("2026-12-30 10:00")
    await telling.decide("inspection", "W03", result="ask", question="请问箱子里原来有几件？")
    time("2027-01-01 10:00")
    await telling.decide("question", "C07", answer="两件")
    assert (await promise(telling, "inspection-1")).due_at == at("2027-01-05 00:00")

    calendars(YEAR_2027)
    await escalation.look(at=time("2027-01-01 11:00"))

    found = await promise(telling, "inspection-1")
    assert (found.provisional, found.due_at) == (False, at("2027-01-06 00:00"))


async def test_p05_a_promise_that_is_paused_while_the_calendar_comes_goes_on_by_it(
    shop: Shop, time: Any, calendars: Any
):
    """Received on Thursday 31 December: one working day is Friday 1 January, or Monday the 4th by the calendar."""
    telling = await at_inspection(shop, time, "2026-12-31 09:00")
    assert (await promise(telling, "inspection-0")).due_at == at("2027-01-02 00:00")
    await telling.decide("inspection", "W03", result="ask", question="请问箱子里原来有几件？")

    calendars(YEAR_2027)
    await escalation.look(at=time("2027-01-01 10:00"))
    time("2027-01-03 10:00")
    await telling.decide("question", "C07", answer="两件")

    found = await promise(telling, "inspection-1")
    assert (found.provisional, found.due_at) == (False, at("2027-01-05 00:00"))
    assert [each["until"] for each in found.trace["pauses"]] == ["2027-01-03T10:00:00+08:00"]
    assert found.trace["recounted"] == [{"was": "2027-01-02T00:00:00+08:00", "years": [2027]}]


async def test_p05_a_pause_is_counted_again_with_its_promise(shop: Shop, time: Any, calendars: Any):
    telling = await at_inspection(shop, time, "2026-12-31 09:00")
    await telling.decide("inspection", "W03", result="ask", question="请问箱子里原来有几件？")
    time("2027-01-02 10:00")
    await telling.decide("question", "C07", answer="两件")
    assert (await promise(telling, "inspection-1")).due_at == at("2027-01-05 00:00")

    # the year of a shop that works on the first days of it
    calendars(Calendar(year=2027, days_off={date(2027, 1, 4): "盘点"}, makeup_workdays={}))
    await escalation.look(at=time("2027-01-02 11:00"))

    found = await promise(telling, "inspection-1")
    assert (found.provisional, found.due_at) == (False, at("2027-01-06 00:00"))
    assert len(found.trace["pauses"]) == 1


async def test_p05_when_silence_ends_a_case_is_counted_again_and_never_sooner_than_told(
    shop: Shop, time: Any, calendars: Any
):
    """Approved on Monday 28 December: to be sent until Thursday 31, then seven working days of grace."""
    await shop.order()
    time("2026-12-28 10:00")
    telling = await shop.tell(shop.application(shipping="self"))
    await telling.decide("review", "C08", decision="approve")
    assert (await promise(telling, "pickup-0")).lapses_at == at("2027-01-12 00:00")
    assert (await lapses.look(at=time("2027-01-01 00:00"))).reminded == [telling.case_no]
    reminder = next(row.body for row in await telling.rows("outbox") if row.entry == "pickup-0.reminder")
    assert "1月11日（周一）24:00（暂定） 前" in reminder

    calendars(YEAR_2027)
    await escalation.look(at=time("2027-01-02 10:00"))

    assert (await promise(telling, "pickup-0")).lapses_at == at("2027-01-13 00:00")
    assert (await lapses.look(at=time("2027-01-12 23:59"))).is_empty
    assert (await lapses.look(at=time("2027-01-13 00:00"))).ended == [telling.case_no]


async def test_p13_one_bad_promise_stops_no_recount(shop: Shop, time: Any, calendars: Any):
    telling = await at_refund(shop, time, "2026-12-30 16:00")
    async with transaction() as connection:
        await connection.execute(text("update promises set \"limit\" = '? wd' where stage = 'outer'"))
    calendars(YEAR_2027)

    found = await escalation.look(at=time("2026-12-31 10:00"))

    assert [each.stage for each in found.recounted] == ["refund"]
    assert [each.case_no for each in found.failed] == [telling.case_no]
    assert (await promise(telling, "refund-0")).provisional is False


KILLED = """
import sys
from datetime import date, datetime
from aftersales import terms
from aftersales.terms import Calendar
from tasks import cases, escalation
from tests.killing import until_one_ends

known = terms.load()
year = Calendar(year=2027, days_off={date(2027, 1, day): "元旦" for day in (1, 2, 3)}, makeup_workdays={})
found = known.model_copy(update={"calendars": known.calendars | {2027: year}})
cases.rulebook.load = lambda *_: found

async def look(turn):
    told = await escalation.look(at=datetime.fromisoformat(sys.argv[2]))
    assert not told.failed, told.failed

until_one_ends(look)
"""


async def test_p13_a_recount_killed_between_any_two_writes_neither_doubles_nor_loses(shop: Shop, time: Any):
    telling = await at_refund(shop, time, "2026-12-30 16:00")
    when = time("2027-01-05 00:00")
    await escalation.look(at=when)

    assert await killed(KILLED, when.isoformat()) >= 8

    found = await promise(telling, "refund-0")
    assert (found.provisional, found.due_at, found.rungs) == (False, at("2027-01-05 00:00"), 2)
    recounts_told = [entry for entry in await telling.journal() if ".recount-" in entry]
    assert sorted(recounts_told) == ["outer-0.recount-2027", "refund-0.recount-2027"]
    assert await told(telling) == [("refund-0.breach-1", "NTC-10", "department:aftersales")]


async def test_a_look_with_nothing_to_count_again_asks_one_question(shop: Shop, time: Any, monkeypatch: Any):
    """However many promises wait for a calendar that has not come."""
    await at_refund(shop, time, "2026-12-30 16:00")

    async def never(*_: Any) -> None:
        raise AssertionError("nothing is to be counted again")

    monkeypatch.setattr(recounts, "_recount", never)

    assert await recounts.look(rehearsal=None, at=time("2026-12-31 10:00")) == []


async def test_what_waits_for_another_year_is_not_read(shop: Shop, time: Any):
    """An empty look costs the same however many promises wait for a calendar that has not come."""
    await at_refund(shop, time, "2026-12-30 16:00")
    keys = "select string_agg(quote_ident(column_name), ', ') from information_schema.columns where table_name = 'promises' and column_name not in ('id', 'entry')"
    async with transaction() as connection:
        columns = await connection.scalar(text(keys))
        copies = f"insert into promises (entry, {columns}) select 'copy-' || n, {columns} from promises, generate_series(1, 3000) n where entry = 'refund-0'"
        await connection.execute(text(copies))
        await connection.execute(text("analyze promises"))
    read = text("select idx_tup_fetch + seq_tup_read from pg_stat_xact_user_tables where relname = 'promises'")

    async with transaction() as connection:
        before = await connection.scalar(read)
        found = await rungs_of.uncounted(connection, years=range(2004, 2027), rehearsal=None, after=0, limit=500)
        assert found == [] and await connection.scalar(read) - before < 10
        found = await rungs_of.uncounted(connection, years=range(2004, 2028), rehearsal=None, after=0, limit=500)
        assert len(found) == 500
