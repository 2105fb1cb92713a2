"""Money: the bill of a receipt, and one refund for it (RET-09, MON-07, MON-08, MON-14 to MON-18, RFD-02, GEN-14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.desk.leg import Leg
from aftersales.gateways import Outcome, Payment, http
from aftersales.gateways.worklists import TransferList
from aftersales.rules import clocks, money, offers, settlements
from aftersales.rules.settlements import BY_HAND, PROVIDER, TRANSFER
from aftersales.rules.standing import Standing, bill_data, standing
from aftersales.settings import settings
from aftersales.store import cases, facts, journal, parks, work
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import ZERO, Bill, Event, Order
from tasks import notices
from tasks.steps import Intent, step

TRANSFER_ROUTE = "人工转账"


def payment(leg: Leg) -> Payment | None:
    """The payment provider of this shop; None until one is connected, and in rehearsals: the cashier transfers by hand."""
    return payment_of(leg.case)


def payment_of(case: cases.Case | None) -> Payment | None:
    """The payment provider for a case; None in rehearsals, which never leave the house."""
    return http.payment_from(settings()) if case is not None and case.is_real else None


def cashier() -> TransferList:
    """The list of payments that the cashier makes by hand."""
    return TransferList(work.put, work.find)


async def reckon(case: str) -> None:
    """Reckon what the last receipt would pay, for the manager who decides about goods that did not pass (RET-08)."""
    leg = await legs.here()
    entry = f"reckoning-{leg.round('reckoning')}"
    if entry in leg.entries:
        return
    async with transaction() as connection:
        assert leg.case is not None
        await cases.one_at_a_time(connection, leg.case.order_no)
        bill, _ = await _bill(connection, leg)
        await leg.note(connection, entry, kind="reckoning", data=bill_data(bill), rule="RET-08")


async def reckon_anew(connection: AsyncConnection, leg: Leg) -> None:
    """Reckon again what the manager is shown, if a day of storage or another case has changed it since (RET-08)."""
    bill, _ = await _bill(connection, leg)
    data = bill_data(bill)
    if data == standing(leg.history).reckoned:
        return
    shown = [entry for entry in leg.history if entry.kind == "reckoning"]
    entry = f"reckoning-{leg.rounds['reckoning'] - 1}.{len(shown)}"
    await leg.note(connection, entry, kind="reckoning", data=data, rule="RET-08")


async def due(connection: AsyncConnection, case: cases.Case, terms: Terms, *, at: datetime) -> str:
    """What the last receipt would pay by the rules at an instant: no part of it may be promised beyond that (RET-08)."""
    told = standing((await journal.read(connection, case.case_no)).values())
    bill, _ = await _reckoned(connection, case, terms, told, at=at)
    return f"{bill.total:.2f}"


async def settle(case: str) -> None:
    """
    Reckon what the last receipt pays, once (MON-14, MON-17).

    The same rule as the quote, with what is known now: units received, cause found, the carrier's voucher, the days.
    """
    leg = await legs.here()
    assert leg.case is not None
    assert leg.terms is not None
    entry = f"bill-{leg.round('bill')}"
    if entry not in leg.entries:
        async with transaction() as connection:
            # two cases of an order must not both count on the same money
            await cases.one_at_a_time(connection, leg.case.order_no)
            told = standing(leg.history)
            bill, order = await _bill(connection, leg)
            bill = settlements.granted(bill, told)
            data = bill_data(bill) | {
                **_paid_by(leg, order),
                "countersign": settlements.needs_countersign(bill, told, leg.terms.returns),
            }
            data["tell_first"] = offers.must_tell(replace(told, bills=(*told.bills, data)), leg.terms.returns)
            await leg.note(connection, entry, kind="bill", data=data, rule="MON-14")


async def void(case: str) -> None:
    """Take back a bill that somebody who had to agree refused: it pays nothing and has charged nothing (RFD-02)."""
    leg = await legs.here()
    entry = f"void-{leg.round('void')}"
    if entry in leg.entries:
        return
    bill = standing(leg.history).bills[-1]
    lines = [{**line, "amount": f"{-Decimal(line['amount']):.2f}"} for line in bill["lines"]]
    data = {"age_band": bill["age_band"], "lines": lines, "total": f"{-Decimal(bill['total']):.2f}", "needs_person": []}
    async with transaction() as connection:
        await leg.note(connection, entry, kind="bill", data=data, rule="RFD-02")


async def needs_countersign(case: str) -> bool:
    """Whether the last bill is above the limit at which a second person must agree (RFD-02, NUM-223)."""
    return bool((await _last_bill()).get("countersign"))


async def must_tell_first(case: str) -> bool:
    """Whether the customer must be told of what the last bill deducts, even where nothing is left to pay (MON-17)."""
    return bool((await _last_bill()).get("tell_first"))


async def goes_by_itself(case: str) -> bool:
    """Whether a provider pays the last bill, so that the cashier must let it go beforehand."""
    return (await _last_bill()).get("paid_by") == PROVIDER


async def followed(intent: Intent) -> Outcome | None:
    """Ask the provider about a refund that it had accepted and never told of again (P-15)."""
    leg = await legs.here()
    provider = payment(leg)
    if provider is None:
        return Outcome("unknown", reason="支付渠道已断开")
    known = await provider.ask(intent.key)
    if known is not None and known.is_final:
        await _note_sent(leg, intent, (await _last_bill())["total"], known)
    return known


async def asked_before_hand(case: cases.Case, entry: str, reference: str) -> tuple[str, str]:
    """
    Ask the provider about a refund that people are about to write down as paid (P-15).

    Answers why they may not, for the provider has taken it and nobody must pay it again; and why nobody knows, when the
    provider does not answer. A person who names the provider's own reference, or our key, means that very payment.
    """
    provider = payment_of(case)
    key = f"{case.case_no}/{entry}"
    if provider is None:
        return "", ""
    async with transaction() as connection:
        entries = await journal.read(connection, case.case_no)
    outcomes = [told for told in entries.values() if told.kind == "outcome" and told.entry.startswith(f"{entry}.")]
    is_refused = bool(outcomes) and outcomes[-1].data["outcome"] == "refused"
    if f"{entry}.intent" not in entries or entry in entries or is_refused:
        return "", ""
    known = await provider.ask(key)
    if known is None or known.outcome in ("failed", "refused") or reference in (known.reference or key, key):
        return "", ""
    if known.outcome == "unknown":
        return "", known.reason
    async with transaction() as connection:
        # the step finds out at once, instead of after its rest
        await parks.hurry(connection, case.case_no, entry, clock.now(case))
    what = "已退款" if known.is_final else "已受理这笔退款，正在办理"
    return (
        f"支付渠道{what}（流水号 {known.reference or '无'}），请勿另行付款；结果会自动登记，"
        f"确认就是这一笔的，流水号请填 {known.reference or key}（或业务键 {key}）。"
    ), ""


@step("refund", "发起退款", gate="refund", news=Event.REFUND_FAILED, follow=followed)
async def refund(intent: Intent, case: str) -> Outcome:
    """
    Pay for what the last receipt accepted, by the original route, once (RET-09, MON-07, GEN-14).

    What the provider refuses for good, or by its limits would not take any more, is put on the cashier's list, to be
    transferred by hand (MON-08, P-16).
    """
    leg = await legs.here()
    bill = await _last_bill()
    async with transaction() as connection:
        order = await facts.load(connection, standing(leg.history).request["order_no"])
    assert order is not None, "a case has its order"
    provider = payment(leg) if bill.get("paid_by") == PROVIDER else None
    what = {"case_no": case, "order_no": order.order_no, "amount": Decimal(bill["total"])}
    if bill.get("paid_by") != TRANSFER and (no := await _too_late(leg, intent, order.order_no)):
        await _asked(cashier(), intent, route=TRANSFER_ROUTE, **what)
        return Outcome("refused", reason=no)
    if provider is not None:
        known = await _asked(provider, intent, route=order.payment_route, **what)
        if known.outcome == "refused":
            await _asked(cashier(), intent, route=TRANSFER_ROUTE, **what)
        if known.is_final:
            await _note_sent(leg, intent, bill["total"], known)
        return known
    route = TRANSFER_ROUTE if bill.get("paid_by") == TRANSFER else order.payment_route
    return await _asked(cashier(), intent, route=route, **what)


async def owes_freight(case: str) -> bool:
    """Whether a self-shipper is owed the freight of a product that was found faulty, reckoned once a case (MON-18)."""
    leg = await legs.here()
    assert leg.terms is not None
    if "reimbursement-0.reckoned" in leg.entries:
        return True
    bill, vouchers = settlements.freight_back(standing(leg.history), leg.terms.returns)
    if bill.total <= ZERO:
        return False
    async with transaction() as connection:
        data = bill_data(bill) | {"voucher": "；".join(vouchers)}
        await leg.note(connection, "reimbursement-0.reckoned", kind="reimbursement", data=data, rule="MON-18")
    return True


@step("reimburse", "补付运费", gate="reimbursement")
async def reimburse(intent: Intent, case: str) -> Outcome:
    """Put a self-shipper's freight on the cashier's list: a payment of its own, with its own key (MON-18)."""
    leg = await legs.here()
    told = standing(leg.history)
    assert told.reimbursement is not None, "it was reckoned before"
    return await _asked(
        cashier(),
        intent,
        case_no=case,
        order_no=told.request["order_no"],
        amount=Decimal(told.reimbursement["total"]),
        route=TRANSFER_ROUTE,
    )


async def tell_reimbursed(case: str) -> None:
    """Tell the customer that the freight of a faulty product went back (MON-18, NTC-07)."""
    leg = await legs.here()
    if notices.was_told(leg, "NTC-07", "reimbursed-0"):
        return
    told = standing(leg.history)
    assert told.reimbursement is not None, "it was reckoned before"
    async with transaction() as connection:
        await notices.tell_customer(
            connection,
            leg,
            "NTC-07",
            "reimbursed-0",
            {"amount": told.reimbursement["total"], "route": "补偿您垫付的寄回运费，转至登记的收款账户"},
        )


async def _too_late(leg: Leg, intent: Intent, order_no: str) -> str:
    """
    Say why the original route does not take a refund any more; empty when it does, and then the refund counts (P-16).

    The bill may be old, and other cases of the order may have been paid since: it is asked once, right before sending.
    """
    assert leg.terms is not None
    entry = f"refund-{intent.round}.sending"
    if entry not in leg.entries:
        async with transaction() as connection:
            await cases.one_at_a_time(connection, order_no)
            order = await facts.load(connection, order_no)
            assert order is not None, "a case has its order"
            zone = ZoneInfo(leg.terms.house.timezone)
            on = leg.now().astimezone(zone).date()
            route = money.route(order=order, terms=leg.terms.returns, on=on, zone=zone)
            no = "" if route.answer == "original" else route.reason
            await leg.note(connection, entry, kind="sending", data={"reason": no}, rule="MON-08" if no else "MON-07")
    return str(leg.entries[entry].data["reason"])


async def _note_sent(leg: Leg, intent: Intent, amount: str, known: Outcome) -> None:
    """Tell the case that the money has gone, as the provider's callback would have (RET-09)."""
    assert leg.case is not None
    async with transaction() as connection:
        await cases.receive(
            connection,
            key=f"{intent.key}/final",
            case_no=leg.case.case_no,
            event=Event.REFUND_SENT.value,
            actor="payment",
            data={"amount": amount, "reference": known.reference, "key": intent.key},
            at=leg.now(),
        )


