"""
What a gate takes and what it refuses, and why; who was first; what becomes of events (design §3, RET-06, RET-17).

Everything goes through the same door that commands and events use, against a real database.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from aftersales import forms
from aftersales.rules import chain
from aftersales.stack import schema
from aftersales.store import cases, records
from aftersales.store.engine import engine, transaction
from aftersales.words import Event, Stage, Unable
from tasks import gates, outside
from tasks import records as recording
from tests.builders import HOUSE
from tests.stories.conftest import Shop, Telling


@pytest.fixture
async def shop(database: str) -> Shop:
    """An empty shop on a fresh database."""
    return Shop()


@pytest.fixture
async def applied(shop: Shop) -> Telling:
    """Two of three lamps and one of two bulbs (300.00 and 20.00), waiting for the review."""
    return await apply(shop)


async def apply(shop: Shop, price: str = "300.00") -> Telling:
    await shop.order(lines=[("SKU-1", "台灯", 3, price), ("SKU-2", "灯泡", 2, "20.00")])
    items = [{"sku": "SKU-1", "quantity": 2}, {"sku": "SKU-2", "quantity": 1}]
    return await shop.tell(shop.application(items=items))


async def at(telling: Telling, gate: str) -> Telling:
    """Bring a case to a gate along the main way."""
    way: list[tuple[str, str, dict[str, Any]]] = [
        ("review", "C08", {"decision": "approve"}),
        ("pickup", "L02", {"carrier": "顺丰", "tracking_no": "SF100200300"}),
        ("receipt", "W02", {"items": goods(2, 1), "rest": "complete"}),
        ("inspection", "W03", {"items": found((1, 2), (2, 1)), "result": "pass"}),
        ("refund", "A02", {"amount": "198.00", "reference": "ALI-2026-0001"}),
    ]
    for passed, operator, answer in way:
        if telling.at == "countersign-0" and gate != "countersign":
            await telling.decide("countersign", "A04", decision="approve")
        if passed == gate:
            assert telling.at == f"{gate}-0"
            return telling
        await telling.decide(passed, operator, **answer)
    return telling


def goods(lamps: int, bulbs: int = 0) -> list[dict[str, Any]]:
    rows = [{"line": "第1行", "quantity": lamps}, {"line": "第2行", "quantity": bulbs}]
    return [row for row in rows if row["quantity"]]


def found(*rows: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"line": line, "quantity": count, "grade": "可再销售", "cause": "七天无理由"} for line, count in rows]


async def decide(telling: Telling, gate: str, operator: str, **answer: Any) -> Any:
    """Decide without telling on."""
    return await outside.decide(telling.case_no, gate, operator=operator, answer=answer)


async def signal(telling: Telling, event: Event, key: str = "", staff: str = "", **data: Any) -> str:
    """Tell an event without telling the story on."""
    return await outside.signal(telling.case_no, event, actor="carrier", data=data, key=key, staff=staff)


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "operator", "answer", "sentence"),
    [
        pytest.param(
            "review",
            "X99",
            {"decision": "approve"},
            "经办人“X99”不在员工名单中，请用员工编号，如 C07。",
            id="somebody unknown",
        ),
        pytest.param(
            "review",
            "A01",
            {"decision": "approve"},
            "经办人 A01 何静 不属于客户服务部，请由客户服务部的员工处理。",
            id="the right without the department",
        ),
        pytest.param(
            "receipt",
            "L01",
            {"items": goods(2, 1), "rest": "complete"},
            "经办人 L01 赵强 不属于仓储部，请由仓储部的员工处理。",
            id="logistics books no receipt",
        ),
        pytest.param(
            "inspection",
            "C07",
            {"items": found((1, 2), (2, 1)), "result": "pass"},
            "经办人 C07 王小明 不属于仓储部，请由仓储部的员工处理。",
            id="customer service inspects nothing",
        ),
        pytest.param(
            "refund",
            "T01",
            {"amount": "198.00", "reference": "ALI-1"},
            "经办人 T01 高远 不属于售后服务部，请由售后服务部的员工处理。",
            id="technical support pays nothing",
        ),
    ],
)
async def test_who_may_not_decide_is_told_why(applied, gate, operator, answer, sentence):
    await at(applied, gate)

    with pytest.raises(gates.Refused) as refused:
        await decide(applied, gate, operator, **answer)

    assert str(refused.value) == sentence
    assert f"{gate}-0" not in await applied.journal()


async def test_the_department_without_the_right_is_refused(shop):
    await shop.order(age=40)
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="approve")
    assert telling.at == "exception-0"

    with pytest.raises(gates.Refused) as refused:
        await decide(telling, "exception", "A02", decision="approve", reason="老客户")

    assert str(refused.value) == "经办人 A02 许诺 没有“审批例外”权限，请换有权限的员工处理。"


async def test_who_approved_the_exception_does_not_confirm_the_payment(shop):
    await shop.order(age=40)
    telling = await shop.tell(shop.application(shipping="self"))
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("exception", "A01", decision="approve", reason="老客户")
    await telling.signal(Event.PARCEL_RECEIVED)
    await telling.decide("inspection", "W03", items=found((1, 1)), result="pass")
    due = (await telling.rows("work", "amount", "and kind = 'refund'"))[0].amount

    with pytest.raises(gates.Refused) as refused:
        await decide(telling, "refund", "A01", amount=f"{due:.2f}", reference="ALI-1000")
    await telling.decide("refund", "A03", amount=f"{due:.2f}", reference="ALI-1000")

    assert str(refused.value) == (
        "经办人 A01 何静 已审批过本单，审批与付款须由不同的人办理，请换一位有退款权限的员工。"
    )
    assert (await telling.journal())["refund-0"].actor == "A03"


@pytest.mark.parametrize(
    ("price", "due", "is_within"),
    [
        pytest.param("3003.00", "2000.00", True, id="2000.00 is the limit itself"),
        pytest.param("3003.03", "2000.02", False, id="two fen above the limit of 2000.00"),
    ],
)
async def test_an_amount_above_the_operators_limit_is_another_ones(shop, price, due, is_within):
    telling = await at(await apply(shop, price), "refund")

    if is_within:
        await telling.decide("refund", "A02", amount=due, reference="ALI-1000")
    else:
        with pytest.raises(gates.Refused) as refused:
            await decide(telling, "refund", "A02", amount=due, reference="ALI-1000")
        assert str(refused.value) == (f"退款 {due} 元超出经办人 A02 许诺 的限额 2000.00 元，请由限额更高的员工确认。")
        await telling.decide("refund", "A03", amount=due, reference="ALI-1000")

    assert (await telling.journal())["refund-0"].actor == ("A02" if is_within else "A03")


@pytest.mark.parametrize(
    ("event", "operator", "right"),
    [
        pytest.param(Event.PARCEL_PICKED_UP, "W02", "登记取件", id="the warehouse picks nothing up"),
        pytest.param(Event.PARCEL_RECEIVED, "C07", "登记收货", id="customer service receives nothing"),
        pytest.param(Event.REFUND_SENT, "W02", "确认退款", id="the warehouse pays nothing"),
        pytest.param(Event.CASE_CANCELLED, "W02", "取消售后单", id="the warehouse cancels nothing"),
    ],
)
async def test_telling_an_event_asks_for_its_right(applied, event, operator, right):
    with pytest.raises(gates.Refused, match=f"没有“{right}”权限"):
        await signal(applied, event, staff=operator)

    assert await applied.rows("inbox") == []


# --- what fits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param(
            {"items": goods(3, 1), "rest": "complete"},
            "第 1 行还有 2 件待收，填写了 3 件，请核对数量。",
            id="p20 more than was asked for",
        ),
        pytest.param(
            {"items": [*goods(1), *goods(2)], "rest": "coming"},
            "第 1 行还有 2 件待收，填写了 3 件，请核对数量。",
            id="p20 a line named twice is added up",
        ),
        pytest.param(
            {"items": goods(2), "rest": "complete"},
            "还缺第 2 行 1 件，“是否到齐”请选“其余还会寄来”或“其余不再寄来”。",
            id="p14 something is missing and everything is said to be there",
        ),
        pytest.param(
            {"items": goods(2, 1), "rest": "coming"},
            "商品已全部到齐，“是否到齐”请选“全部到齐”。",
            id="p14 everything is there and more is said to come",
        ),
    ],
)
async def test_a_receipt_must_fit_what_is_outstanding(applied, answer, sentence):
    await at(applied, "receipt")

    with pytest.raises(gates.Refused) as refused:
        await decide(applied, "receipt", "W02", **answer)

    assert str(refused.value) == sentence
    assert "receipt-0" not in await applied.journal()


async def test_p14_the_second_parcel_brings_no_more_than_is_left(applied):
    await at(applied, "receipt")
    await applied.decide("receipt", "W02", items=goods(1), rest="coming")
    await applied.decide("inspection", "W03", items=found((1, 1)), result="pass")
    await applied.decide("refund", "A02", amount="88.00", reference="ALI-1000")
    assert applied.at == "receipt-1"

    with pytest.raises(gates.Refused, match="第 1 行还有 1 件待收，填写了 2 件"):
        await decide(applied, "receipt", "W02", items=goods(2, 1), rest="complete")
    await applied.decide("receipt", "W02", items=goods(1, 1), rest="complete")

    assert applied.at == "inspection-1"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        pytest.param([(1, 1), (2, 1)], "第 1 行收到 2 件，验收填写了 1 件", id="one unit was forgotten"),
        pytest.param([(1, 2), (1, 1), (2, 1)], "第 1 行收到 2 件，验收填写了 3 件", id="one unit too many in two rows"),
        pytest.param([(1, 2)], "第 2 行收到 1 件，验收填写了 0 件", id="a line was forgotten"),
    ],
)
async def test_ret07_an_inspection_must_sum_up_to_what_arrived(applied, rows, sentence):
    await at(applied, "inspection")

    with pytest.raises(gates.Refused) as refused:
        await decide(applied, "inspection", "W03", items=found(*rows), result="pass")

    assert str(refused.value) == f"{sentence}，各等级数量之和须等于收到的数量。"


@pytest.mark.parametrize("amount", ["197.99", "198.01", "0"])
async def test_mon07_the_amount_confirmed_is_the_amount_due(applied, amount):
    await at(applied, "refund")

    with pytest.raises(gates.Refused, match=r"退款金额应为 198\.00 元，填写的是"):
        await decide(applied, "refund", "A02", amount=amount, reference="ALI-1000")

    assert [row.state for row in await applied.rows("work", "state", "and kind = 'refund'")] == ["open"]


async def test_a_misfilled_form_names_every_wrong_field(applied):
    await at(applied, "refund")

    with pytest.raises(forms.Misfilled) as misfilled:
        await decide(applied, "refund", "A02", amount="1.234", reference="?")

    assert "退款金额：" in str(misfilled.value)
    assert "交易流水号：" in str(misfilled.value)


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        pytest.param("refund", "现在待审核，还不能办理退款。", id="it is not its turn"),
        pytest.param("天上", "没有“天上”这个环节，可以填写：review（审核）", id="there is no such gate"),
    ],
)
async def test_a_gate_that_is_not_open_says_so(applied, gate, sentence):
    with pytest.raises(Unable) as unable:
        await decide(applied, gate, "A02", amount="1.00", reference="ALI-1000")

    assert sentence in str(unable.value)


# --- who was first ----------------------------------------------------------------------------------------------------


async def test_the_second_decider_is_told_who_and_when(applied):
    first = await decide(applied, "review", "C08", decision="approve")

    with pytest.raises(gates.AlreadyDecided) as late:
        await decide(applied, "review", "C02", decision="reject", reason="重复")

    local = first.at.astimezone(HOUSE)
    assert str(late.value) == (
        f"{applied.case_no} 的审核已由 C08 陈晓 于 {local:%Y-%m-%d %H:%M} 完成，您的提交未被采用，无需再处理。"
    )


async def test_two_who_decide_at_once_on_two_connections_leave_one_row(applied):
    """The first has written and not yet committed; the second waits at the case's row, and is then told."""
    async with engine().connect() as watcher, engine().connect() as first:
        case, terms = await outside.found(first, applied.case_no)
        promise = await cases.open_gate(first, applied.case_no, "review")
        await gates.accept(
            first,
            case=case,
            terms=terms,
            promise=promise,
            answer={"decision": "approve"},
            operator="C08",
            via="command",
            at=promise["started_at"],
        )
        second = asyncio.create_task(decide(applied, "review", "C02", decision="reject", reason="重复"))
        await waiting_for_a_lock(watcher)
        assert not second.done()
        await first.commit()
        with pytest.raises(gates.AlreadyDecided, match="已由 C08 陈晓"):
            await second

    decided = await applied.rows("journal", "actor", "and kind = 'decision'")
    assert [row.actor for row in decided] == ["C08"]


