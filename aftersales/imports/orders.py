"""
Rows become whole orders: an order is imported whole or not at all.

A file is read twice: `survey` counts the rows of each order, then `Assembly` gives each order as its last row is read,
so that a file of any order of rows costs no more memory than the orders that are open.
Every row ends in exactly one count: goods, freight, skipped, left or bad.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from aftersales.forms.records import EMAIL
from aftersales.imports import reading
from aftersales.imports.mapping import Mapping, Word
from aftersales.imports.reading import File, Record
from aftersales.imports.sales import Sale, SoldLine
from aftersales.rules import masking, money
from aftersales.words import ZERO, Named, Unable

MOST_UNITS = 10_000_000
MOST_MONEY = Decimal("999999999.99")
FIRST_YEAR, LAST_YEAR = 1990, 2100

LENGTHS: dict[Word, int] = {
    "order_no": 64,
    "channel": 64,
    "customer_no": 64,
    "name": 100,
    "phone": 40,
    "email": EMAIL.most,
    "region": 200,
    "sku": 64,
    "product": 300,
    "category": 64,
    "payment_route": 64,
}
# What belongs to the order and not to a line: all rows of an order must say the same.
OF_THE_ORDER: tuple[Word, ...] = (
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
)
MAY_BE_EMPTY = frozenset({"customer_no", "name", "phone", "email", "region", "delivered_at", "product", "category"})
FREE_TEXT = frozenset({"customer_no", "name", "phone", "email", "region"})

# Tabs are let through: Chinese shop exports put them before long numbers to keep spreadsheets from rounding them.
_UNSEEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_MONEY = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,2})?")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


class Fate(Named):
    """What becomes of a row."""

    GOODS = "goods", "商品行"
    FREIGHT = "freight", "运费行"
    SKIPPED = "skipped", "跳过"
    LEFT = "left", "留给退货导入"
    BAD = "bad", "有误"


@dataclass(frozen=True, slots=True)
class Remark:
    """A row that did not become part of an order, and why."""

    line: int
    order_no: str
    fate: Fate
    reason: str


@dataclass(slots=True)
class Survey:
    """What the first reading of a file found."""

    header: list[str]
    rows: int = 0
    rows_of: Counter[str] = field(default_factory=Counter)
    last_on: date | None = None

    def shift(self, file: File, *, to: date | None) -> timedelta:
        """By how much every date moves so that the last day of the file is `to`. Raises Unable without a date."""
        if to is None or not self.rows:
            return timedelta()
        if self.last_on is None:
            raise Unable(f"文件 {file.path} 里没有一个读得出的日期，无法按 --shift-to 移动；请检查日期列。")
        return to - self.last_on


# --- the first reading ----------------------------------------------------------------------------------------------


def survey(file: File, mapping: Mapping, *, zone: tzinfo, dates: bool = False) -> Survey:
    """
    Read a file once: check its header, count its rows and those of each order, and find its last day when asked.

    Raises Unable when the header does not fit the mapping.
    """
    rows = reading.records(file)
    first = next(rows, None)
    if first is None:
        raise Unable(f"文件 {file.path} 没有表头，第一行应是各列的名称。")
    found = Survey(header=_header(first, mapping, file.path))
    place = found.header.index(mapping.columns["order_no"])
    times = [found.header.index(mapping.columns[word]) for word in _time_words(mapping)] if dates else []
    read = _time_reader(zone, timedelta())
    last: datetime | None = None
    for record in rows:
        found.rows += 1
        found.rows_of[cell(record.cells, place)] += 1
        for time in times:
            try:
                at = read(cell(record.cells, time))
            except ValueError:
                continue  # a row with such a date is told about in the second reading
            if at is not None and (last is None or at > last):
                last = at
    found.last_on = last.date() if last else None
    return found


def _time_words(mapping: Mapping) -> list[Word]:
    words: tuple[Word, ...] = ("ordered_at", "delivered_at")
    return [word for word in words if word in mapping.columns]


def _header(record: Record, mapping: Mapping, path: Path) -> list[str]:
    names = [_text(cell) for cell in record.cells]
    if record.problem:
        raise Unable(f"文件 {path} 的表头读不出来：{record.problem}。")
    missing = [name for name in mapping.columns.values() if name not in names]
    if missing:
        hint = ""
        if len(names) == 1 and (other := next((mark for mark in ";\t|" if mark in record.cells[0]), "")):
            hint = f"分隔符应是英文逗号，文件里用的是“{'制表符' if other == chr(9) else other}”；"
        raise Unable(
            f"文件 {path} 的表头缺少这些列：{'、'.join(missing)}；{hint}请补上，或换一个映射（--mapping，这里用的是“{mapping.label}”）。"
        )
    twice = [name for name in mapping.columns.values() if names.count(name) > 1]
    if twice:
        raise Unable(f"文件 {path} 的表头里有重复的列：{'、'.join(twice)}；请删去多余的。")
    return names


# --- the second reading ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Draft:
    """An order whose rows are still coming."""

    goods: list[_Row] = field(default_factory=list)
    freight: list[_Row] = field(default_factory=list)
    bad: list[Remark] = field(default_factory=list)
    seen: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as it reads: the line in the file and a value for each word of the mapping."""

    line: int
    values: dict[Word, Any]


