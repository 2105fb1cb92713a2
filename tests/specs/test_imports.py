"""What becomes of every row of an order file: imported, freight, skipped, left or bad (issue 2, part 3)."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aftersales.imports import mapping as mappings
from aftersales.imports import reading
from aftersales.imports.mapping import Mapping
from aftersales.imports.orders import Assembly, Fate, Remark, survey
from aftersales.imports.sales import Sale
from aftersales.terms import TermsError
from aftersales.words import Unable

SHANGHAI = ZoneInfo("Asia/Shanghai")
STANDARD = mappings.load("standard")
RETAIL = mappings.load("online-retail")

ROW = {
    "order_no": "A1",
    "line_no": "1",
    "channel": "官方网站",
    "customer_no": "U1",
    "name": "王小明",
    "phone": "10200000001",
    "email": "wang@example.com",
    "region": "上海市",
    "ordered_at": "2026-03-01 10:00",
    "delivered_at": "2026-03-03 18:00",
    "sku": "S1",
    "product": "保温杯",
    "category": "家居",
    "quantity": "2",
    "unit_price": "10.00",
    "line_discount": "",
    "order_discount": "",
    "freight": "",
    "insured_freight": "",
    "payment_route": "支付宝",
}
INVOICE = {
    "InvoiceNo": "536365",
    "StockCode": "85123A",
    "Description": "HEART HOLDER",
    "Quantity": "6",
    "InvoiceDate": "2010-12-01 08:26:00",
    "UnitPrice": "2.55",
    "CustomerID": "17850.0",
    "Country": "United Kingdom",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole module: a new one for every row of a table costs more than the row."""
    return tmp_path_factory.mktemp("imports")


@dataclass
class Outcome:
    """What came out of a file."""

    sales: list[Sale]
    counts: dict[Fate, int]
    remarks: list[Remark]
    rows: int

    @property
    def sale(self) -> Sale:
        """The only order."""
        assert len(self.sales) == 1, self.remarks
        return self.sales[0]

    @property
    def reasons(self) -> dict[int, str]:
        """Why a line is bad."""
        return {remark.line: remark.reason for remark in self.remarks if remark.fate is Fate.BAD}


def a_file(folder: Path, rows: Sequence[dict[str, str]], *, encoding: str = "utf-8") -> Path:
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    return a_text(folder, out.getvalue().encode(encoding))


