"""
Every branch of a return, one story each, named as the handbook's table of exceptions names it (docs/handbook/returns.md).

The clock stands still on Monday 2 March 2026, 10:00 in the house, until a story puts it forward. Amounts are reckoned by
hand from requirements §4: paid 200.00, pick-up 12.00, late freight 15.00, storage 1.00 a day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from aftersales import clock, forms
from aftersales import terms as rulebook
from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.rules import quality
from aftersales.store.engine import transaction
from aftersales.words import Event, Stage
from tasks import cases, extensions, gates, lapses, outside, records
from tests.builders import HOUSE
from tests.stories.conftest import Shop, Telling

MONDAY = "2026-03-02 10:00"
FAULTY: dict[str, Any] = {"reason": "quality", "evidence": ["https://p.example/crack.jpg"]}
TOLD: dict[str, Any] = {"told_how": "电话", "told_at": MONDAY}
A_MOMENT = timedelta(microseconds=1)


class Time:
    """The clock of everybody in a story."""

    def __init__(self) -> None:
        self.at = house(MONDAY)

    def on(self, when: str) -> None:
        """Put it to a time of the house."""
        self.at = house(when)


def house(when: str) -> datetime:
    return datetime.fromisoformat(when).replace(tzinfo=HOUSE)


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock, which only the story moves."""
    told = Time()
    monkeypatch.setattr(clock, "now", lambda case=None: told.at)
    return told


# --- the way to a gate ------------------------------------------------------------------------------------------------


async def approved(shop: Shop, **wanted: Any) -> Telling:
    """An application for SKU-1 that the reviewer approved."""
    telling = await shop.tell(shop.application(**wanted))
    return await telling.decide("review", "C08", decision="approve")


async def at_receipt(shop: Shop, **wanted: Any) -> Telling:
    """The goods are on their way."""
    telling = await approved(shop, **wanted)
    return await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")


async def at_inspection(shop: Shop, **wanted: Any) -> Telling:
    """Everything that was asked for has arrived."""
    return await (await at_receipt(shop, **wanted)).signal(Event.PARCEL_RECEIVED)


async def passed(telling: Telling, quantity: int = 1, **found: Any) -> Telling:
    return await telling.decide("inspection", "W03", items=[seen(quantity, **found)], result="pass")


async def at_resolution(
    shop: Shop, reason: str = "人为损坏", wanted: dict[str, Any] | None = None, **found: Any
) -> Telling:
    """The goods did not pass; the manager is asked."""
    telling = await at_inspection(shop, **(wanted or {}))
    row = seen(1, **{"grade": "unsellable", **found})
    await telling.decide(
        "inspection", "W03", items=[row], result="fail", reason=reason, evidence=["https://p.example/2.jpg"]
    )
    assert telling.at == "resolution-0"
    return telling


def seen(quantity: int, **found: Any) -> dict[str, Any]:
    return {"line": "第1行", "quantity": str(quantity), "grade": "sellable", "cause": "no_reason", **found}


async def bill(telling: Telling, number: int = 0) -> tuple[str, list[str]]:
    """What a bill pays, and its lines."""
    told = (await telling.journal())[f"bill-{number}"].data
    return told["total"], [f"{line['rule']} {line['amount']}" for line in told["lines"]]


async def confirmed(telling: Telling, amount: str, **more: Any) -> Telling:
    return await telling.decide("refund", "A03", amount=amount, reference="ALI-0001", **more)


async def notices(telling: Telling, notice: str) -> list[str]:
    """What the customer is told by this notice."""
    return [row.body for row in await telling.rows("outbox", "*", "order by id") if row.notice == notice]


async def restocked(telling: Telling) -> list[tuple[str, str, int]]:
    return [tuple(row) for row in await telling.rows("restock", "entry, sku, quantity", "order by id")]


async def promise(telling: Telling, entry: str) -> Any:
    ((row),) = await telling.rows("promises", "*", f"and entry = '{entry}'")
    return row


async def entered(flow: Any, **request: Any) -> str:
    """Fill in one of the small forms beside the story; answers its page's sentence."""
    legs.begin(Bare(uuid4()))
    return await flow.fn(request)


async def ended(telling: Telling) -> Stage:
    """How the case ended: nothing is held, promised or left to do."""
    case = await telling.case()
    assert case.closed_at is not None
    assert not await telling.rows("units", "*", "and state = 'held'")
    assert not await telling.rows("promises", "*", "and ended_at is null")
    assert not await telling.rows("work", "*", "and state = 'open'")
    return case.stage


# --- the age of the purchase ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "shipping", "amount", "fees"),
    [
        pytest.param(7, "pickup", "188.00", ["MON-02 -12.00"], id="day 7 is band A"),
        pytest.param(8, "pickup", "185.00", ["MON-04 -15.00"], id="day 8 is band B: late freight, no pick-up freight"),
        pytest.param(30, "pickup", "185.00", ["MON-04 -15.00"], id="day 30 is still band B"),
        pytest.param(7, "self", "200.00", [], id="day 7, self-shipped"),
        pytest.param(8, "self", "185.00", ["MON-04 -15.00"], id="day 8, self-shipped: late freight all the same"),
    ],
)
async def test_mon04_band_b_pays_the_late_freight(shop, age, shipping, amount, fees):
    """签收 8～30 天（B 段）: 200.00 - 15.00 = 185.00, also when the customer ships (AMB-18)."""
    await shop.order(age=age)
    telling = await at_inspection(shop, shipping=shipping)

    await passed(telling)
    assert await bill(telling) == (amount, ["MON-14 200.00", *fees])
    await confirmed(telling, amount)

    assert await ended(telling) is Stage.CLOSED


@pytest.mark.parametrize(
    ("shipping", "amount", "fees"),
    [
        pytest.param("pickup", "183.00", ["MON-05 -12.00", "MON-05 -5.00"], id="picked up"),
        pytest.param("self", "195.00", ["MON-05 -5.00"], id="self-shipped: storage alone"),
    ],
)
async def test_mon05_band_c_is_the_managers_and_pays_freight_and_storage(shop, time, shipping, amount, fees):
    """超过 30 天（C 段）: 200.00 - 12.00 - 5 days at 1.00 = 183.00 (AMB-17)."""
    await shop.order(age=31)
    telling = await approved(shop, shipping=shipping)
    assert telling.at == "exception-0"
    await telling.decide("exception", "A01", decision="approve", reason="老客户")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await telling.signal(Event.PARCEL_RECEIVED)

    time.on("2026-03-07 10:00")
    await passed(telling)
    assert await bill(telling) == (amount, ["MON-14 200.00", *fees])
    await confirmed(telling, amount)

    assert await ended(telling) is Stage.CLOSED


