"""An order as it comes in: what the import, the sample shop and the demo give to `aftersales.store.orders`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from aftersales.words import ZERO


@dataclass(frozen=True, slots=True)
class SoldLine:
    """One line of an order; `paid` is what was paid for it after every discount."""

    line_no: int
    sku: str
    name: str
    category: str
    quantity: int
    paid: Decimal
    delivered_at: datetime | None
    is_gift: bool = False
    warranty_months: int = 12
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sale:
    """
    A whole order with its contact. A guest has no customer number.

    `at_line` and `freight_rows` tell where in a file it came from, so that the counts of an import add up.
    """

    order_no: str
    channel: str
    ordered_at: datetime
    lines: tuple[SoldLine, ...]
    customer_no: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    region: str = ""
    currency: str = "CNY"
    freight: Decimal = ZERO
    insured_freight: Decimal = ZERO
    payment_route: str = ""
    at_line: int = 0
    freight_rows: int = 0

    @property
    def paid(self) -> Decimal:
        """What the customer paid: all lines after discounts, and the freight."""
        return sum((line.paid for line in self.lines), self.freight)
