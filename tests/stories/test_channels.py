"""What a channel's platform rules put in the place of the shop's (POL-07)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aftersales import terms as rulebook
from aftersales.terms import ChannelRules
from aftersales.words import Event, Limit
from tests.stories.conftest import Shop
from tests.stories.on_the_way import inspected, picked_up, promise


def let_the_channel_say(monkeypatch: pytest.MonkeyPatch, **rules: Any) -> None:
    """Give the channel of the orders (官方网站) rules of its own."""
    from tasks import cases

    live = rulebook.load()
    channels = {"官方网站": ChannelRules.model_validate(rules)}
    changed = live.model_copy(update={"returns": live.returns.model_copy(update={"channels": channels})})
    monkeypatch.setattr(cases, "current_terms", lambda: changed)


async def test_pol07_a_channels_response_limit_is_promised_and_told(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    let_the_channel_say(monkeypatch, review="48 h")
    await shop.order()

    telling = await shop.tell(shop.application())

    given = await promise(telling, "review")
    assert given.limit == str(Limit.parse("48 h"))
    assert given.due_at - given.started_at == timedelta(hours=48)
    told = next(row.body for row in await telling.rows("outbox") if row.notice == "NTC-01")
    due_at = given.due_at.astimezone(ZoneInfo(rulebook.load().house.timezone))
    assert f"{due_at:%-m月%-d日}" in told.replace(" ", "")


async def test_pol07_the_other_limits_stay_the_shops(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    let_the_channel_say(monkeypatch, review="48 h")
    await shop.order()
    telling = await shop.tell(shop.application())

    await telling.decide("review", "C08", decision="approve")

    assert (await promise(telling, "pickup")).limit == "3 wd"


async def test_pol07_a_channels_fee_is_charged(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    let_the_channel_say(monkeypatch, pickup_freight="5.00")
    telling = await picked_up(shop)

    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")
    await inspected(telling)

    assert (await telling.journal())["bill-0"].data["total"] == "195.00"
