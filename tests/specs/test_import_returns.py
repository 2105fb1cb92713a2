"""Which lines came back: same customer and code, bought not later, same price first, then the latest (issue 3, part 6)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from aftersales.imports.mapping import Mapping
from aftersales.imports.returns import Back, Plan, Sold, plan

MAPPING = Mapping.model_validate(
    {
        "label": "测试",
        "columns": {n: n for n in ("order_no", "sku", "quantity", "unit_price", "ordered_at")},
        "defaults": {"channel": "x", "payment_route": "支付宝"},
        "freight": ["POST"],
        "not_goods": ["M", "gift_*"],
        "returns_prefix": "C",
    }
)


def day(number: int) -> datetime:
    return datetime(2026, 11, number, 12, tzinfo=UTC)


def back(
    quantity: int = 1, *, on: int = 20, price: str = "2.00", sku: str = "A", customer: str = "U1", n: int = 1
) -> Back:
    return Back(n, f"C1/{sku}/{n}", "C1", sku, quantity, Decimal(price), customer, day(on))


def sold(
    order_no: str, quantity: int, *, on: int = 10, price: str = "2.00", free: int | None = None, line_no: int = 1
) -> Sold:
    left = quantity if free is None else free
    return Sold(order_no, line_no, "A", "U1", day(on), quantity, Decimal(price) * quantity, left)


def filled(told: Plan) -> dict[str, dict[int, int]]:
    return {each.order_no: dict(each.lines) for each in told.applications}


def test_the_same_unit_price_comes_before_a_later_line_of_another():
    told = plan([back()], [sold("D1", 1, on=10), sold("D2", 1, on=15, price="2.10")], mapping=MAPPING)

    assert filled(told) == {"D1": {1: 1}}


def test_of_the_same_price_the_latest_comes_first():
    told = plan([back()], [sold("D1", 1, on=10), sold("D2", 1, on=15)], mapping=MAPPING)

    assert filled(told) == {"D2": {1: 1}}


def test_a_row_is_filled_over_several_lines_and_each_order_is_a_case():
    told = plan([back(5)], [sold("D1", 3, on=10), sold("D2", 3, on=15)], mapping=MAPPING)

    assert filled(told) == {"D2": {1: 3}, "D1": {1: 2}}
    assert [dict(each.rows) for each in told.applications] == [{"C1/A/1": 3}, {"C1/A/1": 2}]


def test_what_one_row_took_is_gone_for_the_next():
    told = plan([back(2, n=1), back(2, n=2)], [sold("D1", 3)], mapping=MAPPING)

    assert filled(told) == {"D1": {1: 2}}
    assert [(each.row.line, each.reason) for each in told.unplaced] == [(2, "A 退 2 件，此前购买且未退的只有 1 件")]


def test_rows_of_one_invoice_and_order_are_one_case():
    told = plan([back(1, n=1), back(1, n=2)], [sold("D1", 3)], mapping=MAPPING)

    assert filled(told) == {"D1": {1: 2}}
    assert dict(told.applications[0].rows) == {"C1/A/1": 1, "C1/A/2": 1}
    assert told.filled == 2 and told.amount == Decimal("4.00")


@pytest.mark.parametrize(("bought_on", "is_filled"), [(19, True), (20, True), (21, False)])
def test_bought_not_later(bought_on: int, is_filled: bool):
    assert bool(plan([back(on=20)], [sold("D1", 1, on=bought_on)], mapping=MAPPING).filled) is is_filled


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        (back(customer=""), "没有客户编号", "没有客户编号，找不到原来的订单"),
        (back(sku="POST"), "不是商品", "编码 POST 不是商品"),
        (back(sku="gift_0001"), "不是商品", "编码 gift_0001 不是商品"),
        (back(sku="B"), "没有买过", "这位客户没有买过 B（或购买早于导入的订单）"),
        (back(customer="U2"), "没有买过", "这位客户没有买过 A（或购买早于导入的订单）"),
        (back(on=9), "之后才购买", "A 都是在退货之后购买的"),
        (back(3), "件数不够", "A 退 3 件，此前购买且未退的只有 2 件"),
    ],
)
def test_a_row_that_cannot_be_filled_whole_goes_to_a_person_with_the_reason(row: Back, kind: str, reason: str):
    told = plan([row], [sold("D1", 2)], mapping=MAPPING)

    assert told.applications == []
    assert [(each.kind, each.reason) for each in told.unplaced] == [(kind, reason)]


def test_units_that_other_cases_have_are_not_given_out():
    assert plan([back()], [sold("D1", 2, free=0)], mapping=MAPPING).filled == 0


def test_the_order_of_the_file_does_not_matter():
    rows = [back(1, on=20, n=2), back(1, on=12, n=1)]
    lines = [sold("D2", 1, on=15), sold("D1", 1, on=10)]

    one, other = (
        plan(rows, lines, mapping=MAPPING),
        plan(rows[::-1], lines[::-1] and [sold("D1", 1, on=10), sold("D2", 1, on=15)], mapping=MAPPING),
    )

    assert filled(one) == filled(other) == {"D1": {1: 1}, "D2": {1: 1}}