async def waiting_for_a_lock(watcher: Any) -> None:
    """Wait until somebody stands in line at a row of this database."""
    query = text(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
    for _ in range(1_000):
        waiting = await watcher.scalar(query)
        await watcher.rollback()
        if waiting:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


async def test_of_eight_who_decide_at_once_one_has_decided_and_seven_are_told(applied):
    people = ["C01", "C02", "C07", "C08"] * 2
    answers = await asyncio.gather(
        *(decide(applied, "review", person, decision="approve") for person in people), return_exceptions=True
    )

    kinds = Counter(type(answer).__name__ for answer in answers)
    assert kinds == {"Entry": 1, "AlreadyDecided": 7}
    assert len(await applied.rows("journal", "seq", "and entry = 'review-0'")) == 1


# --- events -----------------------------------------------------------------------------------------------------------


async def test_the_same_key_twice_counts_once(applied):
    await at(applied, "receipt")

    first = await signal(applied, Event.PARCEL_RECEIVED, key="scan-1", tracking_no="SF100200300")
    again = await signal(applied, Event.PARCEL_RECEIVED, key="scan-1", tracking_no="SF100200300")

    assert first == f"{applied.case_no} 已登记“已收货”。"
    assert again == f"{applied.case_no} 的“已收货”已登记过，未重复登记。"
    assert len(await applied.rows("inbox")) == 1
    await applied.again()
    assert list(await applied.journal()).count("receipt-0") == 1


async def test_the_same_key_at_the_same_instant_counts_once(applied):
    await at(applied, "receipt")

    told = await asyncio.gather(*(signal(applied, Event.PARCEL_RECEIVED, key="scan-1") for _ in range(6)))

    assert Counter("未重复登记" in sentence for sentence in told) == {False: 1, True: 5}
    assert len(await applied.rows("inbox")) == 1


async def test_an_early_event_waits_and_passes_its_gate_without_a_stop(applied):
    """Picked up before the review is done: the case goes from the review straight to the receipt."""
    told = await signal(applied, Event.PARCEL_PICKED_UP, carrier="顺丰", tracking_no="SF100200300")
    assert told == f"{applied.case_no} 已登记“已取件”，现在待审核，到相应环节时自动采用。"
    await applied.again()
    assert applied.at == "review-0"

    await applied.decide("review", "C08", decision="approve")

    assert applied.at == "receipt-0"
    picked_up = (await applied.journal())["pickup-0"]
    assert (picked_up.actor, picked_up.data["tracking_no"]) == ("carrier", "SF100200300")
    assert [row.taken_at is not None for row in await applied.rows("inbox")] == [True]


async def test_what_was_received_was_picked_up(applied):
    """A receipt at the gate of the pick-up passes both, and says which of the two nobody scanned."""
    await at(applied, "pickup")

    await applied.signal(Event.PARCEL_RECEIVED, tracking_no="SF100200300")

    assert applied.at == "inspection-0"
    journal = await applied.journal()
    assert (journal["pickup-0"].data["implied"], journal["pickup-0"].data["via"]) == (True, "implied")
    assert journal["receipt-0"].data["tracking_no"] == "SF100200300"


async def test_without_quantities_a_parcel_brought_everything_outstanding(applied):
    await at(applied, "receipt")

    await applied.signal(Event.PARCEL_RECEIVED)

    received = (await applied.journal())["receipt-0"].data
    assert [(item["line_no"], item["quantity"]) for item in received["items"]] == [(1, 2), (2, 1)]
    assert received["rest"] == "complete"


async def test_p16_the_same_parcel_is_not_received_twice(applied):
    """Two scans of one parcel under two keys: the second is refused at once while its gate is open."""
    await at(applied, "receipt")
    first = {"tracking_no": "SF100200300", "items": [{"sku": "SKU-1", "quantity": 1}], "rest": "coming"}
    await applied.signal(Event.PARCEL_RECEIVED, **first)
    await applied.decide("inspection", "W03", items=found((1, 1)), result="pass")
    await applied.decide("refund", "A02", amount="88.00", reference="ALI-1000")
    assert applied.at == "receipt-1"

    with pytest.raises(gates.Refused) as refused:
        await signal(applied, Event.PARCEL_RECEIVED, **first)

    assert str(refused.value) == "运单 SF100200300 已登记过收货，同一包裹不能登记两次。"
    assert len(await applied.rows("inbox")) == 1


async def test_p16_a_second_scan_that_came_before_its_gate_is_refused_in_the_story(applied):
    """Both scans are in the inbox before anybody looks: the second may not answer the second round."""
    await at(applied, "receipt")
    parcel = {"tracking_no": "SF100200300", "items": [{"sku": "SKU-1", "quantity": 1}], "rest": "coming"}
    await signal(applied, Event.PARCEL_RECEIVED, key="scan-1", **parcel)
    await signal(applied, Event.PARCEL_RECEIVED, key="scan-2", **parcel)
    await applied.again()
    await applied.decide("inspection", "W03", items=found((1, 1)), result="pass")

    await applied.decide("refund", "A02", amount="88.00", reference="ALI-1000")

    assert applied.at == "receipt-1"
    refused = (await applied.journal())["receipt-1.refused:event:scan-2"]
    assert refused.data["reason"] == "运单 SF100200300 已登记过收货，同一包裹不能登记两次。"
    assert await applied.rows("inbox", "*", "and taken_at is null") == []


async def test_goods_of_another_order_are_refused_by_name(applied):
    await at(applied, "receipt")

    with pytest.raises(gates.Refused, match="商品 SKU-9 不在本售后单的待收商品中"):
        await signal(applied, Event.PARCEL_RECEIVED, items=[{"sku": "SKU-9", "quantity": 1}])

    assert await applied.rows("inbox") == []


async def test_a_wrong_amount_from_the_payment_provider_is_refused(applied):
    await at(applied, "refund")

    with pytest.raises(gates.Refused, match=r"退款金额应为 198\.00 元，填写的是 200\.00 元"):
        await signal(applied, Event.REFUND_SENT, amount="200.00")
    await applied.signal(Event.REFUND_SENT, reference="WX-1000")

    assert (await applied.case()).stage is Stage.CLOSED
    assert (await applied.journal())["refund-0"].data["amount"] == "198.00"


@pytest.mark.parametrize("event", [Event.REFUND_SENT, Event.FREIGHT_REIMBURSED])
async def test_p15_money_that_nobody_owes_yet_has_not_gone(applied, event):
    """Kept in the inbox, it would pay whatever is due first, with no transfer at all."""
    with pytest.raises(gates.Refused, match="现在待审核，不能登记"):
        await signal(applied, event, staff="A03", reference="WX-1000")

    assert await applied.rows("inbox") == []


async def test_p15_the_payment_of_one_parcel_told_twice_does_not_pay_the_next(applied):
    await at(applied, "receipt")
    await applied.signal(Event.PARCEL_RECEIVED, items=[{"sku": "SKU-1", "quantity": 1}], rest="coming")
    await applied.decide("inspection", "W03", items=found((1, 1)), result="pass")

    told = [await signal(applied, Event.REFUND_SENT, staff="A03", reference="WX-1000") for _ in range(2)]
    await applied.again()
    await applied.signal(
        Event.PARCEL_RECEIVED, tracking_no="SF9000", items=[{"sku": "SKU-1", "quantity": 1}], rest="none"
    )
    await applied.decide("inspection", "W03", items=found((1, 1)), result="pass")

    assert "已登记过，未重复登记" in told[1]
    assert applied.at == "refund-1" and "refund-1" not in await applied.journal()


@pytest.mark.parametrize(
    ("event", "data", "sentence"),
    [
        pytest.param(
            Event.PARCEL_RECEIVED, {"color": "red"}, "没有“color”这一项，可以填写：carrier（承运商）", id="unknown word"
        ),
        pytest.param(Event.PARCEL_PICKED_UP, {"freight": "1.234"}, "承运凭证金额没有填对", id="three decimals"),
        pytest.param(Event.PARCEL_PICKED_UP, {"tracking_no": "电话 138"}, "运单号没有填对", id="no parcel number"),
        pytest.param(Event.PARCEL_PICKED_UP, {"carrier": "a\x00b"}, "不能含空字符", id="a character nobody types"),
        pytest.param(Event.PARCEL_PICKED_UP, {"carrier": 7}, "承运商要写成文字", id="a number for a text"),
        pytest.param(Event.PARCEL_RECEIVED, {"items": "SKU-1"}, "实收商品要写成商品编码和件数的列表", id="no list"),
        pytest.param(
            Event.PARCEL_RECEIVED, {"items": [{"sku": "SKU-1", "quantity": 0}]}, "1 或以上的整数", id="no units"
        ),
        pytest.param(Event.PARCEL_RECEIVED, {"rest": "maybe"}, "是否到齐：", id="no such choice"),
    ],
)
async def test_an_event_that_says_nonsense_is_refused_at_the_door(applied, event, data, sentence):
    with pytest.raises(Unable) as unable:
        await signal(applied, event, **data)

    assert sentence in str(unable.value)
    assert await applied.rows("inbox") == []


async def test_gen10_what_an_event_brings_is_masked(applied):
    await signal(applied, Event.PARCEL_PICKED_UP, carrier="顺丰 13800001234", voucher="票号 8，电话 13800001234")

    (row,) = await applied.rows("inbox")
    assert row.data == {"carrier": "顺丰 138****1234", "voucher": "票号 8，电话 138****1234"}


# --- cancelling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", ["review", "pickup", "receipt"])
async def test_ret17_before_receipt_the_customer_may_cancel_at_every_gate(applied, gate):
    await at(applied, gate)

    await applied.signal(Event.CASE_CANCELLED, reason="不退了")

    case = await applied.case()
    assert (case.stage, case.closed_at is not None) == (Stage.CANCELLED, True)
    assert (await applied.journal())["cancelled-0"].data["reason"] == "不退了"
    assert {row.state for row in await applied.rows("units")} == {"released"}
    assert await applied.rows("promises", "*", "and ended_at is null") == []
    assert await applied.rows("work", "*", "and state = 'open'") == []


@pytest.mark.parametrize("gate", ["inspection", "refund"])
async def test_ret17_after_receipt_a_cancellation_is_refused_at_once(applied, gate):
    await at(applied, gate)

    with pytest.raises(gates.Refused) as refused:
        await signal(applied, Event.CASE_CANCELLED, reason="不退了")

    assert str(refused.value) == f"{applied.case_no} 的商品已收货，不能取消，请按验收结果继续处理。"
    assert (await applied.again()).at == f"{gate}-0"


async def test_ret17_a_cancellation_that_loses_against_the_receipt_is_refused_in_the_story(applied):
    """Both are in the inbox when the story looks: a parcel that is there cannot be cancelled away afterwards."""
    await at(applied, "receipt")
    await decide(applied, "receipt", "W02", items=goods(2, 1), rest="complete")
    async with transaction() as connection:
        await cases.receive(
            connection,
            key="late-cancel",
            case_no=applied.case_no,
            event=Event.CASE_CANCELLED.value,
            actor="customer",
            data={"reason": "不退了"},
            at=(await applied.journal())["receipt-0"].at,
        )

    await applied.again()

    assert applied.at == "inspection-0"
    refused = (await applied.journal())["cancelled.refused:late-cancel"]
    assert refused.data["reason"].endswith("的商品已收货，不能取消，请按验收结果继续处理。")


@pytest.mark.parametrize("event", list(Event))
async def test_a_case_that_is_over_hears_nothing(applied, event):
    await applied.signal(Event.CASE_CANCELLED, reason="不退了")

    with pytest.raises(gates.Refused, match=f"{applied.case_no} 已取消，不再接收“{event.label}”"):
        await signal(applied, event)


# --- the journal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param("update journal set actor = 'C01'", id="rewriting"),
        pytest.param("delete from journal where kind = 'decision'", id="removing"),
        pytest.param("truncate journal", id="emptying"),
    ],
)
async def test_aud01_the_database_refuses_to_change_the_journal(applied, database, attack):
    await decide(applied, "review", "C08", decision="approve")
    before = await applied.journal()

    append_only = pytest.raises(psycopg.errors.RestrictViolation, match="流水只能追加")
    with psycopg.connect(schema.plain(database)) as owner, append_only:
        owner.execute(attack)

    assert await applied.journal() == before