def a_text(folder: Path, content: bytes, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read(path: Path, mapping: Mapping = STANDARD, *, shift_to: date | None = None) -> Outcome:
    file = reading.look(path)
    found = survey(file, mapping, zone=SHANGHAI, dates=True)
    shift = shift_to - found.last_on if shift_to and found.last_on else timedelta()
    assembly = Assembly(mapping, found, zone=SHANGHAI, currency="CNY", shift=shift)
    rows = reading.records(file)
    next(rows)
    sales = list(assembly.sales(rows))
    assert sum(assembly.counts.values()) == found.rows, "the counts add up to the rows of the file"
    return Outcome(sales, dict(+assembly.counts), assembly.remarks, found.rows)


def standard(folder: Path, *changes: dict[str, str]) -> Outcome:
    return read(a_file(folder, [ROW | {"line_no": str(n)} | change for n, change in enumerate(changes, start=1)]))


def retail(folder: Path, *changes: dict[str, str], shift_to: date | None = None) -> Outcome:
    return read(a_file(folder, [INVOICE | change for change in changes]), RETAIL, shift_to=shift_to)


# --- an order of the standard file ----------------------------------------------------------------------------------


def test_a_standard_row_is_an_order_line(folder: Path) -> None:
    sale = standard(folder, {"freight": "8.00", "insured_freight": "12.00"}).sale

    assert (sale.order_no, sale.channel, sale.customer_no, sale.name) == ("A1", "官方网站", "U1", "王小明")
    assert sale.ordered_at == datetime(2026, 3, 1, 10, 0, tzinfo=SHANGHAI)
    assert sale.lines[0].delivered_at == datetime(2026, 3, 3, 18, 0, tzinfo=SHANGHAI)
    assert (sale.lines[0].quantity, sale.lines[0].paid, sale.lines[0].is_gift) == (2, Decimal("20.00"), False)
    assert (sale.freight, sale.insured_freight, sale.paid) == (Decimal("8.00"), Decimal("12.00"), Decimal("28.00"))


@pytest.mark.parametrize(
    ("first", "second", "order", "paid"),
    [
        pytest.param("10.00", "20.00", "3.00", ["9.00", "18.00"], id="P-17 a discount is shared by price"),
        pytest.param("10.00", "10.00", "0.01", ["10.00", "9.99"], id="P-17 the last fen goes to the last line"),
        pytest.param("10.00", "0.00", "1.00", ["9.00", "0.00"], id="a gift takes no part of a discount"),
        pytest.param("10.00", "20.00", "30.00", ["0.00", "0.00"], id="a discount of everything leaves nothing"),
    ],
)
def test_discounts_are_shared_exactly(folder: Path, first: str, second: str, order: str, paid: list[str]) -> None:
    common = {"quantity": "1", "order_discount": order}

    sale = standard(folder, common | {"unit_price": first}, common | {"unit_price": second}).sale

    assert [str(line.paid) for line in sale.lines] == paid


def test_the_line_discount_comes_before_the_order_discount(folder: Path) -> None:
    rows = [
        {"unit_price": "50.00", "line_discount": "60.00", "order_discount": "10.00"},
        {"unit_price": "30.00", "line_discount": "", "order_discount": "10.00"},
    ]

    sale = standard(folder, *rows).sale

    assert [str(line.paid) for line in sale.lines] == ["36.00", "54.00"]


@pytest.mark.parametrize(
    ("changes", "word", "value"),
    [
        pytest.param({"customer_no": ""}, "customer_no", "", id="no customer number is a guest"),
        pytest.param({"order_no": "\t20261122000712345"}, "order_no", "20261122000712345", id="a tab keeps Excel off"),
        pytest.param({"name": " 王  小明 "}, "name", "王 小明", id="double blanks become one"),
        pytest.param(
            {"ordered_at": "2026-03-01T10:00:00+08:00"},
            "ordered_at",
            datetime(2026, 3, 1, 10, 0, tzinfo=SHANGHAI),
            id="a time with an offset",
        ),
        pytest.param(
            {"ordered_at": "2026-03-01T02:00:00Z"},
            "ordered_at",
            datetime(2026, 3, 1, 10, 0, tzinfo=SHANGHAI),
            id="a time of another zone",
        ),
    ],
)
def test_a_value_is_read(folder: Path, changes: dict[str, str], word: str, value: object) -> None:
    assert getattr(standard(folder, changes).sale, word) == value


def test_an_unknown_delivery_date_stays_unknown(folder: Path) -> None:
    """P-23: never day 0, never 1970."""
    assert standard(folder, {"delivered_at": ""}).sale.lines[0].delivered_at is None


def test_a_line_without_a_price_is_a_gift(folder: Path) -> None:
    assert [line.is_gift for line in standard(folder, {}, {"unit_price": "0.00"}).sale.lines] == [False, True]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"order_no": ""}, "order_no 是空的", id="no order number"),
        pytest.param({"order_no": "A 1"}, "不能有空格", id="a blank in the order number"),
        pytest.param({"order_no": "A" * 65}, "有 65 个字", id="an order number of 65 characters"),
        pytest.param({"line_no": "0"}, "不是行号", id="line number 0"),
        pytest.param({"quantity": "0"}, "0 不大于零", id="quantity 0"),
        pytest.param({"quantity": "-1"}, "-1 不大于零", id="quantity -1"),
        pytest.param({"quantity": "1.5"}, "不是整数", id="quantity 1.5"),
        pytest.param({"quantity": "２"}, "不是整数", id="a full-width quantity"),
        pytest.param({"quantity": "10000001", "unit_price": "0.01"}, "超过 10000000 件", id="above ten million units"),
        pytest.param({"unit_price": "1.234"}, "小数超过两位", id="money with three decimals"),
        pytest.param({"unit_price": "1e3"}, "不是金额", id="money as a power"),
        pytest.param({"unit_price": "1,000.00"}, "不加货币符号和千位逗号", id="money with a comma"),
        pytest.param({"unit_price": "¥10"}, "不加货币符号", id="money with a sign"),
        pytest.param({"unit_price": "-1.00"}, "不能小于零", id="a negative price"),
        pytest.param({"unit_price": ""}, "不是金额", id="no price"),
        pytest.param({"unit_price": "1234567890"}, "过大", id="ten digits of money"),
        pytest.param({"freight": "-8.00"}, "不能小于零", id="a negative freight"),
        pytest.param({"unit_price": "999999999", "quantity": "10"}, "超过 999999999.99", id="an absurd sum"),
        pytest.param({"line_discount": "20.01"}, "行优惠 20.01 元超过", id="a line discount above the line"),
        pytest.param({"order_discount": "20.01"}, "订单优惠 20.01 元超过", id="an order discount above the goods"),
        pytest.param({"ordered_at": "2025-02-30 10:00"}, "没有这个日期", id="the 30th of February"),
        pytest.param({"ordered_at": "2026-03-01 25:00"}, "没有这个日期或时间", id="hour 25"),
        pytest.param({"ordered_at": "01/03/2026"}, "不是时间", id="a date in another order"),
        pytest.param({"ordered_at": "20260301"}, "不是时间", id="a date without dashes"),
        pytest.param({"ordered_at": ""}, "是空的", id="no order time"),
        pytest.param({"ordered_at": "1989-12-31"}, "年份不在", id="the year 1989"),
        pytest.param({"ordered_at": "2100-01-01"}, "年份不在", id="the year 2100"),
        pytest.param({"delivered_at": "1970-01-01"}, "电脑的零点", id="P-23 a date of 1970"),
        pytest.param({"delivered_at": "2026-02-28"}, "早于下单时间", id="delivered the day before the order"),
        pytest.param({"payment_route": ""}, "是空的", id="no payment route"),
        pytest.param({"email": "notanemail"}, "email 不是一个邮箱地址", id="mail that is none"),
        pytest.param({"email": "a@x.com,b@x.com"}, "不是一个邮箱地址", id="mail to two"),
        pytest.param({"email": "a@x.com?bcc=b@x.com"}, "不是一个邮箱地址", id="mail to a second one in secret"),
        pytest.param({"email": f"{'a' * 64}@{'b' * 186}.com"}, "有 255 个字", id="mail of 255 characters"),
        pytest.param({"sku": "S\x001"}, "U+0000", id="a NUL character"),
        pytest.param({"product": "杯\x07"}, "U+0007", id="a bell character"),
        pytest.param({"product": "a\u202eb"}, "U+202E", id="a character that turns the reading direction"),
        pytest.param({"product": "杯" * 301}, "有 301 个字", id="a product name of 301 characters"),
        pytest.param({"product": "杯\n子"}, "单元格里有换行", id="a line break in a cell"),
    ],
)
def test_a_bad_row_is_told(folder: Path, changes: dict[str, str], said: str) -> None:
    outcome = standard(folder, changes)

    assert said in outcome.reasons[2]
    assert not outcome.sales


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"quantity": "10000000", "unit_price": "0.01"}, id="ten million units"),
        pytest.param({"unit_price": "499999999.99"}, id="the highest sum"),
        pytest.param({"line_discount": "20.00"}, id="a line discount of the whole line"),
        pytest.param({"order_no": "A" * 64}, id="an order number of 64 characters"),
        pytest.param({"delivered_at": "2026-03-01"}, id="delivered on the day of the order, hour unknown"),
        pytest.param({"ordered_at": "1990-01-01"}, id="the year 1990"),
        pytest.param({"unit_price": "10"}, id="money without decimals"),
    ],
)
def test_the_good_side_of_the_edge(folder: Path, changes: dict[str, str]) -> None:
    assert standard(folder, changes).sale


