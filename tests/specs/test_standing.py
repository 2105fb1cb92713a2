"""Where a return stands is told from its journal alone (P-14, P-17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from aftersales.rules.standing import Asked, began_at, interrupted, standing
from aftersales.words import Units

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


def row(entry: str, kind: str, **data: Any) -> Any:
    return SimpleNamespace(entry=entry, kind=kind, at=AT, actor=data.pop("actor", "C07"), data=data)


def opened(*items: dict[str, Any], **data: Any) -> Any:
    return row("opened", "opened", items=list(items), evidence=[], **data)


def item(line_no: int = 1, quantity: int = 3, units: list[list[int]] | None = None) -> dict[str, Any]:
    return {
        "line_no": line_no,
        "sku": f"SKU-{line_no}",
        "name": "台灯",
        "quantity": quantity,
        "units": units or [[0, quantity]],
    }


def receipt(number: int, quantity: int, rest: str = "coming", line_no: int = 1) -> Any:
    return row(
        f"receipt-{number}", "decision", items=[{"line_no": line_no, "quantity": quantity}], rest=rest, actor="W02"
    )


def test_everything_asked_for_is_outstanding_at_first():
    told = standing([opened(item(1, 3), item(2, 1))])

    assert told.outstanding == {1: 3, 2: 1}
    assert told.expects_more


def test_a_parcel_brings_the_lowest_units_held():
    told = standing([opened(item(1, 3, [[1, 2], [4, 6]])), receipt(0, 2)])

    assert told.receipts[0].units == {1: (Units(1, 2), Units(4, 5))}
    assert told.outstanding == {1: 1}


def test_the_second_parcel_goes_on_where_the_first_ended():
    told = standing([opened(item(1, 3, [[1, 2], [4, 6]])), receipt(0, 2), receipt(1, 1, "complete")])

    assert told.receipts[1].units == {1: (Units(5, 6),)}
    assert not told.expects_more


@pytest.mark.parametrize(("rest", "expects"), [("coming", True), ("none", False)])
def test_what_will_not_come_is_not_waited_for(rest, expects):
    assert standing([opened(item()), receipt(0, 2, rest)]).expects_more is expects


def test_a_story_told_again_sees_the_standing_of_its_place():
    told = standing([opened(item()), receipt(0, 3, "complete")])

    assert told.at_receipt(0).expects_more
    assert not told.at_receipt(1).expects_more


def test_a_correction_takes_the_place_of_the_application_but_evidence_adds_up():
    first = row("opened", "opened", items=[item(1, 1)], evidence=["照片一"])
    amended = row("amended-0", "amended", items=[item(1, 2)], evidence=["照片二", "照片一"])

    told = standing([first, amended])

    assert told.items[0]["quantity"] == 2
    assert told.evidence == ("照片一", "照片二")


def test_only_those_who_approved_are_approvers():
    told = standing(
        [
            opened(item()),
            row("review-0", "decision", decision="reject", actor="C08"),
            row("review-1", "decision", decision="approve", actor="C02"),
            row("exception-0", "decision", decision="approve", actor="A01"),
        ]
    )

    assert told.approvers == ("C02", "A01")


def lost(number: int, *items: dict[str, int]) -> list[Any]:
    return [
        row(f"receipt-{number}", "decision", items=[], rest="lost"),
        row(f"tracing-{number}", "decision", result="lost", note="承运商确认", items=list(items)),
    ]


def test_ret06_what_is_lost_is_neither_there_nor_outstanding():
    told = standing([opened(item()), receipt(0, 1), *lost(1, {"line_no": 1, "quantity": 1})])

    assert told.receipts[1].kept[0].units == (Units(1, 2),)
    assert told.outstanding == {1: 1}
    assert told.is_lost and told.expects_more


def test_ret06_what_comes_after_a_loss_is_what_was_not_lost():
    told = standing([opened(item()), *lost(0, {"line_no": 1, "quantity": 1}), receipt(1, 2, "complete")])

    assert told.receipts[1].units == {1: (Units(1, 3),)}
    assert not told.expects_more


def test_ret06_a_loss_of_before_that_names_no_goods_is_of_everything_outstanding():
    told = standing([opened(item()), receipt(0, 1), *lost(1)])

    assert told.receipts[1].kept[0].units == (Units(1, 3),)
    assert not told.expects_more


def test_ret08_wrong_goods_are_not_kept():
    rows = [
        {"line_no": 1, "quantity": 2, "grade": "sellable", "cause": "no_reason"},
        {"line_no": 1, "quantity": 1, "grade": "wrong", "cause": "no_reason"},
    ]
    inspection = row("inspection-0", "decision", items=rows, result="fail")

    told = standing([opened(item()), receipt(0, 3, "complete"), inspection])

    assert [each.units for each in told.receipts[0].kept] == [(Units(0, 2),)]


def test_mon14_an_agreement_is_of_one_receipt():
    agreed = row("resolution-0", "decision", decision="refund", actor="A01")

    first = standing([opened(item()), receipt(0, 1), agreed])
    second = standing([opened(item()), receipt(0, 1), agreed, receipt(1, 1)])

    assert (first.is_agreed, second.is_agreed) == (True, False)
    assert not first.is_exceptional


def test_a_bill_that_was_taken_back_is_of_no_receipt():
    entries = [opened(item()), receipt(0, 3, "complete"), row("bill-0", "bill", lines=[], total="0.00")]

    assert standing(entries).receipts[0].is_billed
    assert not standing([*entries, row("void-0", "bill", lines=[], total="0.00")]).receipts[0].is_billed


def later(entry: str, hours: int, **data: Any) -> Any:
    told = row(entry, "decision", **data)
    told.at = AT + timedelta(hours=hours)
    return told


ASK = {"decision": "ask", "question": "吊牌照片"}


def test_num223_a_question_is_open_until_it_is_answered():
    asked = [opened(item()), later("review-0", 1, **ASK)]

    told = standing(asked).asked
    assert told is not None and (told.gate, told.question) == ("review", "吊牌照片")
    assert standing([*asked, later("question-0", 2, answer="已补")]).asked is None


def test_ret07_what_an_inspector_asks_is_no_inspection():
    asked = later("inspection-0", 1, result="ask", question="何时有的", items=[])

    told = standing([opened(item()), receipt(0, 3, "complete"), asked])

    assert told.inspections == () and told.receipts[0].inspection is None


@pytest.mark.parametrize(
    ("stage", "hours"),
    [
        pytest.param("review", 0, id="the review goes on from the application"),
        pytest.param("question", 1, id="the answer is waited for from the question on"),
    ],
)
def test_num223_a_question_opens_no_window_but_its_own(stage: str, hours: int):
    entries = [opened(item()), later("review-0", 1, **ASK)]
    entries += [later("question-0", 5, answer="已补")] if stage == "review" else []

    assert began_at(entries, stage=stage) == AT + timedelta(hours=hours)


def test_ret04_what_follows_a_rejection_is_not_interrupted():
    entries = [opened(item()), later("review-0", 1, **ASK), later("question-0", 5, answer="已补")]
    assert interrupted(entries, gate="review") == Asked("review-0", "吊牌照片", entries[1].at, entries[2].at)
    assert interrupted(entries, gate="inspection") is None

    entries += [later("review-1", 6, decision="reject"), later("correction-0", 9, decision="resubmit")]

    assert interrupted(entries, gate="review") is None
    assert began_at(entries, stage="review") == AT + timedelta(hours=9)