@pytest.mark.parametrize(
    ("age", "asks_the_manager"),
    [pytest.param(20, False, id="band B"), pytest.param(40, True, id="band C: return or warranty, the manager says")],
)
async def test_amb19_a_quality_fault_with_evidence_goes_over_the_age_bands(shop, time, age, asks_the_manager):
    """B 段、C 段的质量问题: with evidence no fee at all, neither freight nor storage."""
    await shop.order(age=age)
    telling = await approved(shop, **FAULTY)
    assert telling.at == ("exception-0" if asks_the_manager else "pickup-0")
    if asks_the_manager:
        await telling.decide("exception", "A01", decision="approve", reason="电池鼓包，同意退货")
    await telling.signal(Event.PARCEL_RECEIVED)

    time.on("2026-03-07 10:00")
    await passed(telling, cause="quality")

    assert await bill(telling) == ("200.00", ["MON-14 200.00"])


async def test_pol02_a_quality_fault_without_evidence_is_shown_to_the_reviewer_until_it_is_there(shop):
    """B 段、C 段的质量问题: 有凭证 means that the reviewer is told when there is none (AMB-19, POL-08)."""
    await shop.order(age=20)
    telling = await shop.tell(shop.application(reason="quality"))
    assert "需要凭证" in (await telling.journal())["opened"].data["hints"][0]

    await telling.decide("review", "C08", decision="reject", reason="请补照片", missing=["照片"])
    await telling.decide("correction", "C07", decision="resubmit", evidence=["https://p.example/crack.jpg"])

    assert (await telling.journal())["amended-0"].data["hints"] == []


# --- kinds of goods, and channels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "why"),
    [
        pytest.param("定制商品", "类目“定制商品”须人工审核", id="made to order"),
        pytest.param("古董", "类目“古董”没有退货规则", id="a kind without a rule"),
    ],
)
async def test_pol06_what_no_rule_decides_is_the_managers(shop, category, why):
    """定制商品，没有规则的类目: the manager decides, and the usual fees follow."""
    await shop.order(category=category)
    telling = await approved(shop)
    assert telling.at == "exception-0"
    assert why in (await telling.journal())["opened"].data["quote"]["needs_person"][0]

    await telling.decide("exception", "A01", decision="approve", reason="刻字有误")
    await telling.signal(Event.PARCEL_RECEIVED)
    await passed(telling)

    assert (await bill(telling))[0] == "188.00"


@pytest.mark.parametrize("is_opened", [False, True], ids=["unopened", "opened"])
async def test_pol06_fresh_food_may_come_back_unopened_and_the_inspection_looks(shop, is_opened):
    """拆封后不能无理由退的类目: nobody is asked beforehand; opened goods do not pass."""
    await shop.order(category="生鲜", age=1)
    telling = await at_inspection(shop)
    assert "exception-0.asked" not in await telling.journal()

    if is_opened:
        row = seen(1, grade="unsellable")
        await telling.decide("inspection", "W03", items=[row], result="fail", reason="已拆封")
        assert telling.at == "resolution-0"
    else:
        await passed(telling)
        assert (await bill(telling))[0] == "188.00"


@pytest.mark.parametrize(
    ("channel", "age", "amount"),
    [
        pytest.param("社交电商", 10, "188.00", id="day 10 is free where the channel gives 20 days"),
        pytest.param("社交电商", 20, "188.00", id="day 20 too"),
        pytest.param("社交电商", 21, "185.00", id="day 21 is late there as well"),
        pytest.param("官方网站", 10, "185.00", id="day 10 is late elsewhere"),
    ],
)
async def test_pol07_a_channel_has_its_own_days(shop, channel, age, amount):
    """渠道有自己的天数或费用: the channel's own terms decide; the rest stays ours."""
    await shop.order(channel=channel, age=age)
    telling = await at_inspection(shop)

    await passed(telling)

    assert (await bill(telling))[0] == amount


# --- on the way back --------------------------------------------------------------------------------------------------


async def test_amb52_a_self_shipper_who_sends_nothing_is_reminded_once_and_then_the_case_closes(shop):
    """自行寄回，一直没寄: reminded after 3 working days (Thursday 5 March), closed 7 later (Monday 16 March)."""
    await shop.order()
    telling = await approved(shop, shipping="self")
    asked = await promise(telling, "pickup-0")
    assert (asked.due_at, asked.lapses_at) == (house("2026-03-06 00:00"), house("2026-03-17 00:00"))

    assert (await lapses.look(at=asked.due_at - A_MOMENT)).is_empty
    assert (await lapses.look(at=asked.due_at)).reminded == [telling.case_no]
    assert (await lapses.look(at=asked.lapses_at - A_MOMENT)).is_empty
    assert len(await notices(telling, "NTC-04")) == 2, "how to send, and one reminder"
    assert (await lapses.look(at=asked.lapses_at)).ended == [telling.case_no]
    assert (await lapses.look(at=asked.lapses_at)).is_empty
    await telling.again()

    assert await ended(telling) is Stage.CANCELLED
    assert "未在期限内收到寄回的商品" in (await notices(telling, "NTC-09"))[0]


async def test_amb52_who_sends_within_the_grace_time_goes_on_as_usual(shop, time):
    """自行寄回，一直没寄: the reminder helped."""
    await shop.order()
    telling = await approved(shop, shipping="self")
    asked = await promise(telling, "pickup-0")
    await lapses.look(at=asked.due_at)

    time.at = asked.lapses_at - A_MOMENT
    await telling.decide("pickup", "L02", carrier="圆通", tracking_no="YT100200300")

    assert (await lapses.look(at=asked.lapses_at)).is_empty
    assert telling.at == "receipt-0"


async def test_ret06_a_parcel_that_is_lost_is_paid_without_any_fee(shop):
    """包裹丢失: logistics looks, the manager allows it, all of it is paid and nothing goes to stock."""
    await shop.order(age=20)
    telling = await at_receipt(shop)
    await telling.decide("receipt", "W02", items=[], rest="包裹丢失")
    assert telling.at == "tracing-0"
    await telling.decide("tracing", "L02", result="确认丢失", note="承运商确认丢件并赔付")
    assert telling.at == "exception-0"

    await telling.decide("exception", "A01", decision="approve", reason="承运商丢件")
    assert await bill(telling) == ("200.00", ["MON-14 200.00"])
    await confirmed(telling, "200.00")

    assert await ended(telling) is Stage.CLOSED
    assert await restocked(telling) == []
    assert [row.state for row in await telling.rows("units")] == ["settled"]


