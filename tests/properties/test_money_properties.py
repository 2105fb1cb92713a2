"""What holds for every order and every way of sending it back (P-17, P-18, P-20, MON-14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from aftersales.rules import money, units
from aftersales.words import Bill, Fault, Order, Shipping, Units, Wanted
from tests.builders import DELIVERED_AT, DELIVERED_ON, a_line, all_of, an_application, an_order

fen = st.integers(0, 10_000_000).map(lambda n: Decimal(n).scaleb(-2))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Orders of a few lines, cheap and dear, one unit and many, with and without freight, all ages."""
    count = draw(st.integers(1, 4))
    lines = [
        a_line(
            line_no=number + 1,
            sku=draw(st.sampled_from("AB")),
            quantity=draw(st.integers(1, 9)),
            paid=draw(st.one_of(st.integers(0, 300), st.integers(0, 100_000))) * Decimal("0.01"),
            delivered_at=draw(
                st.one_of(st.none(), st.integers(0, 60).map(lambda days: DELIVERED_AT - timedelta(days=days)))
            ),
        )
        for number in range(count)
    ]
    return an_order(
        *lines,
        freight=draw(st.integers(0, 3000)) * Decimal("0.01"),
        insured=draw(st.sampled_from(["0.00", "8.00", "25.00"])),
    )


@st.composite
def parcels(draw: st.DrawFn, order: Order) -> list[list[Wanted]]:
    """Everything of an order, unit by unit in any order, packed into parcels of any size."""
    every = [(line.line_no, unit) for line in order.lines for unit in range(line.quantity)]
    shuffled = draw(st.permutations(every))
    packed: list[list[Wanted]] = []
    while shuffled:
        size = draw(st.integers(1, len(shuffled)))
        part, shuffled = shuffled[:size], shuffled[size:]
        packed.append(
            [
                Wanted(line_no, units.tidy(Units(unit, unit + 1) for number, unit in part if number == line_no))
                for line_no in sorted({number for number, _ in part})
            ]
        )
    return packed


def settled(order: Order, parcels: list[list[Wanted]], **changes: object) -> list[Bill]:
    """Pay parcel by parcel as a case does: each bill knows the lines of those before it, the order what went back."""
    bills: list[Bill] = []
    for parcel in parcels:
        now = replace(order, refunded=order.refunded + paid(bills))
        bill = money.quote(
            **an_application(
                now, wanted=parcel, already_charged=[line for earlier in bills for line in earlier.lines], **changes
            )
        )
        assert bill.total == sum(line.amount for line in bill.lines)
        assert 0 <= bill.total <= now.paid - now.refunded
        bills.append(bill)
    return bills


def paid(bills: list[Bill]) -> Decimal:
    """What the bills pay together."""
    return sum((bill.total for bill in bills), Decimal("0.00"))


def forgiven(bills: list[Bill]) -> Decimal:
    """What fees could not be charged in the end, because a bill would have fallen below zero."""
    return sum(
        (line.amount for bill in bills for line in bill.lines if line.label in (money.FLOOR, money.MAKE_UP)),
        Decimal("0.00"),
    )


@given(total=fen, parts=st.integers(1, 400))
def test_p17_the_parts_of_a_split_sum_to_the_whole_and_differ_by_a_fen(total, parts):
    split = money.split(total, parts)

    assert sum(split) == total
    assert split == sorted(split)
    assert split[-1] - split[0] <= Decimal("0.01")


@given(total=fen, parts=st.integers(1, 60), data=st.data())
def test_p17_the_closed_form_says_what_the_split_says(total, parts, data):
    chosen = data.draw(st.sets(st.integers(0, parts - 1)))
    split = money.split(total, parts)

    amount = money.units_of(total, parts, [Units(unit, unit + 1) for unit in chosen])

    assert amount == sum((split[unit] for unit in chosen), Decimal(0))


@given(total=fen, weights=st.lists(fen, min_size=1, max_size=12))
def test_p17_shares_sum_to_the_whole_and_none_is_a_fen_above_its_proportion(total, weights):
    shares = money.share(total, weights)

    assert sum(shares) == total
    assert all(share >= 0 for share in shares)
    if weighed := sum(weights):
        assert all(abs(s - total * w / weighed) < Decimal("0.0100001") for s, w in zip(shares, weights, strict=True))


@given(prices=st.lists(fen.filter(bool), min_size=1, max_size=12), data=st.data())
def test_p17_a_discount_never_takes_more_than_the_price(prices, data):
    discount = data.draw(st.integers(0, int(sum(prices) * 100))) * Decimal("0.01")

    shares = money.share(discount, prices)

    assert all(share <= price for share, price in zip(shares, prices, strict=True))


@given(quantity=st.integers(0, 30), data=st.data())
def test_p20_free_and_taken_units_are_the_line_and_never_meet(quantity, data):
    taken = data.draw(
        st.lists(st.tuples(st.integers(0, quantity), st.integers(0, quantity)).map(lambda p: Units(min(p), max(p))))
    )

    free = units.free(quantity, taken)

    assert units.both(free, taken) == ()
    assert units.tidy([*free, *taken]) == units.tidy([Units(0, quantity)])


@given(data=st.data())
def test_p17_p18_all_units_by_the_sellers_fault_bring_back_exactly_what_was_paid(data):
    order = data.draw(orders())
    packed = data.draw(parcels(order))

    assert paid(settled(order, packed, reason="quality")) == order.paid


@given(data=st.data())
def test_p17_all_units_sent_back_by_the_customer_in_time_bring_back_all_but_the_freight(data):
    order = data.draw(orders())
    order = replace(order, lines=tuple(replace(line, delivered_at=DELIVERED_AT) for line in order.lines))
    packed = data.draw(parcels(order))

    assert paid(settled(order, packed, shipping=Shipping.SELF)) == order.paid - order.freight


@given(data=st.data())
def test_p20_cutting_a_receipt_into_steps_changes_nothing(data):
    order = data.draw(orders())
    age = data.draw(st.sampled_from([0, 8, 31]))
    order = replace(order, lines=tuple(replace(line, delivered_at=DELIVERED_AT) for line in order.lines))
    packed = data.draw(parcels(order))
    faulty = [
        money.Found(line.line_no, (Units(0, data.draw(st.integers(0, line.quantity))),), Fault.SELLER)
        for line in order.lines
    ]
    asked_on = DELIVERED_ON + timedelta(days=age)

    at_once = settled(order, [all_of(order)], asked_on=asked_on, found=faulty)
    in_steps = settled(order, packed, asked_on=asked_on, found=faulty)

    # a parcel paid before any fee was due is not asked back, so steps may forgive more; nothing else differs
    assert paid(in_steps) - forgiven(in_steps) == paid(at_once) - forgiven(at_once)
    assert forgiven(in_steps) >= forgiven(at_once)


@given(data=st.data(), refunded=st.integers(0, 120_000))
def test_mon14_a_bill_is_never_below_0_nor_above_paid_minus_refunded(data, refunded):
    order = data.draw(orders())
    order = replace(order, refunded=min(order.paid, refunded * Decimal("0.01")))
    packed = data.draw(parcels(order))

    settled(
        order,
        packed,
        reason=data.draw(st.sampled_from(["no_reason", "quality"])),
        shipping=data.draw(st.sampled_from(list(Shipping))),
        asked_on=DELIVERED_ON + timedelta(days=data.draw(st.integers(0, 60))),
        received_on=DELIVERED_ON + timedelta(days=65),
        settled_on=DELIVERED_ON + timedelta(days=data.draw(st.integers(60, 90))),
    )
