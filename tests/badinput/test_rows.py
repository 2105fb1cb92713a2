"""Rows of CSV files: each bad row is told with its line and its reason, and with `--strict` the whole file stays out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.badinput.conftest import House, nothing_changes
from tests.badinput.test_commands import GOOD, HEADER

COLUMNS = HEADER.strip().split(",")


def row(what: str, sentence: str, **cells: str) -> Any:
    values = dict(zip(COLUMNS, GOOD.strip().split(","), strict=True)) | {"order_no": "B1"} | cells
    return pytest.param((",".join(values.values()) + "\n").encode(), sentence, id=what)


def raw(what: str, line: bytes, sentence: str) -> Any:
    return pytest.param(line, sentence, id=what)


B1 = GOOD.replace("A1", "B1")
ROWS = [
    row("no order number", "第 3 行：order_no 是空的；请填写。", order_no=""),
    row(
        "an order number of 65 letters",
        "第 3 行 BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB…：order_no 有 65 个字（BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB…），最多 64 个；请缩短。",
        order_no="B" * 65,
    ),
    row("no channel", "第 3 行 B1：channel 是空的；请填写。", channel=" "),
    row(
        "a day that there is not",
        "第 3 行 B1：ordered_at “2026-02-30 10:00”没有这个日期或时间；请改正。",
        ordered_at="2026-02-30 10:00",
    ),
    row(
        "a day in American",
        "第 3 行 B1：ordered_at “03/01/2026”不是时间；请写成 2026-03-05 10:00 这样。",
        ordered_at="03/01/2026",
    ),
    row(
        "a day in the year 1",
        "第 3 行 B1：ordered_at “0001-01-01 00:00”的年份不在 1990 到 2099 之间；请检查。",
        ordered_at="0001-01-01 00:00",
    ),
    row(
        "a day in the year 9999",
        "第 3 行 B1：ordered_at “9999-12-31 23:59”的年份不在 1990 到 2099 之间；请检查。",
        ordered_at="9999-12-31 23:59",
    ),
    row(
        "a day with a zone out of the world",
        "第 3 行 B1：ordered_at “2026-03-01 10:00+99:00”没有这个日期或时间；请改正。",
        ordered_at="2026-03-01 10:00+99:00",
    ),
    row("no day", "第 3 行 B1：ordered_at 是空的；请填写，如 2026-03-05 10:00。", ordered_at=""),
    row(
        "delivered before it was ordered",
        "第 3 行 B1：签收时间 2026-02-01 早于下单时间 2026-03-01；请改正，不知道就留空。",
        delivered_at="2026-02-01",
    ),
    row("a quantity of 1e9", "第 3 行 B1：quantity 1000000000 超过 10000000 件；请检查。", quantity="1000000000"),
    row(
        "a quantity of 10**30",
        "第 3 行 B1：quantity “1000000000000000000000000000000”不是整数；请填写件数，如 2。",
        quantity="1" + "0" * 30,
    ),
    row("a quantity of nothing", "第 3 行 B1：quantity 0 不大于零；订单行的件数至少是 1。", quantity="0"),
    row("a quantity of minus one", "第 3 行 B1：quantity -1 不大于零；订单行的件数至少是 1。", quantity="-1"),
    row("a quantity of one and a half", "第 3 行 B1：quantity “1.5”不是整数；请填写件数，如 2。", quantity="1.5"),
    row("a quantity in full width", "第 3 行 B1：quantity “２”不是整数；请填写件数，如 2。", quantity="２"),
    row("a quantity in words", "第 3 行 B1：quantity “两件”不是整数；请填写件数，如 2。", quantity="两件"),
    row("a price of minus one", "第 3 行 B1：unit_price “-1.00”是负数；金额不能小于零。", unit_price="-1.00"),
    row(
        "a price of three decimals",
        "第 3 行 B1：unit_price “1.234”的小数超过两位；金额最多两位小数。",
        unit_price="1.234",
    ),
    row(
        "a price in exponents",
        "第 3 行 B1：unit_price “1e3”不是金额；请写成 19.90 这样，不加货币符号和千位逗号。",
        unit_price="1e3",
    ),
    row(
        "a price that is not a number",
        "第 3 行 B1：unit_price “NaN”不是金额；请写成 19.90 这样，不加货币符号和千位逗号。",
        unit_price="NaN",
    ),
    row(
        "a price with a sign",
        "第 3 行 B1：unit_price “￥10.00”不是金额；请写成 19.90 这样，不加货币符号和千位逗号。",
        unit_price="￥10.00",
    ),
    row(
        "a price of a billion",
        "第 3 行 B1：unit_price “1000000000.00”过大；金额最多九位整数。",
        unit_price="1000000000.00",
    ),
    row(
        "a price that is a formula",
        "第 3 行 B1：unit_price “=1+1”不是金额；请写成 19.90 这样，不加货币符号和千位逗号。",
        unit_price="=1+1",
    ),
    row(
        "a sum above what can be kept",
        "第 3 行 B1：订单合计 9999999999900000.00 元超过 999999999.99；请检查数量和单价。",
        quantity="10000000",
        unit_price="999999999.99",
    ),
    row("freight of minus one", "第 3 行 B1：freight “-8.00”是负数；金额不能小于零。", freight="-8.00"),
    row(
        "a discount above the price",
        "第 3 行 B1：行优惠 99.00 元超过这一行的金额 20.00 元；请改正。",
        line_discount="99.00",
    ),
    row(
        "a discount above the order",
        "第 3 行 B1：订单优惠 99.00 元超过商品金额 20.00 元；请改正。",
        order_discount="99.00",
    ),
    row(
        "mail to two",
        "第 3 行 B1：email 不是一个邮箱地址；请写成 a@b.cn 这样，只写一个，没有就留空。",
        email="a@x.com;b@x.com",
    ),
    row("no code", "第 3 行 B1：sku 是空的；请填写。", sku=""),
    row(
        "a name of 301 letters",
        "第 3 行 B1：product 有 301 个字（长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长…），最多 300 个；请缩短。",
        product="长" * 301,
    ),
    row("a line number of nothing", "第 3 行 B1：line_no “0”不是行号；请填写 1 到 1000000 的整数。", line_no="0"),
    row("a line number in words", "第 3 行 B1：line_no “第一”不是行号；请填写 1 到 1000000 的整数。", line_no="第一"),
    row("a mark in the middle", "第 3 行 B1：有看不见的控制字符（U+FEFF）；请删去。", sku="S\ufeff1"),
    row("a direction mark", "第 3 行 B1：有看不见的控制字符（U+202E）；请删去。", product="杯\u202e子"),
    row("a NUL", "第 3 行 B1：有看不见的控制字符（U+0000）；请删去。", product="杯\x00子"),
    row("an escape", "第 3 行 B1：有看不见的控制字符（U+001B）；请删去。", product="\x1b[31m杯"),
    raw(
        "a quote left open",
        B1.replace("保温杯", '"保温杯').encode(),
        "第 3 行 B1：引号没有成对，或单元格里有换行；请补上引号或去掉换行。",
    ),
    raw(
        "a line broken within a cell",
        B1.replace("保温杯", '"保温\n杯"').encode(),
        '第 3 行 B1：引号没有成对，或单元格里有换行；请补上引号或去掉换行。\n第 4 行 杯"：这一行有 9 格，表头有 20 列；请检查多余或缺少的逗号。',
    ),
    raw(
        "a cell too few",
        B1.replace(",支付宝", "").encode(),
        "第 3 行 B1：这一行有 19 格，表头有 20 列；请检查多余或缺少的逗号。",
    ),
    raw(
        "a cell too many",
        B1.replace("支付宝", "支付宝,多").encode(),
        "第 3 行 B1：这一行有 21 格，表头有 20 列；请检查多余或缺少的逗号。",
    ),
    raw(
        "a cell of 200,000 letters",
        B1.replace("保温杯", "长" * 200_000).encode(),
        "第 3 行 B1：有单元格长得不合理；请检查引号和内容。",
    ),
    raw(
        "a word in GBK",
        B1.replace("保温杯", "@@").encode().replace(b"@@", "保温杯".encode("gbk")),
        "第 3 行 B1：有损坏的字符（编码不对）；请用 UTF-8 重新导出。",
    ),
    raw(
        "the same line number twice",
        (B1 + B1).encode(),
        "第 3 行 B1：同一订单第 4 行有误，整单未导入。\n第 4 行 B1：行号 1 在订单里重复；请改成不同的。",
    ),
    raw(
        "two channels in an order",
        (B1 + B1.replace("B1,1,官方网站", "B1,2,社交电商")).encode(),
        "第 3 行 B1：同一订单第 4 行有误，整单未导入。\n第 4 行 B1：channel 与同一订单第 3 行不一致；请改成一样的。",
    ),
    raw(
        "the header once more",
        HEADER.encode(),
        "第 3 行 order_no：line_no “line_no”不是行号；请填写 1 到 1000000 的整数；email 不是一个邮箱地址；请写成 a@b.cn 这样，只写一个，没有就留空；ordered_at “ordered_at”不是时间；请写成 2026-03-05 10:00 这样；delivered_at “delivered_at”不是时间；请写成 2026-03-05 10:00 这样；quantity “quantity”不是整数；请填写件数，如 2；unit_price “unit_price”不是金额；请写成 19.90 这样，不加货币符号和千位逗号；line_discount “line_discount”不是金额；请写成 19.90 这样，不加货币符号和千位逗号；order_discount “order_discount”不是金额；请写成 19.90 这样，不加货币符号和千位逗号；freight “freight”不是金额；请写成 19.90 这样，不加货币符号和千位逗号；insured_freight “insured_freight”不是金额；请写成 19.90 这样，不加货币符号和千位逗号。",
    ),
]


@pytest.mark.parametrize(("line", "sentence"), ROWS)
async def test_a_bad_row_is_told_with_its_line_and_nothing_of_the_file_comes_in(
    house: House, aftersales: Any, tmp_path: Path, line: bytes, sentence: str
):
    file = tmp_path / "orders.csv"
    file.write_bytes((HEADER + GOOD).encode() + line)

    with nothing_changes(house):
        left = await aftersales("import", "orders", str(file), "--mapping", "standard", "--strict")

    *told, refused = left.err.splitlines()
    assert (left.code, told) == (1, sentence.splitlines())
    assert refused.startswith("有 ") and "全部未导入" in refused
