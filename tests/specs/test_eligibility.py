"""Whether a return may be opened, and how old its purchase is (POL-01 to POL-08, AMB-15 to AMB-19, AMB-50, P-23)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aftersales.rules import eligibility
from aftersales.words import AgeBand, Fault
from tests.builders import DELIVERED_ON, HOUSE, a_line, all_of, an_order, return_terms


@pytest.mark.parametrize(
    ("day", "band"),
    [
        pytest.param(0, "A", id="AMB-15 the day of receipt is day 0"),
        pytest.param(7, "A", id="AMB-15 day 7 is still free"),
        pytest.param(8, "B", id="AMB-15 day 8 costs the late freight"),
        pytest.param(30, "B", id="AMB-15 day 30 is decided for the customer"),
        pytest.param(31, "C", id="AMB-15 day 31 is for a person"),
        pytest.param(400, "C", id="any older one too"),
        pytest.param(-3, "A", id="asked on the way: day 0"),
    ],
)
def test_age_band(day, band):
    asked_on = DELIVERED_ON + timedelta(days=day)

    age = eligibility.age_band(received_on=DELIVERED_ON, asked_on=asked_on, terms=return_terms())

    assert age.band == band
    assert age.day == max(0, day)


def test_p23_an_unknown_delivery_date_is_neither_day_0_nor_unlimited():
    age = eligibility.age_band(received_on=None, asked_on=DELIVERED_ON, terms=return_terms())

    assert (age.band, age.day, age.reason) == (None, None, "签收日期未知，无法判断退货期限")


def test_the_edges_are_terms():
    terms = return_terms(free_until_day=0, freight_until_day=1)

    bands = [
        eligibility.age_band(received_on=DELIVERED_ON, asked_on=DELIVERED_ON + timedelta(days=day), terms=terms).band
        for day in (0, 1, 2)
    ]

    assert bands == [AgeBand.A, AgeBand.B, AgeBand.C]


def test_the_reason_names_the_day():
    age = eligibility.age_band(received_on=date(2025, 3, 1), asked_on=date(2025, 3, 9), terms=return_terms())

    assert age.reason == "签收后第 8 天，已过 7 天、未过 30 天"


@pytest.mark.parametrize(
    ("counts_from", "first_day"),
    [
        pytest.param("receipt", date(2025, 3, 2), id="AMB-16 from receipt, the date of the house zone after midnight"),
        pytest.param("purchase", date(2025, 2, 26), id="AMB-16 from purchase by the switch"),
    ],
)
def test_the_first_day(counts_from, first_day):
    after_midnight_in_shanghai = datetime(2025, 3, 1, 16, 0, tzinfo=UTC)
    order = an_order(a_line(delivered_at=after_midnight_in_shanghai))

    began_on = eligibility.starts_on(
        order=order, line=order.lines[0], terms=return_terms(age_counts_from=counts_from), zone=HOUSE
    )

    assert began_on == first_day


def test_the_last_second_before_midnight_is_the_day_before():
    order = an_order(a_line(delivered_at=datetime(2025, 3, 1, 15, 59, 59, tzinfo=UTC)))

    began_on = eligibility.starts_on(order=order, line=order.lines[0], terms=return_terms(), zone=HOUSE)

    assert began_on == date(2025, 3, 1)


@pytest.mark.parametrize(
    ("switch", "fault", "answer"),
    [
        pytest.param("manual", Fault.CUSTOMER, "person", id="AMB-17 manual: the manager decides"),
        pytest.param("refuse", Fault.CUSTOMER, "no", id="AMB-17 refuse: nobody is asked"),
        pytest.param("charge", Fault.CUSTOMER, "yes", id="AMB-17 charge: it costs freight and storage"),
        pytest.param("refuse", Fault.SELLER, "person", id="AMB-19 the seller's fault goes over the age bands"),
    ],
)
def test_after_the_last_day(switch, fault, answer):
    terms = return_terms(after_last_day=switch)
    age = eligibility.age_band(received_on=DELIVERED_ON, asked_on=DELIVERED_ON + timedelta(days=31), terms=terms)

    assert eligibility.late(age=age, fault=fault, terms=terms).answer == answer


@pytest.mark.parametrize("switch", ["manual", "refuse", "charge"])
def test_p23_an_unknown_date_goes_to_a_person_whatever_the_switch_says(switch):
    terms = return_terms(after_last_day=switch)
    age = eligibility.age_band(received_on=None, asked_on=DELIVERED_ON, terms=terms)

    assert eligibility.late(age=age, fault=Fault.CUSTOMER, terms=terms).answer == "person"


@pytest.mark.parametrize(
    ("changes", "fault", "answer"),
    [
        pytest.param({"category": "服装"}, Fault.CUSTOMER, "yes", id="POL-06 a standard category may come back"),
        pytest.param({"category": "定制商品"}, Fault.CUSTOMER, "person", id="POL-06 customised goods are looked at"),
        pytest.param({"category": "定制商品"}, Fault.SELLER, "person", id="POL-06 even by the seller's fault"),
        pytest.param({"category": "古董"}, Fault.CUSTOMER, "person", id="POL-06 a category without a rule"),
        pytest.param({"category": ""}, Fault.CUSTOMER, "person", id="POL-06 no category at all"),
        pytest.param({"category": "食品", "opened": False}, Fault.CUSTOMER, "yes", id="POL-06 unopened food"),
        pytest.param({"category": "食品", "opened": True}, Fault.CUSTOMER, "person", id="POL-06 opened food"),
        pytest.param({"category": "食品"}, Fault.CUSTOMER, "yes", id="POL-06 not known: the inspection sees it"),
        pytest.param({"category": "食品", "opened": True}, Fault.SELLER, "yes", id="POL-06 bad food had to be opened"),
        pytest.param({"is_gift": True}, Fault.CUSTOMER, "person", id="AMB-50 a gift"),
    ],
)
def test_category(changes, fault, answer):
    assert eligibility.category(line=a_line(**changes), fault=fault, terms=return_terms()).answer == answer


@pytest.mark.parametrize(
    ("reason", "given", "answer"),
    [
        pytest.param("quality", [], "no", id="POL-02 quality needs evidence"),
        pytest.param("quality", ["  "], "no", id="a blank is no evidence"),
        pytest.param("quality", ["照片链接"], "yes", id="POL-08 with a photo"),
        pytest.param("no_reason", [], "yes", id="no reason needs none"),
    ],
)
def test_evidence(reason, given, answer):
    assert eligibility.evidence(reason=reason, given=given, terms=return_terms()).answer == answer


def test_the_oldest_line_gives_the_age_of_the_application():
    order = an_order(a_line(), a_line(line_no=2, delivered_at=datetime(2025, 3, 20, tzinfo=UTC)))

    judged = eligibility.check(
        order=order,
        wanted=all_of(order),
        reason="no_reason",
        asked_on=date(2025, 3, 21),
        terms=return_terms(),
        zone=HOUSE,
    )

    assert judged.age_band is AgeBand.B
    assert judged.verdict.answer == "yes"
    assert judged.age(2).band is AgeBand.A


def test_p23_one_unknown_date_makes_the_age_of_the_application_unknown():
    order = an_order(a_line(), a_line(line_no=2, name="外套", delivered_at=None))

    judged = eligibility.check(
        order=order,
        wanted=all_of(order),
        reason="no_reason",
        asked_on=date(2025, 6, 1),
        terms=return_terms(),
        zone=HOUSE,
    )

    assert judged.age_band is None
    assert judged.needs_person == (
        "第 1 行 纯棉T恤：签收后第 92 天，已超过 30 天，是否接受退货由售后经理决定（AMB-17）",
        "第 2 行 外套：签收日期未知，无法判断退货期限，由售后经理决定（AMB-16）",
    )


def test_a_reason_that_many_lines_share_is_given_once():
    order = an_order(*(a_line(line_no=number, delivered_at=None) for number in range(1, 8)))

    judged = eligibility.check(
        order=order,
        wanted=all_of(order),
        reason="no_reason",
        asked_on=DELIVERED_ON,
        terms=return_terms(),
        zone=HOUSE,
    )

    assert judged.needs_person == (
        "第 1、2、3、4、5 行等共 7 行：签收日期未知，无法判断退货期限，由售后经理决定（AMB-16）",
    )


def test_a_refusal_by_the_switch_asks_nobody():
    order = an_order()

    judged = eligibility.check(
        order=order,
        wanted=all_of(order),
        reason="no_reason",
        asked_on=date(2025, 4, 1),
        terms=return_terms(after_last_day="refuse"),
        zone=HOUSE,
    )

    assert judged.verdict.answer == "no"
    assert judged.verdict.reason == "第 1 行 纯棉T恤：签收后第 31 天，已超过 30 天，不再受理退货（AMB-17）"


def test_pol07_a_channels_own_rules_replace_the_shops():
    terms = return_terms(channels={"抖音小店": {"free_until_day": 15}})

    assert terms.on("抖音小店").free_until_day == 15
    assert terms.on("抖音小店").freight_until_day == terms.freight_until_day
    assert terms.on("官方网站") is terms


def test_pol07_a_channels_fees_are_amounts_and_its_response_limit_a_limit():
    terms = return_terms(channels={"抖音小店": {"pickup_freight": "5.00", "review": "48 h"}})

    assert terms.on("抖音小店").pickup_freight == Decimal("5.00")
    assert str(terms.on("抖音小店").stages["review"].limit) == "48 h"
    assert terms.on("抖音小店").stages["pickup"] == terms.stages["pickup"]