async def test_ret06_a_loss_that_the_manager_does_not_pay_frees_the_units(shop):
    """包裹丢失: refused, the customer hears why."""
    await shop.order()
    telling = await at_receipt(shop)
    await telling.signal(Event.PARCEL_LOST)
    await telling.decide("tracing", "L02", result="lost", note="承运商无揽收记录")

    await telling.decide("exception", "A01", decision="reject", reason="客户没有寄出")

    assert await ended(telling) is Stage.REJECTED
    assert "客户没有寄出" in (await notices(telling, "NTC-03"))[0]
    assert [row.state for row in await telling.rows("units")] == ["released"]


async def test_ret06_a_lost_parcel_that_is_found_goes_on_as_usual(shop):
    """包裹丢失: 已找到."""
    await shop.order()
    telling = await at_receipt(shop)
    await telling.signal(Event.PARCEL_LOST)
    await telling.decide("tracing", "L02", result="found", note="错发到外地分拨中心")
    assert telling.at == "receipt-1"

    await telling.signal(Event.PARCEL_RECEIVED)
    await passed(telling)

    assert await bill(telling) == ("188.00", ["MON-14 200.00", "MON-02 -12.00"])


async def test_ret06_the_second_of_two_parcels_may_be_lost_and_only_its_goods_are_paid_for(shop):
    """包裹丢失, 少件: two of three came and were paid, the third is lost: 179.98 - 12.00, then 89.99."""
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    telling = await at_receipt(shop, items=[{"sku": "SKU-1", "quantity": 3}])
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "2"}], rest="coming")
    await passed(telling, 2)
    await confirmed(telling, "167.98")

    await telling.decide("receipt", "W02", items=[], rest="包裹丢失")
    await telling.decide("tracing", "L02", result="lost", note="承运商确认丢件")
    await telling.decide("exception", "A01", decision="approve", reason="承运商丢件")
    await confirmed(telling, "89.99")

    assert await ended(telling) is Stage.CLOSED
    assert await restocked(telling) == [("kept-0", "SKU-1", 2)]


@pytest.mark.parametrize("gate", ["exception", "refund"])
async def test_ret17_what_is_about_to_be_paid_cannot_be_cancelled_though_nothing_arrived(shop, gate):
    """包裹丢失: once the loss is confirmed the manager decides; no cancellation comes between."""
    await shop.order()
    telling = await at_receipt(shop)
    await telling.signal(Event.PARCEL_LOST)
    await telling.decide("tracing", "L02", result="lost", note="承运商确认丢件")
    allow = {"decision": "approve", "reason": "承运商丢件"}
    if gate == "refund":
        await telling.decide("exception", "A01", **allow)

    with pytest.raises(gates.Refused, match="的包裹已确认丢失，不能取消"):
        await outside.signal(telling.case_no, Event.CASE_CANCELLED, actor="customer", data={"reason": "不退了"})
    if gate == "exception":
        await telling.decide("exception", "A01", **allow)
    await confirmed(await telling.again(), "200.00")

    assert await ended(telling) is Stage.CLOSED


async def test_p14_a_short_parcel_is_paid_for_and_the_rest_is_free_again(shop):
    """少件: three asked for, two came, 其余不再寄来: 179.98 - 12.00 = 167.98."""
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    telling = await at_receipt(shop, items=[{"sku": "SKU-1", "quantity": 3}])

    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "2"}], rest="none")
    await passed(telling, 2)
    assert (await bill(telling))[0] == "167.98"
    await confirmed(telling, "167.98")

    assert await ended(telling) is Stage.CLOSED
    again = await shop.tell(shop.application())
    assert again.at == "review-0", "the third may be asked for again"


async def test_ret08_a_wrong_item_cannot_pass_and_goes_to_the_manager(shop):
    """错件: 非本单商品 with 通过 is refused; with 不通过 the manager decides."""
    await shop.order()
    telling = await at_inspection(shop)

    with pytest.raises(gates.Refused, match="有“非本单商品”时不能通过"):
        await passed(telling, grade="非本单商品")
    await telling.decide(
        "inspection", "W03", items=[seen(1, grade="非本单商品")], result="fail", reason="寄回的不是所购商品"
    )

    assert telling.at == "resolution-0"
    assert "非本单商品" in (await notices(telling, "NTC-06"))[0]


@pytest.mark.parametrize("how", ["the customer tells the number", "somebody finds the case"])
async def test_ret06_a_parcel_without_a_case_is_matched_later_and_counts_from_its_arrival(shop, time, how):
    """包裹到了，不知道是哪张单: it came on Tuesday and is matched on Thursday; the inspection is due from Tuesday."""
    from flows.arrivals import arrivals

    await shop.order()
    telling = await approved(shop, shipping="self")
    parcel = {
        "operator": "W02 郑凯",
        "tracking_no": "YT100200300",
        "items": [{"sku": "SKU-1", "quantity": 1}],
        "rest": "全部到齐",
    }
    time.on("2026-03-03 09:30")
    await entered(arrivals, **parcel)
    assert (await telling.again()).at == "pickup-0"

    time.on("2026-03-05 11:00")
    if how == "the customer tells the number":
        await telling.decide("pickup", "L02", carrier="圆通", tracking_no="YT100200300")
    else:
        told = await entered(arrivals, case_no=telling.case_no, **parcel)
        assert "无主包裹" in told
        await telling.again()

    assert telling.at == "inspection-0"
    assert (await telling.journal())["receipt-0"].at == house("2026-03-03 09:30")
    assert (await promise(telling, "inspection-0")).due_at == house("2026-03-05 00:00"), "one working day after Tuesday"
    assert (await promise(telling, "outer-0")).due_at == house("2026-03-13 00:00"), "seven working days after Tuesday"
    await passed(telling)
    await confirmed(telling, "200.00")
    assert await ended(telling) is Stage.CLOSED


async def test_ret17_the_customer_cancels_before_the_goods_arrive(shop):
    """顾客在收货前不退了: by the form 取消售后单."""
    from flows.cancellation import cancellation

    await shop.order()
    telling = await at_receipt(shop)

    await entered(cancellation, operator="C07 王小明", case_no=telling.case_no, reason="客户决定留下商品")
    await telling.again()

    assert await ended(telling) is Stage.CANCELLED
    assert "按您的要求取消" in (await notices(telling, "NTC-09"))[0]
    assert [row.state for row in await telling.rows("units")] == ["released"]