def test_every_mistake_of_a_row_is_told_at_once(folder: Path) -> None:
    reason = standard(folder, {"quantity": "x", "unit_price": "y"}).reasons[2]

    assert "quantity" in reason and "unit_price" in reason


def test_a_quoted_cell_holds_no_personal_data(folder: Path) -> None:
    """GEN-10: a phone number that slipped into the wrong column is not copied into the list."""
    reason = standard(folder, {"quantity": "13800001234"}).reasons[2]
    phone = standard(folder, {"phone": "13800001234" * 10}).reasons[2]

    assert "13800001234" not in reason + phone


# --- an order is whole ----------------------------------------------------------------------------------------------


def test_an_order_is_never_imported_half(folder: Path) -> None:
    rows = [{}, {"unit_price": "1.234"}, {"order_no": "B1", "line_no": "1"}]

    outcome = standard(folder, *rows)

    assert [sale.order_no for sale in outcome.sales] == ["B1"]
    assert outcome.reasons[2] == "同一订单第 3 行有误，整单未导入"
    assert set(outcome.reasons) == {2, 3}


def test_the_rows_of_an_order_need_not_stand_together(folder: Path) -> None:
    rows = [{}, {"order_no": "B1"}, {}, {"order_no": "B1"}, {"order_no": "C1", "quantity": "0"}]

    outcome = standard(folder, *rows)

    assert {sale.order_no: [line.line_no for line in sale.lines] for sale in outcome.sales} == {
        "A1": [1, 3],
        "B1": [2, 4],
    }


