"""Which ended cases the quality controllers may look at: every one that somebody decided about (RET-16)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aftersales import clock
from aftersales.rules import quality
from aftersales.words import Event, Stage
from tasks import lapses
from tests.stories.conftest import Shop
from tests.stories.on_the_way import inspected, lost, picked_up


@pytest.fixture(autouse=True)
def every_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chance pick every case that may be picked."""
    monkeypatch.setattr(quality, "_is_drawn", lambda case_no, percent: True)


async def completed(shop: Shop) -> Any:
    telling = await picked_up(shop)
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")
    await inspected(telling)
    return await telling.decide("refund", "A03", amount="188.00", reference="ALI-0001")


async def sent_back(shop: Shop) -> Any:
    telling = await picked_up(shop)
    await telling.signal(Event.PARCEL_RECEIVED, tracking_no="SF1001")
    await inspected(telling, result="fail", grade="unsellable")
    await telling.decide("resolution", "A01", decision="send_back", payer="customer", reason="人为损坏")
    return await telling.signal(Event.PARCEL_SENT_BACK, carrier="顺丰", tracking_no="SF9001")


async def loss_not_paid(shop: Shop) -> Any:
    return await (await lost(await picked_up(shop))).decide("exception", "A01", decision="reject", reason="不予退款")


async def given_up(shop: Shop) -> Any:
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="reject", reason="超出范围", missing=["照片"])
    return await telling.decide("correction", "C07", decision="withdraw")


async def lapsed(shop: Shop) -> Any:
    await shop.order()
    telling = await shop.tell(shop.application())
    await telling.decide("review", "C08", decision="reject", reason="照片不清楚", missing=["照片"])
    await lapses.look(at=clock.now() + timedelta(days=40))
    return await telling.again()


async def cancelled_on_the_way(shop: Shop) -> Any:
    return await (await picked_up(shop)).signal(Event.CASE_CANCELLED, reason="不退了")


@pytest.mark.parametrize(
    ("way", "stage"),
    [
        pytest.param(completed, Stage.CLOSED, id="paid"),
        pytest.param(sent_back, Stage.REJECTED, id="sent back"),
        pytest.param(loss_not_paid, Stage.REJECTED, id="lost and not paid"),
        pytest.param(given_up, Stage.REJECTED, id="rejected and given up"),
        pytest.param(lapsed, Stage.CANCELLED, id="rejected and never corrected"),
        pytest.param(cancelled_on_the_way, Stage.CANCELLED, id="approved and cancelled"),
    ],
)
async def test_ret16_whatever_somebody_decided_about_may_be_sampled(shop: Shop, way: Any, stage: Stage):
    telling = await way(shop)

    assert (await telling.case()).stage is stage
    assert "quality-0" in await telling.journal()


async def test_ret16_a_case_that_nobody_decided_about_is_never_sampled(shop: Shop):
    await shop.order()
    telling = await shop.tell(shop.application())

    await telling.signal(Event.CASE_CANCELLED, reason="不退了")

    assert (await telling.case()).stage is Stage.CANCELLED
    assert "quality-0" not in await telling.journal()