# --- what the inspection finds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["form", "event"])
async def test_mon17_the_cause_as_found_decides_and_the_customer_is_told_before_the_deduction(shop, way):
    """实际原因与顾客所说不同: the notice names cause and amount, and no refund counts before 已告知客户 is filled in."""
    await shop.order()
    telling = await at_inspection(shop, **FAULTY)
    await passed(telling, cause="no_reason")

    (told,) = await notices(telling, "NTC-05")
    assert "七天无理由（申请时为质量问题）" in told
    assert "188.00" in told
    assert (await promise(telling, "refund-0")).gate["demands"] == ["told_how", "told_at"]

    paid = {"amount": "188.00", "reference": "ALI-0001"}
    if way == "form":
        with pytest.raises(gates.Refused, match="已告知客户"):
            await telling.decide("refund", "A03", **paid)
        await telling.decide("refund", "A03", **paid, **TOLD)
    else:
        with pytest.raises(gates.Refused, match="已告知客户"):
            await outside.signal(telling.case_no, Event.REFUND_SENT, actor="", staff="A03", data=paid)
        await outside.signal(telling.case_no, Event.REFUND_SENT, actor="", staff="A03", data={**paid, **TOLD})
        await telling.again()

    confirmed_by = (await telling.journal())["refund-0"].data
    assert (confirmed_by["told_how"], confirmed_by["told_at"]) == ("phone", MONDAY)
    assert await ended(telling) is Stage.CLOSED


async def test_mon17_a_cause_found_in_the_customers_favor_needs_no_telling_beforehand(shop):
    """实际原因与顾客所说不同: claimed 七天无理由, found faulty: nothing is deducted, nothing is demanded."""
    await shop.order()
    telling = await at_inspection(shop)
    await passed(telling, cause="quality")

    assert (await promise(telling, "refund-0")).gate["demands"] == []
    assert await bill(telling) == ("200.00", ["MON-14 200.00"])
    await confirmed(telling, "200.00")
    assert await ended(telling) is Stage.CLOSED


async def test_ret08_goods_that_did_not_pass_may_be_paid_by_the_rules_all_the_same(shop):
    """验收不通过: 按规则退款 within 1 working day, by somebody who then does not pay it."""
    await shop.order()
    telling = await at_resolution(shop)
    assert (await promise(telling, "resolution-0")).due_at == house("2026-03-04 00:00")

    await telling.decide("resolution", "A01", decision="按规则退款", reason="划痕轻微")
    assert await bill(telling) == ("188.00", ["MON-14 200.00", "MON-02 -12.00"])
    with pytest.raises(gates.Refused, match="审批与付款须由不同的人"):
        await telling.decide("refund", "A01", amount="188.00", reference="ALI-0001")
    await confirmed(telling, "188.00")

    assert await ended(telling) is Stage.CLOSED
    assert await restocked(telling) == [], "unsellable"


async def test_ret08_nothing_is_paid_while_the_manager_decides(shop):
    """验收不通过: 这期间不退款."""
    await shop.order()
    telling = await at_resolution(shop)

    assert "bill-0" not in await telling.journal()
    assert not await telling.rows("work", "*", "and kind = 'refund'")
    (told,) = await notices(telling, "NTC-06")
    assert "人为损坏" in told
    assert "https://p.example/2.jpg" in told


@pytest.mark.parametrize(
    ("payer", "who"),
    [pytest.param("customer", "由您承担", id="customer"), pytest.param("seller", "店铺承担", id="shop")],
)
async def test_mon20_goods_that_did_not_pass_are_sent_back_at_somebodys_cost(shop, payer, who):
    """验收不通过: 寄回 is paid by the customer unless the seller is at fault; no refund, the units are free again."""
    await shop.order()
    telling = await at_resolution(shop)
    with pytest.raises(forms.Misfilled, match="寄回运费由谁承担"):
        await telling.decide("resolution", "A01", decision="send_back", reason="有明显磨损")

    await telling.decide("resolution", "A01", decision="寄回客户", payer=payer, reason="有明显磨损")
    (item,) = await telling.rows("work", "kind, data", "and kind = 'sendback'")
    assert item.data["payer"] == payer
    await telling.decide("sendback", "L02", carrier="顺丰", tracking_no="SF900100200", freight="13.00", voucher="V-9")

    assert await ended(telling) is Stage.REJECTED
    told = await notices(telling, "NTC-06")
    assert who in told[1]
    assert "SF900100200" in told[2]
    assert not await telling.rows("work", "*", "and kind = 'refund'")
    assert [row.state for row in await telling.rows("units")] == ["released"]


async def test_ret08_what_is_sent_back_does_not_end_a_case_that_expects_more(shop):
    """验收不通过: 寄回和投诉只管这一批; the second parcel is paid as usual, and its freight is charged once."""
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    telling = await at_receipt(shop, items=[{"sku": "SKU-1", "quantity": 3}])
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="coming")
    row = seen(1, grade="unsellable")
    await telling.decide("inspection", "W03", items=[row], result="fail", reason="灯罩碎裂")
    await telling.decide("resolution", "A01", decision="send_back", payer="customer", reason="人为损坏")
    await telling.signal(Event.PARCEL_SENT_BACK, carrier="顺丰", tracking_no="SF900100200")
    assert telling.at == "receipt-1"

    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "2"}], rest="complete")
    await passed(telling, 2)
    assert (await bill(telling))[0] == "167.98"
    await confirmed(telling, "167.98")

    assert await ended(telling) is Stage.CLOSED
    states = sorted((row.state, row.first_unit, row.end_unit) for row in await telling.rows("units"))
    assert states == [("released", 0, 1), ("settled", 1, 3)]


@pytest.mark.parametrize("amount", ["0.01", "150.00", "187.99"])
async def test_ret08_a_part_is_refunded_and_the_customer_is_told_before(shop, amount):
    """验收不通过: 部分退款, more than nothing and less than the 188.00 that are due."""
    await shop.order()
    telling = await at_resolution(shop)

    await telling.decide("resolution", "A01", decision="部分退款", amount=amount, reason="缺少配件")
    total, lines = await bill(telling)
    assert (total, lines[-1].split()[0]) == (amount, "RET-08")
    with pytest.raises(gates.Refused, match="已告知客户"):
        await confirmed(telling, amount)
    await confirmed(telling, amount, **TOLD)

    assert await ended(telling) is Stage.CLOSED


@pytest.mark.parametrize("amount", ["0.00", "188.00", "188.01", "500.00"])
async def test_ret08_no_part_is_nothing_all_or_more(shop, amount):
    """验收不通过: 部分退款 on the other side of both edges."""
    await shop.order()
    telling = await at_resolution(shop)

    with pytest.raises((gates.Refused, forms.Misfilled), match="部分退款金额"):
        await telling.decide("resolution", "A01", decision="partial", amount=amount, reason="缺少配件")

    assert (await telling.again()).at == "resolution-0"


async def stored(shop: Shop) -> Telling:
    """Goods of band C, sent by the customer, that did not pass on the day they came: 200.00 is due, a day costs 1.00."""
    await shop.order(age=31)
    telling = await approved(shop, shipping="self")
    await telling.decide("exception", "A01", decision="approve", reason="老客户")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await telling.signal(Event.PARCEL_RECEIVED)
    return await telling.decide("inspection", "W03", items=[seen(1)], result="fail", reason="有磨损")