@pytest.mark.parametrize(
    "word",
    [
        "channel",
        "customer_no",
        "name",
        "phone",
        "email",
        "region",
        "ordered_at",
        "order_discount",
        "freight",
        "insured_freight",
        "payment_route",
    ],
)
def test_the_rows_of_an_order_agree(folder: Path, word: str) -> None:
    other = {"ordered_at": "2026-03-01 10:01", "email": "li@example.com"}.get(word, "1.00")

    outcome = standard(folder, {}, {word: other})

    assert outcome.reasons[3].startswith(f"{word} 与同一订单第 2 行不一致")
    assert set(outcome.reasons) == {2, 3}


def test_a_line_number_occurs_once(folder: Path) -> None:
    assert "行号 1 在订单里重复" in standard(folder, {}, {"line_no": "1"}).reasons[3]


# --- the file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_an_encoding_is_found(folder: Path, encoding: str) -> None:
    assert read(a_file(folder, [ROW], encoding=encoding)).sale.name == "王小明"


def test_a_packed_file_is_unpacked(folder: Path) -> None:
    content = gzip.compress(a_file(folder, [ROW]).read_bytes())

    assert read(a_text(folder, content, "orders.csv.gz")).sale.order_no == "A1"


def test_a_broken_character_spoils_one_row(folder: Path) -> None:
    content = a_file(folder, [ROW, ROW | {"order_no": "B1"}]).read_bytes()
    broken = content[::-1].replace("明".encode()[::-1], b"\xff\xff"[::-1], 1)[::-1]  # the last 明 only

    outcome = read(a_text(folder, broken))

    assert [sale.order_no for sale in outcome.sales] == ["A1"]
    assert "损坏的字符" in outcome.reasons[3]