class Assembly:
    """
    Takes the rows of a file one by one and gives the orders that are whole.

    `counts` add up to the rows taken; `remarks` tell of every row that is skipped or bad.
    """

    def __init__(
        self,
        mapping: Mapping,
        found: Survey,
        *,
        zone: tzinfo,
        currency: str,
        shift: timedelta = timedelta(),
    ) -> None:
        self.mapping = mapping
        self.counts: Counter[Fate] = Counter()
        self.remarks: list[Remark] = []
        self._found = found
        self._zone = zone
        self._currency = currency
        self._open: dict[str, _Draft] = {}
        self._place = {word: found.header.index(name) for word, name in mapping.columns.items()}
        self._readers = [(word, place, self._reader(word, shift)) for word, place in self._place.items()]
        self._defaults: dict[Word, Any] = dict(mapping.defaults)

    def sales(self, rows: Iterable[Record], *, on_row: Callable[[], None] | None = None) -> Iterator[Sale]:
        """Give every order that comes whole out of these rows."""
        for record in rows:
            sale = self.take(record)
            if sale is not None:
                yield sale
            if on_row is not None:
                on_row()

    def take(self, record: Record) -> Sale | None:
        """Take one row; give the order when this was its last row and nothing in it is bad."""
        order_no = cell(record.cells, self._place["order_no"])
        if order_no not in self._open:
            self._open[order_no] = _Draft()
        draft = self._open[order_no]
        draft.seen += 1
        self._sort(record, order_no, draft)
        if draft.seen < self._found.rows_of[order_no]:
            return None
        del self._open[order_no]
        return self._finish(order_no, draft)

    # --- a row

    def _sort(self, record: Record, order_no: str, draft: _Draft) -> None:
        problem = record.problem or self._malformed(record)
        mapping = self.mapping
        if problem:
            draft.bad.append(Remark(record.line, _cut(order_no), Fate.BAD, problem))
            return
        if mapping.returns_prefix and order_no.startswith(mapping.returns_prefix):
            self.counts[Fate.LEFT] += 1
            return
        sku = cell(record.cells, self._place["sku"])
        if mapping.not_goods and not mapping.is_goods(sku):
            self._skip(record, order_no, f"编码 {sku} 不是商品")
            return
        try:
            values = {word: read(record.cells[place]) for word, place, read in self._readers}
        except ValueError:
            draft.bad.append(Remark(record.line, _cut(order_no), Fate.BAD, self._all_wrong(record)))
            return
        if mapping.skip_not_positive and (values["quantity"] <= 0 or values["unit_price"] <= 0):
            what = "数量" if values["quantity"] <= 0 else "单价"
            self._skip(record, order_no, f"{what}不大于零")
            return
        row = _Row(record.line, {**self._defaults, **values})
        (draft.freight if mapping.is_freight(sku) else draft.goods).append(row)

    def _skip(self, record: Record, order_no: str, reason: str) -> None:
        self.counts[Fate.SKIPPED] += 1
        self.remarks.append(Remark(record.line, _cut(order_no), Fate.SKIPPED, reason))

    def _malformed(self, record: Record) -> str:
        cells, width = record.cells, len(self._found.header)
        if len(cells) != width:
            if len(cells) < width or any(cell.strip() for cell in cells[width:]):
                return f"这一行有 {len(cells)} 格，表头有 {width} 列；请检查多余或缺少的逗号"
            del cells[width:]
        text = "\x1f".join(cells)
        if reading.LOST in text:
            return "有损坏的字符（编码不对）；请用 UTF-8 重新导出"
        if unseen := next((char for cell in cells for char in _UNSEEN.findall(cell)), ""):
            return f"有看不见的控制字符（U+{ord(unseen):04X}）；请删去"
        return ""

    def _all_wrong(self, record: Record) -> str:
        reasons = []
        for word, place, read in self._readers:
            try:
                read(record.cells[place])
            except ValueError as error:
                reasons.append(f"{self.mapping.columns[word]} {error}")
        return "；".join(reasons)

    def _reader(self, word: Word, shift: timedelta) -> Callable[[str], Any]:
        if word in ("ordered_at", "delivered_at"):
            read = _time_reader(self._zone, shift)
            return read if word == "delivered_at" else lambda cell: _there(read(_text(cell)))
        if word == "quantity":
            return _quantity_reader(self.mapping.skip_not_positive)
        if word == "line_no":
            return _line_no
        if word == "unit_price":
            return _price_reader(self.mapping.skip_not_positive)
        if word in ("line_discount", "order_discount", "freight", "insured_freight"):
            return _amount
        return _text_reader(word, LENGTHS[word], self.mapping.strip.get(word, ""))

    # --- an order

    def _finish(self, order_no: str, draft: _Draft) -> Sale | None:
        rows = draft.goods + draft.freight
        if not draft.bad and rows:
            try:
                sale = self._sale(order_no, draft)
            except _Wrong as wrong:
                draft.bad.append(Remark(wrong.line, _cut(order_no), Fate.BAD, str(wrong)))
            else:
                self.counts[Fate.GOODS] += len(draft.goods)
                self.counts[Fate.FREIGHT] += len(draft.freight)
                return sale
        if draft.bad:
            first, told = draft.bad[0].line, {remark.line for remark in draft.bad}
            because = f"同一订单第 {first} 行有误，整单未导入"
            draft.bad += [Remark(row.line, _cut(order_no), Fate.BAD, because) for row in rows if row.line not in told]
            self.counts[Fate.BAD] += len(draft.bad)
            self.remarks += sorted(draft.bad, key=lambda remark: remark.line)
        return None

    def _sale(self, order_no: str, draft: _Draft) -> Sale:
        rows = sorted(draft.goods + draft.freight, key=lambda row: row.line)
        common = self._agreed(rows)
        ordered_at = min(row.values["ordered_at"] for row in rows)
        lines = self._lines(draft.goods, common, ordered_at)
        freight = common.get("freight") or ZERO
        for row in draft.freight:
            freight += _product(row)
        sale = Sale(
            order_no=order_no,
            channel=common["channel"],
            ordered_at=ordered_at,
            lines=lines,
            customer_no=common.get("customer_no") or "",
            name=common.get("name") or "",
            phone=common.get("phone") or "",
            email=common.get("email") or "",
            region=common.get("region") or "",
            currency=self._currency,
            freight=freight,
            insured_freight=common.get("insured_freight") or ZERO,
            payment_route=common["payment_route"],
            at_line=rows[0].line,
            freight_rows=len(draft.freight),
        )
        if sale.paid > MOST_MONEY:
            raise _Wrong(rows[0].line, f"订单合计 {sale.paid} 元超过 {MOST_MONEY}；请检查数量和单价")
        return sale

    def _agreed(self, rows: Sequence[_Row]) -> dict[Word, Any]:
        first = rows[0]
        words = [word for word in OF_THE_ORDER if word in first.values]
        if self.mapping.order_time == "earliest":
            words.remove("ordered_at")
        for row in rows[1:]:
            for word in words:
                if row.values[word] != first.values[word]:
                    name = self.mapping.columns[word]
                    raise _Wrong(row.line, f"{name} 与同一订单第 {first.line} 行不一致；请改成一样的")
        return first.values

    def _lines(self, goods: Sequence[_Row], common: dict[Word, Any], ordered_at: datetime) -> tuple[SoldLine, ...]:
        prices, numbers = [], set()
        for number, row in enumerate(goods, start=1):
            line_no = row.values.get("line_no", number)
            if line_no in numbers:
                raise _Wrong(row.line, f"行号 {line_no} 在订单里重复；请改成不同的")
            numbers.add(line_no)
            price, off = _product(row), row.values.get("line_discount") or ZERO
            if off > price:
                raise _Wrong(row.line, f"行优惠 {off} 元超过这一行的金额 {price} 元；请改正")
            prices.append(price - off)
        discount = common.get("order_discount") or ZERO
        if discount > sum(prices):
            raise _Wrong(goods[0].line, f"订单优惠 {discount} 元超过商品金额 {sum(prices)} 元；请改正")
        if discount:
            prices = [price - part for price, part in zip(prices, money.share(discount, prices), strict=True)]
        return tuple(
            SoldLine(
                line_no=row.values.get("line_no", number),
                sku=row.values["sku"],
                name=row.values.get("product") or row.values["sku"],
                category=row.values.get("category") or "",
                quantity=row.values["quantity"],
                paid=paid,
                delivered_at=self._delivered(row, ordered_at),
                is_gift=not row.values["unit_price"],
            )
            for number, (row, paid) in enumerate(zip(goods, prices, strict=True), start=1)
        )

    def _delivered(self, row: _Row, ordered_at: datetime) -> datetime | None:
        if self.mapping.delivered_after_days is not None:
            return ordered_at + timedelta(days=self.mapping.delivered_after_days)
        at = row.values.get("delivered_at")
        if at is not None and at.date() < ordered_at.date():
            raise _Wrong(row.line, f"签收时间 {at:%Y-%m-%d} 早于下单时间 {ordered_at:%Y-%m-%d}；请改正，不知道就留空")
        return at