async def shown(telling: Telling) -> list[str]:
    """What the manager was shown as due, oldest first."""
    return [entry.data["total"] for entry in (await telling.journal()).values() if entry.kind == "reckoning"]


async def test_ret08_a_part_is_held_to_what_is_due_on_the_day_of_the_decision(shop, time, monkeypatch):
    """What was due when the form was drawn is less two days later: the customer must not be promised more in writing."""
    pages: list[str] = []
    leave = Bare.wait

    async def wait(self: Bare, entry: str, schema: Any, summary: str, answered: Any) -> None:
        pages.append(summary)
        await leave(self, entry, schema, summary, answered)

    monkeypatch.setattr(Bare, "wait", wait)
    telling = await stored(shop)
    assert await shown(telling) == ["200.00"]
    time.on("2026-03-04 10:00")

    for amount in ("198.00", "199.00"):
        with pytest.raises(gates.Refused, match=r"小于应退的 198\.00 元"):
            await telling.decide("resolution", "A01", decision="partial", amount=amount, reason="缺少配件")
    await telling.again()
    await telling.again()
    assert await shown(telling) == ["200.00", "198.00"]
    assert "| **200.00** |" in pages[-3] and "| **198.00** |" in pages[-2]
    assert pages[-1] == pages[-2]
    assert not [body for body in await notices(telling, "NTC-06") if "我们决定" in body]

    await telling.decide("resolution", "A01", decision="partial", amount="197.99", reason="缺少配件")
    assert await bill(telling) == ("197.99", ["MON-14 200.00", "MON-05 -2.00", "RET-08 -0.01"])


async def test_ret08_a_part_is_held_to_what_other_cases_of_the_order_have_left(shop):
    await shop.order()
    telling = await at_resolution(shop)
    async with transaction() as connection:
        await connection.execute(text("update orders set paid = 150.00"))

    with pytest.raises(gates.Refused, match=r"小于应退的 150\.00 元"):
        await telling.decide("resolution", "A01", decision="partial", amount="180.00", reason="缺少配件")

    await telling.decide("resolution", "A01", decision="partial", amount="149.99", reason="缺少配件")
    assert (await bill(telling))[0] == "149.99"


async def test_ret08_a_bill_below_what_was_promised_is_told_before_it_is_paid(shop, time):
    """Decided a minute before midnight, settled after it: the day that came between is charged."""
    telling = await stored(shop)
    time.on("2026-03-02 23:59")
    answer = {"decision": "partial", "amount": "199.99", "reason": "缺少配件"}
    await outside.decide(telling.case_no, "resolution", operator="A01", answer=answer)
    time.on("2026-03-03 00:01")

    await telling.again()

    assert await bill(telling) == ("199.00", ["MON-14 200.00", "MON-05 -1.00"])
    with pytest.raises(gates.Refused, match="已告知客户"):
        await confirmed(telling, "199.00")
    await confirmed(telling, "199.00", told_how="电话", told_at="2026-03-03 00:01")
    assert await ended(telling) is Stage.CLOSED


async def test_cmp01_a_complaint_is_a_row_of_its_own_with_a_number_an_owner_and_a_link_and_no_run(shop):
    """验收不通过: 转投诉 opens a complaint of the customer service department, once, however often the story is told."""
    await shop.order()
    telling = await at_resolution(shop, reason="商品有人为损坏", grade="unsellable")

    await telling.decide("resolution", "A01", decision="转投诉", reason="客户不认可验收结果")
    await telling.again()

    assert await ended(telling) is Stage.REJECTED
    async with transaction() as connection:
        found = await connection.execute(
            text("select c.*, r.run_id from cases c left join runs r using (case_no) where process = 'complaint'")
        )
        (complaint,) = found.all()
    assert complaint.case_no == "CP-20260302-0001"
    assert (complaint.owner, complaint.facts, complaint.run_id) == (
        "customer_service",
        {"about": telling.case_no},
        None,
    )
    assert complaint.closed_at is None
    assert (await telling.journal())["complaint-0"].data["complaint_no"] == complaint.case_no
    assert [row.state for row in await telling.rows("units")] == ["settled"], "what is here cannot be asked for again"


async def test_cmp01_a_complaint_takes_no_events_of_a_return(shop):
    """验收不通过: nobody works a complaint here; it must not swallow what was meant for a return."""
    await shop.order()
    telling = await at_resolution(shop)
    await telling.decide("resolution", "A01", decision="complaint", reason="客户不认可验收结果")
    complaint_no = (await telling.journal())["complaint-0"].data["complaint_no"]

    for event in (Event.CASE_CANCELLED, Event.PARCEL_RECEIVED):
        with pytest.raises(gates.Refused, match=f"{complaint_no} 是投诉单"):
            await outside.signal(complaint_no, event, actor="carrier", data={})

    async with transaction() as connection:
        assert await connection.scalar(text("select count(*) from inbox where case_no = :c"), {"c": complaint_no}) == 0


# --- who must agree, and how it is paid ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "due", "gate"),
    [
        pytest.param("512.00", "500.00", "refund-0", id="500.00 is the limit itself"),
        pytest.param("512.01", "500.01", "countersign-0", id="500.01 is above it"),
    ],
)
async def test_rfd02_a_refund_above_the_limit_is_agreed_by_another_person(shop, price, due, gate):
    """一张单退款合计超过 500.00 元: a second person, who did not approve the case and does not pay it either."""
    await shop.order(lines=[("SKU-1", "自行车", 1, price)])
    telling = await passed(await at_inspection(shop))
    assert (telling.at, (await bill(telling))[0]) == (gate, due)
    if gate == "refund-0":
        return

    await telling.decide("countersign", "A01", decision="批准")
    with pytest.raises(gates.Refused, match="审批与付款须由不同的人"):
        await telling.decide("refund", "A01", amount=due, reference="ALI-0001")
    await confirmed(telling, due)

    assert await ended(telling) is Stage.CLOSED


async def test_rfd02_who_allowed_the_exception_is_no_second_person(shop):
    """退款超过 500.00 元: 另一个人复核 (AUD-03)."""
    await shop.order(age=40, lines=[("SKU-1", "自行车", 1, "600.00")])
    telling = await approved(shop)
    await telling.decide("exception", "A01", decision="approve", reason="老客户")
    await telling.signal(Event.PARCEL_RECEIVED)
    await passed(telling)

    with pytest.raises(gates.Refused, match="复核须由另一个人办理"):
        await telling.decide("countersign", "A01", decision="approve")
    await telling.decide("countersign", "A04", decision="approve")

    assert telling.at == "refund-0"


