"""Until when a return can be cancelled, and who hears of it (RET-17)."""

from __future__ import annotations

import pytest

from aftersales.words import Event, Stage
from tasks import gates
from tests.stories.conftest import Shop
from tests.stories.on_the_way import DEAR, inspected, lost, picked_up


async def test_ret17_a_parcel_that_is_being_looked_for_can_still_be_cancelled(shop: Shop):
    telling = await picked_up(shop)
    await telling.signal(Event.PARCEL_LOST, tracking_no="SF1001")

    await telling.signal(Event.CASE_CANCELLED, reason="不退了")

    assert (await telling.case()).stage is Stage.CANCELLED


@pytest.mark.parametrize("gate", ["exception-0", "countersign-0", "refund-0"])
async def test_ret17_a_loss_that_is_confirmed_is_not_cancelled_any_more(shop: Shop, gate: str):
    telling = await lost(await picked_up(shop, order={"lines": DEAR}))
    if gate != "exception-0":
        await telling.decide("exception", "A01", decision="approve", reason="确认丢失")
    if gate == "refund-0":
        await telling.decide("countersign", "A04", decision="approve")
    assert telling.at == gate

    with pytest.raises(gates.Refused, match="已确认丢失，不能取消"):
        await telling.signal(Event.CASE_CANCELLED, reason="不退了")

    await telling.again()
    assert telling.at == gate


async def test_ret17_a_cancellation_that_waits_while_the_loss_is_confirmed_comes_too_late(shop: Shop):
    from tasks import outside

    telling = await picked_up(shop)
    await telling.signal(Event.PARCEL_LOST, tracking_no="SF1001")
    answer = {"result": "lost", "note": "承运商确认丢失"}
    await outside.signal(telling.case_no, Event.CASE_CANCELLED, actor="customer", data={"reason": "不退了"})
    await outside.decide(telling.case_no, "tracing", operator="L02", answer=answer)

    await telling.again()

    assert telling.at == "exception-0"
    refused = [entry for entry in (await telling.journal()).values() if entry.kind == "refused"]
    assert "已确认丢失，不能取消" in refused[0].data["reason"]


async def test_logistics_hears_that_a_pick_up_is_to_be_called_off(shop: Shop):
    """What a carrier has accepted, or somebody has arranged from the list, still comes unless it is told not to."""
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")

    await telling.signal(Event.CASE_CANCELLED, reason="不退了")
    await telling.again()

    told = await telling.rows("outbox", "body", "and recipient = 'department:logistics'")
    assert [row.body for row in told] == ["本单已取消，取件已安排过：请联系承运商取消上门取件。"]


async def test_logistics_hears_that_cancelled_goods_are_on_their_way(shop: Shop):
    telling = await picked_up(shop)

    await telling.signal(Event.CASE_CANCELLED, reason="不退了")

    told = await telling.rows("outbox", "body", "and recipient = 'department:logistics'")
    assert [row.body for row in told] == [
        "本单已取消，商品已在途（运单 SF1001）：能截回的请联系承运商截回；到仓的按无主包裹登记，由物流与客户商定寄回。"
    ]


@pytest.mark.parametrize("shipping", ["self", "pickup"])
async def test_logistics_hears_nothing_where_nothing_was_arranged(shop: Shop, shipping: str):
    await shop.order()
    telling = await shop.tell(shop.application(shipping=shipping))
    if shipping == "self":
        await telling.decide("review", "C08", decision="approve")

    await telling.signal(Event.CASE_CANCELLED, reason="不退了")

    assert (await telling.case()).stage is Stage.CANCELLED
    assert not await telling.rows("outbox", "body", "and recipient like 'department:%'")


@pytest.mark.parametrize(
    ("actor", "cause"),
    [
        pytest.param("customer", "按您的要求取消", id="the customer"),
        pytest.param("C07", "按您的要求取消", id="an agent for the customer"),
        pytest.param("desk", "由店铺取消，如非您的要求请联系客服", id="somebody who clicked Cancel in Prefect"),
    ],
)
async def test_ntc09_only_who_asked_is_told_that_they_did(shop: Shop, actor: str, cause: str):
    from tasks import outside

    telling = await picked_up(shop)

    await outside.signal(telling.case_no, Event.CASE_CANCELLED, actor=actor, data={"reason": "取消"})
    await telling.again()

    ((body,),) = await telling.rows("outbox", "body", "and notice = 'NTC-09'")
    assert f"（{cause}）" in body


async def test_ret17_goods_that_are_here_are_not_cancelled(shop: Shop):
    telling = await picked_up(shop)
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")
    await inspected(telling)

    with pytest.raises(gates.Refused, match="商品已收货，不能取消"):
        await telling.signal(Event.CASE_CANCELLED, reason="不退了")