async def _asked(by: Payment, intent: Intent, **what: Any) -> Outcome:
    """Ask for a payment; when it may have been asked for before, find out first (P-15)."""
    known = await by.ask(intent.key) if intent.is_old else None
    if known is None or known.outcome == "failed":
        known = await by.refund(intent.key, **what)
    return known


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
            {
                "amount": f"{Decimal(told.refunds[-1]['amount']):.2f}",
                "route": await _route_told(leg, order),
            },
        )


async def needs_person(case: str) -> bool:
    """Whether the last bill goes to the after-sales manager: less can go back by the original route than is due."""
    return bool((await _last_bill())["needs_person"])


async def nothing_to_pay(case: str) -> bool:
    """Whether the last bill ends at zero: fees ate it up, and no cashier is asked."""
    return Decimal((await _last_bill())["total"]) <= ZERO


async def _last_bill() -> Mapping[str, Any]:
    """The bill that this telling has come to: in a later telling not the newest one."""
    leg = await legs.here()
    return leg.entries[f"bill-{leg.rounds['bill'] - 1}"].data


async def _route_told(leg: Leg, order: Order) -> str:
    is_refused = standing(leg.history).is_refused
    route = settlements.original_route(await _last_bill(), order.payment_route, is_refused=is_refused)
    return route or "登记的收款账户"


async def _bill(connection: AsyncConnection, leg: Leg) -> tuple[Bill, Order]:
    """What the last receipt pays by the rules, and its order, which the caller holds."""
    assert leg.case is not None
    assert leg.terms is not None
    return await _reckoned(connection, leg.case, leg.terms, standing(leg.history), at=leg.now())


async def _reckoned(
    connection: AsyncConnection, case: cases.Case, terms: Terms, told: Standing, *, at: datetime
) -> tuple[Bill, Order]:
    order = await facts.load(connection, case.order_no)
    assert order is not None, "a case has its order"
    on = clocks.house_date(at, house=terms.house)
    return settlements.settle(told=told, order=order, terms=terms, on=on), order


def _paid_by(leg: Leg, order: Order) -> dict[str, str]:
    """Who pays: the provider where one is connected and takes it, else the cashier; and why (MON-07, MON-08, P-16)."""
    assert leg.terms is not None
    zone = ZoneInfo(leg.terms.house.timezone)
    route = money.route(order=order, terms=leg.terms.returns, on=leg.now().astimezone(zone).date(), zone=zone)
    if route.answer != "original":
        return {"paid_by": TRANSFER, "route": route.reason}
    return {"paid_by": PROVIDER if payment(leg) is not None else BY_HAND}
