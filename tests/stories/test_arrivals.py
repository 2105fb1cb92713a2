"""What the warehouse declares of a parcel: the small form, a command and the receipt's own form are held to the same (RET-06, P-14)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aftersales.store import cases
from aftersales.store.engine import transaction
from aftersales.words import Event
from tasks import entries, gates, outside
from tests.stories.conftest import Shop, Telling
from tests.stories.ways import inspect, on_the_way

THREE = {"lines": [("SKU-1", "台灯", 3, "300.00")], "items": [{"sku": "SKU-1", "quantity": 3}]}
Declare = Callable[..., Awaitable[Any]]


def lamps(count: int) -> list[dict[str, Any]]:
    return [{"sku": "SKU-1", "quantity": count}]


async def by_receipt(telling: Telling, count: int, rest: str) -> None:
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": str(count)}], rest=rest)


async def by_arrival(telling: Telling, count: int, rest: str, number: str = "SF1001") -> None:
    form = {"operator": "W02", "case_no": telling.case_no, "tracking_no": number, "items": lamps(count), "rest": rest}
    await entries.arrived(form, f"run/{number}")


async def by_command(telling: Telling, count: int, rest: str, number: str = "SF1001") -> None:
    data = {"items": lamps(count), "rest": rest, "tracking_no": number}
    await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="", staff="W02", data=data)


@pytest.mark.parametrize("declare", [by_receipt, by_arrival, by_command])
@pytest.mark.parametrize(
    ("count", "rest", "sentence"),
    [
        pytest.param(2, "complete", "还缺第 1 行 1 件，“是否到齐”请选“其余还会寄来”", id="one is missing"),
        pytest.param(3, "coming", "商品已全部到齐，“是否到齐”请选“全部到齐”", id="nothing is left to come"),
    ],
)
async def test_ret06_what_the_warehouse_declares_must_agree_with_what_came(
    shop: Shop, declare: Declare, count: int, rest: str, sentence: str
):
    telling = await on_the_way(shop, **THREE)

    with pytest.raises(gates.Refused, match=sentence):
        await declare(telling, count, rest)

    assert (await telling.again()).at == "receipt-0"
    (refused,) = [entry for entry in (await telling.journal()).values() if entry.kind == "refused"]
    assert sentence in refused.data["reason"]


async def test_ret06_a_scan_that_declares_nothing_is_completed_by_the_rule(shop: Shop):
    telling = await on_the_way(shop, **THREE)

    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001", items=lamps(2))

    assert (await telling.journal())["receipt-0"].data["rest"] == "coming"


async def test_ret06_what_was_declared_too_early_to_be_checked_is_told_to_whoever_declared_it(shop: Shop):
    await shop.order(lines=THREE["lines"])
    telling = await shop.tell(shop.application(items=THREE["items"]))
    await telling.decide("review", "C08", decision="approve")
    await by_arrival(telling, 2, "complete")

    await telling.again()

    assert telling.at == "receipt-0"
    notes = await telling.rows("outbox", "recipient, body", "and recipient = 'staff:W02'")
    assert ["还缺第 1 行 1 件" in note.body for note in notes] == [True]


async def test_p14_the_last_of_two_parcels_is_checked_against_what_the_first_has_left(shop: Shop):
    """Both are scanned before the case has read the first: the second is not held to what was there before it."""
    telling = await on_the_way(shop, **THREE)
    await by_arrival(telling, 2, "coming", "SF1001")
    await by_arrival(telling, 1, "complete", "SF1002")

    await telling.again()
    await inspect(telling, 2)
    await telling.decide("refund", "A03", amount="188.00", reference="ALI-0001")

    assert telling.at == "inspection-1"
    assert (await telling.journal())["receipt-1"].data["rest"] == "complete"


async def test_ret06_of_a_parcel_without_a_case_nobody_can_declare_that_everything_is_there(shop: Shop):
    await shop.order(lines=THREE["lines"])
    telling = await shop.tell(shop.application(items=THREE["items"], shipping="self"))
    await telling.decide("review", "C08", decision="approve")
    form = {"operator": "W02", "tracking_no": "SF1001", "items": lamps(2), "rest": "complete"}
    await entries.arrived(form, "run/1")

    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")

    assert telling.at == "inspection-0"
    assert (await telling.journal())["receipt-0"].data["rest"] == "coming"


async def test_ret06_what_is_declared_of_a_parcel_that_is_matched_must_agree_with_what_came(shop: Shop):
    telling = await on_the_way(shop, **THREE)
    await outside.parcel_without_case(staff="W02", data={"tracking_no": "SF7007", "items": lamps(2)}, key="o1")

    with pytest.raises(gates.Refused, match="还缺第 1 行 1 件"):
        data = {"tracking_no": "SF7007", "rest": "complete"}
        await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="", staff="W02", data=data)

    async with transaction() as connection:
        assert await cases.orphan(connection, "SF7007") is not None
