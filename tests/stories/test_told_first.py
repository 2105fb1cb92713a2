"""What the customer is told, and before what (MON-17, RET-08, NTC-03, NTC-06)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales.store.engine import transaction
from aftersales.words import Stage, Unable
from tests.stories.ways import bill, house_minute, inspect, on_the_way, receive, told, told_now

FAULTY = {"reason": "quality", "evidence": ["照片"]}


async def resolve(telling: Any, decision: str, **more: Any) -> Any:
    return await telling.decide("resolution", "A01", decision=decision, reason="屏幕划痕影响再销售", **more)


async def paid_less(telling: Any, paid: str) -> None:
    """The order turns out to have been paid less than its lines say."""
    async with transaction() as connection:
        await connection.execute(text("update orders set paid = :p"), {"p": paid})


# --- why ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        pytest.param({"decision": "partial", "amount": "100.00"}, "部分退款 100.00 元", id="a part"),
        pytest.param({"decision": "refund"}, "按规则退款", id="all of it"),
    ],
)
async def test_ret08_the_reason_of_a_refund_for_goods_that_did_not_pass_is_told(shop, decision, sentence):
    telling = await on_the_way(shop)
    await receive(telling)
    await inspect(telling, result="fail", grade="unsellable")

    await resolve(telling, **decision)
    await telling.again()

    failed, granted = await told(telling, "NTC-06")
    assert "验收未通过" in failed
    assert sentence in granted and "屏幕划痕影响再销售" in granted


async def test_ret08_a_story_told_before_the_reason_was_told_does_not_tell_it_out_of_time(shop):
    """A journal that went from the decision to its bill without the notice, as the story once did."""
    telling = await on_the_way(shop)
    await receive(telling)
    await inspect(telling, result="fail", grade="unsellable")
    await resolve(telling, "refund")
    async with transaction() as connection:
        await connection.execute(text("alter table journal disable trigger all"))
        await connection.execute(text("delete from journal where entry = 'granted-0.NTC-06'"))
        await connection.execute(text("delete from outbox where entry = 'granted-0'"))

    await telling.again()

    assert telling.at == "refund-0"
    assert len(await told(telling, "NTC-06")) == 1


async def test_ntc03_a_bill_that_the_manager_refuses_is_no_rejected_application(shop):
    telling = await on_the_way(shop, **FAULTY)
    await paid_less(telling, "150.00")
    await receive(telling)
    await inspect(telling, cause="quality")
    assert telling.at == "exception-0"

    await telling.decide("exception", "A01", decision="reject", reason="内部核对余额")

    assert telling.at == "resolution-0"
    assert await told(telling, "NTC-03") == []


# --- first ----------------------------------------------------------------------------------------------------------


async def found_otherwise(shop: Any, price: str = "200.00") -> Any:
    """Claimed a fault, found none."""
    telling = await on_the_way(shop, lines=[("SKU-1", "台灯", 1, price)], **FAULTY)
    await receive(telling)
    return await inspect(telling)


async def test_mon17_a_bill_that_a_changed_cause_brings_to_zero_is_told_first(shop):
    telling = await found_otherwise(shop, "8.00")
    assert (await bill(telling), telling.at) == ("0.00", "release-0")

    with pytest.raises(Unable, match="请先告知客户"):
        await telling.decide("release", "A03", amount="0.00")
    await telling.decide("release", "A03", amount="0.00", **told_now())

    assert (await telling.case()).stage is Stage.CLOSED


async def test_mon17_a_zero_bill_of_a_case_from_before_waits_for_nobody(shop, monkeypatch):
    """Bills of an earlier story do not say that somebody must be told first."""
    monkeypatch.setattr("aftersales.rules.offers.must_tell", lambda *_: False)

    telling = await found_otherwise(shop, "8.00")

    assert (await telling.case()).stage is Stage.CLOSED


@pytest.mark.parametrize(
    ("told_at", "sentence"),
    [
        pytest.param("9999-99-99 99:99", "这个时间", id="no time at all"),
        pytest.param("2026-02-30 10:00", "这个时间", id="a day that does not exist"),
        pytest.param("2099-01-01 00:00", "还没有到", id="a time to come"),
        pytest.param("2001-01-01 00:00", "早于结算", id="before the bill"),
        pytest.param(house_minute(timedelta(hours=2)), "早于结算", id="two hours before the bill"),
    ],
)
async def test_mon17_the_customer_was_told_between_the_bill_and_now(shop, told_at, sentence):
    telling = await found_otherwise(shop)

    with pytest.raises(Unable, match=sentence):
        await telling.decide("refund", "A03", amount="188.00", reference="ALI-0001", told_how="phone", told_at=told_at)

    assert telling.at == "refund-0"


async def test_mon17_told_just_now_is_told_in_time(shop):
    telling = await found_otherwise(shop)

    await telling.decide("refund", "A03", amount="188.00", reference="ALI-0001", **told_now())

    assert (await telling.case()).stage is Stage.CLOSED
