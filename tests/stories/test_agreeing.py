"""Who agrees to what is paid, and from when their windows run (RET-05, RET-08, RET-09, RFD-02)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aftersales import clock
from aftersales.words import Event, Unable
from tasks import gates, lapses
from tests.stories.conftest import Shop
from tests.stories.on_the_way import DEAR, TWO_DEAR, inspected, lost, one_more, picked_up, promise, put_forward

TWO = [{"sku": "SKU-1", "quantity": 2}]


async def test_rfd02_who_countersigned_the_first_parcel_may_countersign_the_second(shop: Shop):
    """The manager approved the application, so there is nobody else: a parcel is agreed to on its own."""
    telling = await picked_up(shop, order={"age": 40, "lines": TWO_DEAR}, items=TWO)
    await one_more(telling, "coming")
    await telling.decide("countersign", "A04", decision="approve")
    total = (await telling.journal())["bill-0"].data["total"]
    await telling.decide("refund", "A03", amount=total, reference="ALI-0001")

    await one_more(telling, "complete")
    with pytest.raises(gates.Refused, match="已审批过本单"):
        await telling.decide("countersign", "A01", decision="approve")
    await telling.decide("countersign", "A04", decision="approve")

    assert telling.at == "refund-1"


async def test_rfd02_who_decided_about_the_first_parcel_may_countersign_the_second(shop: Shop):
    telling = await picked_up(shop, order={"lines": TWO_DEAR}, items=TWO)
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="coming")
    await inspected(telling, result="fail", grade="unsellable")
    await telling.decide("resolution", "A01", decision="refund", reason="包装问题")
    with pytest.raises(gates.Refused, match="已审批过本单"):
        await telling.decide("countersign", "A01", decision="approve")
    await telling.decide("countersign", "A04", decision="approve")
    total = (await telling.journal())["bill-0"].data["total"]
    await telling.decide("refund", "A03", amount=total, reference="ALI-0001")

    await one_more(telling, "complete")
    await telling.decide("countersign", "A01", decision="approve")

    assert telling.at == "refund-1"


async def test_rfd02_who_decides_anew_after_a_refusal_does_not_countersign_it(shop: Shop):
    telling = await picked_up(shop, order={"lines": DEAR})
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")
    await inspected(telling)
    await telling.decide("countersign", "A04", decision="reject", reason="金额不对")
    await telling.decide("resolution", "A01", decision="refund", reason="金额已核对")

    with pytest.raises(gates.Refused, match="已审批过本单"):
        await telling.decide("countersign", "A01", decision="approve")
    await telling.decide("countersign", "A04", decision="approve")

    assert telling.at == "refund-0"


async def test_who_agreed_to_any_parcel_pays_none(shop: Shop):
    telling = await picked_up(shop, order={"lines": TWO_DEAR}, items=TWO)
    await one_more(telling, "coming")
    await telling.decide("countersign", "A01", decision="approve")
    total = (await telling.journal())["bill-0"].data["total"]
    await telling.decide("refund", "A03", amount=total, reference="ALI-0001")
    await one_more(telling, "complete")
    await telling.decide("countersign", "A04", decision="approve")

    with pytest.raises(gates.Refused, match="审批与付款须由不同的人办理"):
        await telling.decide("refund", "A01", amount="900.00", reference="ALI-0002")


async def test_ret05_the_goods_have_their_whole_time_after_a_late_exception(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    """The manager answers 25 days after the review: the customer's days run from the answer, and nothing lapses."""
    await shop.order(age=40)
    telling = await shop.tell(shop.application(shipping="self"))
    await telling.decide("review", "C08", decision="approve")
    put_forward(monkeypatch, days=25)

    await telling.decide("exception", "A01", decision="approve", reason="老客户")

    given = await promise(telling, "pickup")
    assert given.started_at == (await telling.journal())["exception-0"].at
    told = next(row.body for row in await telling.rows("outbox") if row.notice == "NTC-04")
    last = (given.due_at - timedelta(seconds=1)).astimezone(clock.now().tzinfo)
    assert f"{last:%-m}月" in told
    assert (await lapses.look()).is_empty


async def test_ret08_the_manager_has_the_whole_time_after_a_late_refusal(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    telling = await picked_up(shop, order={"lines": DEAR})
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")
    await inspected(telling)
    put_forward(monkeypatch, days=6)

    await telling.decide("countersign", "A04", decision="reject", reason="金额不对")

    assert (await promise(telling, "resolution")).started_at == (await telling.journal())["countersign-0"].at


async def test_rfd02_the_countersigner_has_the_whole_time_after_a_late_exception(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    telling = await lost(await picked_up(shop, order={"lines": DEAR}))
    put_forward(monkeypatch, days=6)

    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")

    assert (await promise(telling, "countersign")).started_at == (await telling.journal())["exception-0"].at


async def test_ret09_the_customer_waits_no_longer_because_many_must_agree(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    telling = await picked_up(shop, order={"lines": DEAR})
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")
    await inspected(telling)
    put_forward(monkeypatch, days=1)

    await telling.decide("countersign", "A04", decision="approve")

    assert (await promise(telling, "refund")).started_at == (await telling.journal())["inspection-0"].at


async def test_ret08_goods_that_nobody_has_are_not_sent_back(shop: Shop):
    telling = await lost(await picked_up(shop, order={"lines": DEAR}))
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")
    await telling.decide("countersign", "A04", decision="reject", reason="金额不对")
    assert telling.at == "resolution-0"

    with pytest.raises(Unable, match="包裹已确认丢失，没有商品可以寄回"):
        await telling.decide("resolution", "A01", decision="send_back", payer="seller", reason="寄回客户")
    await telling.decide("resolution", "A01", decision="partial", amount="500.00", reason="商定的金额")

    assert telling.at == "refund-0"
