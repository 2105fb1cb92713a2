"""
Two at the same instant: real connections, real processes (P-19, P-20, RET-17, RFD-02, AMB-51).

`race` brings two to the same row of the case and lets them go in a given order, so that both orders are seen, not hoped
for. Whoever is second finds what the first has made true: never both, never neither.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales.store import cases, units
from aftersales.store.engine import engine, transaction
from aftersales.words import Event, Stage, Unable
from tasks import extensions, gates, outside
from tests import builders
from tests.builders import HOUSE
from tests.steps.rival import DOOR
from tests.stories.conftest import Shop, Telling

Act = Callable[[], Awaitable[Any]]
BOTH_ORDERS = pytest.mark.parametrize("is_swapped", [False, True], ids=["in this order", "the other way round"])


async def race(case_no: str, first: Act, second: Act) -> tuple[Any, Any]:
    """Let two acts wait at the case's row, one behind the other, and open; answers what came of each."""
    async with engine().connect() as holder, engine().connect() as watcher:
        await cases.lock(holder, case_no)
        acting = []
        for place, act in enumerate((first, second), 1):
            acting.append(asyncio.create_task(act()))  # type: ignore[arg-type]
            await until(watcher, "wait_event_type = 'Lock'", place)
        await holder.commit()
        told = await asyncio.gather(*acting, return_exceptions=True)
    for each in told:
        if isinstance(each, BaseException) and not isinstance(each, Unable):
            raise each
    return told[0], told[1]


async def until(watcher: Any, waiting: str, count: int) -> None:
    """Come back when so many sessions of this database wait."""
    query = text(f"select count(*) from pg_stat_activity where datname = current_database() and {waiting}")
    async with asyncio.timeout(120):
        while True:
            found = await watcher.scalar(query)
            await watcher.rollback()
            if found >= count:
                return
            await asyncio.sleep(0.02)


