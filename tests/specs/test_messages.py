"""What another system says once more, and what it says otherwise (P-15, GEN-14)."""

from __future__ import annotations

from typing import Any

import pytest

from aftersales.rules.messages import contradiction, second_payment
from aftersales.words import Event

PAID = {"amount": "188.00", "reference": "WX-1"}


@pytest.mark.parametrize(
    ("decided", "by_staff", "told", "is_same"),
    [
        pytest.param(PAID, False, {"amount": "188.00", "reference": "WX-1"}, True, id="the provider says it once more"),
        pytest.param(PAID, False, {"amount": "188", "reference": "WX-1"}, True, id="written otherwise, the same sum"),
        pytest.param(PAID, False, {}, True, id="the provider says no more than that it has gone"),
        pytest.param({"amount": "188.00"}, False, {"reference": "WX-1"}, True, id="the reference comes later"),
        pytest.param(PAID, False, {"reference": "WX-2"}, False, id="the provider names another payment"),
        pytest.param(PAID, False, {"amount": "180.00", "reference": "WX-1"}, False, id="another amount"),
        pytest.param(PAID, True, {"reference": "WX-1"}, True, id="a person wrote down this very payment"),
        pytest.param(PAID, True, {"reference": "WX-2"}, False, id="a person paid, and so did the provider"),
        pytest.param(PAID, True, {}, False, id="a person paid, and the provider names no payment"),
        pytest.param({"amount": "188.00"}, True, {"reference": "WX-1"}, False, id="a person named no payment"),
    ],
)
def test_p15_one_payment_or_two(decided: dict[str, Any], by_staff: bool, told: dict[str, Any], is_same: bool):
    no = contradiction(event=Event.REFUND_SENT, told=told, decided=decided, by_staff=by_staff)

    assert (no == "") is is_same
    assert is_same or "可能付了两次" in no


@pytest.mark.parametrize(
    ("told", "is_same"),
    [
        pytest.param({"reference": "WX-1"}, True, id="the same payment"),
        pytest.param({"reference": " WX-1 "}, True, id="the same, typed with blanks"),
        pytest.param({}, True, id="no payment is named"),
        pytest.param({"reference": "WX-2"}, False, id="another payment"),
    ],
)
def test_p15_who_says_it_is_paid_once_more(told: dict[str, Any], is_same: bool):
    no = second_payment(told=told, decided=PAID)

    assert (no == "") is is_same
    assert is_same or ("WX-1" in no and "WX-2" in no and "可能付了两次" in no)


def test_a_payment_that_failed_after_it_had_gone_always_is_news():
    no = contradiction(event=Event.REFUND_FAILED, told={"reason": "银行退票"}, decided=PAID, by_staff=False)

    assert "银行退票" in no and "WX-1" in no


@pytest.mark.parametrize(
    ("told", "is_same"),
    [
        pytest.param({"tracking_no": "SF1001"}, True, id="the same parcel"),
        pytest.param({}, True, id="no number"),
        pytest.param({"tracking_no": "SF2002"}, False, id="another parcel"),
        pytest.param({"tracking_no": "SF1001", "freight": "12.0"}, True, id="the same freight"),
        pytest.param({"tracking_no": "SF1001", "freight": "13.50"}, False, id="another freight"),
    ],
)
def test_one_parcel_or_two(told: dict[str, Any], is_same: bool):
    decided = {"tracking_no": "SF1001", "freight": "12.00"}

    no = contradiction(event=Event.PARCEL_PICKED_UP, told=told, decided=decided, by_staff=True)

    assert (no == "") is is_same
