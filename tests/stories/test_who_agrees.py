"""What a person must agree with, and to what (MON-14, RFD-02, RET-08, MON-20, POL-02)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from aftersales.store import records as lists
from aftersales.store.engine import transaction
from aftersales.words import Event, Stage
from tasks import gates
from tasks import records as recording
from tests.stories.ways import bill, inspect, lose, on_the_way, receive

FAULTY = {"reason": "quality", "evidence": ["照片"]}
TWO = {"items": [{"sku": "SKU-1", "quantity": 2}]}


async def paid_less(paid: str) -> None:
    """The order turns out to have been paid less than its lines say."""
    async with transaction() as connection:
        await connection.execute(text("update orders set paid = :p"), {"p": paid})


async def allowed(shop: Any) -> Any:
    """An old purchase (band C) whose return the manager has allowed, on its way."""
    await shop.order(age=40)
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("exception", "A01", decision="approve", reason="老客户")
    return await telling.signal(Event.PARCEL_PICKED_UP)


# --- the manager ----------------------------------------------------------------------------------------------------


async def test_mon14_an_application_that_was_allowed_says_nothing_about_money_that_cannot_go_back(shop):
    """Band C was allowed at 200.00; then only 150.00 can go back: the manager is asked about the difference."""
    telling = await allowed(shop)
    await paid_less("150.00")
    await receive(telling)

    await inspect(telling)

    assert telling.at == "exception-1"
    assert "150.00" in (await telling.journal())["bill-0"].data["needs_person"][0]


async def test_mon14_what_was_allowed_is_not_asked_about_twice(shop):
    telling = await allowed(shop)
    await receive(telling)

    await inspect(telling)

    assert telling.at == "refund-0"


async def test_mon14_a_difference_that_the_manager_gave_up_beforehand_is_not_asked_about_twice(shop):
    await shop.order()
    await paid_less("150.00")
    telling = await shop.tell(shop.application(**FAULTY))
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("exception", "A01", decision="approve", reason="差额不另付")
    await telling.signal(Event.PARCEL_RECEIVED)

    await inspect(telling, cause="quality")

    assert (telling.at, await bill(telling)) == ("refund-0", "150.00")


async def test_mon14_a_loss_that_was_allowed_says_nothing_about_money_that_cannot_go_back(shop):
    telling = await on_the_way(shop)
    await paid_less("150.00")
    await lose(telling)

    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")

    assert telling.at == "exception-1"
    assert await bill(telling) == "150.00"


async def test_mon20_the_seller_pays_for_sending_its_own_fault_back(shop):
    telling = await on_the_way(shop, **FAULTY)
    await receive(telling)
    await inspect(telling, result="fail", grade="unsellable", cause="quality")

    with pytest.raises(gates.Refused, match="寄回运费由店铺承担"):
        await telling.decide("resolution", "A01", decision="send_back", payer="customer", reason="寄回维修")
    await telling.decide("resolution", "A01", decision="send_back", payer="seller", reason="寄回维修")

    assert telling.at == "sendback-0"


async def test_mon20_the_customer_pays_for_what_was_never_ours(shop):
    telling = await on_the_way(shop, **FAULTY)
    await receive(telling)
    await inspect(telling, result="fail", grade="wrong", cause="quality")

    await telling.decide("resolution", "A01", decision="send_back", payer="customer", reason="不是本店商品")

    assert telling.at == "sendback-0"


# --- goods that are not ours ----------------------------------------------------------------------------------------


async def half_wrong(shop: Any) -> Any:
    telling = await on_the_way(shop, lines=[("SKU-1", "台灯", 2, "200.00")], **TWO)
    await receive(telling, 2)
    rows = [
        {"line": "第1行", "quantity": "1", "grade": "sellable", "cause": "no_reason"},
        {"line": "第1行", "quantity": "1", "grade": "wrong", "cause": "no_reason"},
    ]
    return await telling.decide("inspection", "W03", items=rows, result="fail", reason="一件不是本单商品")


async def test_ret08_goods_that_are_not_ours_pay_nothing(shop):
    """Two at 100.00, one of them somebody else's: 100.00 less the freight of 12.00."""
    telling = await half_wrong(shop)

    await telling.decide("resolution", "A01", decision="refund", reason="按规则")
    assert await bill(telling) == "88.00"
    await telling.decide("refund", "A03", amount="88.00", reference="ALI-0001")

    assert (await telling.case()).stage is Stage.CLOSED
    assert sorted(row.state for row in await telling.rows("units")) == ["released", "settled"]


