"""The sample shop: enough of everything to try every way of a return, and nobody's data."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from aftersales import clock, terms
from aftersales.imports.sales import Sale
from aftersales.store import engine, orders, sample
from aftersales.words import Unable

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # noon in Shanghai


@pytest.fixture(scope="module")
def shop() -> list[Sale]:
    return sample.sales(now=NOW)


def ages(shop: list[Sale]) -> set[int | None]:
    today = NOW.astimezone(sample.HOME).date()
    return {
        None if line.delivered_at is None else (today - line.delivered_at.astimezone(sample.HOME).date()).days
        for sale in shop
        for line in sale.lines
    }


def test_it_is_large_enough(shop: list[Sale]) -> None:
    assert len(shop) >= 200
    assert len({line.sku for sale in shop for line in sale.lines}) >= 40
    assert len({line.category for sale in shop for line in sale.lines}) >= 10


@pytest.mark.parametrize("age", [0, 7, 8, 30, 31, 380, None])
def test_both_sides_of_every_age_band_occur(shop: list[Sale], age: int | None) -> None:
    assert age in ages(shop)


def test_it_has_something_of_everything(shop: list[Sale]) -> None:
    lines = [line for sale in shop for line in sale.lines]

    assert {sale.payment_route for sale in shop} == {"支付宝", "微信支付", "银行卡", "现金"}
    assert {sale.channel for sale in shop} == set(sample.CHANNELS)
    assert any(line.is_gift for line in lines) and all(line.paid == 0 for line in lines if line.is_gift)
    assert any(sale.freight for sale in shop) and any(sale.insured_freight for sale in shop)
    assert any(not sale.customer_no for sale in shop)
    assert {1, 2, 3, 10} <= {line.quantity for line in lines}
    assert min(line.paid for line in lines) >= 0


def test_every_verdict_on_categories_occurs(shop: list[Sale]) -> None:
    known = terms.load().returns.categories

    assert {known.get(line.category) for sale in shop for line in sale.lines} == {
        "standard",
        "unopened",
        "manual",
        None,
    }


def test_nobody_can_own_its_data(shop: list[Sale]) -> None:
    assert all(re.fullmatch(r"102\d{8}", sale.phone) for sale in shop)
    assert all(sale.email == "" or sale.email.endswith("@example.com") for sale in shop)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(NOW, id="at noon"),
        pytest.param(datetime(2026, 11, 21, 16, 1, tzinfo=UTC), id="a minute after midnight"),
        pytest.param(datetime(2028, 2, 29, 15, 59, tzinfo=UTC), id="at the end of a leap day"),
        pytest.param(clock.now(), id="as the clock gives it"),
    ],
)
def test_nothing_comes_from_the_future(now: datetime) -> None:
    for sale in sample.sales(now=now):
        assert sale.ordered_at < now
        for line in sale.lines:
            assert line.delivered_at is None or sale.ordered_at < line.delivered_at <= now


def test_the_same_day_gives_the_same_shop(shop: list[Sale]) -> None:
    assert sample.sales(now=NOW) == shop
    assert sample.sales(now=NOW + timedelta(days=1))[0].order_no == shop[0].order_no


def test_the_featured_orders_are_as_they_say(shop: list[Sale]) -> None:
    by_number = {sale.order_no: sale for sale in shop}

    assert (by_number["D100001"].lines[0].quantity, by_number["D100001"].paid) == (3, Decimal("269.97"))
    assert (by_number["D100002"].lines[0].quantity, by_number["D100002"].paid) == (3, Decimal("100.00"))
    assert by_number["D100003"].paid == Decimal("124.00") == sum(line.paid for line in by_number["D100003"].lines) + 10
    assert by_number["D100004"].paid > 2000
    assert by_number["D100009"].lines[0].delivered_at is None
    assert by_number["D100019"].customer_no == ""


async def test_it_is_loaded_once(database: str, shop: list[Sale]) -> None:
    async with engine.transaction() as connection:
        first = await sample.load(connection, now=NOW)
    async with engine.transaction() as connection:
        second = await sample.load(connection, now=NOW + timedelta(days=9))
        order = await orders.show(connection, "D100003")

    assert (first.orders, first.lines) == (len(shop), sum(len(sale.lines) for sale in shop))
    assert first.customers == len({(sale.channel, sale.customer_no) for sale in shop if sale.customer_no})
    assert second == sample.Loaded(0, 0, 0)
    assert order is not None and order.source == "sample" and [line.free for line in order.lines] == [1, 1]


async def test_it_leaves_a_shop_alone_that_uses_its_numbers(database: str, shop: list[Sale]) -> None:
    async with engine.transaction() as connection:
        await orders.insert(
            connection, [sample.sale("D100007", [sample.Item("CW-WJ-02")], now=NOW, age=1)], source="own"
        )

    with pytest.raises(Unable, match="D100007"):
        async with engine.transaction() as connection:
            await sample.load(connection, now=NOW)

    async with engine.transaction() as connection:
        assert await connection.scalar(text("select count(*) from orders")) == 1