class _Wrong(Exception):
    """What is wrong with an order as a whole, and at which line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _product(row: _Row) -> Decimal:
    return row.values["unit_price"] * row.values["quantity"]


# --- cells ----------------------------------------------------------------------------------------------------------


def cell(cells: Sequence[str], place: int) -> str:
    """A row's cell, without what surrounds it; empty where the row is too short."""
    return _text(cells[place]) if place < len(cells) else ""


def _text(cell: str) -> str:
    """
    Drop blanks at both ends and double ones within.
    """
    return " ".join(cell.split())


def _cut(text: str) -> str:
    """
    Make something quoted from a file fit into a sentence.
    """
    text = _UNSEEN.sub("?", text)
    return text if len(text) <= 40 else text[:40] + "…"


def shown(text: str) -> str:
    """
    Quote a cell without the personal data that may have slipped into it (GEN-10).
    """
    return _cut(text if masking.is_clean(text) else masking.scrub(text))


def _there(value: datetime | None) -> datetime:
    if value is None:
        raise ValueError("是空的；请填写，如 2026-03-05 10:00")
    return value


def _text_reader(word: Word, most: int, ending: str) -> Callable[[str], str]:
    may_be_empty = word in MAY_BE_EMPTY
    is_private = word in FREE_TEXT

    def read(cell: str) -> str:
        text = _text(cell)
        if ending:
            text = text.removesuffix(ending)
        if not text and not may_be_empty:
            raise ValueError("是空的；请填写")
        if len(text) > most:
            quoted = "" if is_private else f"（{shown(text)}）"
            raise ValueError(f"有 {len(text)} 个字{quoted}，最多 {most} 个；请缩短")
        if word == "order_no" and " " in text:
            raise ValueError(f"“{shown(text)}”中间有空格；订单号不能有空格")
        if word == "email" and text and not EMAIL.fits(text):
            raise ValueError("不是一个邮箱地址；请写成 a@b.cn 这样，只写一个，没有就留空")
        return text

    return read


