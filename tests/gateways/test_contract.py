"""What every gateway must do, the work lists and the other side over HTTP alike; and what HTTP adds (P-15, P-16)."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from aftersales.gateways import Outcome, http
from aftersales.gateways.http import HttpCarrier, HttpPayment
from aftersales.gateways.worklists import PickupList, TransferList
from tests.gateways.provider import KEY, Running

REFUND = "RT-20261124-0001/refund-0"
PICKUP = "RT-20261124-0001/book-pickup-0"
WHAT = {"case_no": "RT-20261124-0001", "order_no": "D1", "amount": Decimal("188.00"), "route": "支付宝"}
GOODS = {"case_no": "RT-20261124-0001", "data": {"items": [{"sku": "TS-01", "quantity": 2}]}}
CONTACT = {"name": "李小红", "phone": "10212345678", "region": "浙江 杭州"}


class Sheet:
    """Where the work lists put what they are given."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    async def put(self, *, key: str, **values: Any) -> None:
        """Once a key."""
        self.rows.setdefault(key, values)

    async def find(self, key: str) -> bool:
        """Whether it is there."""
        return key in self.rows


Bookings = Callable[[str], int]


@pytest.fixture(params=["worklist", "http"])
def payment(request: pytest.FixtureRequest, provider: Running) -> tuple[Any, Bookings]:
    """A payment gateway of each kind, and how often it has booked a key."""
    if request.param == "http":
        return HttpPayment(provider.url, KEY), lambda key: provider.bookings[key]
    sheet = Sheet()
    return TransferList(sheet.put, sheet.find), lambda key: int(key in sheet.rows)


@pytest.fixture(params=["worklist", "http"])
def carrier(request: pytest.FixtureRequest, provider: Running) -> tuple[Any, Bookings]:
    """A carrier of each kind, and how often it has booked a key."""
    if request.param == "http":
        return HttpCarrier(provider.url, KEY), lambda key: provider.bookings[key]
    sheet = Sheet()
    return PickupList(sheet.put, sheet.find), lambda key: int(key in sheet.rows)


async def test_a_key_that_never_arrived_is_none_and_one_that_did_is_done(payment):
    gateway, bookings = payment

    assert await gateway.ask(REFUND) is None
    assert (await gateway.refund(REFUND, **WHAT)).outcome == "done"
    assert (await gateway.ask(REFUND)).outcome == "done"
    assert bookings(REFUND) == 1


async def test_p15_the_same_key_sent_twice_is_booked_once(payment):
    gateway, bookings = payment

    first, second = await gateway.refund(REFUND, **WHAT), await gateway.refund(REFUND, **WHAT)

    assert first == second and first.outcome == "done"
    assert bookings(REFUND) == 1


async def test_p16_two_refunds_that_were_meant_are_both_booked(payment):
    gateway, bookings = payment
    other = "RT-20261124-0001/refund-1"

    await gateway.refund(REFUND, **WHAT)
    await gateway.refund(other, **WHAT)

    assert bookings(REFUND) == bookings(other) == 1


@pytest.mark.parametrize("call", ["book", "send_back"])
async def test_a_carrier_takes_a_parcel_once(carrier, call):
    gateway, bookings = carrier

    assert await gateway.ask(PICKUP) is None
    for _ in range(2):
        assert (await getattr(gateway, call)(PICKUP, contact=CONTACT, **GOODS)).outcome == "done"
    assert (await gateway.ask(PICKUP)).outcome == "done"
    assert bookings(PICKUP) == 1


# --- over HTTP ------------------------------------------------------------------------------------------------------

MISBEHAVING = {
    "error": "支付渠道回复了 HTTP 500",
    "garbage": "支付渠道回复的内容看不懂",
    "truncated": "支付渠道回复的内容看不懂",
    "wrong_types": "支付渠道回复的内容看不懂",
    "other_key": "支付渠道回复的是另一笔业务",
    "long": "支付渠道回复太长，看不懂",
    "redirect": "支付渠道回复了 HTTP 307",
    "drop": "支付渠道连接失败（RemoteProtocolError）",
    "drop_before": "支付渠道连接失败（RemoteProtocolError）",
    "lost_page": "支付渠道没有找到接口（HTTP 404）",
    "lost_empty": "支付渠道没有找到接口（HTTP 404）",
    "lost_other": "支付渠道回复的是另一笔业务",
    "unauthorized": "支付渠道不认我们的密钥（HTTP 401），请核对 AFTERSALES_PAYMENT_KEY",
}


@pytest.mark.parametrize(("how", "reason"), MISBEHAVING.items())
async def test_p15_what_is_no_answer_is_unknown_and_says_why(provider, how, reason):
    gateway = HttpPayment(provider.url, KEY)
    provider.behave(how, times=1)

    told = await gateway.refund(REFUND, **WHAT)

    assert told == Outcome("unknown", reason=reason.replace("RemoteProtocolError", _of(told.reason)))