async def test_rfd02_a_bill_that_the_second_person_refuses_is_void_and_the_manager_decides_anew(shop):
    """退款超过 500.00 元: 驳回 needs a reason; the next bill starts from nothing charged."""
    await shop.order(lines=[("SKU-1", "自行车", 1, "600.00")])
    telling = await passed(await at_inspection(shop))
    with pytest.raises(forms.Misfilled, match="驳回理由"):
        await telling.decide("countersign", "A04", decision="reject")

    await telling.decide("countersign", "A04", decision="reject", reason="车架有碰撞，应少退")
    assert telling.at == "resolution-0"
    assert [line.split()[1] for line in (await bill_of(telling, "void-0"))] == ["-600.00", "12.00"]
    await telling.decide("resolution", "A01", decision="partial", amount="400.00", reason="车架有碰撞")

    assert telling.at == "refund-0", "400.00 is below the limit"
    assert await bill(telling, 1) == ("400.00", ["MON-14 600.00", "MON-02 -12.00", "RET-08 -188.00"])
    await confirmed(telling, "400.00", **TOLD)
    assert await ended(telling) is Stage.CLOSED


async def bill_of(telling: Telling, entry: str) -> list[str]:
    return [f"{line['rule']} {line['amount']}" for line in (await telling.journal())[entry].data["lines"]]


async def test_mon20_what_was_lost_cannot_be_sent_back(shop):
    """包裹丢失 and 退款超过 500.00 元: the second person refuses, and the manager has nothing to send."""
    await shop.order(lines=[("SKU-1", "自行车", 1, "600.00")])
    telling = await at_receipt(shop)
    await telling.signal(Event.PARCEL_LOST)
    await telling.decide("tracing", "L02", result="lost", note="承运商确认丢件")
    await telling.decide("exception", "A01", decision="approve", reason="承运商丢件")
    await telling.decide("countersign", "A04", decision="reject", reason="先等赔付")
    assert telling.at == "resolution-0"

    with pytest.raises(gates.Refused, match="包裹已确认丢失，没有商品可以寄回"):
        await telling.decide("resolution", "A01", decision="send_back", payer="seller", reason="寄回")
    await telling.decide("resolution", "A01", decision="complaint", reason="与承运商协商")

    assert await ended(telling) is Stage.REJECTED


@pytest.mark.parametrize(
    ("freight", "back"),
    [
        pytest.param("18.00", "18.00", id="below the limit"),
        pytest.param("20.00", "20.00", id="the limit itself"),
        pytest.param("20.01", "20.00", id="never above the limit"),
    ],
)
async def test_mon18_who_shipped_a_faulty_product_gets_the_freight_back(shop, freight, back):
    """顾客自行寄回且是卖家原因: by a payment of its own, after the refund, up to 20.00."""
    await shop.order()
    telling = await approved(shop, shipping="self", **FAULTY)
    await telling.decide("pickup", "L02", carrier="圆通", tracking_no="YT100200300", freight=freight, voucher="发票 1")
    await telling.signal(Event.PARCEL_RECEIVED)
    await passed(telling, cause="quality")
    assert await bill(telling) == ("200.00", ["MON-14 200.00"])
    await confirmed(telling, "200.00")
    assert telling.at == "reimbursement-0"
    account = {"holder": "李小红", "bank": "招商银行", "number": "6225880123456789"}
    await records.record(telling.case_no, records.ACCOUNT, operator="C01", answer=account)

    with pytest.raises(gates.Refused, match=f"补运费金额应为 {back} 元"):
        await telling.decide("reimbursement", "A03", amount="99.00", reference="ALI-0002")
    await telling.decide("reimbursement", "A03", amount=back, reference="ALI-0002")

    assert await ended(telling) is Stage.CLOSED
    paid = await telling.rows("work", "key, amount", "and state = 'done' order by key")
    assert [(row.key.rpartition("/")[2], f"{row.amount:.2f}") for row in paid] == [
        ("refund-0", "200.00"),
        ("reimburse-0", back),
    ]


@pytest.mark.parametrize(
    ("cause", "shipping", "freight"),
    [
        pytest.param("no_reason", "self", "18.00", id="found in order"),
        pytest.param("quality", "pickup", "18.00", id="picked up at our cost"),
        pytest.param("quality", "self", "", id="without a voucher"),
    ],
)
async def test_mon18_nobody_else_is_reimbursed(shop, cause, shipping, freight):
    """顾客自行寄回且是卖家原因: both must be so, and the amount known."""
    await shop.order()
    telling = await approved(shop, shipping=shipping, **FAULTY)
    await telling.decide("pickup", "L02", carrier="圆通", tracking_no="YT100200300", freight=freight)
    await telling.signal(Event.PARCEL_RECEIVED)
    await passed(telling, cause=cause)
    total, _ = await bill(telling)

    await confirmed(telling, total, **(TOLD if cause == "no_reason" else {}))

    assert await ended(telling) is Stage.CLOSED


@pytest.mark.parametrize("route", ["货到付款", ""], ids=["cash on delivery", "nobody knows how it was paid"])
async def test_mon08_where_the_route_is_gone_the_account_is_recorded_and_the_money_transferred(shop, route):
    """原来的付款渠道不能退: no refund counts before the account is recorded by the form 收款账户登记."""
    from flows.account import account

    await shop.order(payment_route=route)
    telling = await passed(await at_inspection(shop))
    (item,) = await telling.rows("work", "route", "and kind = 'refund'")
    assert item.route == "人工转账"
    with pytest.raises(gates.Refused, match="请先登记收款账户"):
        await confirmed(telling, "188.00")
    with pytest.raises(gates.Refused, match="请先登记收款账户"):
        await outside.signal(
            telling.case_no,
            Event.REFUND_SENT,
            actor="",
            staff="A03",
            data={"reference": "ALI-0001", "amount": "188.00"},
        )

    who = {"operator": "C01 周敏", "case_no": telling.case_no}
    await entered(account, **who, holder="李小红", bank="招商银行", number="6225880123456789")
    await confirmed(telling, "188.00")

    assert await ended(telling) is Stage.CLOSED
    assert "登记的收款账户" in (await notices(telling, "NTC-07"))[0]
    assert "6225880123456789" not in str(await telling.rows("journal"))


# --- time -------------------------------------------------------------------------------------------------------------


