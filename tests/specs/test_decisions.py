"""What a decision must agree with, and who may make it (design §3, P-14, P-20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from aftersales.rules import authority, decisions, offers
from aftersales.words import Event, Right, Staff
from tests.builders import HOUSE

RECEIPT = {"outstanding": {"1": 3, "2": 1}, "skus": {"1": "A", "2": "B"}, "parcels": ["SF1000"]}


def items(*pairs: tuple[int, int]) -> list[dict[str, int]]:
    return [{"line_no": line_no, "quantity": quantity} for line_no, quantity in pairs]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param({"items": items((1, 3), (2, 1)), "rest": "complete"}, "", id="everything arrived"),
        pytest.param({"items": items((1, 2)), "rest": "coming"}, "", id="a part arrived, the rest is coming"),
        pytest.param({"items": items((1, 2)), "rest": "none"}, "", id="a part arrived, the rest will not come"),
        pytest.param({"items": items((1, 1), (1, 2), (2, 1)), "rest": "complete"}, "", id="a line in two rows"),
        pytest.param({"items": items((1, 4)), "rest": "coming"}, "还有 3 件待收，填写了 4 件", id="one too many"),
        pytest.param({"items": items((1, 2), (1, 2)), "rest": "coming"}, "填写了 4 件", id="one too many in two rows"),
        pytest.param({"items": items((3, 1)), "rest": "coming"}, "第 3 行不在", id="a line that is not of the case"),
        pytest.param({"items": items((1, 3), (2, 1)), "rest": "coming"}, "请选“全部到齐”", id="nothing more to come"),
        pytest.param(
            {"items": items((1, 2)), "rest": "complete"}, "第 1 行 1 件、第 2 行 1 件", id="said complete, but is not"
        ),
        pytest.param(
            {"items": items((1, 1)), "rest": "coming", "tracking_no": "SF1000"}, "登记两次", id="the same parcel again"
        ),
    ],
)
def test_receipt(answer: dict[str, Any], sentence: str):
    said = decisions.disagreement(gate="receipt", answer=answer, context=RECEIPT)

    assert sentence in said
    assert bool(said) is bool(sentence)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        pytest.param(items((1, 2), (1, 1)), "", id="2 sellable and 1 not make 3"),
        pytest.param(items((1, 2)), "收到 3 件，验收填写了 2 件", id="one was not looked at"),
        pytest.param(items((1, 4)), "收到 3 件，验收填写了 4 件", id="one more than arrived"),
        pytest.param(items((1, 3), (2, 1)), "第 2 行收到 0 件", id="a line that did not arrive"),
    ],
)
def test_inspection(rows: list[dict[str, int]], sentence: str):
    said = decisions.disagreement(gate="inspection", answer={"items": rows}, context={"received": {"1": 3}})

    assert sentence in said
    assert bool(said) is bool(sentence)


@pytest.mark.parametrize(("amount", "fits"), [("188.00", True), ("188", True), ("188.01", False), ("187.99", False)])
def test_refund_is_the_amount_due_to_the_fen(amount: str, fits: bool):
    said = decisions.disagreement(gate="refund", answer={"amount": amount}, context={"amount": "188.00"})

    assert (said == "") is fits


@pytest.mark.parametrize("gate", ["release", "refund"])
@pytest.mark.parametrize(
    ("how", "at", "sentence"),
    [
        pytest.param("phone", "", "要一起填写", id="how without when"),
        pytest.param(None, "2026-11-24 15:30", "要一起填写", id="when without how"),
        pytest.param("phone", "2026-02-30 10:00", "没有 2026-02-30 10:00 这个时间", id="a day that there is not"),
        pytest.param("phone", "2026-11-24 24:30", "没有 2026-11-24 24:30 这个时间", id="an hour that there is not"),
        pytest.param("phone", "2026-11-24 15:30", "", id="both"),
        pytest.param(None, "", "", id="neither"),
    ],
)
def test_mon17_how_and_when_a_customer_was_told_belong_together(gate: str, how: Any, at: str, sentence: str) -> None:
    answer = {"amount": "188.00", "told_how": how, "told_at": at}

    said = decisions.disagreement(gate=gate, answer=answer, context={"amount": "188.00"})

    assert sentence in said and bool(said) is bool(sentence)


CASHIER = Staff("A02", "许诺", "aftersales", "出纳", rights=frozenset({Right.REFUND}), refund_limit=Decimal("500.00"))


CALLER = replace(CASHIER, rights=frozenset({Right.VISIT}))


def asked(**changes: Any) -> str:
    return authority.objection(
        **{
            "operator": CASHIER,
            "named": "A02",
            "right": Right.REFUND,
            "department": "aftersales",
            "department_name": "售后服务部",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({}, "", id="of the department, with the right"),
        pytest.param({"operator": None, "named": "C99"}, "“C99”不在员工名单中", id="nobody knows them"),
        pytest.param({"department": "warehouse", "department_name": "仓储部"}, "不属于仓储部", id="another department"),
        pytest.param({"right": Right.REVIEW}, "没有“审核申请”权限", id="without the right"),
        pytest.param({"amount": Decimal("500.00")}, "", id="at the limit"),
        pytest.param({"amount": Decimal("500.01")}, "限额 500.00 元", id="a fen above the limit"),
        pytest.param(
            {"right": Right.VISIT, "operator": CALLER, "not_by": ["A02"]},
            "不能登记自己的满意度",
            id="P-22 who worked on it does not record what its customer says",
        ),
        pytest.param({"not_by": ["A02"]}, "审批与付款须由不同的人办理", id="who approved does not pay"),
    ],
)
def test_authority(changes: dict[str, Any], sentence: str):
    said = asked(**changes)

    assert sentence in said
    assert bool(said) is bool(sentence)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        pytest.param({}, (items((1, 3), (2, 1)), "complete"), id="a scan without quantities brought everything"),
        pytest.param({"items": [{"sku": "A", "quantity": 2}]}, (items((1, 2)), "coming"), id="a part"),
        pytest.param(
            {"items": [{"sku": "A", "quantity": 2}], "rest": "none"}, (items((1, 2)), "none"), id="the rest lost"
        ),
        pytest.param(
            {"items": [{"sku": "A", "quantity": 3}, {"sku": "B", "quantity": 1}], "rest": "coming"},
            (items((1, 3), (2, 1)), "coming"),
            id="what was declared stands, to be refused",
        ),
        pytest.param(
            {"items": [{"sku": "A", "quantity": 2}], "rest": "complete"},
            (items((1, 2)), "complete"),
            id="also when something is missing",
        ),
        pytest.param({"rest": "complete"}, (items((1, 3), (2, 1)), "complete"), id="everything, without quantities"),
        pytest.param({"rest": "none"}, ([], "none"), id="nothing more comes: nothing is made up"),
    ],
)
def test_a_parcel_that_arrived_answers_the_receipt(data: dict[str, Any], answer: tuple[Any, str]):
    found = offers.from_event(event=Event.PARCEL_RECEIVED, data=data, context=RECEIPT)

    assert (found["items"], found["rest"]) == answer


def test_a_parcel_with_foreign_goods_is_refused_by_name():
    with pytest.raises(ValueError, match="商品 C 不在"):
        offers.from_event(event=Event.PARCEL_RECEIVED, data={"items": [{"sku": "C", "quantity": 1}]}, context=RECEIPT)


def test_quantities_by_sku_are_dealt_to_lines_in_order_and_too_many_are_seen():
    context = {"outstanding": {"1": 2, "2": 2}, "skus": {"1": "A", "2": "A"}}

    three = offers.from_event(
        event=Event.PARCEL_RECEIVED, data={"items": [{"sku": "A", "quantity": 3}]}, context=context
    )
    five = offers.from_event(
        event=Event.PARCEL_RECEIVED, data={"items": [{"sku": "A", "quantity": 5}]}, context=context
    )

    assert three["items"] == items((1, 2), (2, 1))
    assert five["items"] == items((1, 2), (2, 3))
    assert "第 2 行" in decisions.disagreement(gate="receipt", answer=five, context=context)


LATER = RECEIPT | {"is_later": True, "is_self_shipped": False}


@pytest.mark.parametrize(
    ("answer", "context", "sentence"),
    [
        pytest.param({"rest": "none"}, LATER, "", id="after a first parcel the rest may never come"),
        pytest.param({"rest": "coming"}, LATER, "请选“其余不再寄来”", id="but nothing is no parcel"),
        pytest.param({"rest": "none"}, RECEIPT, "请填写实收商品", id="before any parcel nothing is no rest"),
        pytest.param(
            {"items": items((1, 3), (2, 1)), "rest": "complete", "freight": "8.00"},
            LATER,
            "“客户垫付运费”请留空",
            id="mon18 our courier cost the customer nothing",
        ),
        pytest.param(
            {"items": items((1, 3), (2, 1)), "rest": "complete", "freight": "8.00"},
            LATER | {"is_self_shipped": True},
            "",
            id="mon18 a self-shipper may have paid",
        ),
    ],
)
def test_the_rest_of_a_receipt(answer: dict[str, Any], context: dict[str, Any], sentence: str):
    said = decisions.disagreement(gate="receipt", answer=answer, context=context)

    assert sentence in said
    assert bool(said) is bool(sentence)


@pytest.mark.parametrize(
    ("answer", "context", "sentence"),
    [
        pytest.param({"result": "found"}, {"has_parcel": True}, "", id="found, and there it is"),
        pytest.param({"result": "lost"}, {"has_parcel": True}, "不能确认丢失", id="lost, but there it is"),
        pytest.param({"result": "lost", "items": items((1, 3))}, {}, "", id="all of it"),
        pytest.param({"result": "lost", "items": items((1, 1))}, {}, "", id="a part of it"),
        pytest.param({"result": "lost", "items": items((1, 4))}, {}, "还有 3 件没到，丢失填写了 4 件", id="too many"),
        pytest.param({"result": "lost", "items": items((2, 1))}, {}, "第 2 行还有 0 件没到", id="another line"),
        pytest.param({"result": "lost"}, {}, "", id="a form drawn before it asked for goods"),
    ],
)
def test_tracing(answer: dict[str, Any], context: dict[str, Any], sentence: str):
    said = decisions.disagreement(gate="tracing", answer=answer, context={"outstanding": {"1": 3}} | context)

    assert sentence in said
    assert bool(said) is bool(sentence)


@pytest.mark.parametrize(
    ("answer", "lacking", "sentence"),
    [
        pytest.param({"decision": "approve"}, "", "", id="nothing is lacking"),
        pytest.param({"decision": "approve"}, "需要凭证", "需要凭证；请驳回", id="approved without proof"),
        pytest.param({"decision": "approve", "remark": "看过视频"}, "需要凭证", "", id="approved for a reason"),
        pytest.param({"decision": "reject"}, "需要凭证", "", id="rejected"),
    ],
)
def test_pol02_a_claim_needs_proof_or_a_reason(answer: dict[str, Any], lacking: str, sentence: str):
    said = decisions.disagreement(gate="review", answer=answer, context={"lacks_evidence": lacking})

    assert sentence in said
    assert bool(said) is bool(sentence)


SEND_BACK = {"decision": "send_back", "payer": "customer", "amount": None}


@pytest.mark.parametrize(
    ("answer", "context", "sentence"),
    [
        pytest.param(SEND_BACK, {}, "", id="the customer's own reason"),
        pytest.param(SEND_BACK, {"is_sellers_fault": True}, "由店铺承担", id="mon20 the seller's fault"),
        pytest.param(SEND_BACK | {"payer": "seller"}, {"is_sellers_fault": True}, "", id="mon20 paid by the seller"),
        pytest.param(SEND_BACK | {"payer": "seller"}, {}, "", id="mon20 the shop bears it of its own will"),
        pytest.param(SEND_BACK | {"payer": "seller"}, {"is_lost": True}, "没有商品可以寄回", id="nothing is there"),
        pytest.param({"decision": "refund"}, {"is_all_wrong": True}, "没有可以退款的", id="nothing of it is ours"),
        pytest.param({"decision": "partial", "amount": "100.00"}, {}, "", id="a part"),
        pytest.param({"decision": "partial", "amount": "188.00"}, {}, "须大于 0 且小于应退", id="a part that is all"),
    ],
)
def test_resolution(answer: dict[str, Any], context: dict[str, Any], sentence: str):
    said = decisions.disagreement(gate="resolution", answer=answer, context={"due": "188.00"} | context)

    assert sentence in said
    assert bool(said) is bool(sentence)


NOON = datetime(2026, 11, 24, 12, tzinfo=HOUSE)


@pytest.mark.parametrize(
    ("told_at", "sentence"),
    [
        pytest.param("2026-11-24 10:30", "", id="in the minute of the bill"),
        pytest.param("2026-11-24 10:29", "早于结算", id="a minute before the bill"),
        pytest.param("2026-11-24 12:00", "", id="now"),
        pytest.param("2026-11-24 12:01", "还没有到", id="a minute to come"),
        pytest.param("2026-11-31 10:30", "这个时间", id="a day that does not exist"),
        pytest.param("2026-11-24 24:00", "这个时间", id="an hour that does not exist"),
    ],
)
@pytest.mark.parametrize("gate", ["refund", "release"])
def test_mon17_a_customer_was_told_between_the_bill_and_now(gate: str, told_at: str, sentence: str):
    context = {"amount": "188.00", "must_tell": True, "billed_at": "2026-11-24T02:30:45+00:00"}
    answer = {"amount": "188.00", "told_how": "phone", "told_at": told_at}

    said = decisions.disagreement(gate=gate, answer=answer, context=context, at=NOON)

    assert sentence in said
    assert bool(said) is bool(sentence)
