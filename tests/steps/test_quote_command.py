"""`aftersales quote` as a shell sees it: what it prints and with which code it leaves (MON-14, P-18, P-23)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from aftersales.imports.sales import Sale, SoldLine
from aftersales.store import orders, units
from aftersales.store.engine import transaction
from tests.builders import DELIVERED_AT, yuan


def sold_line(line_no: int, sku: str, paid: str, **changes) -> SoldLine:
    """A delivered piece of clothing."""
    facts = {"name": "外套", "category": "服装", "quantity": 1, "delivered_at": DELIVERED_AT} | changes
    return SoldLine(line_no=line_no, sku=sku, paid=yuan(paid), **facts)


@pytest.fixture
async def aftersales(aftersales, monkeypatch):
    """Run `aftersales …` against a shop with a few orders: exit code, stdout, stderr."""
    sale = {"channel": "官网", "ordered_at": datetime(2025, 2, 26, tzinfo=UTC), "payment_route": "支付宝"}
    async with transaction() as connection:
        await orders.insert(
            connection,
            [
                Sale(
                    order_no="SO-1",
                    lines=(sold_line(1, "A", "150.00"), sold_line(2, "B", "50.00"), sold_line(3, "A", "150.00")),
                    freight=yuan("7.00"),
                    **sale,
                ),
                Sale(order_no="SO-2", lines=(sold_line(1, "A", "200.00", delivered_at=None),), **sale),
                Sale(order_no="SO-3", lines=(sold_line(1, "A", "5.00"),), insured_freight=yuan("4.00"), **sale),
            ],
            source="test",
        )

    monkeypatch.setenv("COLUMNS", "100")

    async def run(*args: str) -> tuple[int | None, str, str]:
        left = await aftersales(*args)
        return left.code, left.out, left.err

    return run


async def test_a_quote_as_json(aftersales):
    code, out, err = await aftersales(
        "quote", "SO-1", "--line", "A=1", "--line", "B=1", "--reason", "no_reason", "--asked-on", "2025-03-09", "--json"
    )

    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "age_band": "B",
        "lines": [
            {"rule": "MON-14", "label": "商品款 外套 ×1", "amount": "150.00"},
            {"rule": "MON-14", "label": "商品款 外套 ×1", "amount": "50.00"},
            {"rule": "MON-04", "label": "逾期退货运费补偿", "amount": "-15.00"},
        ],
        "total": "185.00",
        "needs_person": [],
    }


async def test_p18_everything_back_by_the_sellers_fault_named_in_chinese(aftersales):
    code, out, _ = await aftersales(
        "quote", "SO-1", "--line", "A=2", "--line", "B=1", "--reason", "质量问题", "--asked-on", "2025-03-09", "--json"
    )

    assert code == 0
    assert json.loads(out)["total"] == "357.00"
    assert json.loads(out)["lines"][-1] == {"rule": "MON-14", "label": "发货运费", "amount": "7.00"}


async def test_p23_an_unknown_delivery_date_needs_a_person(aftersales):
    code, out, _ = await aftersales(
        "quote", "SO-2", "--line", "A=1", "--reason", "no_reason", "--json", "--self-shipped"
    )

    bill = json.loads(out)
    assert (code, bill["age_band"], bill["total"]) == (0, None, "200.00")
    assert bill["needs_person"] == ["第 1 行 外套：签收日期未知，无法判断退货期限，由售后经理决定（AMB-16）"]


async def test_a_note_stands_behind_its_label(aftersales):
    _, out, _ = await aftersales(
        "quote", "SO-3", "--line", "A=1", "--reason", "no_reason", "--asked-on", "2025-03-02", "--json"
    )

    assert json.loads(out)["lines"][1:] == [
        {"rule": "MON-02", "label": "上门取件运费（由运费险承担 4.00 元）", "amount": "-8.00"},
        {"rule": "MON-14", "label": "不低于零", "amount": "3.00"},
    ]


async def test_people_read_a_table(aftersales):
    code, out, _ = await aftersales(
        "quote", "SO-1", "--line", "B=1", "--reason", "七天无理由", "--asked-on", "2025-03-08"
    )

    assert code == 0
    for words in (
        "订单 SO-1 · 退 1 件 · 七天无理由",
        "A 段（无理由期）",
        "上门取件运费",
        "-12.00",
        "应退合计",
        "38.00",
    ):
        assert words in out


async def test_units_that_a_case_holds_are_not_quoted(aftersales):
    async with transaction() as connection:
        await units.hold(connection, order_no="SO-1", wanted=[(1, 1)], case_no="RT-1", process="returns")

    code, out, err = await aftersales("quote", "SO-1", "--line", "A=2", "--reason", "no_reason")

    assert (code, out) == (1, "")
    assert err == ("订单 SO-1 的商品 A 仅剩 1 件可退，售后单 RT-1 已占用 1 件，请改为不超过 1 件，或在该售后单中处理。")


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        pytest.param(["SO-9", "--line", "A=1"], 1, "没有订单 SO-9，请核对订单号。", id="unknown order"),
        pytest.param(["SO-1", "--line", "X=1"], 1, "订单 SO-1 中没有商品 X", id="unknown SKU"),
        pytest.param(
            ["SO-1", "--line", "A=1", "--asked-on", "2025-02-25"], 1, "早于订单 SO-1 的下单日期", id="too early"
        ),
        pytest.param(["SO-1", "--line", "A"], 2, "“A”应写成 商品编码=件数", id="no quantity"),
        pytest.param(["SO-1", "--line", "A=0"], 2, "件数为 1 或以上", id="none"),
        pytest.param(["SO-1", "--line", "A=1.5"], 2, "应写成 商品编码=件数", id="half a unit"),
        pytest.param(["SO-1"], 2, "缺少选项 --line", id="no line"),
        pytest.param(
            ["SO-1", "--line", "A=1", "--asked-on", "2025-02-30"], 2, "“2025-02-30”不是日期", id="no such day"
        ),
        pytest.param(
            ["SO-1", "--line", "A=1", "--reason", "心情"], 2, "没有退货原因“心情”，可选：七天无理由", id="reason"
        ),
    ],
)
async def test_what_is_wrong_is_said_in_one_sentence(aftersales, args, code, sentence):
    args = args if "--reason" in args else [*args, "--reason", "no_reason"]

    left_with, out, err = await aftersales("quote", *args)

    assert (left_with, out) == (code, "")
    assert sentence in err
    assert "\n" not in err