def _quantity_reader(any_sign: bool) -> Callable[[str], int]:
    @lru_cache(maxsize=10_000)
    def read(cell: str) -> int:
        text = cell.strip()
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"“{shown(text)}”不是整数；请填写件数，如 2")
        quantity = int(text)
        if quantity > MOST_UNITS:
            raise ValueError(f"{shown(text)} 超过 {MOST_UNITS} 件；请检查")
        if quantity <= 0 and not any_sign:
            raise ValueError(f"{quantity} 不大于零；订单行的件数至少是 1")
        return quantity

    return read


def _line_no(cell: str) -> int:
    text = cell.strip()
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= 1_000_000:
        raise ValueError(f"“{shown(text)}”不是行号；请填写 1 到 1000000 的整数")
    return int(text)


def _price_reader(any_sign: bool) -> Callable[[str], Decimal]:
    @lru_cache(maxsize=50_000)
    def read(cell: str) -> Decimal:
        return _money(cell.strip(), any_sign=any_sign)

    return read


@lru_cache(maxsize=50_000)
def _amount(cell: str) -> Decimal:
    """
    An amount that may be left out, which means 0.00.
    """
    text = cell.strip()
    return _money(text, any_sign=False) if text else ZERO


def _money(text: str, *, any_sign: bool) -> Decimal:
    if not _MONEY.fullmatch(text):
        if re.fullmatch(r"-?[0-9]{1,9}\.[0-9]{3,}", text):
            raise ValueError(f"“{shown(text)}”的小数超过两位；金额最多两位小数")
        if re.fullmatch(r"-?[0-9]{10,}(\.[0-9]*)?", text):
            raise ValueError(f"“{shown(text)}”过大；金额最多九位整数")
        raise ValueError(f"“{shown(text)}”不是金额；请写成 19.90 这样，不加货币符号和千位逗号")
    amount = Decimal(text)
    if amount < 0 and not any_sign:
        raise ValueError(f"“{text}”是负数；金额不能小于零")
    return amount


def _time_reader(zone: tzinfo, shift: timedelta) -> Callable[[str], datetime | None]:
    @lru_cache(maxsize=50_000)
    def read(cell: str) -> datetime | None:
        text = cell.strip()
        if not text:
            return None
        form = _TIME.fullmatch(text)
        if not form:
            raise ValueError(f"“{shown(text)}”不是时间；请写成 2026-03-05 10:00 这样")
        try:
            at = datetime.fromisoformat(text.upper())
        except ValueError:
            raise ValueError(f"“{text}”没有这个日期或时间；请改正") from None
        if at.year == 1970 and form[1] in ("1970-01-01", "1970-01-02"):
            raise ValueError(f"“{text}”是电脑的零点（没有填写的时间），不是真的日期；不知道就留空")  # P-23
        if not FIRST_YEAR <= at.year < LAST_YEAR:
            raise ValueError(f"“{text}”的年份不在 {FIRST_YEAR} 到 {LAST_YEAR - 1} 之间；请检查")
        at = at.replace(tzinfo=zone) if at.tzinfo is None else at.astimezone(zone)
        return at + shift  # by the wall clock of the house, so that 10:00 stays 10:00

    return read