async def test_aud01_every_row_carries_the_hash_of_all_before_it(applied):
    await at(applied, "the end")

    async with transaction() as connection:
        rows, seq, last_hash = await records.audited(connection, applied.case_no)

    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0]["prev_hash"] == ""
    assert all(len(row["hash"]) == 64 for row in rows)
    assert [row["prev_hash"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]
    assert chain.breaks(rows, seq=seq, last_hash=last_hash) == []


@pytest.mark.parametrize("name", chain.ROW)
async def test_aud01_no_column_can_be_changed_unseen(applied, name):
    await decide(applied, "review", "C08", decision="approve")
    async with transaction() as connection:
        rows, seq, last_hash = await records.audited(connection, applied.case_no)
    number = next(row["seq"] for row in rows if row["entry"] == "review-0")
    other: dict[str, Any] = {"seq": 99, "at": rows[0]["due_at"] or rows[-1]["due_at"], "due_at": None, "data": {}}
    forged = [row | {name: other.get(name, "X")} if row["seq"] == number else row for row in rows]

    assert chain.breaks(forged, seq=seq, last_hash=last_hash)[0].number == number


async def test_aud01_rows_written_at_once_form_one_chain(applied):
    """Evidence from several hands at the same instant: numbers without gaps, one unbroken chain."""
    await asyncio.gather(*(recording.add_text(applied.case_no, f"照片 {n}", operator="C07") for n in range(8)))

    async with transaction() as connection:
        rows, seq, last_hash = await records.audited(connection, applied.case_no)
    assert chain.breaks(rows, seq=seq, last_hash=last_hash) == []
    assert sum(row["kind"] == "evidence" for row in rows) == 8


# --- a number that its sender uses again ----------------------------------------------------------------------------


async def test_gen14_a_number_answers_the_decision_at_its_own_gate_alone(shop: Shop):
    await shop.order()
    telling = await shop.tell(shop.application())
    sent = {"case_no": telling.case_no, "via": "api/erp/0123456789abcdef"}
    review = await outside.decide(gate="review", operator="C08", answer={"decision": "approve"}, **sent)
    await telling.again()

    pickup = await outside.decide(
        gate="pickup", operator="L02", answer={"carrier": "顺丰", "tracking_no": "SF1001"}, **sent
    )
    again = await outside.decide(gate="review", operator="C08", answer={"decision": "approve"}, **sent)

    assert (pickup.entry, pickup.actor) == ("pickup-0", "L02")
    assert again == review
