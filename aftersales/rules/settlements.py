"""
The settlement of a receipt from what the journal tells: one function for the story that pays and the audit that checks.

The same rule as the quote (`money.quote`), with what is known now: the units received, the cause found, the carrier's
voucher, the days (MON-14, MON-17, RET-08).
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from aftersales.rules import money, units
from aftersales.rules.standing import Receipt, Standing
from aftersales.terms import Returns, Terms
from aftersales.words import Bill, Order, Shipping


def settle(*, told: Standing, order: Order, terms: Terms, on: date) -> Bill:
    """Reckon what the last receipt pays by the rules on a house day; what a manager grants in part comes after."""
    receipt = told.receipts[-1]
    zone = ZoneInfo(terms.house.timezone)
    voucher = (told.pickup or {}).get("freight")
    is_self_shipped = told.request["shipping"] == Shipping.SELF
    return money.quote(
        order=order,
        wanted=told.missing if told.is_lost else receipt.wanted,
        reason=told.request["reason"],
        asked_on=date.fromisoformat(told.request["asked_on"]),
        shipping=Shipping(told.request["shipping"]),
        terms=terms.returns.on(order.channel),
        zone=zone,
        received_on=None if told.is_lost else receipt.received_at.astimezone(zone).date(),
        refund_on=on,
        pickup_freight=Decimal(voucher) if voucher and not is_self_shipped else None,
        found=[] if told.is_lost else _found(receipt, told.inspections[-1], terms.returns),
        already_charged=told.charged,
        approved=told.is_exceptional,
        is_lost=told.is_lost,
    )


def granted(bill: Bill, told: Standing) -> Bill:
    """Bring a bill down to what the manager has granted, if it was a part (RET-08)."""
    if told.resolution and told.resolution["decision"] == "partial":
        return money.partial(bill, Decimal(told.resolution["amount"]))
    return bill


def _found(receipt: Receipt, inspected: Any, returns: Returns) -> list[money.Found]:
    """Whose fault each unit is as found, dealing a line's units out to the inspection's rows in order (MON-17)."""
    found = []
    for line_no, runs in receipt.units.items():
        rows = [item for item in inspected["items"] if item["line_no"] == line_no]
        for row, part in zip(rows, units.deal(runs, [row["quantity"] for row in rows]), strict=True):
            found.append(money.Found(line_no, part, returns.fault(row["cause"])))
    return found
