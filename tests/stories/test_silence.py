"""When nobody answers: reminded first, then ended, but never against what has come meanwhile (RET-04, AMB-52, GEN-08)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from aftersales import clock
from aftersales.rules import clocks
from aftersales.store import lapses as due
from aftersales.terms import load
from aftersales.words import Event, Limit, Stage, Unable
from tasks import extensions, lapses, outside, promises
from tests.stories.conftest import Shop, Telling
from tests.stories.on_the_way import promise, put_forward, self_shipping


async def reminders(telling: Telling) -> list[str]:
    rows = await telling.rows("outbox", "entry, body", "and entry like '%reminder%' order by id")
    return [row.body for row in rows]


def last_day(of: Any) -> datetime:
    return of.due_at - timedelta(microseconds=1)


async def extended(telling: Telling, days: int, key: str = "k") -> str:
    """Move what the case waits for by so many days."""
    until = clocks.house_date(last_day(await promise(telling, "pickup")), house=load().house) + timedelta(days=days)
    return await extensions.extend(telling.case_no, operator="C01", until=until.isoformat(), reason="暴雨", key=key)


async def test_amb52_a_parcel_that_came_is_no_silence_though_nobody_has_read_it_yet(shop: Shop):
    telling = await self_shipping(shop)
    await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="scanner", data={"tracking_no": "SF1001"})

    for days in (40, 41):
        await lapses.look(at=clock.now() + timedelta(days=days))
    await telling.again()

    assert telling.at == "inspection-0"


async def test_ret17_a_cancellation_that_waits_is_told_as_the_customers_own(shop: Shop):
    telling = await self_shipping(shop)
    await outside.signal(telling.case_no, Event.CASE_CANCELLED, actor="customer", data={"reason": "不退了"})

    for days in (40, 41):
        await lapses.look(at=clock.now() + timedelta(days=days))
    await telling.again()

    told = next(row.body for row in await telling.rows("outbox") if row.notice == "NTC-09")
    assert "按您的要求取消" in told


async def test_gen08_what_was_extended_while_a_round_was_at_work_does_not_lapse(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    """The round has read what is due; before it comes to the case, somebody gives the customer more time."""
    telling = await self_shipping(shop)
    later = clock.now() + timedelta(days=40)
    await lapses.look(at=later - timedelta(days=5))
    read = due.lapsed

    async def and_extended(connection: Any, **what: Any) -> Any:
        rows = await read(connection, **what)
        await extended(telling, 60)
        return rows

    monkeypatch.setattr(due, "lapsed", and_extended)
    told = await lapses.look(at=later)

    assert told.ended == []
    assert (await telling.again()).at == "pickup-0"


@pytest.mark.parametrize("days", range(1, 8))
async def test_gen08_the_grace_after_an_extension_is_whole(shop: Shop, days: int):
    """Seven working days from the new last day, wherever the weekend falls (AMB-52)."""
    telling = await self_shipping(shop)

    await extended(telling, days)

    moved, terms = await promise(telling, "pickup"), load()
    grace = clocks.due(
        start_at=last_day(moved), limit=Limit.parse("7 wd"), calendars=terms.calendars, house=terms.house
    )
    assert moved.lapses_at == grace.due_at


async def test_gen08_a_day_that_is_past_is_no_extension(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    telling = await self_shipping(shop)
    put_forward(monkeypatch, days=12)

    with pytest.raises(Unable, match="已经过去，请填今天或以后的日期"):
        await extended(telling, 1)

    assert not [entry for entry in (await telling.journal()).values() if entry.kind == "extension"]


async def test_gen08_who_got_more_time_is_reminded_of_its_end_again(shop: Shop):
    telling = await self_shipping(shop)
    await lapses.look(at=(await promise(telling, "pickup")).due_at)
    assert len(await reminders(telling)) == 1

    await extended(telling, 30)
    at = (await promise(telling, "pickup")).due_at
    await lapses.look(at=at - timedelta(minutes=1))
    assert len(await reminders(telling)) == 1
    for _ in range(2):
        await lapses.look(at=at)

    first, second = await reminders(telling)
    assert first != second


async def test_amb52_nothing_ends_before_the_customer_was_reminded(shop: Shop):
    """Nobody looked for 40 days: the reminder comes first, and leaves the whole next day to answer it."""
    telling = await self_shipping(shop)
    back = clock.now() + timedelta(days=40)

    told = await lapses.look(at=back)
    assert (told.reminded, told.ended) == ([telling.case_no], [])
    left = (await promise(telling, "pickup")).lapses_at
    assert left >= back + timedelta(days=1)
    assert clocks.spoken(left, house=load().house) in (await reminders(telling))[0]
    assert (await lapses.look(at=left - timedelta(minutes=1))).is_empty
    told = await lapses.look(at=left)

    assert told.ended == [telling.case_no]
    await telling.again()
    assert (await telling.case()).stage is Stage.CANCELLED


async def test_ret04_a_correction_that_never_comes_ends_without_a_reminder(shop: Shop):
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="reject", reason="照片不清楚", missing=["照片"])

    told = await lapses.look(at=clock.now() + timedelta(days=40))

    assert (told.reminded, told.ended) == ([], [telling.case_no])


@pytest.mark.parametrize(
    ("deadline", "due_at", "ends_at"),
    [
        pytest.param("end_of_day", "2026-11-19 00:00", "2026-11-28 00:00", id="at the end of the day"),
        pytest.param("same_time", "2026-11-18 15:00", "2026-11-27 15:00", id="at the hour of the due time"),
    ],
)
def test_amb52_the_grace_of_a_self_shipment_ends_as_days_do_here(deadline: str, due_at: str, ends_at: str):
    """Due on Wednesday 18 November; seven working days more."""
    terms = load()
    terms = terms.model_copy(update={"house": terms.house.model_copy(update={"wd_deadline": deadline})})
    due, ends = (clocks.house_time(datetime.fromisoformat(wall), house=terms.house) for wall in (due_at, ends_at))

    assert promises.lapse(terms, "pickup", due) == ends
