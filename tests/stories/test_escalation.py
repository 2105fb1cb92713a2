"""
When a window passes: the reminder, the department, its head, the manager, the customer, each once (ESC-04 to ESC-09).

P-10 (at night), P-12 (closed in between), P-13 (after an outage; two rounds; killed in a round), P-28 (month end) stand
in `tests/specs/test_ladders.py` as far as they are reckoning.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.rules import clocks
from aftersales.store.engine import transaction
from aftersales.terms import load
from aftersales.terms.models import Rung
from aftersales.words import Event, Limit, Stage
from tasks import cases, escalation, extensions
from tasks.cases import current_terms
from tests.killing import killed
from tests.stories.conftest import Shop, Telling

HOUSE = load().house
A_MOMENT = timedelta(minutes=1)


def at(wall: str) -> datetime:
    """A time of the house."""
    return clocks.house_time(datetime.fromisoformat(wall), house=HOUSE)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put the clock to a time of the house."""

    def put(wall: str) -> datetime:
        monkeypatch.setattr(clock, "now", lambda case=None: at(wall))
        return at(wall)

    put("2025-03-13 10:00")
    return put


async def outbox(telling: Telling, *states: str) -> list[tuple[str, str, str]]:
    """Entry, notice and recipient of what was told by time, oldest first; in a state (waiting to be sent)."""
    rows = await telling.rows("outbox", "*", "order by id")
    return [
        (row.entry, row.notice, row.recipient)
        for row in rows
        if row.state in (states or ("queued",)) and row.notice in ("ESC-05", "NTC-10", "NTC-15", "ESC-08")
    ]


async def reached(telling: Telling) -> list[tuple[str, datetime | None]]:
    """The rungs in the journal, with their true times."""
    return [(e.entry, e.due_at) for e in (await telling.journal()).values() if e.kind == "rung"]


async def at_refund(shop: Shop, time: Any) -> Telling:
    """Goods that passed the inspection on Monday 17 March 2025, 16:00."""
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")
    time("2025-03-17 09:00")
    await telling.signal(Event.PARCEL_RECEIVED)
    time("2025-03-17 16:00")
    item = {"line": "第1行", "quantity": "1", "grade": "sellable", "cause": "no_reason"}
    await telling.decide("inspection", "W03", items=[item], result="pass")
    assert telling.at == "refund-0"
    return telling


async def test_esc08_a_refund_left_alone_climbs_the_whole_ladder(shop: Shop, time: Any):
    """The worked example: Wednesday 24:00 the department, Thursday head and customer, Friday the manager."""
    telling = await at_refund(shop, time)
    expected = [
        ("2025-03-19 09:00", [("refund-0.reminder", "ESC-05", "department:aftersales")]),
        ("2025-03-20 00:00", [("refund-0.breach", "NTC-10", "department:aftersales")]),
        (
            "2025-03-21 00:00",
            [("refund-0.head", "NTC-15", "staff:A01"), ("refund-0.bound", "ESC-08", "customer")],
        ),
        ("2025-03-22 00:00", [("refund-0.manager", "NTC-15", "staff:A01")]),
    ]
    told: list[tuple[str, str, str]] = []
    for wall, notices in expected:
        before = time(wall) - A_MOMENT
        assert (await escalation.look(at=before)).told == []
        for _ in range(2):
            await escalation.look(at=time(wall))
        told += notices
        assert await outbox(telling, "queued", "withdrawn") == told

    assert (await escalation.look(at=time("2025-03-26 00:00") - A_MOMENT)).told == []
    apology = next(row for row in await telling.rows("outbox") if row.notice == "ESC-08")
    assert "3月20日（周四）24:00 前" in apology.body and "抱歉" in apology.body
    result = next(row for row in await telling.rows("outbox") if row.notice == "NTC-05")
    assert "3月20日（周四）24:00 前" in result.body, "the apology names what the customer was told"