class Rivals:
    """Two people at two machines."""

    def __init__(self) -> None:
        self._people = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.steps.rival"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]

    async def at_once(self, act: str, *args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Let each do this with arguments of their own, at the same instant; answers what they told."""
        url = engine().url.render_as_string(hide_password=False)
        async with engine().connect() as door, engine().connect() as watcher:
            await door.execute(text("select pg_advisory_xact_lock(:door)"), {"door": DOOR})
            for person, theirs in zip(self._people, args, strict=True):
                assert person.stdin is not None
                person.stdin.write(json.dumps({"url": url, "act": act, "args": theirs}) + "\n")
                person.stdin.flush()
            await until(watcher, "wait_event = 'advisory'", len(args))
            await door.commit()
            return [json.loads(await asyncio.to_thread(person.stdout.readline)) for person in self._people]  # type: ignore[union-attr]

    def leave(self) -> None:
        """Go home."""
        for person in self._people:
            person.kill()
            person.communicate()


@pytest.fixture(scope="module")
def rivals() -> Iterator[Rivals]:
    """Two processes, which take seconds to start and are used for all tests of this file."""
    both = Rivals()
    yield both
    both.leave()


async def approved(shop: Shop, **wanted: Any) -> Telling:
    telling = await shop.tell(shop.application(**wanted))
    return await telling.decide("review", "C08", decision="approve")


async def at_payment(shop: Shop, price: str = "200.00") -> Telling:
    """A case whose bill stands: at the refund, above 500.00 at the second approval."""
    await shop.order(lines=[("SKU-1", "台灯", 1, price)])
    telling = await approved(shop)
    await telling.signal(Event.PARCEL_RECEIVED)
    row = {"line": "第1行", "quantity": "1", "grade": "sellable", "cause": "no_reason"}
    return await telling.decide("inspection", "W03", items=[row], result="pass")


def decision(telling: Telling, gate: str, operator: str, **answer: Any) -> Act:
    return lambda: outside.decide(telling.case_no, gate, operator=operator, answer=answer)


async def ask_to_cancel(telling: Telling) -> None:
    """The customer's cancellation is in the inbox, as a form or a shop system leaves it; no leg has seen it yet."""
    async with transaction() as connection:
        await cases.receive(
            connection,
            key=f"{telling.case_no}/cancel",
            case_no=telling.case_no,
            event=Event.CASE_CANCELLED.value,
            actor="customer",
            data={"reason": "不退了"},
            at=(await telling.case()).opened_at,
        )


async def decided(telling: Telling) -> dict[str, str]:
    """Who decided what, in the order of the journal."""
    return {name: entry.actor for name, entry in (await telling.journal()).items() if entry.kind == "decision"}


# --- units ------------------------------------------------------------------------------------------------------------


async def test_p19_a_unit_in_an_open_exchange_enters_no_return_until_the_exchange_is_cancelled(shop):
    """P-19 by the way of a whole application: the exchange is named, and the refusal is kept."""
    await shop.order()
    async with transaction() as connection:
        await units.hold(connection, order_no="D1", wanted=[(1, 1)], case_no="EX-20261122-0001", process="exchange")

    refused = await shop.tell(shop.application())
    assert (refused.result, refused.case_no) == ("未受理", "")
    async with transaction() as connection:
        (reason,) = (await connection.execute(text("select reason from refusals"))).scalars()
        assert "EX-20261122-0001 已占用 1 件" in reason
        await units.release(connection, "EX-20261122-0001")

    assert (await shop.tell(shop.application())).at == "review-0"


async def test_p20_of_two_applications_in_two_processes_at_the_same_instant_one_gets_the_unit(shop, rivals):
    """P-20: two clerks at two machines; one case, one refusal that names it, one hold."""
    await shop.order()
    told = await rivals.at_once(
        "apply", {"request": shop.application()}, {"request": shop.application(shipping="self")}
    )

    (case_no,) = [each["done"] for each in told if "done" in each]
    (reason,) = [each["refused"] for each in told if "refused" in each]
    assert f"售后单 {case_no} 已占用 1 件" in reason
    async with transaction() as connection:
        held = (await connection.execute(text("select case_no, first_unit, end_unit, state from units"))).all()
        opened = (await connection.execute(text("select case_no from cases"))).scalars().all()
    assert [tuple(row) for row in held] == [(case_no, 0, 1, "held")]
    assert opened == [case_no]


# --- one gate ---------------------------------------------------------------------------------------------------------


async def test_two_who_decide_in_two_processes_at_the_same_instant_leave_one_decision(shop, rivals):
    """One has decided, the other is told who; the journal has one row."""
    await shop.order()
    telling = await shop.tell(shop.application())
    at_review = {"case_no": telling.case_no, "gate": "review"}

    told = await rivals.at_once(
        "decide",
        {**at_review, "operator": "C02", "answer": {"decision": "approve"}},
        {**at_review, "operator": "C08", "answer": {"decision": "reject", "reason": "重复"}},
    )

    assert [each["done"] for each in told if "done" in each] == ["review-0"]
    winner = (await decided(telling))["review-0"]
    (late,) = [each["refused"] for each in told if "refused" in each]
    assert f"的审核已由 {winner} " in late


@BOTH_ORDERS
async def test_rfd02_of_two_second_persons_at_once_one_has_agreed_or_refused(shop, is_swapped):
    """A01 agrees while A04 refuses: the story goes the way of whoever was first, and pays or asks the manager once."""
    telling = await at_payment(shop, "600.00")
    agrees = decision(telling, "countersign", "A01", decision="approve")
    refuses = decision(telling, "countersign", "A04", decision="reject", reason="车架有碰撞")

    _, second = await race(telling.case_no, *((refuses, agrees) if is_swapped else (agrees, refuses)))
    await telling.again()

    assert isinstance(second, gates.AlreadyDecided)
    assert (await decided(telling))["countersign-0"] == ("A04" if is_swapped else "A01")
    assert telling.at == ("resolution-0" if is_swapped else "refund-0")
    assert len(await telling.rows("work", "*", "and kind = 'refund'")) == (0 if is_swapped else 1)


# --- deciding while cancelling ----------------------------------------------------------------------------------------


@BOTH_ORDERS
async def test_ret17_an_approval_and_a_cancellation_at_once_end_in_a_cancelled_case(shop, is_swapped):
    """Whoever comes first, the case is cancelled, nobody is asked to pick anything up, and the unit is free."""
    await shop.order()
    telling = await shop.tell(shop.application())
    await ask_to_cancel(telling)
    approves = decision(telling, "review", "C08", decision="approve")

    acts = (telling.again, approves) if is_swapped else (approves, telling.again)
    outcomes = await race(telling.case_no, *acts)
    await telling.again()

    entries = list(await telling.journal())
    if is_swapped:
        assert isinstance(outcomes[1], gates.Refused), "told that it is too late"
        assert "review-0" not in entries
    else:
        assert entries.index("review-0") < entries.index("cancelled-0")
    assert (await telling.case()).stage is Stage.CANCELLED
    assert [row.state for row in await telling.rows("units")] == ["released"]
    assert not await telling.rows("promises", "*", "and ended_at is null")
    assert not await telling.rows("work", "*", "and state = 'open'")
    assert len(await telling.rows("outbox", "*", "and notice = 'NTC-09'")) == 1
    assert (await shop.tell(shop.application())).at == "review-0", "it may be asked for again"


@BOTH_ORDERS
async def test_ret17_a_refund_confirmed_while_cancelling_is_a_refund(shop, is_swapped):
    """The goods are here: the cancellation is refused whoever comes first, the refund counts once, the unit is settled."""
    telling = await at_payment(shop)
    await ask_to_cancel(telling)
    pays = decision(telling, "refund", "A03", amount="188.00", reference="ALI-0001")

    outcomes = await race(telling.case_no, *((telling.again, pays) if is_swapped else (pays, telling.again)))
    await telling.again()

    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    entries = await telling.journal()
    assert "cancelled-0" not in entries
    assert (await telling.case()).stage is Stage.CLOSED
    assert [row.state for row in await telling.rows("units")] == ["settled"]
    paid = await telling.rows("work", "state, amount", "and kind = 'refund'")
    assert [(row.state, f"{row.amount:.2f}") for row in paid] == [("done", "188.00")]


@BOTH_ORDERS
async def test_ret17_a_loss_that_is_allowed_while_the_customer_cancels_is_paid(shop, is_swapped):
    """The loss is confirmed: a cancellation that waited for the story changes nothing, whoever comes first."""
    await shop.order()
    telling = await approved(shop)
    await telling.signal(Event.PARCEL_PICKED_UP, tracking_no="SF100200300")
    await telling.signal(Event.PARCEL_LOST)
    await telling.decide("tracing", "L02", result="lost", note="承运商确认丢件")
    await ask_to_cancel(telling)
    allows = decision(telling, "exception", "A01", decision="approve", reason="承运商丢件")

    outcomes = await race(telling.case_no, *((telling.again, allows) if is_swapped else (allows, telling.again)))
    await telling.again()

    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert telling.at == "refund-0"
    assert "cancelled-0" not in await telling.journal()
    assert [row.state for row in await telling.rows("units")] == ["settled"]


# --- a loss that is confirmed while the parcel arrives --------------------------------------------------------------------


@BOTH_ORDERS
@pytest.mark.parametrize("is_known", [True, False], ids=["scanned for its case", "on the list of those without a case"])
async def test_ret06_of_a_confirmed_loss_and_an_arrival_at_once_the_second_hears_of_the_first(
    shop, is_known, is_swapped
):
    """Logistics confirms the loss while the warehouse books the parcel in: found, or whoever pays is told to wait."""
    await shop.order()
    telling = await approved(shop)
    await telling.signal(Event.PARCEL_PICKED_UP, tracking_no="SF100200300")
    await telling.signal(Event.PARCEL_LOST)
    number = "SF100200300" if is_known else "SF100200301"
    if not is_known:
        await outside.parcel_without_case(staff="W02", data={"tracking_no": number}, key="run/1")
    confirms = decision(telling, "tracing", "L02", result="lost", note="承运商确认丢件")

    async def arrives() -> str:
        return await outside.signal(
            telling.case_no, Event.PARCEL_RECEIVED, actor="", staff="W02", data={"tracking_no": number}
        )

    _, second = await race(telling.case_no, *((arrives, confirms) if is_swapped else (confirms, arrives)))
    await telling.again()

    told = await telling.rows("outbox", "recipient, body", "and notice = 'DESK'")
    if is_swapped:
        assert isinstance(second, gates.Refused) and "包裹已到仓库，不能确认丢失" in str(second)
        assert (telling.at, told) == ("inspection-0", [])
    else:
        assert "已提醒售后服务部" in second
        assert [row.recipient for row in told] == ["department:aftersales"] and number in told[0].body
        assert telling.at == "exception-0"


# --- moving a due time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        pytest.param(20, 30, 2, id="the later day comes second: both count"),
        pytest.param(30, 20, 1, id="the later day comes first: the other would shorten it"),
        pytest.param(20, 20, 1, id="the same day: it is there already"),
    ],
)
async def test_amb51_of_two_extensions_at_once_none_takes_back_what_the_customer_was_told(shop, first, second, counts):
    """The due time is the latest that was told; each extension that counts has its row and its notice, no other has."""
    await shop.order()
    telling = await approved(shop)
    today = builders.today()

    def extends(operator: str, days: int, key: str) -> Act:
        until = (today + timedelta(days=days)).isoformat()
        return lambda: extensions.extend(telling.case_no, operator=operator, until=until, reason="暴雨", key=key)

    outcomes = await race(telling.case_no, extends("C02", first, "run/1"), extends("A04", second, "run/2"))

    assert [isinstance(outcome, Unable) for outcome in outcomes] == [False, counts == 1]
    ((moved),) = await telling.rows("promises", "due_at", "and entry = 'pickup-0'")
    last = today + timedelta(days=max(first, second))
    assert (moved.due_at - timedelta(microseconds=1)).astimezone(HOUSE).date() == last
    rows = [entry for entry in (await telling.journal()).values() if entry.kind == "extension"]
    assert len(rows) == len(await telling.rows("outbox", "*", "and notice = 'NTC-11'")) == counts
