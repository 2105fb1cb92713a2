"""A return, from application to refund, as the handbook's page tells it (RET-01 to RET-13)."""

from __future__ import annotations

from typing import Any

from aftersales.words import Event, Stage


async def inspected(telling: Any, quantity: int = 1, **changes: Any) -> Any:
    row = {"line": "第1行", "quantity": str(quantity), "grade": "sellable", "cause": "no_reason", **changes}
    return await telling.decide("inspection", "W03", items=[row], result="pass")


async def to_refund(telling: Any) -> Any:
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF100200300")
    return await inspected(telling)


async def test_the_main_way_ends_with_one_refund(shop):
    await shop.order()

    telling = await shop.tell(shop.application())
    assert telling.at == "review-0"
    await telling.decide("review", "C08", decision="approve")
    assert telling.at == "pickup-0"
    await telling.signal(Event.PARCEL_PICKED_UP, carrier="顺丰", tracking_no="SF100200300")
    assert telling.at == "receipt-0"
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF100200300")
    assert telling.at == "inspection-0"
    await inspected(telling)
    assert telling.at == "refund-0"
    await telling.decide("refund", "A02", amount="188.00", reference="ALI-2026-0001")

    assert telling.result == telling.case_no
    assert (await telling.case()).stage is Stage.CLOSED
    refunds = await telling.rows("work", "key, amount, state, reference", "and kind = 'refund'")
    assert [tuple(map(str, row)) for row in refunds] == [
        (f"{telling.case_no}/refund-0", "188.00", "done", "ALI-2026-0001")
    ]
    notices = {row.notice for row in await telling.rows("outbox")}
    assert notices == {"NTC-01", "NTC-02", "NTC-04", "NTC-05", "NTC-07", "NTC-08"}
    assert [row.kind for row in await telling.rows("visits")] == ["return"]
    assert [row.state for row in await telling.rows("units")] == ["settled"]
    assert not await telling.rows("promises", "*", "and ended_at is null")