async def test_gen08_force_majeure_moves_one_cases_due_time(shop):
    """暴雨、停运等: a team lead gives a reason and a new last day; the first one stays visible, the customer is told."""
    from flows.extension import extension

    await shop.order()
    telling = await approved(shop)
    assert (await promise(telling, "pickup-0")).due_at == house("2026-03-06 00:00")
    storm = {"case_no": telling.case_no, "until": "2026-03-10", "reason": "暴雨，快递停运"}

    told = await entered(extension, operator="C02 刘洋", **storm)

    moved = await promise(telling, "pickup-0")
    assert moved.due_at == house("2026-03-11 00:00")
    assert "3月5日" in told and "3月10日" in told
    (row,) = [entry for entry in (await telling.journal()).values() if entry.kind == "extension"]
    (written,) = moved.trace["extensions"]
    assert datetime.fromisoformat(written["at"]) == row.at
    assert written == {"until": "2026-03-10", "reason": "暴雨，快递停运", "at": written["at"]}
    assert (row.actor, row.rule, "3月5日" in row.data["was"]) == ("C02", "GEN-08", True)
    (notice,) = await notices(telling, "NTC-11")
    assert "暴雨，快递停运" in notice and "3月10日" in notice

    await entered(extension, operator="A04 罗成", **{**storm, "until": "2026-03-12"})
    assert (await promise(telling, "pickup-0")).due_at == house("2026-03-13 00:00"), "repeatable (AMB-51)"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"operator": "C07 王小明"}, "没有“延期”权限", id="a plain agent"),
        pytest.param({"operator": "W01 吴芳"}, "没有“延期”权限", id="the head of another department without the right"),
        pytest.param({"until": "2026-03-05"}, "晚于", id="the last day it has anyway"),
        pytest.param({"until": "2026-02-30"}, "不是日期", id="no day at all"),
        pytest.param({"reason": ""}, "延期原因", id="without a reason"),
    ],
)
async def test_amb51_who_may_not_extend_and_what_is_no_extension(shop, changes, why):
    """暴雨、停运等: 组长及以上, with a reason, later than the due time; else nothing changes."""
    from flows.extension import extension

    await shop.order()
    telling = await approved(shop)
    request = {"operator": "C02 刘洋", "case_no": telling.case_no, "until": "2026-03-06", "reason": "暴雨"}
    before = await telling.rows("promises")

    told = await entered(extension, **{**request, **changes})

    assert why in told
    assert await telling.rows("promises") == before
    assert await notices(telling, "NTC-11") == []


async def test_gen08_the_outer_limit_moves_along_and_silence_gets_more_time_too(shop):
    """暴雨、停运等: 整单时限一起后移, and a self-shipper's grace as well."""
    from flows.extension import extension

    await shop.order("D1")
    telling = await at_inspection(shop)
    assert (await promise(telling, "outer-0")).due_at == house("2026-03-12 00:00")
    storm = {"operator": "C02 刘洋", "until": "2026-03-20", "reason": "仓库进水"}
    await entered(extension, case_no=telling.case_no, **storm)
    assert (await promise(telling, "inspection-0")).due_at == house("2026-03-21 00:00")
    assert (await promise(telling, "outer-0")).due_at == house("2026-03-21 00:00")

    await shop.order("D2")
    waiting = await approved(shop, order_no="D2", shipping="self")
    before = await promise(waiting, "pickup-0")
    await entered(extension, case_no=waiting.case_no, **storm)
    after = await promise(waiting, "pickup-0")
    assert after.lapses_at - before.lapses_at == after.due_at - before.due_at > timedelta(0)
    assert (await lapses.look(at=before.lapses_at)).is_empty


async def test_gen08_force_majeure_moves_every_case_of_a_region(shop):
    """一个地区的单都受影响: one reason and one new date for all of them; who lives elsewhere keeps the old one."""
    await shop.order("D1", region="浙江省 杭州市")
    await shop.order("D2", region="福建省 厦门市")
    here, elsewhere = await approved(shop), await approved(shop, order_no="D2")
    days = {"since": house("2026-03-04 00:00").date(), "until": house("2026-03-05 00:00").date()}
    force = extensions.force_majeure(
        regions=["浙江"], **days, to=house("2026-03-12 00:00").date(), reason="台风，快递停运"
    )

    told = await extensions.extend_region(force, operator="C02")

    assert [each.case_no for each in told.extended] == [here.case_no]
    assert (await promise(here, "pickup-0")).due_at == house("2026-03-13 00:00")
    assert (await promise(elsewhere, "pickup-0")).due_at == house("2026-03-06 00:00")
    (notice,) = await notices(here, "NTC-11")
    assert "台风，快递停运" in notice and "3月12日" in notice


async def test_num223_a_question_pauses_the_review_until_it_is_answered(shop, time):
    """要先问顾客才能审核或验收: asked after 20 of 24 hours, answered a day later, 4 hours are left; no rejection."""
    await shop.order()
    telling = await shop.tell(shop.application())
    time.on("2026-03-03 06:00")
    await telling.decide("review", "C08", decision="请客户补充", question="请补拍吊牌照片")
    assert telling.at == "question-0"
    assert "请补拍吊牌照片" in (await notices(telling, "NTC-17"))[0] and await notices(telling, "NTC-03") == []

    time.on("2026-03-04 06:00")
    await telling.decide("question", "C07", answer="照片已发")

    assert telling.at == "review-1"
    assert (await promise(telling, "review-1")).due_at == house("2026-03-04 10:00")


async def test_num223_silence_closes_a_review_and_not_an_inspection(shop, time):
    """问了顾客，7 天没有答复: without goods the case ends, with them the inspection goes on (RET-07)."""
    await shop.order("D1")
    await shop.order("D2")
    reviewed = await shop.tell(shop.application("D1"))
    await reviewed.decide("review", "C08", decision="ask", question="吊牌照片")
    arrived = await at_inspection(shop, order_no="D2")
    await arrived.decide("inspection", "W03", result="ask", question="划痕何时有的")
    await lapses.look(at=house("2026-03-06 00:00"))

    told = await lapses.look(at=house("2026-03-10 00:00"))
    await reviewed.again()
    await arrived.again()

    assert (told.ended, told.unanswered) == ([reviewed.case_no], [arrived.case_no])
    assert await ended(reviewed) is Stage.CANCELLED
    assert "未在期限内收到您的答复" in (await notices(reviewed, "NTC-09"))[0]
    assert arrived.at == "inspection-1" and len(await notices(arrived, "NTC-19")) == 1


async def test_ret04_a_correction_that_never_comes_closes_the_case_after_seven_days(shop):
    """驳回后没有补正: open until the last moment of Monday 9 March, closed at its end."""
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="reject", reason="看不清吊牌")
    asked = await promise(telling, "correction-0")
    assert asked.lapses_at == house("2026-03-10 00:00")

    assert (await lapses.look(at=asked.lapses_at - A_MOMENT)).is_empty
    assert (await telling.again()).at == "correction-0"
    assert (await lapses.look(at=asked.lapses_at)).ended == [telling.case_no]
    await telling.again()

    assert await ended(telling) is Stage.CANCELLED
    assert "未在期限内收到补正材料" in (await notices(telling, "NTC-09"))[0]