async def test_ret08_a_parcel_of_nothing_but_wrong_goods_cannot_be_refunded(shop):
    telling = await on_the_way(shop)
    await receive(telling)
    await inspect(telling, result="fail", grade="wrong")

    with pytest.raises(gates.Refused, match="没有可以退款的"):
        await telling.decide("resolution", "A01", decision="refund", reason="按规则")

    assert telling.at == "resolution-0"


# --- a second person ------------------------------------------------------------------------------------------------


async def test_rfd02_the_limit_is_of_the_case_and_cannot_be_walked_under_by_parcels(shop):
    """Two parcels at 450.00 each: with the second the case pays 900.00, above 500.00."""
    telling = await on_the_way(shop, lines=[("SKU-1", "电脑", 2, "900.00")], **TWO, **FAULTY)
    await receive(telling, 1, "coming")
    await inspect(telling, cause="quality")
    assert telling.at == "refund-0"
    await telling.decide("refund", "A03", amount="450.00", reference="ALI-0001")
    await receive(telling)

    await inspect(telling, cause="quality")

    assert telling.at == "countersign-0"


async def test_rfd02_a_bill_that_was_taken_back_counts_for_nothing(shop):
    telling = await on_the_way(shop, lines=[("SKU-1", "电脑", 1, "900.00")])
    await receive(telling)
    await inspect(telling)
    await telling.decide("countersign", "A04", decision="reject", reason="金额不对")

    await telling.decide("resolution", "A01", decision="partial", amount="400.00", reason="部分")

    assert telling.at == "refund-0"


async def test_a_list_of_cases_shows_what_is_due_not_what_was_taken_back(shop):
    telling = await on_the_way(shop, lines=[("SKU-1", "电脑", 1, "900.00")])
    await receive(telling)
    await inspect(telling)

    await telling.decide("countersign", "A04", decision="reject", reason="金额不对")

    async with transaction() as connection:
        (listed,) = await lists.listed(connection, stage=None, owner=None, everything=False, limit=10)
    assert f"{listed.amount:.2f}" == "888.00"


# --- evidence -------------------------------------------------------------------------------------------------------


async def claimed(shop: Any, **changes: Any) -> Any:
    await shop.order(age=15)
    return await shop.tell(shop.application(reason="quality", **changes))


async def test_pol02_a_claimed_fault_without_evidence_is_not_simply_approved(shop):
    telling = await claimed(shop)

    with pytest.raises(gates.Refused, match="需要凭证，请补充照片链接或说明（POL-08）；请驳回并列出要补的凭证"):
        await telling.decide("review", "C08", decision="approve")

    assert telling.at == "review-0"


async def test_pol02_the_reviewer_may_approve_it_for_a_reason_that_is_written_down(shop):
    telling = await claimed(shop)

    await telling.decide("review", "C08", decision="approve", remark="客服通话中看过视频")

    assert telling.at == "pickup-0"
    assert (await telling.journal())["review-0"].data["remark"] == "客服通话中看过视频"


async def test_pol08_evidence_that_came_beside_the_form_counts(shop):
    telling = await claimed(shop)
    await recording.add_text(telling.case_no, "https://p.example/1.jpg", operator="C07")

    await telling.decide("review", "C08", decision="approve")

    assert telling.at == "pickup-0"


async def test_pol02_a_customers_own_reason_needs_no_evidence(shop):
    await shop.order()
    telling = await shop.tell(shop.application())

    await telling.decide("review", "C08", decision="approve")

    assert telling.at == "pickup-0"
