"""What comes before its time, or after it: orphans, losses told twice, journals written by an older story."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.store import cases, journal
from aftersales.store.engine import transaction
from aftersales.words import Event, Unable
from tasks import outside
from tests.stories.conftest import Shop, Telling
from tests.stories.on_the_way import inspected, picked_up, promise, put_forward, self_shipping

WHOLE = {"tracking_no": "SF1001", "items": [{"sku": "SKU-1", "quantity": 1}], "rest": "complete"}
TWO = [{"sku": "SKU-1", "quantity": 2}]


async def test_ret06_a_parcel_without_a_case_was_received_when_it_came(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    telling = await self_shipping(shop)
    came_at = clock.now()
    await outside.parcel_without_case(staff="W02", data=WHOLE, key="o1")
    put_forward(monkeypatch, days=3)

    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")

    received = (await telling.journal())["receipt-0"]
    assert telling.at == "inspection-0"
    assert abs(received.at - came_at) < timedelta(minutes=1)
    assert (await promise(telling, "inspection")).started_at == received.at


async def test_ret06_a_pickup_decided_while_its_parcel_is_taken_in_finds_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    """Between the look for the case and the parcel's row the pick-up is decided, and its leg looks for the parcel."""
    telling = await self_shipping(shop)
    deciding: list[asyncio.Task[Telling]] = []
    real = cases.sent_as

    async def slow(connection: AsyncConnection, tracking_no: str) -> str | None:
        case_no = await real(connection, tracking_no)
        deciding.append(asyncio.create_task(telling.decide("pickup", "L02", carrier="顺丰", tracking_no=tracking_no)))
        # it ends if nothing holds it
        await asyncio.wait(deciding, timeout=1)
        return case_no

    monkeypatch.setattr(cases, "sent_as", slow)
    await outside.parcel_without_case(staff="W02", data=WHOLE, key="o1")
    await deciding[0]

    assert telling.at == "inspection-0"
    async with transaction() as connection:
        assert await cases.orphans(connection) == []


WRITTEN = pytest.mark.parametrize(("typed", "scanned"), [("sf1001", "SF1001"), ("SF1001", "sf1001")])


@WRITTEN
async def test_ret06_a_number_is_the_same_however_its_letters_are_written(shop: Shop, typed: str, scanned: str):
    telling = await self_shipping(shop)
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no=typed)

    case_no, _ = await outside.parcel_without_case(staff="W02", data={**WHOLE, "tracking_no": scanned}, key="o1")

    assert case_no == telling.case_no
    assert (await telling.again()).at == "inspection-0"


@WRITTEN
async def test_ret06_a_parcel_that_came_first_is_found_however_its_number_is_written(
    shop: Shop, typed: str, scanned: str
):
    telling = await self_shipping(shop)
    await outside.parcel_without_case(staff="W02", data={**WHOLE, "tracking_no": scanned}, key="o1")

    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no=typed)

    assert telling.at == "inspection-0"


@WRITTEN
async def test_ret06_a_parcel_counts_once_however_its_number_is_written(shop: Shop, typed: str, scanned: str):
    telling = await picked_up(shop, order={"lines": [("SKU-1", "台灯", 2, "400.00")]}, items=TWO)
    one = {"items": [{"sku": "SKU-1", "quantity": 1}], "rest": "coming"}

    told = [
        await outside.signal(
            telling.case_no, Event.PARCEL_RECEIVED, actor="", data={**one, "tracking_no": number}, staff="W02"
        )
        for number in (typed, scanned)
    ]
    assert "未重复登记" in told[1]
    await telling.again()
    await inspected(telling)
    await telling.decide("refund", "A03", amount="188.00", reference="ALI-2026-0001")
    assert telling.at == "receipt-1"
    with pytest.raises(Unable, match="同一包裹不能登记两次"):
        await outside.signal(
            telling.case_no,
            Event.PARCEL_RECEIVED,
            actor="",
            data={**one, "tracking_no": scanned},
            staff="W02",
            key="again",
        )


async def test_ret06_what_came_before_the_application_was_approved_counts_from_the_approval(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    await shop.order()
    await outside.parcel_without_case(staff="W02", data=WHOLE, key="o1")
    put_forward(monkeypatch, days=3)
    telling = await shop.tell(shop.application(shipping="self"))
    await telling.decide("review", "C08", decision="approve")
    put_forward(monkeypatch, days=1)

    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")

    entries = await telling.journal()
    assert entries["receipt-0"].at == entries["review-0"].at


async def test_ret06_a_loss_told_twice_is_looked_for_once(shop: Shop):
    telling = await picked_up(shop)
    for key in ("c1", "c2"):
        data = {"carrier": "顺丰"}
        await outside.signal(telling.case_no, Event.PARCEL_LOST, actor="carrier", data=data, key=key)
    await telling.again()
    assert telling.at == "tracing-0"

    await telling.decide("tracing", "L02", result="found", note="在站点找到")

    assert telling.at == "receipt-1"
    late = [entry for entry in (await telling.journal()).values() if entry.kind == "late"]
    assert [entry.actor for entry in late] == ["carrier"]
    assert all(row.taken_at for row in await telling.rows("inbox"))


async def test_ret06_a_parcel_lost_again_after_it_was_found_is_looked_for_again(shop: Shop):
    telling = await picked_up(shop)
    await telling.signal(Event.PARCEL_LOST, key="c1", carrier="顺丰")
    await telling.decide("tracing", "L02", result="found", note="在站点找到")

    await telling.signal(Event.PARCEL_LOST, key="c2", carrier="顺丰")

    assert telling.at == "tracing-1"


async def write(telling: Telling, entry: str, kind: str, actor: str, **data: object) -> None:
    async with transaction() as connection:
        await journal.add(connection, telling.case_no, entry, kind=kind, at=clock.now(), actor=actor, data=data)


async def test_ret08_goods_paid_for_before_there_were_resolutions_are_not_asked_about_again(shop: Shop):
    """The older story let the manager decide by an exception, and knew no resolution."""
    telling = await picked_up(shop, order={"lines": [("SKU-1", "台灯", 2, "200.00")]}, items=TWO)
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="coming")
    row = {"line_no": 1, "quantity": 1, "grade": "unsellable", "cause": "no_reason"}
    await write(telling, "inspection-0", "decision", "W03", items=[row], result="fail", reason="有划痕")
    await write(telling, "exception-0", "decision", "A01", decision="approve", reason="可退")
    line = {"rule": "MON-14", "label": "商品款", "amount": "100.00", "note": ""}
    await write(telling, "bill-0", "bill", "system", age_band="A", lines=[line], total="100.00", needs_person=[])
    await write(telling, "refund-0", "decision", "A03", amount="100.00", reference="ALI-0001")

    await telling.again()

    assert telling.at == "receipt-1"
    assert not [row for row in await telling.rows("outbox") if row.notice == "NTC-06"]
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="complete")
    await inspected(telling, result="fail", grade="unsellable")
    assert telling.at == "resolution-0"