async def test_ret04_a_correction_at_the_last_moment_counts(shop, time):
    """驳回后没有补正: the other side of the edge."""
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="reject", reason="看不清吊牌")
    asked = await promise(telling, "correction-0")

    time.at = asked.lapses_at - A_MOMENT
    await telling.decide("correction", "C07", decision="resubmit", evidence=["https://p.example/tag.jpg"])

    assert (await lapses.look(at=asked.lapses_at)).is_empty
    assert telling.at == "review-1"


async def test_ret10_the_outer_limit_runs_from_the_first_receipt_and_is_a_promise_of_its_own(shop, time):
    """收货后 7 个工作日还没办完: Monday's receipt is due by Wednesday 11 March, whatever its stages still have."""
    await shop.order(lines=[("SKU-1", "台灯", 2, "200.00")])
    telling = await at_receipt(shop, items=[{"sku": "SKU-1", "quantity": 2}])
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="coming")
    outer = await promise(telling, "outer-0")
    assert (outer.rule, outer.owner, outer.due_at) == ("RET-10", "aftersales", house("2026-03-12 00:00"))

    await passed(telling)
    await confirmed(telling, "88.00")
    time.on("2026-03-13 10:00")
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="complete")

    assert len(await telling.rows("promises", "*", "and stage = 'outer'")) == 1, (
        "the second receipt starts no second one"
    )
    outer, inspection = await promise(telling, "outer-0"), await promise(telling, "inspection-1")
    assert outer.ended_at is None and outer.due_at < clock.now() < inspection.due_at


# --- quality control ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("percent", [100, 0], ids=["in the sample", "not in the sample"])
async def test_ret16_a_sampled_case_is_marked_when_it_ends_and_never_stopped(shop, monkeypatch, percent):
    """质检抽样: a mark for the quality controllers, the same in every telling."""
    live = rulebook.load()
    returns = live.returns.model_copy(update={"quality_sample": percent})
    monkeypatch.setattr(cases, "current_terms", lambda: live.model_copy(update={"returns": returns}))
    shown: list[list[str]] = []

    async def show(self: Bare, *, name: str, tags: list[str], pages: Any) -> None:
        shown.append(tags)

    monkeypatch.setattr(Bare, "show", show)
    await shop.order()
    telling = await passed(await at_inspection(shop))
    assert all("质检抽样" not in tags for tags in shown)

    await confirmed(telling, "188.00")
    await telling.again()

    assert await ended(telling) is Stage.CLOSED
    assert ("质检抽样" in shown[-1], "quality-0" in await telling.journal()) == (percent == 100, percent == 100)


def test_ret16_the_sample_is_the_hash_of_the_number_so_that_a_replay_agrees():
    """质检抽样: about 5 of 100 numbers, the same ones for ever (SHA-256, first four bytes, modulo 100)."""
    numbers = [f"RT-20260302-{count:04d}" for count in range(1, 2001)]

    sampled = [number for number in numbers if quality.is_sampled(number, percent=5, decided=["review-0"])]

    assert 70 <= len(sampled) <= 130
    assert sampled == [number for number in numbers if quality.is_sampled(number, percent=5, decided=["review-0"])]
    assert not any(quality.is_sampled(number, percent=0, decided=["review-0"]) for number in numbers)
    assert all(quality.is_sampled(number, percent=100, decided=["review-0"]) for number in numbers)


# --- what stock is told -------------------------------------------------------------------------------------------------


async def test_p24_sellable_units_write_one_restock_row_for_each_receipt_and_line_and_nothing_else_does(shop):
    """P-24: three of one line and one of another come in two parcels; one is unsellable; replays add nothing."""
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97"), ("SKU-2", "灯泡", 1, "10.00")])
    telling = await at_receipt(shop, items=[{"sku": "SKU-1", "quantity": 3}, {"sku": "SKU-2", "quantity": 1}])
    first = [{"line": "第1行", "quantity": "2"}, {"line": "第2行", "quantity": "1"}]
    await telling.decide("receipt", "W02", items=first, rest="coming")
    assert await restocked(telling) == [], "what has only arrived is nowhere counted"

    found = [seen(1), seen(1, grade="unsellable"), {**seen(1), "line": "第2行"}]
    await telling.decide("inspection", "W03", items=found, result="pass")
    assert await restocked(telling) == [("kept-0", "SKU-1", 1), ("kept-0", "SKU-2", 1)]
    for _ in range(3):
        await telling.again()
    await confirmed(telling, "177.98")
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="complete")
    await passed(telling)
    await confirmed(telling, "89.99")
    await telling.again()

    assert await restocked(telling) == [("kept-0", "SKU-1", 1), ("kept-0", "SKU-2", 1), ("kept-1", "SKU-1", 1)]
    assert await ended(telling) is Stage.CLOSED


async def test_p24_a_partial_refund_leaves_the_rest_open_and_unsellable_goods_add_nothing(shop):
    """P-24: the first of two parcels is paid in part; the other unit stays held and may still come."""
    await shop.order(lines=[("SKU-1", "台灯", 2, "200.00")])
    telling = await at_receipt(shop, items=[{"sku": "SKU-1", "quantity": 2}])
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest="coming")
    row = seen(1, grade="unsellable")
    await telling.decide("inspection", "W03", items=[row], result="fail", reason="缺少灯罩")
    await telling.decide("resolution", "A01", decision="partial", amount="50.00", reason="缺少灯罩")

    await confirmed(telling, "50.00", **TOLD)

    assert telling.at == "receipt-1"
    assert await restocked(telling) == []
    states = sorted((row.state, row.first_unit, row.end_unit) for row in await telling.rows("units"))
    assert states == [("held", 1, 2), ("settled", 0, 1)]


async def test_p24_a_refund_without_goods_adds_nothing_to_stock(shop):
    """P-24: a lost parcel is paid, nothing came back."""
    await shop.order()
    telling = await at_receipt(shop)
    await telling.signal(Event.PARCEL_LOST)
    await telling.decide("tracing", "L02", result="lost", note="承运商确认丢件")
    await telling.decide("exception", "A01", decision="approve", reason="承运商丢件")

    await confirmed(telling, "200.00")
    await telling.again()

    assert await ended(telling) is Stage.CLOSED
    assert await restocked(telling) == []


async def test_p23_without_a_delivery_date_no_age_is_charged_and_none_is_shown(shop):
    """P-23: 签收日期不明 is the manager's; 200.00 - 12.00, no fee of an age that nobody knows, no date of 1970."""
    await shop.order(age=None)
    telling = await approved(shop)
    assert telling.at == "exception-0"
    await telling.decide("exception", "A01", decision="approve", reason="客户提供了签收截图")
    await telling.signal(Event.PARCEL_RECEIVED)

    await passed(telling)

    assert await bill(telling) == ("188.00", ["MON-14 200.00", "MON-02 -12.00"])
    assert "1970" not in str(await telling.rows("journal", "at, due_at, data")) + str(await telling.rows("outbox"))
