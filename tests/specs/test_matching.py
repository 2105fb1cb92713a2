"""An order opens to whoever knows its number and its phone, however they write them (SLF-01, AMB-47)."""

from __future__ import annotations

import pytest

from aftersales.rules import matching


@pytest.mark.parametrize(
    ("given", "digits"),
    [
        pytest.param("13800001234", "13800001234", id="as it is"),
        pytest.param(" 138 0000 1234 ", "13800001234", id="in groups"),
        pytest.param("138-0000-1234", "13800001234", id="with dashes"),
        pytest.param("+86 138 0000 1234", "13800001234", id="with the code of China"),
        pytest.param("+8613800001234", "13800001234", id="the code without a blank"),
        pytest.param("0086-13800001234", "13800001234", id="the code with zeros"),
        pytest.param("8613800001234", "13800001234", id="the code alone"),
        pytest.param("１３８００００１２３４", "13800001234", id="full-width digits"),
        pytest.param("138\u200b00001234", "13800001234", id="what nobody sees between"),
        pytest.param("(0571) 8888-1234", "057188881234", id="a landline"),
        pytest.param("+44 20 7946 0000", "442079460000", id="from abroad"),
        pytest.param("86138000", "86138000", id="a short number keeps its 86"),
        pytest.param("138****1234", "", id="a masked number is none"),
        pytest.param("1234", "", id="the last four digits are none"),
        pytest.param("phone", "", id="letters"),
        pytest.param("13800001234' or '1'='1", "", id="SQL"),
        pytest.param("1" * 41, "", id="too long"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_phone_is_its_digits(given: str, digits: str):
    assert matching.plain_phone(given) == digits


@pytest.mark.parametrize(
    ("given", "number"),
    [
        pytest.param("  SO-1 ", "SO-1", id="blanks around it"),
        pytest.param("ＳＯ－１", "SO-1", id="full-width signs"),
        pytest.param("so-1", "so-1", id="small letters stay"),
        pytest.param("SO 1", "SO 1", id="a blank inside stays"),
        pytest.param("a\r\nSet-Cookie: x", "", id="a line break"),
        pytest.param("a\x00", "", id="NUL"),
        pytest.param("x" * 65, "", id="too long"),
        pytest.param("x" * 64, "x" * 64, id="as long as they come"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_an_order_number_as_it_is_stored(given: str, number: str):
    assert matching.plain_order_no(given) == number


@pytest.mark.parametrize(
    ("given", "known", "matches"),
    [
        pytest.param("+86 138 0000 1234", "13800001234", True, id="both mean the same digits"),
        pytest.param("13800001234", "+86-138-0000-1234", True, id="the order wrote it otherwise"),
        pytest.param("13800001235", "13800001234", False, id="another number"),
        pytest.param("1380000123", "13800001234", False, id="the beginning is not enough"),
        pytest.param("13800001234", "", False, id="an order without a phone matches nobody"),
        pytest.param("", "", False, id="nothing matches nothing no more"),
        pytest.param("138****1234", "138****1234", False, id="what is masked on both sides"),
    ],
)
def test_amb47_both_must_match(given: str, known: str, matches: bool):
    assert matching.is_match(given=given, known=known) is matches


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        pytest.param("203.0.113.7", "203.0.113.7", id="IPv4 is one visitor"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="of IPv6 the /64 is"),
        pytest.param("::ffff:203.0.113.7", "203.0.113.7", id="IPv4 written as IPv6"),
        pytest.param("fe80::1%eth0", "fe80::/64", id="with its zone"),
        pytest.param("unknown", "", id="what is no address counts together"),
    ],
)
def test_tries_are_counted_by_neighborhood(address: str, counted: str):
    assert matching.neighborhood(address) == counted
