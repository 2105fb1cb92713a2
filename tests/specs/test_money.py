"""What a return pays: the worked examples of the requirements and every fee's both sides (MON-01 to MON-17)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from aftersales.rules import money
from aftersales.words import AgeBand, Fault, Line, Shipping, Wanted
from tests.builders import DELIVERED_ON, a_line, all_of, an_application, an_order, return_terms, runs, some_of, yuan


def on_day(day):
    """The date `day` days after delivery."""
    return DELIVERED_ON + timedelta(days=day)


def quoted(order=None, **changes):
    """A bill for all of an order, unless told otherwise."""
    return money.quote(**an_application(order or an_order(), **changes))


def shown(bill):
    """The lines as `rule label amount`."""
    return [f"{line.rule} {line.label} {line.amount}" for line in bill.lines]


# --- splitting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "parts", "each"),
    [
        pytest.param("100.00", 3, "33.33 33.33 33.34", id="P-17 the fen left over goes to the last"),
        pytest.param("0.05", 9, "0.00 0.00 0.00 0.00 0.01 0.01 0.01 0.01 0.01", id="P-17 five fen over nine"),
        pytest.param("9.00", 3, "3.00 3.00 3.00", id="P-17 nothing left over"),
        pytest.param("0.00", 2, "0.00 0.00", id="nothing to split"),
        pytest.param("7.77", 1, "7.77", id="one part"),
    ],
)
def test_split(total, parts, each):
    assert " ".join(map(str, money.split(Decimal(total), parts))) == each


@pytest.mark.parametrize(
    ("total", "parts"),
    [
        pytest.param("1.005", 2, id="half a fen"),
        pytest.param("-1.00", 2, id="less than nothing"),
        pytest.param("1.00", 0, id="no part"),
    ],
)
def test_what_cannot_be_split(total, parts):
    with pytest.raises(ValueError):
        money.split(Decimal(total), parts)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        pytest.param("30.00", "200.00 100.00", "20.00 10.00", id="by price"),
        pytest.param("10.00", "5.00 5.00 5.00", "3.33 3.33 3.34", id="P-17 like weights share as a split does"),
        pytest.param("10.00", "100.00 50.00", "6.66 3.34", id="P-17 the fen left over goes to the last"),
        pytest.param("10.00", "100.00 50.00 0.00", "6.66 3.34 0.00", id="a gift bears nothing"),
        pytest.param("1.00", "0.00 0.00", "0.50 0.50", id="nothing weighs anything: alike"),
        pytest.param("0.00", "3.00 4.00", "0.00 0.00", id="nothing to share"),
        pytest.param("0.02", "0.01 0.01 0.01", "0.00 0.01 0.01", id="never more than the line's own price"),
        pytest.param("1.00", "0.5 0.125", "0.80 0.20", id="weights need not be money"),
    ],
)
def test_share(total, weights, shares):
    assert " ".join(map(str, money.share(Decimal(total), [Decimal(w) for w in weights.split()]))) == shares


def test_a_negative_weight_is_no_weight():
    with pytest.raises(ValueError, match="negative"):
        money.share(yuan(1), [yuan(2), yuan(-1)])


@pytest.mark.parametrize(
    ("units", "amount"),
    [
        pytest.param(runs((0, 2)), "66.66", id="the first two"),
        pytest.param(runs((2, 3)), "33.34", id="the last brings the fen"),
        pytest.param(runs((0, 1), (2, 3)), "66.67", id="the outer two"),
        pytest.param(runs((0, 3)), "100.00", id="all of them"),
        pytest.param(runs(), "0.00", id="none"),
    ],
)
def test_p17_units_are_worth_their_part_of_the_line(units, amount):
    assert money.line_units(a_line("100.00", quantity=3), units) == Decimal(amount)


def test_p17_74215_units_are_not_counted_one_by_one():
    line = a_line("77183.61", quantity=74_215)

    assert money.line_units(line, runs((0, 74_215))) == Decimal("77183.61")
    assert money.line_units(line, runs((74_214, 74_215))) == Decimal("1.05")
    assert money.line_units(line, runs((0, 1))) == Decimal("1.04")


def test_units_that_the_line_does_not_have_are_worth_an_error():
    with pytest.raises(ValueError, match="not among 3"):
        money.line_units(a_line(quantity=3), runs((2, 4)))


# --- worked examples of requirements §4 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "band", "total"),
    [
        pytest.param({}, "A", "188.00", id="MON-02 tier A, no reason, company pick-up 12.00"),
        pytest.param({"reason": "quality"}, "A", "200.00", id="MON-01 tier A, quality"),
        pytest.param({"asked_on": on_day(8)}, "B", "185.00", id="MON-04 tier B, no reason, fee 15.00"),
        pytest.param(
            {
                "asked_on": on_day(31),
                "received_on": on_day(40),
                "settled_on": on_day(45),
                "approved": True,
            },
            "C",
            "183.00",
            id="MON-05 tier C approved, freight 12.00, 5 days at 1.00",
        ),
    ],
)
def test_worked_examples(changes, band, total):
    bill = quoted(**changes)

    assert bill.age_band == band
    assert bill.total == Decimal(total)
    assert bill.needs_person == ()


def test_the_lines_of_a_bill():
    order = an_order(a_line(name="外套", quantity=2), freight=8)

    assert shown(quoted(order)) == ["MON-14 商品款 外套 ×2 200.00", "MON-02 上门取件运费 -12.00"]
    assert shown(quoted(order, reason="quality")) == ["MON-14 商品款 外套 ×2 200.00", "MON-14 发货运费 8.00"]
    assert shown(quoted(order, asked_on=on_day(8))) == [
        "MON-14 商品款 外套 ×2 200.00",
        "MON-04 逾期退货运费补偿 -15.00",
    ]
    assert shown(quoted(order, asked_on=on_day(31), received_on=on_day(32), settled_on=on_day(37))) == [
        "MON-14 商品款 外套 ×2 200.00",
        "MON-05 上门取件运费 -12.00",
        "MON-05 仓储费 5 天 -5.00",
    ]


# --- who pays the freight ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "changes", "total"),
    [
        pytest.param(7, {}, "188.00", id="MON-02 day 7, picked up"),
        pytest.param(7, {"shipping": Shipping.SELF}, "200.00", id="MON-03 day 7, sent by the customer"),
        pytest.param(8, {"shipping": Shipping.SELF}, "185.00", id="MON-04 day 8, sent by the customer: still deducted"),
        pytest.param(
            8,
            {"shipping": Shipping.SELF, "terms": return_terms(late_freight_when_self_shipped=False)},
            "200.00",
            id="AMB-18 day 8, sent by the customer, switched off",
        ),
        pytest.param(
            8,
            {"terms": return_terms(late_freight_when_self_shipped=False)},
            "185.00",
            id="AMB-18 the switch is not about pick-ups",
        ),
        pytest.param(30, {}, "185.00", id="MON-04 day 30, picked up: never with MON-02"),
        pytest.param(31, {}, "188.00", id="MON-05 day 31 before receipt: freight, no storage yet"),
        pytest.param(
            31, {"shipping": Shipping.SELF}, "200.00", id="MON-05 day 31, sent by the customer: no leg of ours"
        ),
        pytest.param(8, {"reason": "quality"}, "200.00", id="AMB-19 day 8, quality"),
        pytest.param(31, {"reason": "quality"}, "200.00", id="AMB-19 day 31, quality"),
        pytest.param(7, {"pickup_freight": yuan("9.50")}, "190.50", id="MON-02 the carrier's voucher is known"),
        pytest.param(31, {"pickup_freight": yuan("9.50")}, "190.50", id="MON-05 the carrier's voucher is known"),
        pytest.param(8, {"pickup_freight": yuan("9.50")}, "185.00", id="MON-04 is flat, whatever the voucher says"),
    ],
)
def test_return_freight(day, changes, total):
    assert quoted(asked_on=on_day(day), **changes).total == Decimal(total)


@pytest.mark.parametrize(
    ("insured", "changes", "line", "note"),
    [
        pytest.param("12.00", {}, "MON-02 上门取件运费 0.00", "由运费险承担", id="MON-10 all of it"),
        pytest.param("25.00", {}, "MON-02 上门取件运费 0.00", "由运费险承担", id="MON-10 more than it"),
        pytest.param("11.99", {}, "MON-02 上门取件运费 -0.01", "由运费险承担 11.99 元", id="MON-10 up to the amount"),
        pytest.param("0.00", {}, "MON-02 上门取件运费 -12.00", "", id="MON-10 no insurance"),
        pytest.param("25.00", {"asked_on": on_day(8)}, "MON-04 逾期退货运费补偿 -15.00", "", id="MON-10 not MON-04"),
    ],
)
def test_freight_insurance(insured, changes, line, note):
    bill = quoted(an_order(insured=insured), **changes)

    assert shown(bill)[-1] == line
    assert bill.lines[-1].note == note


def test_a_fee_of_nothing_is_not_minus_nothing():
    bill = quoted(terms=return_terms(pickup_freight="0.00"))

    assert shown(bill)[-1] == "MON-02 上门取件运费 0.00"


@pytest.mark.parametrize(
    ("received", "settled", "days"),
    [
        pytest.param(None, None, 0, id="nothing is stored before receipt"),
        pytest.param(None, 40, 0, id="nor without one"),
        pytest.param(40, None, 0, id="nor counted before a day of settlement is known"),
        pytest.param(40, 40, 0, id="settled on the day of receipt"),
        pytest.param(40, 41, 1, id="a day later"),
        pytest.param(41, 40, 0, id="never less than none"),
    ],
)
def test_storage_days_run_from_receipt_to_settlement(received, settled, days):
    bill = quoted(
        asked_on=on_day(31),
        received_on=received and on_day(received),
        settled_on=settled and on_day(settled),
    )

    assert shown(bill)[-1] == f"MON-05 仓储费 {days} 天 {yuan(-days) if days else '0.00'}"
    assert bill.lines[-1].note == "自收货至结算每天 1.00 元"


# --- what a person decides --------------------------------------------------------------------------------------------


def test_p23_without_a_delivery_date_there_is_no_age_fee_but_a_person():
    order = an_order(a_line(delivered_at=None))

    bill = quoted(order, asked_on=on_day(400))

    assert bill.age_band is None
    assert shown(bill) == ["MON-14 商品款 纯棉T恤 ×1 200.00", "MON-02 上门取件运费 -12.00"]
    assert bill.needs_person == ("第 1 行 纯棉T恤：签收日期未知，无法判断退货期限，由售后经理决定（AMB-16）",)


def test_p23_one_unknown_date_beside_a_late_line_charges_no_age_fee():
    order = an_order(a_line(), a_line(line_no=2, delivered_at=None))

    bill = quoted(order, asked_on=on_day(8))

    assert (bill.age_band, [line.rule for line in bill.lines]) == (None, ["MON-14", "MON-14", "MON-02"])


def test_amb17_band_c_quotes_what_approval_would_pay():
    asked = quoted(asked_on=on_day(31))
    approved = quoted(asked_on=on_day(31), approved=True)

    assert asked.needs_person == (
        "第 1 行 纯棉T恤：签收后第 31 天，已超过 30 天，是否接受退货由售后经理决定（AMB-17）",
    )
    assert approved.needs_person == ()
    assert asked.lines == approved.lines


@pytest.mark.parametrize(
    ("paid", "allowed", "earlier", "asks"),
    [
        pytest.param("200.00", "0.00", "0.00", False, id="an old purchase that was allowed"),
        pytest.param("150.00", "0.00", "0.00", True, id="38.00 that cannot go back were never spoken of"),
        pytest.param("150.00", "38.00", "0.00", False, id="just as much was given up beforehand"),
        pytest.param("149.99", "38.00", "0.00", True, id="a fen more than was given up"),
        pytest.param("150.00", "38.00", "0.01", True, id="with what an earlier bill gave up it is a fen more"),
    ],
)
def test_mon14_what_the_manager_allowed_is_not_asked_about_twice(paid, allowed, earlier, asks):
    order = an_order(a_line(), paid=Decimal(paid))
    charged = [Line("MON-14", money.CAP, -Decimal(earlier))]

    bill = quoted(order, asked_on=on_day(31), allowed=Decimal(allowed), already_charged=charged)

    assert bool(bill.needs_person) is asks
    assert all("可原路退回的余额" in reason for reason in bill.needs_person)


def test_amb50_a_gift_needs_a_person():
    order = an_order(a_line(), a_line("0.00", line_no=2, name="杯子", is_gift=True))

    bill = quoted(order)

    assert bill.needs_person == ("第 2 行 杯子：赠品没有退货规则，由售后经理决定（AMB-50）",)
    assert bill.total == Decimal("188.00")


# --- outbound freight (P-18) ------------------------------------------------------------------------------------------


TWO_LINES = an_order(a_line("150.00"), a_line("50.00", line_no=2), freight="10.00")


@pytest.mark.parametrize(
    ("order", "changes", "total"),
    [
        pytest.param(
            TWO_LINES,
            {"wanted": some_of((1, 1)), "shipping": Shipping.SELF},
            "150.00",
            id="P-18 MON-15 one of two lines back for change of mind: outbound freight stays",
        ),
        pytest.param(
            TWO_LINES,
            {"shipping": Shipping.SELF},
            "200.00",
            id="MON-15 all lines back for change of mind: outbound freight stays",
        ),
        pytest.param(TWO_LINES, {"reason": "quality"}, "210.00", id="P-18 all lines back by the seller's fault: once"),
        pytest.param(
            TWO_LINES,
            {"reason": "quality", "wanted": some_of((1, 1))},
            "157.50",
            id="MON-14 one of two lines by the seller's fault: its part by price",
        ),
        pytest.param(an_order(), {"reason": "quality"}, "200.00", id="P-18 free shipping: 0, never negative"),
        pytest.param(an_order(a_line("5.00")), {}, "0.00", id="P-18 return freight never lowers a refund below 0"),
    ],
)
def test_p18_outbound_freight(order, changes, total):
    assert quoted(order, **changes).total == Decimal(total)


def test_p18_one_unit_after_the_other_brings_the_outbound_freight_once():
    order = an_order(a_line("150.00", quantity=3), a_line("50.00", line_no=2), freight="10.00")
    last_of_first = [Wanted(1, runs((2, 3)))]
    second_line = [Wanted(2, runs((0, 1)))]
    rest_of_first = [Wanted(1, runs((0, 2)))]

    freights = [
        sum(line.amount for line in quoted(order, reason="quality", wanted=wanted).lines if line.label == "发货运费")
        for wanted in (last_of_first, second_line, rest_of_first)
    ]

    assert freights == [Decimal("2.50"), Decimal("2.50"), Decimal("5.00")]


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paid", "lines"),
    [
        pytest.param("12.00", ["MON-02 上门取件运费 -12.00"], id="exactly nothing is no floor"),
        pytest.param(
            "11.99", ["MON-02 上门取件运费 -12.00", "MON-14 不低于零 0.01"], id="MON-14 the floor gives the difference"
        ),
    ],
)
def test_the_floor(paid, lines):
    bill = quoted(an_order(a_line(paid)))

    assert shown(bill)[1:] == lines
    assert bill.total == Decimal("0.00")


@pytest.mark.parametrize(
    ("refunded", "last", "total"),
    [
        pytest.param("12.00", "MON-02 上门取件运费 -12.00", "188.00", id="what is left suffices exactly"),
        pytest.param("12.01", "MON-14 不超过可原路退回的余额 -0.01", "187.99", id="MON-14 a fen too little is left"),
        pytest.param("200.00", "MON-14 不超过可原路退回的余额 -188.00", "0.00", id="nothing is left"),
        pytest.param("250.00", "MON-14 不超过可原路退回的余额 -188.00", "0.00", id="more than was paid went back"),
    ],
)
def test_never_above_paid_minus_refunded(refunded, last, total):
    bill = quoted(an_order(refunded=yuan(refunded)))

    assert shown(bill)[-1] == last
    assert bill.total == Decimal(total)


def test_what_the_original_route_cannot_take_is_for_a_person():
    bill = quoted(an_order(refunded=yuan(50)))

    assert bill.needs_person == (
        "应退金额超过订单 SO-1 可原路退回的余额 150.00 元：批准后退 150.00 元，差额 38.00 元系统不付；"
        "差额也要付给客户的，请在理由里写明，并请出纳另行转账（MON-14）",
    )


# --- settling receipts ------------------------------------------------------------------------------------------------


def test_p14_pay_for_what_arrived():
    order = an_order(a_line("269.97", quantity=3))

    bill = quoted(order, wanted=some_of((1, 2)), shipping=Shipping.SELF)

    assert bill.total == Decimal("179.98")


SHIRTS = an_order(a_line("200.00", quantity=2), freight="10.00")


@pytest.mark.parametrize(
    ("claimed", "faults", "lines"),
    [
        pytest.param(
            "quality",
            [Fault.CUSTOMER, Fault.CUSTOMER],
            ["MON-02 上门取件运费 -12.00"],
            id="MON-17 claimed as quality, found in order: the customer pays",
        ),
        pytest.param(
            "no_reason",
            [Fault.SELLER, Fault.SELLER],
            ["MON-14 发货运费 10.00"],
            id="MON-17 claimed without reason, found broken: the seller pays",
        ),
        pytest.param(
            "quality",
            [Fault.SELLER, Fault.CUSTOMER],
            ["MON-14 发货运费 5.00", "MON-02 上门取件运费 -12.00"],
            id="MON-17 one of each: freight out for the broken one, the trip for the other",
        ),
        pytest.param("no_reason", [], ["MON-02 上门取件运费 -12.00"], id="MON-17 nothing found: the claim stands"),
        pytest.param(
            "no_reason",
            [Fault.SELLER],
            ["MON-14 发货运费 5.00", "MON-02 上门取件运费 -12.00"],
            id="MON-17 what is not looked at keeps the claim",
        ),
    ],
)
def test_mon17_the_fault_as_found_decides_the_payer(claimed, faults, lines):
    found = [money.Found(1, runs((unit, unit + 1)), fault) for unit, fault in enumerate(faults)]

    bill = quoted(SHIRTS, reason=claimed, found=found)

    assert shown(bill)[1:] == lines


def test_the_age_of_a_mixed_case_is_that_of_what_comes_back_for_the_customers_own_reason():
    order = an_order(a_line(), a_line(line_no=2, delivered_at=a_line().delivered_at + timedelta(days=20)))
    broken = [money.Found(1, runs((0, 1)), Fault.SELLER)]

    bill = quoted(order, asked_on=on_day(25), found=broken)

    assert bill.age_band is AgeBand.B
    assert shown(bill)[-1] == "MON-02 上门取件运费 -12.00"


@pytest.mark.parametrize(
    ("day", "second"),
    [
        pytest.param(0, [], id="MON-02 once a case"),
        pytest.param(8, [], id="MON-04 once a case"),
        pytest.param(31, ["MON-05 仓储费 0 天 0.00"], id="MON-05 freight once a case, storage for each parcel"),
    ],
)
def test_freight_is_charged_once_a_case(day, second):
    first_parcel = quoted(SHIRTS, asked_on=on_day(day), wanted=some_of((1, 1)))

    second_parcel = quoted(SHIRTS, asked_on=on_day(day), wanted=some_of((1, 1)), already_charged=first_parcel.lines)

    assert shown(second_parcel)[1:] == second


def test_freight_that_the_insurance_took_is_not_charged_with_the_next_parcel():
    order = an_order(a_line(quantity=2), insured="25.00")
    first_parcel = quoted(order, wanted=some_of((1, 1)))

    second_parcel = quoted(order, wanted=some_of((1, 1)), already_charged=first_parcel.lines)

    assert shown(second_parcel)[1:] == []


def test_p20_a_fee_that_the_first_parcel_could_not_bear_is_made_up_by_the_next():
    order = an_order(a_line("5.00"), a_line("4.00", line_no=2), a_line("100.00", line_no=3))

    first = quoted(order, wanted=some_of((1, 1)))
    second = quoted(order, wanted=some_of((2, 1)), already_charged=first.lines)
    third = quoted(order, wanted=some_of((3, 1)), already_charged=first.lines + second.lines)

    assert shown(first)[1:] == ["MON-02 上门取件运费 -12.00", "MON-14 不低于零 7.00"]
    assert shown(second)[1:] == ["MON-14 补扣前次未扣足的费用 -7.00", "MON-14 不低于零 3.00"]
    assert shown(third)[1:] == ["MON-14 补扣前次未扣足的费用 -3.00"]
    assert first.total + second.total + third.total == quoted(order).total == Decimal("97.00")


def test_a_line_of_another_rule_is_no_freight():
    bill = quoted(
        already_charged=[Line("MON-14", "商品款 外套 ×1", yuan(100)), Line("MON-05", "仓储费 2 天", yuan(-2))]
    )

    assert shown(bill)[-1] == "MON-02 上门取件运费 -12.00"


# --- how the money goes back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payment_route", "answer", "reason"),
    [
        pytest.param("支付宝", "original", "原路退回至支付宝（MON-07）", id="MON-07 the way it came"),
        pytest.param(
            "货到付款",
            "transfer",
            "支付方式“货到付款”不能原路退回，请登记收款账户后人工转账（MON-08）",
            id="MON-08 no way back: a transfer",
        ),
        pytest.param(
            "", "transfer", "没有支付方式记录，不能原路退回，请登记收款账户后人工转账（MON-08）", id="MON-08 not known"
        ),
    ],
)
def test_route(payment_route, answer, reason):
    verdict = money.route(order=an_order(payment_route=payment_route), terms=return_terms())

    assert (verdict.answer, verdict.reason) == (answer, reason)


def test_a_bill_is_the_sum_of_its_lines():
    bill = quoted(an_order(a_line(), freight=10), reason="quality", asked_on=date(2025, 3, 2))

    assert bill.total == sum(line.amount for line in bill.lines) == Decimal("210.00")
    assert all(line.rule.startswith("MON-") for line in bill.lines)


def test_everything_may_come_back():
    order = an_order(a_line(), a_line(line_no=2, quantity=74_215))

    assert quoted(order, wanted=all_of(order), shipping=Shipping.SELF).total == order.paid
