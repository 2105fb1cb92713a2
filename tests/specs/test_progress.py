"""What a customer sees of a case: each stage with its time, and nothing that is the house's own (SLF-02, RET-15)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from aftersales.rules.progress import Progress, Promised, progress
from aftersales.terms import WAITING
from aftersales.words import Stage

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
DUE = datetime(2026, 11, 21, 16, tzinfo=UTC)
SECRET = "只有内部可见"


def row(entry: str, kind: str = "decision", **data: Any) -> Any:
    return SimpleNamespace(entry=entry, kind=kind, at=AT, actor="C07", data=data)


def opened(**changes: Any) -> Any:
    item = {"line_no": 1, "sku": "SKU-1", "name": "台灯", "quantity": 2, "units": [[0, 2]]}
    quote = {"total": "180.00", "lines": []}
    return row(
        "opened",
        "opened",
        **{
            "order_no": "D1",
            "items": [item],
            "reason": "no_reason",
            "shipping": "pickup",
            "evidence": [],
            "remark": SECRET,
            "quote": quote,
            **changes,
        },
    )


APPROVED = row("review-0", decision="approve", reason="", missing=[], remark=SECRET)
SENT = row("pickup-0", carrier="顺丰", tracking_no="SF1001", freight="12.00", voucher=SECRET)
RECEIVED = row(
    "receipt-0", items=[{"line_no": 1, "quantity": 2}], rest="complete", tracking_no="", foreign=SECRET, remark=SECRET
)
INSPECTED = row(
    "inspection-0",
    items=[{"line_no": 1, "quantity": 2, "grade": "sellable", "cause": "no_reason"}],
    result="pass",
    reason="",
    remark=SECRET,
)
BILL = row("bill-0", "bill", total="168.00", lines=[], paid_by="by_hand")
TOLD = row("told-0.NTC-05", "notice", notice="NTC-05", subject="退货商品验收完成")
REFUNDED = row("refund-0", amount="168.00", reference="ALI-2026", remark=SECRET)
CLOSED = row("closed", "closed", stage="closed")
MAIN_WAY = [opened(), APPROVED, SENT, RECEIVED, INSPECTED, BILL, TOLD, REFUNDED, CLOSED]


def seen(*history: Any, stage: Stage = Stage.REVIEW, promised: Promised | None = None, **changes: Any) -> Progress:
    return progress(
        **{
            "case_no": "RT-1",
            "stage": stage,
            "opened_at": AT,
            "history": list(history),
            "promised": promised,
            "payment_route": "支付宝",
            "at": AT,
            **changes,
        }
    )


def steps(told: Progress) -> list[str]:
    return [step.what for step in told.done]


def test_the_main_way_from_end_to_end():
    told = seen(*MAIN_WAY, stage=Stage.CLOSED)

    assert steps(told) == [
        "opened", "approved", "picked_up", "received", "passed", "billed", "refunded", "ended.closed"
    ]  # fmt: skip
    assert (told.owed, told.ahead, told.result) == (None, (), "closed")
    assert (told.amount, told.is_paid, told.route) == (Decimal("168.00"), True, "支付宝")
    assert [step.facts["tracking_no"] for step in told.parcels] == ["SF1001"]
    assert all(step.at == AT for step in told.done), "each with when"


def test_nothing_of_the_house_is_told():
    told = seen(
        *MAIN_WAY[:-1],
        row("countersign-0", decision="approve", reason=SECRET),
        row("release-0", amount="168.00", remark=SECRET),
        row("parked", "parked", step="refund", reason=SECRET, minutes=1),
        row("late:1", "late", reason=SECRET),
        row("review-0.refused:rule", "refused", reason=SECRET),
        row("cancelled-0", "cancelled", reason=SECRET),
        row("access-0", "access", reason=SECRET),
        row("extended-0", "extension", was="", due="", reason=SECRET),
        stage=Stage.REFUND,
    )

    assert SECRET not in repr(told)
    assert "C07" not in repr(told)


def test_what_staff_write_for_the_customer_is_told():
    question = row("review-0", decision="ask", question="吊牌还在吗")
    rejected = row("review-1", decision="reject", reason="照片看不清", missing=["吊牌照片"])

    told = seen(opened(), question, row("question-0", answer="在"), rejected, stage=Stage.CORRECTION)

    assert [(step.what, step.said) for step in told.done] == [
        ("opened", ""),
        ("asked", "吊牌还在吗"),
        ("answered", ""),
        ("rejected", "照片看不清；吊牌照片"),
    ]


@pytest.mark.parametrize(
    ("decided", "what", "facts"),
    [
        pytest.param({"decision": "refund"}, "granted", {}, id="a refund by the rules"),
        pytest.param({"decision": "partial", "amount": "80.00"}, "granted_part", {"amount": "80.00"}, id="a part"),
        pytest.param({"decision": "send_back", "payer": "customer"}, "sending_back", {"payer": "customer"}, id="back"),
        pytest.param({"decision": "complaint"}, "complaint", {}, id="a complaint"),
    ],
)
def test_what_was_decided_about_goods_that_did_not_pass(decided: dict[str, Any], what: str, facts: dict[str, str]):
    failed = row("inspection-0", items=[], result="fail", reason="有划痕")
    resolution = row("resolution-0", reason="人为损坏", **decided)

    told = seen(opened(), APPROVED, SENT, RECEIVED, failed, resolution, stage=Stage.REFUND)

    assert [(step.what, step.said) for step in told.done[-2:]] == [("failed", "有划痕"), (what, "人为损坏")]
    assert told.done[-1].facts == facts


@pytest.mark.parametrize("stage", WAITING, ids=str)
def test_ret15_every_stage_is_told_with_its_due_time(stage: Stage):
    told = seen(opened(), stage=stage, promised=Promised(stage, DUE))

    assert told.owed is not None
    assert (told.owed.what, told.owed.due_at, told.owed.is_late) == (stage.value, DUE, False)


@pytest.mark.parametrize(
    ("at", "is_late"),
    [
        pytest.param(DUE - timedelta(seconds=1), False, id="a second before"),
        pytest.param(DUE, True, id="the due time is exclusive"),
    ],
)
def test_p28_a_promise_that_has_passed_is_told_as_late(at: datetime, is_late: bool):
    told = seen(opened(), promised=Promised(Stage.REVIEW, DUE), at=at)

    assert told.owed is not None
    assert told.owed.is_late is is_late


@pytest.mark.parametrize(
    ("at", "due_at"),
    [
        pytest.param(DUE - timedelta(seconds=1), DUE, id="before it the time is told, and that it is provisional"),
        pytest.param(DUE, None, id="from then on nobody knows whether it has passed"),
    ],
)
def test_p05_a_provisional_promise_is_never_told_as_late(at: datetime, due_at: datetime | None):
    told = seen(opened(), promised=Promised(Stage.REVIEW, DUE, True), at=at)

    assert told.owed is not None
    assert (told.owed.due_at, told.owed.provisional, told.owed.is_late) == (due_at, due_at is not None, False)


def test_a_promise_of_another_stage_is_not_told():
    told = seen(opened(), stage=Stage.OPENED, promised=Promised(Stage.REVIEW, DUE))

    assert told.owed is not None
    assert told.owed.due_at is None


@pytest.mark.parametrize(
    ("stage", "shipping", "what", "is_customers"),
    [
        pytest.param(Stage.PICKUP, "pickup", "pickup", False, id="a carrier comes"),
        pytest.param(Stage.PICKUP, "self", "pickup.self", True, id="the customer sends"),
        pytest.param(Stage.QUESTION, "pickup", "question", True, id="a question"),
        pytest.param(Stage.CORRECTION, "pickup", "correction", True, id="a correction"),
        pytest.param(Stage.REVIEW, "pickup", "review", False, id="a review"),
    ],
)
def test_it_is_told_who_must_act(stage: Stage, shipping: str, what: str, is_customers: bool):
    told = seen(opened(shipping=shipping), stage=stage)

    assert told.owed is not None
    assert (told.owed.what, told.owed.is_customers) == (what, is_customers)


@pytest.mark.parametrize(
    ("stage", "ahead"),
    [
        pytest.param(Stage.REVIEW, ("pickup", "receipt", "inspection", "refund"), id="from the review"),
        pytest.param(Stage.TRACING, ("inspection", "refund"), id="from the tracing"),
        pytest.param(Stage.COUNTERSIGN, (), id="from the countersigning"),
        pytest.param(Stage.SENDBACK, (), id="what is sent back is not paid"),
    ],
)
def test_what_comes_next(stage: Stage, ahead: tuple[str, ...]):
    assert seen(opened(), stage=stage).ahead == ahead


def test_after_a_question_the_gate_that_asked_comes_again():
    asked = row("inspection-0", result="ask", question="配件在吗")

    told = seen(opened(), APPROVED, SENT, RECEIVED, asked, stage=Stage.QUESTION)

    assert told.ahead == ("inspection", "refund")
    assert told.owed is not None
    assert told.owed.said == "配件在吗"


def test_before_the_inspection_the_quote_is_what_is_expected():
    told = seen(opened())

    assert (told.amount, told.is_paid) == (Decimal("180.00"), False)


def test_a_bill_is_told_when_it_was_agreed_on_and_not_before():
    reckoned = [opened(), APPROVED, SENT, RECEIVED, INSPECTED, BILL]

    assert "billed" not in steps(seen(*reckoned, stage=Stage.COUNTERSIGN))
    assert "billed" in steps(seen(*reckoned, TOLD, stage=Stage.REFUND))


def test_the_managers_word_on_a_bill_is_the_houses_own_and_that_on_an_application_the_customers():
    approved = row("exception-0", decision="approve", reason=SECRET)
    refused = row("exception-1", decision="reject", reason=SECRET)

    assert steps(seen(opened(), APPROVED, approved, stage=Stage.PICKUP))[-1] == "excepted"
    before = [opened(), APPROVED, SENT, RECEIVED, INSPECTED, BILL]
    assert steps(seen(*before, refused, stage=Stage.RESOLUTION))[-1] == "passed"


def test_mon08_money_that_cannot_go_back_the_way_it_came_goes_to_the_recorded_account():
    bill = row("bill-0", "bill", total="168.00", lines=[], paid_by="transfer")

    told = seen(opened(), APPROVED, SENT, RECEIVED, INSPECTED, bill, REFUNDED, stage=Stage.CLOSED)

    assert told.route == ""
    assert told.done[-1].facts["route"] == ""


@pytest.mark.parametrize(
    ("stage", "decisions", "result"),
    [
        pytest.param(Stage.CANCELLED, [], "cancelled", id="cancelled"),
        pytest.param(Stage.REJECTED, [], "rejected", id="rejected"),
        pytest.param(Stage.REJECTED, ["send_back"], "sent_back", id="sent back"),
        pytest.param(Stage.REJECTED, ["complaint"], "complaint", id="a complaint"),
    ],
)
def test_how_it_ended_without_money(stage: Stage, decisions: list[str], result: str):
    decided = [row(f"resolution-{n}", decision=d, reason="x", payer="seller") for n, d in enumerate(decisions)]

    told = seen(opened(), RECEIVED, *decided, stage=stage)

    assert (told.result, told.amount) == (result, None)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        pytest.param(row("correction-0", lapsed=True), "lapsed", id="a silence that ended it"),
        pytest.param(row("correction-0", decision="withdraw"), "withdrawn", id="given up"),
        pytest.param(row("correction-0", decision="resubmit"), "resubmitted", id="corrected"),
        pytest.param(row("question-0", unanswered=True), "unanswered", id="no answer"),
        pytest.param(row("receipt-0", items=[], rest="lost"), "missing", id="a parcel said to be lost"),
        pytest.param(row("receipt-0", items=[], rest="none"), "nothing_more", id="no more comes"),
    ],
)
def test_what_else_may_happen(entry: Any, what: str):
    assert steps(seen(opened(), entry)) == ["opened", what]


def test_a_complaint_that_has_no_story_yet_is_told_as_registered():
    told = seen(row("opened", "complaint", about="RT-1"), stage=Stage.OPENED)

    assert (steps(told), told.owed and told.owed.what) == (["registered"], "registered")