def test_an_open_quote_spoils_one_row(folder: Path) -> None:
    lines = a_file(folder, [ROW, ROW | {"order_no": "B1"}, ROW | {"order_no": "C1"}]).read_text("utf-8")
    content = lines.replace("B1,1,官方网站", 'B1,1,"官方网站')

    outcome = read(a_text(folder, content.encode()))

    assert [sale.order_no for sale in outcome.sales] == ["A1", "C1"]
    assert "引号" in outcome.reasons[3]


@pytest.mark.parametrize(
    ("ending", "is_bad"),
    [
        pytest.param(",,", False, id="empty cells at the end are let through"),
        pytest.param(",x", True, id="a cell too many"),
    ],
)
def test_the_number_of_cells(folder: Path, ending: str, is_bad: bool) -> None:
    content = a_file(folder, [ROW]).read_text("utf-8").rstrip() + ending

    assert bool(read(a_text(folder, content.encode())).reasons) is is_bad


HEADER = ",".join(ROW).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "是空的", id="an empty file"),
        pytest.param(b"PK\x03\x04rest", "另存为", id="an Excel file"),
        pytest.param("订单号".encode("utf-16"), "UTF-16", id="a UTF-16 file"),
        pytest.param(HEADER + b"\n\xa3 5\n", "既不是 UTF-8 也不是 GBK", id="a Latin-1 file"),
        pytest.param(gzip.compress(HEADER * 99)[:40], "不完整或已损坏", id="a torn gzip file"),
        pytest.param(HEADER.replace(b"sku,", b""), "缺少这些列：sku", id="a missing column"),
        pytest.param(HEADER.replace(b",", b";"), "分隔符应是英文逗号", id="semicolons"),
        pytest.param(HEADER + b",sku", "重复的列：sku", id="a column twice"),
    ],
)
def test_an_unreadable_file_is_one_sentence(folder: Path, content: bytes, said: str) -> None:
    with pytest.raises(Unable, match=said) as told:
        read(a_text(folder, content))

    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [pytest.param("nothing.csv", "没有文件", id="no such file"), pytest.param("", "不是普通文件", id="a folder")],
)
def test_a_path_that_is_no_file(folder: Path, name: str, said: str) -> None:
    with pytest.raises(Unable, match=said):
        reading.look(folder / name)


def test_a_header_alone_is_no_mistake(folder: Path) -> None:
    assert read(a_text(folder, HEADER)).rows == 0


# --- online-retail --------------------------------------------------------------------------------------------------


def test_an_invoice_is_an_order(folder: Path) -> None:
    sale = retail(folder, {}, {"InvoiceDate": "2010-12-01 08:25:00"}).sale

    assert (sale.order_no, sale.channel, sale.customer_no) == ("536365", "online-retail", "17850")
    assert sale.ordered_at == datetime(2010, 12, 1, 8, 25, tzinfo=SHANGHAI), "the earliest time of an invoice"
    assert [line.delivered_at for line in sale.lines] == [datetime(2010, 12, 4, 8, 25, tzinfo=SHANGHAI)] * 2
    assert [(line.line_no, line.sku) for line in sale.lines] == [(1, "85123A"), (2, "85123A")], "a code may repeat"
    assert sale.paid == Decimal("30.60")


