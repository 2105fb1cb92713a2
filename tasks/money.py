"""Money: the bill of a receipt, and one refund for it (RET-09, MON-07, MON-14 to MON-17, GEN-14)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from aftersales.desk import leg as legs
from aftersales.desk.leg import Leg
from aftersales.gateways import Outcome, Payment
from aftersales.gateways.worklists import TransferList
from aftersales.rules import money, units
from aftersales.rules.standing import Receipt, standing
from aftersales.store import cases, facts, work
from aftersales.store import units as ledger
from aftersales.store.engine import transaction
from aftersales.words import ZERO, Shipping
from tasks import notices
from tasks.cases import bill_data
from tasks.steps import Intent, step


def payment() -> Payment:
    """The payment provider of this shop: until one is connected, the list that the cashier transfers by hand."""
    return TransferList(work.put, work.find)


async def settle(case: str) -> Decimal:
    """
    Reckon what the last receipt pays, once; answers the amount due (MON-14, MON-17).

    The same rule as the quote, with what is known now: units received, cause found, the carrier's voucher, the days.
    The units are settled in the ledger in the same transaction.
    """
    leg = await legs.here()
    assert leg.case is not None
    assert leg.terms is not None
    entry = f"bill-{leg.round('bill')}"
    if (known := leg.entries.get(entry)) is None:
        told = standing(leg.history)
        receipt, inspected = told.receipts[-1], told.inspections[-1]
        zone = ZoneInfo(leg.terms.house.timezone)
        async with transaction() as connection:
            # two cases of an order must not both count on the same money
            await cases.one_at_a_time(connection, leg.case.order_no)
            order = await facts.load(connection, leg.case.order_no)
            assert order is not None, "a case has its order"
            voucher = (told.pickup or {}).get("freight")
            bill = money.quote(
                order=order,
                wanted=receipt.wanted,
                reason=told.request["reason"],
                asked_on=date.fromisoformat(told.request["asked_on"]),
                shipping=Shipping(told.request["shipping"]),
                terms=leg.terms.returns.on(order.channel),
                zone=zone,
                received_on=receipt.received_at.astimezone(zone).date(),
                refund_on=leg.now().astimezone(zone).date(),
                pickup_freight=Decimal(voucher) if voucher else None,
                found=_found(leg, receipt, inspected),
                already_charged=told.charged,
                approved=told.is_exceptional,
            )
            await ledger.settle(connection, leg.case.case_no, wanted=receipt.wanted)
            await leg.note(connection, entry, kind="bill", data=bill_data(bill), rule="MON-14")
        known = leg.entries[entry]
    return Decimal(known.data["total"])


@step("refund", "发起退款")
async def refund(intent: Intent, case: str) -> Outcome:
    """Pay for what the last receipt accepted, by the original route, once (RET-09, MON-07, GEN-14)."""
    gateway = payment()
    if intent.is_old and (known := await gateway.ask(intent.key)):
        return known
    leg = await legs.here()
    assert leg.terms is not None
    bill = standing(leg.history).bills[-1]  # a bill of zero asks for no refund, so the rounds need not agree
    async with transaction() as connection:
        order = await facts.load(connection, standing(leg.history).request["order_no"])
    assert order is not None, "a case has its order"
    route = money.route(order=order, terms=leg.terms.returns)
    return await gateway.refund(
        intent.key,
        case_no=case,
        amount=Decimal(bill["total"]),
        route=order.payment_route if route.answer == "original" else "人工转账",
    )


async def tell_refunded(case: str) -> None:
    """Tell the customer that the money went back (RET-09, NTC-07)."""
    leg = await legs.here()
    told = standing(leg.history)
    entry = f"refunded-{leg.round('refunded')}"
    if notices.was_told(leg, "NTC-07", entry):
        return
    async with transaction() as connection:
        order = await facts.load(connection, told.request["order_no"])
        assert order is not None, "a case has its order"
        await notices.tell_customer(
            connection,
            leg,
            "NTC-07",
            entry,
            {"amount": f"{Decimal(told.refunds[-1]['amount']):.2f}", "route": order.payment_route or "登记的收款账户"},
        )


async def needs_person(case: str) -> bool:
    """Whether the last bill goes to the after-sales manager: less can go back by the original route than is due."""
    leg = await legs.here()
    bill = leg.entries[f"bill-{leg.rounds['bill'] - 1}"]
    return bool(bill.data["needs_person"])


def nothing_to_pay(amount: Decimal) -> bool:
    """Whether a bill ends at zero: fees ate it up, and no cashier is asked."""
    return amount <= ZERO


def _found(leg: Leg, receipt: Receipt, inspected: Any) -> list[money.Found]:
    """Whose fault each unit is as found, dealing a line's units out to the inspection's rows in order (MON-17)."""
    assert leg.terms is not None
    found = []
    for line_no, runs in receipt.units.items():
        rows = [item for item in inspected["items"] if item["line_no"] == line_no]
        for row, part in zip(rows, units.deal(runs, [row["quantity"] for row in rows]), strict=True):
            found.append(money.Found(line_no, part, leg.terms.returns.fault(row["cause"])))
    return found
