"""
Returned goods of another system's file: which lines of which orders they were, found by customer, code and price.

Such a file names no order: a row is filled from lines of the same customer and code bought not later, those of the same
unit price first, then the latest, over several lines if need be. A row is filled whole or goes to a person whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from aftersales.imports import orders, reading
from aftersales.imports.mapping import Mapping
from aftersales.imports.orders import Assembly, Fate, Remark
from aftersales.imports.reading import File, Record


@dataclass(frozen=True, slots=True)
class Back:
    """A row of goods that came back; `key` is what it is known by when the file is imported again."""

    line: int
    key: str
    invoice: str
    sku: str
    quantity: int
    unit_price: Decimal
    customer_no: str
    asked_at: datetime

    @property
    def amount(self) -> Decimal:
        """What the file says went back for it."""
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class Bad(Remark):
    """A row that cannot be read; `key` is the one it keeps when it is corrected."""

    key: str


@dataclass(slots=True)
class Sold:
    """A line of an order, and how many of its units can still come back."""

    order_no: str
    line_no: int
    sku: str
    customer_no: str
    ordered_at: datetime
    quantity: int
    paid: Decimal
    free: int


@dataclass(slots=True)
class Application:
    """What one invoice of returns asks of one order: units by line, and by the row they came from."""

    invoice: str
    order_no: str
    asked_at: datetime
    lines: Counter[int] = field(default_factory=Counter)
    skus: dict[int, str] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A row for a person to look at, and why."""

    row: Back
    kind: str
    reason: str


@dataclass(slots=True)
class Plan:
    """What becomes of the rows of a file."""

    applications: list[Application] = field(default_factory=list)
    unplaced: list[Unplaced] = field(default_factory=list)
    filled: int = 0
    amount: Decimal = Decimal(0)


class _Rows(Assembly):
    """Reads the rows that an import of orders leaves."""

    def back(self, record: Record, nth: Counter[tuple[str, str]]) -> Back | Bad | None:
        """
        A row of returned goods, a bad one, or nothing when it is an order's row.

        Bad rows count for the key like good ones: a correction must not give the rows behind it another key.
        """
        order_no = orders.cell(record.cells, self._place["order_no"])
        if not order_no.startswith(self.mapping.returns_prefix):
            return None
        sku = orders.cell(record.cells, self._place["sku"]).removesuffix(self.mapping.strip.get("sku", ""))
        nth[order_no, sku] += 1
        key = f"{order_no}/{sku}/{nth[order_no, sku]}"
        problem = record.problem or self._malformed(record)
        if problem:
            # anything may stand in the place of the code, also a customer (GEN-10)
            told = key if orders.shown(sku) == sku else f"{order_no}/line-{record.line}"
            return self._bad(record, order_no, problem, told)
        try:
            values = {word: read(record.cells[place]) for word, place, read in self._readers}
        except ValueError:
            return self._bad(record, order_no, self._all_wrong(record), key)
        if values["quantity"] >= 0:
            return self._bad(record, order_no, "退货行的数量应为负数", key)
        if values["unit_price"] < 0:
            return self._bad(record, order_no, "单价不能为负数", key)
        return Back(
            line=record.line,
            key=key,
            invoice=order_no,
            sku=values["sku"],
            quantity=-values["quantity"],
            unit_price=values["unit_price"],
            customer_no=values.get("customer_no") or "",
            asked_at=values["ordered_at"],
        )

    def _bad(self, record: Record, order_no: str, reason: str, key: str) -> Bad:
        return Bad(record.line, order_no[:64], Fate.BAD, reason, key)


def read(
    file: File, mapping: Mapping, *, zone: tzinfo, currency: str, shift: timedelta
) -> tuple[list[Back], list[Bad]]:
    """Read the rows of returned goods, and those of them that are bad. Raises Unable for a file that cannot be read."""
    rows = _Rows(mapping, orders.survey(file, mapping, zone=zone), zone=zone, currency=currency, shift=shift)
    found: list[Back] = []
    bad: list[Bad] = []
    nth: Counter[tuple[str, str]] = Counter()
    records = reading.records(file)
    next(records, None)  # the header
    for record in records:
        match rows.back(record, nth):
            case Back() as row:
                found.append(row)
            case Bad() as row:
                bad.append(row)
    return found, bad


def plan(rows: Sequence[Back], sold: Iterable[Sold], *, mapping: Mapping) -> Plan:
    """Fill rows in the order in which they were asked; `sold` holds every line of their customers and codes."""
    by_goods: defaultdict[tuple[str, str], list[Sold]] = defaultdict(list)
    for line in sold:
        by_goods[line.customer_no, line.sku].append(line)
    told = Plan()
    applications: dict[tuple[str, str], Application] = {}
    for row in sorted(rows, key=lambda row: (row.asked_at, row.line)):
        if reason := _hopeless(row, mapping):
            told.unplaced.append(Unplaced(row, *reason))
            continue
        lines = [line for line in by_goods[row.customer_no, row.sku] if line.ordered_at <= row.asked_at]
        spare = sum(line.free for line in lines)
        if spare < row.quantity:
            told.unplaced.append(Unplaced(row, *_short(row, by_goods[row.customer_no, row.sku], lines, spare)))
            continue
        left = row.quantity
        for line in sorted(lines, key=lambda line: _preference(line, row)):
            part = min(left, line.free)
            if not part:
                continue
            line.free -= part
            left -= part
            one = applications.setdefault(
                (row.invoice, line.order_no), Application(row.invoice, line.order_no, row.asked_at)
            )
            one.lines[line.line_no] += part
            one.skus[line.line_no] = line.sku
            one.rows[row.key] += part
        told.filled += 1
        told.amount += row.amount
    told.applications = list(applications.values())
    return told


def _hopeless(row: Back, mapping: Mapping) -> tuple[str, str] | None:
    if mapping.is_freight(row.sku) or not mapping.is_goods(row.sku):
        return "不是商品", f"编码 {row.sku} 不是商品"
    if not row.customer_no:
        return "没有客户编号", "没有客户编号，找不到原来的订单"
    return None


def _short(row: Back, bought: Sequence[Sold], before: Sequence[Sold], spare: int) -> tuple[str, str]:
    if not bought:
        return "没有买过", f"这位客户没有买过 {row.sku}（或购买早于导入的订单）"
    if not before:
        return "之后才购买", f"{row.sku} 都是在退货之后购买的"
    return "件数不够", f"{row.sku} 退 {row.quantity} 件，此前购买且未退的只有 {spare} 件"


def _preference(line: Sold, row: Back) -> tuple[bool, float, str, int]:
    is_other_price = line.paid != row.unit_price * line.quantity
    return is_other_price, -line.ordered_at.timestamp(), line.order_no, line.line_no
