"""The freight that a self-shipper gets back for a faulty product, by a payment of its own (MON-18, MON-08)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.words import Event, Stage
from tasks import gates, records
from tests.stories.ways import bill, inspect, lose, receive, told

ACCOUNT = {"holder": "李小红", "bank": "招商银行", "number": "6225000000000000"}


async def self_shipped(shop: Any, *, quantity: int = 1, reason: str = "quality", sent: Any = None) -> Any:
    """An application to be sent by the customer, approved; `sent` is what was told when they sent it."""
    await shop.order(lines=[("SKU-1", "台灯", quantity, f"{200 * quantity}.00")])
    items = [{"sku": "SKU-1", "quantity": quantity}]
    telling = await shop.tell(shop.application(shipping="self", reason=reason, evidence=["照片"], items=items))
    await telling.decide("review", "C08", decision="approve")
    if sent is not None:
        await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001", **sent)
    return telling


async def refunded(telling: Any, number: int = 0) -> Any:
    return await telling.decide("refund", "A03", amount=await bill(telling, number), reference=f"ALI-000{number}")


async def owed(telling: Any) -> str:
    return (await telling.journal())["reimbursement-0.reckoned"].data["total"]


PAID = {"freight": "18.00", "voucher": "快递发票 1"}


async def test_mon18_the_customer_is_told_of_the_freight_that_went_back(shop):
    telling = await self_shipped(shop, sent=PAID)
    await receive(telling)
    await inspect(telling, cause="quality")
    await refunded(telling)
    await records.record(telling.case_no, records.ACCOUNT, operator="C07", answer=ACCOUNT)

    await telling.decide("reimbursement", "A03", amount="18.00", reference="ALI-0009")

    assert (await telling.case()).stage is Stage.CLOSED
    refund, freight = await told(telling, "NTC-07")
    assert "200.00" in refund
    assert "18.00" in freight and "运费" in freight


async def test_mon08_freight_goes_back_to_an_account_that_somebody_recorded(shop):
    telling = await self_shipped(shop, sent=PAID)
    await receive(telling)
    await inspect(telling, cause="quality")
    await refunded(telling)

    with pytest.raises(gates.Refused, match="请先登记收款账户"):
        await telling.decide("reimbursement", "A03", amount="18.00", reference="ALI-0009")

    assert telling.at == "reimbursement-0"


async def test_mon18_a_parcel_that_simply_came_brings_its_freight_along(shop):
    telling = await self_shipped(shop)
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001", freight="15.50", voucher="快递发票 1")
    await inspect(telling, cause="quality")

    await refunded(telling)

    assert telling.at == "reimbursement-0"
    assert await owed(telling) == "15.50"


async def test_mon18_a_parcel_that_was_booked_in_by_the_small_form_brings_its_freight_along(shop):
    from flows.arrivals import arrivals

    telling = await self_shipped(shop)
    legs.begin(Bare(uuid4()))
    items = [{"sku": "SKU-1", "quantity": 1}]
    form = {"operator": "W02", "case_no": telling.case_no, "items": items, "rest": "全部到齐"}
    await arrivals.fn({**form, "freight": "15.50", "voucher": "快递发票 1"})
    await telling.again()
    await inspect(telling, cause="quality")

    await refunded(telling)

    assert await owed(telling) == "15.50"


async def test_mon18_every_parcel_has_its_own_freight_up_to_the_limit_of_the_case(shop):
    telling = await self_shipped(shop, quantity=2, sent={"freight": "9.00", "voucher": "发票 1"})
    await receive(telling, 1, "coming")
    await inspect(telling, cause="quality")
    await refunded(telling)
    await receive(telling, 1, freight="8.00", voucher="发票 2")
    await inspect(telling, cause="quality")

    await refunded(telling, 1)

    assert await owed(telling) == "17.00"
    assert (await telling.journal())["reimbursement-0.reckoned"].data["voucher"] == "发票 1；发票 2"


async def test_mon18_a_lost_parcel_is_judged_by_what_was_claimed(shop):
    telling = await lose(await self_shipped(shop, sent=PAID))
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")

    await refunded(telling)

    assert telling.at == "reimbursement-0"
    assert await owed(telling) == "18.00"


async def test_mon18_goods_that_were_sent_back_bring_no_freight(shop):
    """The faulty parcel was sent back; the one that stayed came for the customer's own reason."""
    telling = await self_shipped(shop, quantity=2, reason="no_reason", sent=PAID)
    await receive(telling, 1, "coming")
    await inspect(telling, result="fail", grade="unsellable", cause="quality")
    await telling.decide("resolution", "A01", decision="send_back", payer="seller", reason="客户要求寄回")
    await telling.signal(Event.PARCEL_SENT_BACK, carrier="顺丰", tracking_no="SF9001")
    await receive(telling)
    await inspect(telling)

    await refunded(telling)

    assert (await telling.case()).stage is Stage.CLOSED
    assert not await telling.rows("work", "*", "and key like '%reimburse%'")


async def test_mon18_nobody_pays_freight_for_the_customers_own_reason(shop):
    telling = await self_shipped(shop, reason="no_reason", sent=PAID)
    await receive(telling)
    await inspect(telling)

    await refunded(telling)

    assert (await telling.case()).stage is Stage.CLOSED


async def test_mon18_what_our_courier_fetched_cost_the_customer_nothing(shop):
    await shop.order()
    telling = await shop.tell(shop.application(reason="quality", evidence=["照片"]))
    await telling.decide("review", "C08", decision="approve")
    await telling.signal(Event.PARCEL_PICKED_UP)

    with pytest.raises(gates.Refused, match="上门取件的运费不由客户垫付"):
        await receive(telling, freight="8.00")
