"""What may be sent in on the customer's page, and what is said of the rest (SLF-03, POL-08)."""

from __future__ import annotations

from typing import Any

import pytest

from aftersales import forms
from aftersales.rules.applying import Filled, Goods, Wrong, request, wrong
from aftersales.terms import Photos
from tests.builders import return_terms

GOODS = (Goods(1, "TS-01", "纯棉T恤", 2), Goods(3, "TS-01", "纯棉T恤", 1), Goods(4, "CUP", "杯子", 30))
LIMITS = Photos(at_most=2, megabytes=1, megapixels=1, longest_side=800)
GOOD: dict[str, Any] = {"quantities": {1: "1"}, "reason": "no_reason", "shipping": "pickup", "remark": ""}


def found(*, photos: int = 0, refused: tuple[str, ...] = (), **changes: Any) -> list[Wrong]:
    filled = Filled(**{**GOOD, **changes})
    return wrong(filled, goods=GOODS, photos=photos, refused=refused, returns=return_terms(), limits=LIMITS)


def test_a_form_without_mistakes():
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        pytest.param({"quantities": {}}, "goods", "none", id="nothing chosen"),
        pytest.param({"quantities": {1: "0", 3: ""}}, "goods", "none", id="zero of everything"),
        pytest.param({"quantities": {1: "3"}}, "goods", "too_many", id="more than is left"),
        pytest.param({"quantities": {1: "-1"}}, "goods", "too_many", id="less than nothing"),
        pytest.param({"quantities": {1: "1.5"}}, "goods", "too_many", id="a half"),
        pytest.param({"quantities": {1: "1e3"}}, "goods", "too_many", id="a number in disguise"),
        pytest.param({"quantities": {1: "１"}}, "goods", "too_many", id="a digit of another script"),
        pytest.param({"quantities": {2: "1"}}, "goods", "too_many", id="a line that is not on offer"),
        pytest.param({"quantities": {4: "9" * 7}}, "goods", "too_many", id="a number too long to be read"),
        pytest.param({"reason": ""}, "reason", "none", id="no reason"),
        pytest.param({"reason": "because"}, "reason", "none", id="an unknown reason"),
        pytest.param({"shipping": "drone"}, "shipping", "none", id="an unknown way back"),
        pytest.param({"remark": "字" * 501}, "remark", "too_long", id="a note of 501 signs"),
        pytest.param({"remark": "a\x07"}, "remark", "unwritable", id="a bell in the note"),
        pytest.param({"remark": "\ud800"}, "remark", "unwritable", id="half a sign in the note"),
        pytest.param({"reason": "quality"}, "photos", "needed", id="a faulty product without a photo"),
        pytest.param({"photos": 3}, "photos", "too_many", id="a photo too many"),
        pytest.param({"refused": ("not_a_photo",)}, "photos", "not_a_photo", id="no photo at all"),
    ],
)
def test_what_is_wrong_with_a_form(changes: dict[str, Any], field: str, why: str):
    assert found(**changes) == [Wrong(field, why)]


def test_every_mistake_is_told_at_once():
    assert {each.field for each in found(quantities={}, reason="", shipping="")} == {"goods", "reason", "shipping"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"quantities": {1: "2", 3: "1", 4: "30"}}, id="everything there is"),
        pytest.param({"remark": "字" * 500}, id="a note of 500 signs"),
        pytest.param({"reason": "quality", "photos": 1}, id="a faulty product with a photo"),
        pytest.param({"photos": 2}, id="as many photos as may be"),
    ],
)
def test_what_is_just_right(changes: dict[str, Any]):
    assert found(**changes) == []


def test_a_photo_that_could_not_be_taken_is_told_once_and_not_asked_for_again():
    assert found(reason="quality", refused=("too_large", "too_large")) == [Wrong("photos", "too_large")]


def test_goods_of_one_number_are_one_item_of_the_application():
    filled = Filled({1: "2", 3: "1", 4: "5"}, "no_reason", "self", "  请轻放\r\n谢谢 ")

    asked = request(filled, order_no="SO-1", goods=GOODS, evidence=["照片 1"])

    assert asked == {
        "order_no": "SO-1",
        "items": [{"sku": "TS-01", "quantity": 3}, {"sku": "CUP", "quantity": 5}],
        "reason": "no_reason",
        "shipping": "self",
        "evidence": ["照片 1"],
        "remark": "请轻放\n谢谢",
    }
    assert forms.read(forms.ReturnRequest, {**asked, "operator": "C07"}), "it is what staff would have filled in"