def _of(reason: str) -> str:
    """A dropped connection has two names: which one, the kernel decides."""
    return "ReadError" if "ReadError" in reason else "RemoteProtocolError"


@pytest.mark.parametrize("how", ["garbage", "truncated", "wrong_types", "other_key", "drop"])
async def test_p15_what_was_booked_behind_our_back_is_found_by_asking(provider, how):
    gateway = HttpPayment(provider.url, KEY)
    provider.behave(how, times=1)
    await gateway.refund(REFUND, **WHAT)

    assert (await gateway.ask(REFUND)).outcome == "done"
    assert provider.bookings[REFUND] == 1


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("lost_page", "支付渠道没有找到接口（HTTP 404）"),
        ("lost_empty", "支付渠道没有找到接口（HTTP 404）"),
        ("lost_other", "支付渠道回复的是另一笔业务"),
    ],
)
async def test_p15_a_404_that_does_not_name_the_key_does_not_say_that_it_never_arrived(provider, how, reason):
    """A proxy's page stands between us and a refund that was booked: whoever believes it pays again."""
    gateway = HttpPayment(provider.url, KEY)
    await gateway.refund(REFUND, **WHAT)
    provider.behave(how, times=1)

    assert await gateway.ask(REFUND) == Outcome("unknown", reason=reason)


async def test_p15_a_slow_answer_is_unknown(provider, monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", httpx.Timeout(0.3))
    provider.behave("delay", times=1)

    told = await HttpPayment(provider.url, KEY).refund(REFUND, **WHAT)

    assert told == Outcome("unknown", reason="支付渠道没有在规定时间内回复")


async def test_p15_an_answer_that_drips_for_ever_is_unknown(provider, monkeypatch):
    """Every byte comes in time, the whole does not: one slow side must not hold a leg for ever."""
    monkeypatch.setattr(http, "LONGEST_CALL", 0.5)
    provider.behave("drip", times=1)
    began = time.monotonic()

    told = await HttpPayment(provider.url, KEY).refund(REFUND, **WHAT)

    assert told == Outcome("unknown", reason="支付渠道没有在规定时间内回复")
    assert time.monotonic() - began < 10, "600 bytes at 0.05 s would be 30 s"


async def test_gen10_personal_data_in_what_it_says_is_masked(provider):
    provider.behave("personal", times=1)

    told = await HttpPayment(provider.url, KEY).refund(REFUND, **WHAT)

    assert told == Outcome("refused", reason="收款人电话 138****1234，账号 ************5678 已注销")


async def test_characters_that_no_database_keeps_are_left_out(provider):
    """The money went: what is odd about its reference must not turn a done refund into an unknown one."""
    provider.behave("nul", times=1)

    assert (await HttpPayment(provider.url, KEY).refund(REFUND, **WHAT)).reference == "WX-12"


async def test_nobody_there_is_unknown():
    told = await HttpPayment("http://127.0.0.1:9", KEY).refund(REFUND, **WHAT)

    assert told == Outcome("unknown", reason="支付渠道连接失败（ConnectError）")


async def test_refused_is_final_and_failed_may_be_sent_again(provider):
    gateway = HttpPayment(provider.url, KEY)
    provider.behave("refused", times=1)
    assert await gateway.refund(REFUND, **WHAT) == Outcome("refused", reason="账户已注销")
    provider.behave("failed_once", times=1)

    assert await gateway.refund(REFUND, **WHAT) == Outcome("failed", reason="渠道余额不足")
    assert (await gateway.ask(REFUND)).outcome == "failed"
    assert (await gateway.refund(REFUND, **WHAT)).outcome == "done"
    assert provider.bookings[REFUND] == 1


async def test_done_is_final_and_accepted_is_not(provider):
    gateway = HttpPayment(provider.url, KEY)
    provider.behave("accepted", times=1)

    assert not (await gateway.refund(REFUND, **WHAT)).is_final
    assert (await gateway.refund("RT-20261124-0002/refund-0", **WHAT)).is_final


async def test_what_is_sent_is_what_the_contract_says_and_no_more(provider):
    await HttpPayment(provider.url, KEY).refund(REFUND, **WHAT)
    await HttpCarrier(provider.url, KEY).book(PICKUP, contact=CONTACT, **GOODS)

    refund, pickup = provider.seen
    assert refund == {
        "method": "POST",
        "path": "/refunds",
        "key": REFUND,
        "body": {
            "case_no": "RT-20261124-0001",
            "order_no": "D1",
            "amount": "188.00",
            "currency": "CNY",
            "route": "支付宝",
        },
    }
    assert pickup["path"] == "/shipments" and pickup["key"] == PICKUP
    assert pickup["body"] == {
        "case_no": "RT-20261124-0001",
        "direction": "from_customer",
        "items": [{"sku": "TS-01", "quantity": 2}],
        "contact": CONTACT,
    }
