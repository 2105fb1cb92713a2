"""Parcels that are lost, that are found again, and whose rest never comes (RET-06, P-14)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from aftersales.words import Event, Stage
from tasks import audits, gates, outside
from tests import builders
from tests.stories.ways import bill, inspect, lose, on_the_way, receive, told

THREE = {"lines": [("SKU-1", "台灯", 3, "300.00")], "items": [{"sku": "SKU-1", "quantity": 3}]}


async def found_again(telling: Any) -> Any:
    return await telling.decide("tracing", "L02", result="found", note="在分拨中心找到")


# --- found ----------------------------------------------------------------------------------------------------------


async def test_ret06_a_parcel_that_was_found_again_is_scanned_by_its_own_number(shop):
    telling = await on_the_way(shop)
    await telling.signal(Event.PARCEL_LOST, tracking_no="SF1001")
    await found_again(telling)

    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")

    assert telling.at == "inspection-0"


async def test_ret06_found_again_after_the_warehouse_reported_it_lost(shop):
    telling = await on_the_way(shop)
    await telling.decide("receipt", "W02", items=[], rest="lost")
    await found_again(telling)

    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")

    assert telling.at == "inspection-0"


async def test_ret06_a_parcel_that_arrives_while_it_is_looked_for_is_found(shop):
    telling = await on_the_way(shop)
    await telling.signal(Event.PARCEL_LOST, tracking_no="SF1001")
    assert telling.at == "tracing-0"

    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")

    assert telling.at == "inspection-0"
    assert (await telling.journal())["tracing-0"].data["result"] == "found"


async def test_ret06_a_loss_is_not_confirmed_of_a_parcel_that_has_arrived(shop):
    telling = await on_the_way(shop)
    await telling.signal(Event.PARCEL_LOST, tracking_no="SF1001")
    await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="", staff="W02", data={"tracking_no": "SF1001"})

    with pytest.raises(gates.Refused, match="包裹已到仓库，不能确认丢失"):
        await telling.decide("tracing", "L02", result="lost", note="承运商确认丢件")
    await telling.again()
    await inspect(telling)

    assert await bill(telling) == "188.00"


async def test_ret06_whoever_pays_for_a_lost_parcel_is_told_when_it_turns_up(shop):
    telling = await lose(await on_the_way(shop))
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")
    assert telling.at == "refund-0"

    said = await outside.signal(
        telling.case_no, Event.PARCEL_RECEIVED, actor="", staff="W02", data={"tracking_no": "SF1001"}
    )

    assert "已提醒售后服务部" in said and "自动采用" not in said
    notes = await telling.rows("outbox", "recipient, body", "and notice = 'DESK'")
    assert [note.recipient for note in notes] == ["department:aftersales"]
    assert "SF1001" in notes[0].body


async def test_ret06_a_case_that_ends_tells_the_warehouse_of_a_parcel_that_nobody_took(shop):
    telling = await lose(await on_the_way(shop))
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")
    await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="", staff="W02", data={"tracking_no": "SF1001"})

    await telling.decide("refund", "A03", amount="200.00", reference="ALI-0001")

    assert (await telling.case()).stage is Stage.CLOSED
    assert not await telling.rows("inbox", "id", "and taken_at is null")
    notes = await telling.rows("outbox", "body", "and recipient = 'department:warehouse'")
    assert ["SF1001" in note.body for note in notes] == [True]


# --- lost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["L01", "L02"])
async def test_ret06_logistics_may_tell_that_a_parcel_is_lost(shop, who):
    telling = await on_the_way(shop)

    await outside.signal(telling.case_no, Event.PARCEL_LOST, actor="", staff=who, data={"tracking_no": "SF1001"})
    await telling.again()

    assert telling.at == "tracing-0"
    assert (await telling.journal())["receipt-0"].actor == who


async def test_ret06_the_warehouse_tells_a_loss_by_its_form_not_by_the_carriers_event(shop):
    telling = await on_the_way(shop)

    with pytest.raises(gates.Refused, match="没有“登记取件”权限"):
        await outside.signal(telling.case_no, Event.PARCEL_LOST, actor="", staff="W02", data={})

    assert (await telling.again()).at == "receipt-0"


async def test_ret06_a_loss_pays_for_what_was_in_the_parcel_and_the_rest_is_still_to_come(shop):
    """Three asked for at 100.00: one came and was paid, one is lost, one is still at home."""
    telling = await on_the_way(shop, reason="quality", evidence=["照片"], **THREE)
    await receive(telling, 1, "coming")
    await inspect(telling, cause="quality")
    await telling.decide("refund", "A03", amount="100.00", reference="ALI-0001")

    await lose(telling, items=[{"line": "第1行", "quantity": "1"}])
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")
    assert await bill(telling, 1) == "100.00"
    await telling.decide("refund", "A03", amount="100.00", reference="ALI-0002")
    assert telling.at == "receipt-2"
    await receive(telling, 1)
    await inspect(telling, cause="quality")
    await telling.decide("refund", "A03", amount="100.00", reference="ALI-0003")

    assert (await telling.case()).stage is Stage.CLOSED
    assert {row.state for row in await telling.rows("units")} == {"settled"}


async def test_ret06_a_loss_that_names_no_goods_is_of_everything_that_has_not_come(shop):
    telling = await on_the_way(shop, **THREE)
    await receive(telling, 1, "coming")
    await inspect(telling)
    await telling.decide("refund", "A03", amount="88.00", reference="ALI-0001")

    await lose(telling)
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")

    assert await bill(telling, 1) == "200.00"


async def test_ret06_no_more_can_be_lost_than_has_not_come(shop):
    telling = await on_the_way(shop, **THREE)

    with pytest.raises(gates.Refused, match="第 1 行还有 3 件没到，丢失填写了 4 件"):
        await lose(telling, items=[{"line": "第1行", "quantity": "4"}])


async def test_ret08_lost_goods_cannot_be_sent_back(shop):
    telling = await lose(await on_the_way(shop, lines=[("SKU-1", "电脑", 1, "900.00")]))
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")
    await telling.decide("countersign", "A04", decision="reject", reason="金额不对")

    with pytest.raises(gates.Refused, match="没有商品可以寄回"):
        await telling.decide("resolution", "A01", decision="send_back", payer="seller", reason="寄回")

    assert telling.at == "resolution-0"


async def test_ret08_a_lost_parcel_that_is_paid_in_part_is_told_first(shop):
    telling = await lose(await on_the_way(shop, lines=[("SKU-1", "电脑", 1, "900.00")]))
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")
    await telling.decide("countersign", "A04", decision="reject", reason="金额不对")
    await telling.decide("resolution", "A01", decision="partial", amount="400.00", reason="承运商只赔付四百")

    with pytest.raises(gates.Refused, match="请先告知客户"):
        await telling.decide("refund", "A03", amount="400.00", reference="ALI-0001")


async def test_aud03_the_proof_of_a_loss_is_the_search_not_another_parcels_inspection(shop):
    telling = await on_the_way(shop, **THREE)
    await receive(telling, 1, "coming")
    await inspect(telling)
    await telling.decide("refund", "A03", amount="88.00", reference="ALI-0001")
    await lose(telling)
    await telling.decide("exception", "A01", decision="approve", reason="确认丢失")
    await telling.decide("refund", "A03", amount="200.00", reference="ALI-0002")

    today: date = builders.today()
    payments, _ = await audits.refunds(since=today - timedelta(days=2), until=today + timedelta(days=2))

    proof = {payment.entry: payment.evidence for payment in payments}
    assert not any(payment.faults for payment in payments)
    assert any(piece.startswith("验收") for piece in proof["refund-0"])
    assert proof["refund-1"] == ("查件确认丢失：承运商确认丢件",)


# --- the rest -------------------------------------------------------------------------------------------------------


async def waiting_for_the_rest(shop: Any) -> Any:
    telling = await on_the_way(shop, **THREE)
    await receive(telling, 2, "coming")
    await inspect(telling, 2)
    await telling.decide("refund", "A03", amount="188.00", reference="ALI-0001")
    assert telling.at == "receipt-1"
    return telling


async def test_p14_a_rest_that_never_comes_is_given_up_and_the_customer_is_told(shop):
    telling = await waiting_for_the_rest(shop)

    await telling.decide("receipt", "W02", items=[], rest="none")

    assert (await telling.case()).stage is Stage.CLOSED
    assert sorted(row.state for row in await telling.rows("units")) == ["released", "settled"]
    assert "没有收到" in (await told(telling, "NTC-06"))[0] and "台灯 1 件" in (await told(telling, "NTC-06"))[0]
    before = [await telling.rows(table) for table in ("journal", "outbox", "units", "work")]
    await telling.again()
    assert [await telling.rows(table) for table in ("journal", "outbox", "units", "work")] == before


async def test_p14_a_rest_that_never_comes_may_also_be_told_by_event(shop):
    telling = await waiting_for_the_rest(shop)

    await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="", staff="W02", data={"rest": "none"})
    await telling.again()

    assert (await telling.case()).stage is Stage.CLOSED


async def test_p14_nothing_at_all_is_no_rest(shop):
    telling = await on_the_way(shop, **THREE)

    with pytest.raises(gates.Refused, match="请填写实收商品"):
        await telling.decide("receipt", "W02", items=[], rest="none")


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        pytest.param("none", "没有收到：第1行 SKU-1 台灯 1 件，按不再寄回处理", id="it will not come"),
        pytest.param("coming", "还没有收到：第1行 SKU-1 台灯 1 件，收到后另行处理", id="it is still coming"),
    ],
)
async def test_ntc05_the_customer_is_told_which_goods_are_missing(shop, rest, sentence):
    telling = await on_the_way(shop, **THREE)
    await receive(telling, 2, rest)

    await inspect(telling, 2)

    assert sentence in (await told(telling, "NTC-05"))[0]


async def test_ntc05_when_everything_came_nothing_is_missing(shop):
    telling = await on_the_way(shop)
    await receive(telling)

    await inspect(telling)

    assert "收到：" not in (await told(telling, "NTC-05"))[0]