@pytest.mark.parametrize(
    ("changes", "fate"),
    [
        pytest.param({"StockCode": "POST"}, Fate.FREIGHT, id="POST is freight"),
        pytest.param({"StockCode": "DOT"}, Fate.FREIGHT, id="DOT is freight"),
        pytest.param({"StockCode": "C2"}, Fate.FREIGHT, id="C2 is freight"),
        pytest.param({"StockCode": "POST", "UnitPrice": "0.0"}, Fate.SKIPPED, id="freight of nothing is skipped"),
        pytest.param({"StockCode": "M"}, Fate.SKIPPED, id="M is skipped"),
        pytest.param({"StockCode": "m"}, Fate.SKIPPED, id="m is skipped"),
        pytest.param({"StockCode": "gift_0001_20"}, Fate.SKIPPED, id="gift_… is skipped"),
        pytest.param({"StockCode": "BANK CHARGES"}, Fate.SKIPPED, id="BANK CHARGES is skipped"),
        pytest.param({"StockCode": "DCGS0003"}, Fate.GOODS, id="DCGS… are goods"),
        pytest.param({"StockCode": "S"}, Fate.SKIPPED, id="S is skipped"),
        pytest.param({"StockCode": "22423S"}, Fate.GOODS, id="a code that ends in S is goods"),
        pytest.param({"Quantity": "0"}, Fate.SKIPPED, id="quantity 0 is skipped"),
        pytest.param({"Quantity": "-80995"}, Fate.SKIPPED, id="a negative quantity is skipped"),
        pytest.param({"Quantity": "1"}, Fate.GOODS, id="quantity 1 is goods"),
        pytest.param({"UnitPrice": "0.0"}, Fate.SKIPPED, id="price 0 is skipped"),
        pytest.param({"UnitPrice": "-11062.06"}, Fate.SKIPPED, id="a negative price is skipped"),
        pytest.param({"UnitPrice": "0.01"}, Fate.GOODS, id="a price of one fen is goods"),
        pytest.param({"InvoiceNo": "C536365", "Quantity": "-6"}, Fate.LEFT, id="a C invoice is left for the returns"),
        pytest.param({"UnitPrice": "0.001"}, Fate.BAD, id="a price of a tenth of a fen is bad"),
    ],
)
def test_the_fate_of_a_row(folder: Path, changes: dict[str, str], fate: Fate) -> None:
    assert retail(folder, changes).counts == {fate: 1}


def test_freight_rows_become_the_freight_of_the_order(folder: Path) -> None:
    outcome = retail(folder, {}, {"StockCode": "POST", "Quantity": "2", "UnitPrice": "15.0"}, {"Quantity": "-1"})

    assert (outcome.sale.freight, outcome.sale.paid) == (Decimal("30.00"), Decimal("45.30"))
    assert [line.line_no for line in outcome.sale.lines] == [1]
    assert outcome.counts == {Fate.GOODS: 1, Fate.FREIGHT: 1, Fate.SKIPPED: 1}


def test_without_a_customer_it_is_the_order_of_a_guest(folder: Path) -> None:
    assert retail(folder, {"CustomerID": ""}).sale.customer_no == ""


def test_all_dates_move_by_whole_days(folder: Path) -> None:
    """The last day of the file is the day asked for, also when it stands on a row that is left."""
    last = {"InvoiceNo": "C1", "InvoiceDate": "2010-12-05 23:59:00"}

    sale = retail(folder, {}, last, shift_to=date(2026, 11, 21)).sale

    assert sale.ordered_at == datetime(2026, 11, 17, 8, 26, tzinfo=SHANGHAI)
    assert sale.lines[0].delivered_at == datetime(2026, 11, 20, 8, 26, tzinfo=SHANGHAI)


# --- mappings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("label: x\ncolumns: {order_no: a}", "没有说明 sku 从哪里来", id="a word without a column"),
        pytest.param("label: x\ncolums: {}", "colums", id="a misspelt key"),
        pytest.param("label: x\ncolumns: {ordernumber: a}", "ordernumber", id="a word that there is not"),
    ],
)
def test_a_wrong_mapping_is_told(folder: Path, text: str, said: str) -> None:
    (folder / "imports").mkdir(exist_ok=True)
    (folder / "imports" / "mine.yaml").write_text(text, "utf-8")

    with pytest.raises(TermsError, match=said):
        mappings.load("mine", folder)


@pytest.mark.parametrize("name", ["nothing", "../house", "", "standard.yaml"])
def test_a_mapping_that_there_is_not(name: str) -> None:
    with pytest.raises(Unable, match="可用的有：online-retail、standard"):
        mappings.load(name)
