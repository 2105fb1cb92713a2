"""
What a return pays (MON-01 to MON-05, MON-07, MON-08, MON-10, MON-14 to MON-17).

Every amount is a line with its rule id and a bill is the sum of its lines.
A quote and a settlement are the same function over more or fewer facts: nothing is reckoned twice in two ways.

A sum is split in fen, once, at purchase: over the lines by price, then over the units of a line (design §9).
So a unit is worth what it is worth, whatever comes back before it, and all units together are worth the whole (P-17).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import Decimal

from aftersales.rules import eligibility, units
from aftersales.terms import Returns
from aftersales.words import FEN, ZERO, AgeBand, Bill, Fault, Line, Order, OrderLine, Shipping, Units, Verdict, Wanted

# the lines that speak of the bill as a whole; a second receipt finds them again by these labels
FLOOR = "不低于零"
CAP = "不超过可原路退回的余额"
MAKE_UP = "补扣前次未扣足的费用"

PICKUP_FREIGHT = "上门取件运费"
LATE_FREIGHT = "逾期退货运费补偿"
INSURED = "由运费险承担"
PARTIAL = "按处理决定少退"


@dataclass(frozen=True, slots=True)
class Found:
    """What the inspection says about units: whose fault it is that they come back (MON-17)."""

    line_no: int
    units: tuple[Units, ...]
    fault: Fault


# --- splitting ------------------------------------------------------------------------------------------------------


def split(total: Decimal, parts: int) -> list[Decimal]:
    """
    Split a sum into parts in fen: the fen left over go one each to the last parts (P-17).

    Raises ValueError when the sum is not whole fen, is negative, or there is no part.
    """
    each, left = divmod(_fen(total), _counted(parts))
    return [_yuan(each)] * (parts - left) + [_yuan(each + 1)] * left


def units_of(total: Decimal, parts: int, runs: Iterable[Units]) -> Decimal:
    """Add up the parts of a split that the runs name, without making the split: a line may have 74,215 units."""
    each, left = divmod(_fen(total), _counted(parts))
    named = units.tidy(runs)
    if named and (named[0].first < 0 or named[-1].end > parts):
        raise ValueError(f"units {named} are not among {parts}")
    richer = units.both(named, [Units(parts - left, parts)])
    return _yuan(each * units.count(named) + units.count(richer))


def share(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """
    Share a sum over weights, exactly: a discount or a freight over lines by price (P-17, P-18).

    Each gets the whole fen of its proportion; the fen left over go one each to the last of those that weigh anything.
    Like weights share as `split` does, and a discount never takes more from a line than the line's price.
    When nothing weighs anything, all share alike. Raises ValueError for a negative weight or no weight at all.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError(f"a weight is negative: {min(weights)}")
    if not any(weights):
        return split(total, len(weights))
    fen = _fen(total)
    places = max(0, *(-_exponent(weight) for weight in weights))
    whole = [int(weight.scaleb(places)) for weight in weights]
    all_of_it = sum(whole)
    shares = [fen * weight // all_of_it for weight in whole]
    left = fen - sum(shares)
    for index in reversed(range(len(shares))):
        if left == 0:
            break
        if whole[index] > 0:
            shares[index] += 1
            left -= 1
    return [_yuan(part) for part in shares]


def line_units(line: OrderLine, runs: Iterable[Units]) -> Decimal:
    """Say what was paid for these units of a line (MON-14)."""
    return units_of(line.paid, line.quantity, runs)


def freight_units(order: Order, wanted: Iterable[Wanted]) -> Decimal:
    """
    Say what of the outbound freight lies on these units (MON-14, P-18).

    It is shared over the lines by price and over a line's units like the price, so a unit brings its part with it
    and all units together bring it once, in whatever order and in however many cases they come back.
    """
    parts = share(order.freight, [line.paid for line in order.lines])
    on_line = {line.line_no: (part, line.quantity) for line, part in zip(order.lines, parts, strict=True)}
    return sum((units_of(*on_line[w.line_no], w.units) for w in wanted), ZERO)


# --- the bill -------------------------------------------------------------------------------------------------------


def quote(
    *,
    order: Order,
    wanted: Sequence[Wanted],
    reason: str,
    asked_on: date,
    shipping: Shipping,
    terms: Returns,
    zone: tzinfo,
    received_on: date | None = None,
    settled_on: date | None = None,
    pickup_freight: Decimal | None = None,
    found: Sequence[Found] = (),
    already_charged: Sequence[Line] = (),
    approved: bool = False,
    allowed: Decimal | None = None,
    is_lost: bool = False,
) -> Bill:
    """
    Reckon what these units pay when they come back: the quote of an application and the settlement of a receipt (MON-14).

    A quote knows the claim alone. A settlement names the units that were received (P-14), the day of receipt and its
    own, the carrier's voucher, the fault as `found` by the inspection, which goes over the claim unit by unit
    (MON-17), and in `already_charged` all lines of the earlier bills of the same case.

    Freight is charged once a case, in full, as soon as one unit comes back for the customer's own reason:
    that unit alone would have cost the trip, and the seller's faulty units beside it cost nothing more.
    So how a receipt is cut into steps changes nothing (P-20). What an earlier bill could not charge because it would
    have fallen below zero is made up from the next one; outbound freight lies on the units and cannot come twice.
    The age that decides about fees is that of the oldest line of which a unit comes back for the customer's own reason.
    While any date is unknown no age fee is charged, and a person decides (P-23).

    `approved` means that the after-sales manager has decided what `needs_person` names; the amounts are the same.
    `allowed` means that the application was allowed, with so much of it to stay unpaid in all; more is asked about anew.
    Goods that were lost on their way back (`is_lost`) cost no freight: nobody brought them (RET-06).
    Storage is paid for each parcel, from its receipt to its settlement: a bill is fixed when it is made, and how long
    the money takes from there costs the customer nothing.
    """
    judged = eligibility.check(order=order, wanted=wanted, reason=reason, asked_on=asked_on, terms=terms, zone=zone)
    seller, customer = _by_fault(wanted, claimed=terms.fault(reason), found=found)
    # a refusal too: goods that were sent all the same are paid as if accepted, or not at all, as a person says (AMB-17)
    needs_person = list(judged.needs_person + judged.refused) if allowed is None else []

    lines = [_goods(order, each) for each in wanted if each.quantity]
    if outbound := freight_units(order, seller):
        lines.append(Line("MON-14", "发货运费", outbound))
    if customer and not is_lost:
        lines += _fees(
            band=None if judged.age_band is None else eligibility.oldest(judged.age(w.line_no) for w in customer),
            insured=order.insured_freight,
            shipping=shipping,
            freight=terms.pickup_freight if pickup_freight is None else pickup_freight,
            stored_days=_days(received_on, settled_on),
            is_charged=any(_is_freight(line) for line in already_charged),
            terms=terms,
        )
    room = max(ZERO, order.paid - order.refunded)
    lines += _bounded(lines, already_charged, room=room)
    cap = sum((line.amount for line in lines if line.label == CAP), ZERO)
    unpaid = -cap - sum((line.amount for line in already_charged if line.label == CAP), ZERO)
    if cap and unpaid > (allowed or ZERO):
        needs_person.append(
            f"应退金额超过订单 {order.order_no} 可原路退回的余额 {room:.2f} 元：批准后退 {room:.2f} 元，"
            f"差额 {-cap:.2f} 元系统不付；差额也要付给客户的，请在理由里写明，并请出纳另行转账（MON-14）"
        )
    return Bill(judged.age_band, tuple(lines), () if approved else tuple(needs_person))


def partial(bill: Bill, amount: Decimal) -> Bill:
    """Bring a bill down to what the manager grants for goods that did not pass (RET-08); never up."""
    if amount >= bill.total:
        return bill
    return Bill(
        bill.age_band, (*bill.lines, Line("RET-08", PARTIAL, amount - bill.total, note="部分退款")), bill.needs_person
    )


def reimbursement(*, freight: Decimal, terms: Returns) -> tuple[Line, ...]:
    """Reckon what a self-shipper gets back for the freight of a faulty product, up to the limit (MON-18)."""
    paid_back = min(freight, terms.selfship_freight_limit)
    note = "" if paid_back == freight else f"凭证 {freight:.2f} 元，最多补 {terms.selfship_freight_limit:.2f} 元"
    return (Line("MON-18", "补偿自行寄回的运费", paid_back, note=note),)


def route(*, order: Order, terms: Returns, on: date | None = None, zone: tzinfo | None = None) -> Verdict:
    """
    Say how the money goes back: `original`, or `transfer` to a recorded account (MON-07, MON-08, AMB-20).

    On the day `on` the provider's own limits count too: how many refunds of an order it takes, and for how long (P-16).
    """
    if on and order.refunds >= terms.partial_refunds:
        return Verdict(
            "transfer",
            f"订单已退款 {order.refunds} 次，支付渠道最多 {terms.partial_refunds} 次，请登记收款账户后人工转账（MON-08）",
        )
    if on and (on - order.ordered_at.astimezone(zone).date()).days > terms.refund_days:
        return Verdict(
            "transfer", f"下单已超过 {terms.refund_days} 天，支付渠道不再原路退款，请登记收款账户后人工转账（MON-08）"
        )
    if order.payment_route in terms.payment_routes:
        return Verdict("original", f"原路退回至{order.payment_route}（MON-07）")
    paid_by = f"支付方式“{order.payment_route}”" if order.payment_route else "没有支付方式记录，"
    return Verdict("transfer", f"{paid_by}不能原路退回，请登记收款账户后人工转账（MON-08）")


def _goods(order: Order, wanted: Wanted) -> Line:
    line = next(line for line in order.lines if line.line_no == wanted.line_no)
    return Line("MON-14", f"商品款 {line.name or line.sku} ×{wanted.quantity}", line_units(line, wanted.units))


def _by_fault(wanted: Sequence[Wanted], *, claimed: Fault, found: Sequence[Found]) -> tuple[list[Wanted], list[Wanted]]:
    """Sort units into those that come back by the seller's fault and those that do so by the customer's (MON-17)."""
    sorted_: dict[Fault, list[Wanted]] = {Fault.SELLER: [], Fault.CUSTOMER: []}
    for each in wanted:
        rest: units.Runs = units.tidy(each.units)
        for finding in found:
            if finding.line_no == each.line_no and (seen := units.both(rest, finding.units)):
                sorted_[finding.fault].append(Wanted(each.line_no, seen))
                rest = units.without(rest, seen)
        if rest:
            sorted_[claimed].append(Wanted(each.line_no, rest))
    return sorted_[Fault.SELLER], sorted_[Fault.CUSTOMER]


def _fees(
    *,
    band: AgeBand | None,
    insured: Decimal,
    shipping: Shipping,
    freight: Decimal,
    stored_days: int,
    is_charged: bool,
    terms: Returns,
) -> list[Line]:
    """What the customer's own reason costs, by age (MON-02 to MON-05, MON-10); each freight replaces the others."""
    is_picked_up = shipping is Shipping.PICKUP
    fees: list[Line] = []
    if band is AgeBand.C:
        if is_picked_up and not is_charged:
            fees.append(Line("MON-05", PICKUP_FREIGHT, ZERO - freight))
        stored = terms.storage_per_day * stored_days
        daily = f"自收货至结算每天 {terms.storage_per_day:.2f} 元"
        fees.append(Line("MON-05", f"仓储费 {stored_days} 天", ZERO - stored, note=daily))
    elif band is AgeBand.B:
        if (is_picked_up or terms.late_freight_when_self_shipped) and not is_charged:
            fees.append(Line("MON-04", LATE_FREIGHT, ZERO - terms.late_freight))
    elif is_picked_up and not is_charged:
        borne = min(freight, insured)
        note = "" if not borne else INSURED if borne == freight else f"{INSURED} {borne:.2f} 元"
        fees.append(Line("MON-02", PICKUP_FREIGHT, borne - freight, note=note))
    return fees


def _is_freight(line: Line) -> bool:
    return line.rule in ("MON-02", "MON-04") or (line.rule == "MON-05" and line.label == PICKUP_FREIGHT)


def _days(received_on: date | None, settled_on: date | None) -> int:
    # before receipt nothing is stored; a settlement before the receipt is a slip, not a credit
    return max(0, (settled_on - received_on).days) if received_on and settled_on else 0


def _bounded(lines: Sequence[Line], earlier: Sequence[Line], *, room: Decimal) -> list[Line]:
    """Keep a bill between nothing and what may still go back by the original route (MON-14, P-18)."""
    bounds: list[Line] = []
    if owed := sum((line.amount for line in earlier if line.label in (FLOOR, MAKE_UP)), ZERO):
        bounds.append(Line("MON-14", MAKE_UP, -owed))
    subtotal = sum((line.amount for line in [*lines, *bounds]), ZERO)
    if subtotal < 0:
        bounds.append(Line("MON-14", FLOOR, -subtotal))
    elif subtotal > room:
        bounds.append(Line("MON-14", CAP, room - subtotal))
    return bounds


# --- fen ------------------------------------------------------------------------------------------------------------


def _fen(total: Decimal) -> int:
    if total < 0 or total != total.quantize(FEN):
        raise ValueError(f"{total} is not a sum in whole fen")
    return int(total.scaleb(2))


def _yuan(fen: int) -> Decimal:
    return Decimal(fen).scaleb(-2)


def _counted(parts: int) -> int:
    if parts < 1:
        raise ValueError(f"{parts} parts")
    return parts


def _exponent(weight: Decimal) -> int:
    exponent = weight.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{weight} is no weight")
    return exponent