async def test_esc08_an_apology_has_its_shorter_text_for_sms(shop: Shop, time: Any, monkeypatch: pytest.MonkeyPatch):
    telling = await at_refund(shop, time)
    found = escalation.outside.found

    async def shorter(connection: Any, case_no: str) -> Any:
        case, terms = await found(connection, case_no)
        words = terms.notices["ESC-08"].model_copy(update={"short": "{case_no} 的退款迟了，{late}，抱歉"})
        return case, terms.model_copy(update={"notices": {**terms.notices, "ESC-08": words}})

    monkeypatch.setattr(escalation.outside, "found", shorter)

    await escalation.look(at=time("2025-03-21 08:00"))

    told = {row.notice: row.data for row in await telling.rows("outbox", "*", "and entry like 'refund-0.%'")}
    assert told["ESC-08"] == {
        "short": f"{telling.case_no} 的退款迟了，已超时 8 小时，抱歉",
        "late": "已超时 8 小时",
        "due_at": at("2025-03-21 00:00").isoformat(),
    }
    assert "short" not in told["NTC-15"]


@pytest.fixture
def five_days(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shop that tells its customers five working days."""
    terms = load()
    returns = terms.returns.model_copy(update={"refund_bound": Limit.parse("5 wd")})
    monkeypatch.setattr("tasks.cases.rulebook.load", lambda *_: terms.model_copy(update={"returns": returns}))
    current_terms.cache_clear()
    yield
    monkeypatch.undo()
    current_terms.cache_clear()


async def test_esc08_a_shop_that_tells_its_customers_five_days_apologizes_after_five(
    shop: Shop, five_days: None, time: Any
):
    """One number: `refund_bound` is what NTC-05 tells, when the apology leaves, and what it names (AMB-13, GEN-11)."""
    telling = await at_refund(shop, time)

    await escalation.look(at=time("2025-03-24 23:59"))
    assert "ESC-08" not in [notice for _, notice, _ in await outbox(telling)]
    await escalation.look(at=time("2025-03-25 00:00"))

    bodies = {row.notice: row.body for row in await telling.rows("outbox")}
    assert "3月24日（周一）24:00 前" in bodies["ESC-08"]
    assert "3月24日（周一）24:00 前" in bodies["NTC-05"]


@pytest.mark.parametrize(
    ("until", "told", "notice"),
    [
        pytest.param(
            "2025-03-20",
            "客户预计的时间 3月20日（周四）24:00 不变，不另行通知",
            None,
            id="within what the customer was told anyway",
        ),
        pytest.param(
            "2025-03-25",
            "3月19日（周三）24:00 → 3月25日（周二）24:00，客户已列入通知",
            "延后到 3月25日（周二）24:00 前完成（原定 3月20日（周四）24:00）",
            id="beyond it",
        ),
    ],
)
async def test_ntc11_names_what_the_customer_was_told(shop: Shop, time: Any, until: str, told: str, notice: str | None):
    telling = await at_refund(shop, time)

    said = await extensions.extend(telling.case_no, operator="C01", until=until, reason="系统故障", key="k")

    assert told in said
    bodies = [row.body for row in await telling.rows("outbox") if row.notice == "NTC-11"]
    assert len(bodies) == (notice is not None) and all(notice in body for body in bodies if notice)


async def test_esc09_the_outer_limit_tells_department_and_manager(shop: Shop, time: Any):
    """Seven working days from the receipt on Monday 17 March: the end of Wednesday 26."""
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-22 00:00"))
    before = await outbox(telling)

    await escalation.look(at=time("2025-03-27 00:00"))

    assert (await outbox(telling))[len(before) :] == [
        ("outer-0.breach", "NTC-10", "department:aftersales"),
        ("outer-0.breach", "NTC-10", "staff:A01"),
    ]
    told = [row.body for row in await telling.rows("outbox") if row.entry == "outer-0.breach"]
    assert all("“整单”应在 3月26日（周三）24:00 前完成" in body for body in told)


async def test_p13_after_an_outage_each_is_told_once_and_the_rungs_keep_their_true_times(shop: Shop, time: Any):
    telling = await at_refund(shop, time)

    await escalation.look(at=time("2025-03-24 10:00"))

    assert await outbox(telling) == [
        ("refund-0.breach", "NTC-10", "department:aftersales"),
        ("refund-0.manager", "NTC-15", "staff:A01"),
        ("refund-0.bound", "ESC-08", "customer"),
    ]
    assert await outbox(telling, "withdrawn") == [("refund-0.reminder", "ESC-05", "department:aftersales")]
    assert await reached(telling) == [
        ("refund-0.reminder", at("2025-03-19 09:00")),
        ("refund-0.breach", at("2025-03-20 00:00")),
        ("refund-0.head", at("2025-03-21 00:00")),
        ("refund-0.bound", at("2025-03-21 00:00")),
        ("refund-0.manager", at("2025-03-22 00:00")),
    ]
    body = next(row.body for row in await telling.rows("outbox") if row.notice == "NTC-15")
    assert "已超时 4 天" in body
    assert (
        "没有及时发出的：3月19日（周三）24:00 通知责任部门、3月20日（周四）24:00 通知部门负责人、3月20日（周四）24:00 通知客户）"
        in body
    )


async def test_esc05_a_reminder_that_nobody_has_sent_yet_is_withdrawn_by_the_breach(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-19 09:00"))

    await escalation.look(at=time("2025-03-20 00:00"))

    assert await outbox(telling) == [("refund-0.breach", "NTC-10", "department:aftersales")]
    assert await outbox(telling, "withdrawn") == [("refund-0.reminder", "ESC-05", "department:aftersales")]


async def test_what_is_done_is_told_to_nobody(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")

    await escalation.look(at=time("2025-04-30 10:00"))

    assert await outbox(telling) == [] and (await telling.case()).stage is Stage.CLOSED


async def test_a_decision_while_a_round_is_at_work_is_not_told_as_late(
    shop: Shop, time: Any, monkeypatch: pytest.MonkeyPatch
):
    """The round has read what is due; before it comes to the case, somebody refunds."""
    telling = await at_refund(shop, time)
    read = escalation.rungs.reached

    async def and_refunded(connection: Any, **what: Any) -> Any:
        rows = await read(connection, **what)
        monkeypatch.setattr(escalation.rungs, "reached", read)
        await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")
        return rows

    monkeypatch.setattr(escalation.rungs, "reached", and_refunded)

    assert (await escalation.look(at=time("2025-03-20 00:00"))).told == []
    assert await outbox(telling) == []


async def test_what_is_being_told_right_now_waits_for_the_next_look(shop: Shop, time: Any):
    """Somebody has submitted the form, and no worker has read it yet."""
    telling = await at_refund(shop, time)
    asked: list[set[str]] = []

    async def all_of_them(cases: Any) -> set[str]:
        asked.append(set(cases))
        return set(cases)

    assert (await escalation.look(at=time("2025-03-20 00:00"), being_told=all_of_them)).told == []
    assert await outbox(telling) == [] and asked == [{telling.case_no}]

    await escalation.look(at=time("2025-03-20 00:01"))
    assert len(await outbox(telling)) == 1


async def test_what_waits_to_be_sent_is_withdrawn_when_the_matter_is_done(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-21 00:00"))

    await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")

    assert await outbox(telling) == []
    assert {row.reason for row in await telling.rows("outbox", "*", "and entry like 'refund-0.%'")} >= {
        "已办理，不用再通知"
    }


async def test_p12_when_the_case_ends_nothing_of_its_ladders_waits_to_be_sent(shop: Shop, time: Any):
    """The limit of the whole case has no gate whose answer would withdraw it."""
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-27 00:00"))
    assert ("outer-0.breach", "NTC-10", "staff:A01") in await outbox(telling)

    await telling.decide("refund", "A03", amount="188.00", reference="ALI-1")

    assert (await telling.case()).stage is Stage.CLOSED and await outbox(telling) == []
    told = [row.notice for row in await telling.rows("outbox") if row.state == "queued"]
    assert "NTC-07" in told and "NTC-08" in told, "what happened is still told"


async def test_gen08_an_extension_begins_the_ladder_anew(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-20 00:00"))

    await extensions.extend(telling.case_no, operator="C01", until="2025-03-25", reason="系统故障", key="k")
    assert await outbox(telling) == [], "what was told of the old due time waits no more"
    assert (await escalation.look(at=time("2025-03-25 08:59"))).told == []
    await escalation.look(at=time("2025-03-26 00:00"))

    assert (await outbox(telling))[-2:] == [
        ("refund-0.breach-1", "NTC-10", "department:aftersales"),
        ("refund-0.bound-1", "ESC-08", "customer"),
    ]
    assert [entry for entry, _ in await reached(telling)] == [
        "refund-0.reminder",
        "refund-0.breach",
        "refund-0.reminder-1",
        "refund-0.breach-1",
        "refund-0.bound-1",
        *(["outer-0.reminder"] if ("outer-0.reminder", at("2025-03-26 09:00")) in await reached(telling) else []),
    ]


def ladder_of(monkeypatch: pytest.MonkeyPatch, *, without: str = "", lead: str = "") -> None:
    """Start anew with another ladder of refunds: without a rung, with one for the owner so long after the breach."""
    live = load()
    steps = [rung for rung in live.escalation.ladders["refund"] if rung.name != without]
    if lead:
        steps.insert(1, Rung(name="lead", rule="ESC-08", notice="NTC-10", tell=["owner"], after=lead))
    ladders = {**live.escalation.ladders, "refund": steps}
    changed = live.model_copy(update={"escalation": live.escalation.model_copy(update={"ladders": ladders})})
    monkeypatch.setattr(cases, "current_terms", lambda: changed)


async def test_esc08_a_rung_taken_out_behind_loses_no_other(shop: Shop, time: Any, monkeypatch: pytest.MonkeyPatch):
    ladder_of(monkeypatch, lead="4 h")
    telling = await at_refund(shop, time)
    for wall in ("2025-03-19 09:00", "2025-03-20 00:00", "2025-03-20 04:00"):
        await escalation.look(at=time(wall))
    assert [entry for entry, _ in await reached(telling)] == ["refund-0.reminder", "refund-0.breach", "refund-0.lead"]

    ladder_of(monkeypatch)
    await escalation.look(at=time("2025-03-21 00:00"))
    await escalation.look(at=time("2025-03-22 00:00"))

    assert (await reached(telling))[3:] == [
        ("refund-0.head", at("2025-03-21 00:00")),
        ("refund-0.bound", at("2025-03-21 00:00")),
        ("refund-0.manager", at("2025-03-22 00:00")),
    ]
    assert [to for entry, _, to in await outbox(telling) if entry == "refund-0.head"] == ["staff:A01"]


async def test_esc08_a_rung_put_in_behind_doubles_no_other(shop: Shop, time: Any, monkeypatch: pytest.MonkeyPatch):
    """Nobody was told of it when its time came; the next look makes good for that."""
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-21 00:00"))
    before = await outbox(telling)

    ladder_of(monkeypatch, lead="4 h")
    await escalation.look(at=time("2025-03-22 00:00"))

    assert (await outbox(telling))[len(before) :] == [
        ("refund-0.lead", "NTC-10", "department:aftersales"),
        ("refund-0.manager", "NTC-15", "staff:A01"),
    ]
    assert len({entry for entry, _ in await reached(telling)}) == len(await reached(telling)) == 6


async def test_esc08_a_rung_that_was_to_come_next_and_is_taken_out_tells_nobody(
    shop: Shop, time: Any, monkeypatch: pytest.MonkeyPatch
):
    ladder_of(monkeypatch, lead="4 h")
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-20 00:00"))

    ladder_of(monkeypatch)
    assert (await escalation.look(at=time("2025-03-20 04:00"))).told == []
    await escalation.look(at=time("2025-03-21 00:00"))

    assert [entry.partition(".")[2] for entry, _ in await reached(telling)] == ["reminder", "breach", "head", "bound"]


async def test_amb52_whose_time_is_the_customers_is_nobodys_breach(shop: Shop, time: Any):
    await shop.order()
    telling = await shop.tell(shop.application(shipping="self"))
    await telling.decide("review", "C08", decision="approve")

    await escalation.look(at=time("2025-04-30 10:00"))

    assert telling.at == "pickup-0" and await outbox(telling) == []


async def many(telling: Telling, count: int) -> None:
    """As many cases like this one: their promises fall due together."""
    async with transaction() as connection:
        for table, keys in (("cases", "case_no"), ("promises", "case_no, id")):
            columns = await connection.scalar(
                text(
                    "select string_agg(quote_ident(column_name), ', ' order by ordinal_position) "
                    "from information_schema.columns where table_name = :table and column_name <> all(:keys)"
                ),
                {"table": table, "keys": keys.split(", ")},
            )
            await connection.execute(
                text(
                    f"insert into {table} (case_no, {columns}) select case_no || '-' || n, {columns} "
                    f"from {table}, generate_series(1, :count) n where case_no = :case_no"
                ),
                {"count": count - 1, "case_no": telling.case_no},
            )
        await connection.execute(text("update cases set seq = 0, last_hash = '' where case_no like '%-%-%-%'"))


async def told_in_all() -> Counter[tuple[str, str]]:
    """How often each case's recipient was told by time."""
    async with transaction() as connection:
        rows = await connection.execute(
            text("select case_no, entry, recipient from outbox where notice in ('NTC-10', 'NTC-15', 'ESC-08')")
        )
        return Counter((row.case_no, row.recipient) for row in rows)


async def test_p13_of_250_missed_items_one_bad_one_stops_nothing(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await many(telling, 250)
    async with transaction() as connection:
        await connection.execute(
            text("update promises set \"limit\" = '? wd' where case_no = :c and stage = 'refund'"),
            {"c": f"{telling.case_no}-7"},
        )

    told = await escalation.look(at=time("2025-03-20 00:00"))

    assert len(told.told) == 250
    assert [(each.case_no, each.failed.partition("”")[0]) for each in told.failed] == [
        (f"{telling.case_no}-7", "“? wd")
    ]
    assert len(await told_in_all()) == 249 and set((await told_in_all()).values()) == {1}
    async with transaction() as connection:
        await connection.execute(text("update promises set \"limit\" = '2 wd' where stage = 'refund'"))

    again = await escalation.look(at=time("2025-03-20 00:01"))

    assert [each.case_no for each in again.told] == [f"{telling.case_no}-7"] and not again.failed
    assert len(await told_in_all()) == 250 and set((await told_in_all()).values()) == {1}


async def test_p13_two_rounds_at_once_tell_nobody_twice(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    await many(telling, 40)
    when = time("2025-03-24 10:00")

    both = await asyncio.gather(*(escalation.look(at=when) for _ in range(3)))

    assert not [each for told in both for each in told.failed]
    assert sum(len(told.told) for told in both) == 40
    told = await told_in_all()
    assert len(told) == 120 and set(told.values()) == {1}


KILLED = """
import sys
from datetime import datetime
from tasks import escalation
from tests.killing import until_one_ends

async def look(turn):
    told = await escalation.look(at=datetime.fromisoformat(sys.argv[2]))
    assert not told.failed, told.failed

until_one_ends(look)
"""


async def test_p13_a_round_killed_between_any_two_writes_neither_doubles_nor_loses(shop: Shop, time: Any):
    """kill -9 right before and right after the first, the second … write of rounds over five cases, until one ends."""
    telling = await at_refund(shop, time)
    await many(telling, 5)
    when = time("2025-03-24 10:00")

    assert await killed(KILLED, when.isoformat()) >= 20
    told = await told_in_all()
    assert len(told) == 15 and set(told.values()) == {1}
    assert [entry for entry, _ in await reached(telling)] == [
        f"refund-0.{rung}" for rung in ("reminder", "breach", "head", "bound", "manager")
    ]
    async with transaction() as connection:
        for case in (await connection.scalars(text("select case_no from cases"))).all():
            assert await rungs_of(connection, case) == 5


async def rungs_of(connection: Any, case_no: str) -> int:
    """How many rungs stand in a case's journal."""
    query = text("select count(*) from journal where case_no = :c and kind = 'rung'")
    return int(await connection.scalar(query, {"c": case_no}))


async def test_a_promise_from_before_there_were_ladders_finds_its_place(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    async with transaction() as connection:  # as migration 0006 leaves it
        await connection.execute(text("update promises set rung_at = started_at where ended_at is null"))

    assert (await escalation.look(at=time("2025-03-18 10:00"))).told == []

    (promise,) = await telling.rows("promises", "*", "and stage = 'refund'")
    assert (promise.rungs, promise.rung_at) == (0, at("2025-03-19 09:00"))
