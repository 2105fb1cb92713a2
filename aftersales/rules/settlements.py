"""
The settlement of a receipt from what the journal tells: one function for the story that pays and the audit that checks.

The same rule as the quote (`money.quote`), with what is known now: the units received, the cause found, the carrier's
voucher, the days (MON-14, MON-17, RET-08).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from aftersales.rules import money
from aftersales.rules.standing import Standing, lines_of
from aftersales.terms import Returns, Terms
from aftersales.words import ZERO, Bill, Fault, Grade, Order, Shipping

# how a bill is paid: by the connected provider, or by the cashier, back the same way or to a recorded account
PROVIDER, BY_HAND, TRANSFER = "provider", "by_hand", "transfer"


def original_route(bill: Mapping[str, Any], payment_route: str, *, is_refused: bool) -> str:
    """The route by which a bill goes back; empty when it is transferred to the account that was recorded (MON-08)."""
    return "" if is_refused or bill.get("paid_by") == TRANSFER else payment_route


def settle(*, told: Standing, order: Order, terms: Terms, on: date) -> Bill:
    """Reckon what the last receipt pays by the rules on a house day; what a manager grants in part comes after."""
    receipt = told.receipts[-1]
    zone = ZoneInfo(terms.house.timezone)
    voucher = (told.pickup or {}).get("freight")
    is_self_shipped = told.request["shipping"] == Shipping.SELF
    return money.quote(
        order=order,
        wanted=receipt.kept,
        reason=told.request["reason"],
        asked_on=date.fromisoformat(told.request["asked_on"]),
        shipping=Shipping(told.request["shipping"]),
        terms=terms.returns.on(order.channel),
        zone=zone,
        received_on=None if told.is_lost else receipt.received_at.astimezone(zone).date(),
        settled_on=on,
        pickup_freight=Decimal(voucher) if voucher and not is_self_shipped else None,
        found=[
            money.Found(line_no, part, terms.returns.fault(row["cause"])) for line_no, part, row in receipt.findings
        ],
        already_charged=told.charged,
        approved=told.is_agreed,
        allowed=_allowed(told),
        is_lost=told.is_lost,
    )


def granted(bill: Bill, told: Standing) -> Bill:
    """Bring a bill down to what the manager has granted, if it was a part (RET-08)."""
    if told.resolution and told.resolution["decision"] == "partial":
        return money.partial(bill, Decimal(told.resolution["amount"]))
    return bill


def _allowed(told: Standing) -> Decimal | None:
    """How much of the application the manager allowed to stay unpaid (MON-14); None when nobody was asked about it."""
    if not told.is_exceptional:
        return None
    lines = lines_of(told.request["quote"])
    return -sum((line.amount for line in lines if line.label == money.CAP), ZERO)


def needs_countersign(bill: Bill, told: Standing, terms: Returns) -> bool:
    """Say whether a second person must agree: with this bill the case pays more than the limit (RFD-02, NUM-223)."""
    limit = terms.second_approval_above
    paid = sum((Decimal(earlier["total"]) for earlier in told.bills), ZERO)
    return limit is not None and bill.total > ZERO and paid + bill.total > limit


def freight_back(told: Standing, terms: Returns) -> tuple[Bill, tuple[str, ...]]:
    """Reckon what a self-shipper gets back, and give its vouchers; nothing where nothing is owed (MON-18)."""
    freight, vouchers = _freight_owed(told, terms)
    return Bill(None, money.reimbursement(freight=freight, terms=terms) if freight else ()), vouchers


def _freight_owed(told: Standing, terms: Returns) -> tuple[Decimal, tuple[str, ...]]:
    """
    Say what a self-shipper paid for the parcels that were kept and came by the seller's fault, with vouchers (MON-18).

    What was told when the goods were sent is of the first parcel. Of one that is lost nobody knows more than was claimed.
    """
    if told.request["shipping"] != Shipping.SELF:
        return ZERO, ()
    sent = [receipt for receipt in told.receipts if receipt.units or receipt.is_lost]
    freight, vouchers = ZERO, []
    for number, receipt in enumerate(sent):
        causes = [row["cause"] for _, _, row in receipt.findings if row["grade"] != Grade.WRONG]
        faults = {terms.fault(cause) for cause in ([told.request["reason"]] if receipt.is_lost else causes)}
        if not receipt.is_billed or Fault.SELLER not in faults:
            continue
        paid, voucher = receipt.freight, receipt.voucher
        if paid is None and number == 0 and (first := told.pickup or {}).get("freight"):
            paid, voucher = Decimal(first["freight"]), first.get("voucher", "")
        freight += paid or ZERO
        vouchers += [voucher] if voucher else []
    return freight, tuple(vouchers)
