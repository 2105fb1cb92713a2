"""How a case comes to where a story begins: told in one line, a story states only what matters to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aftersales import clock
from aftersales.words import Event
from tests.stories.conftest import Shop, Telling

# a line dear enough for a second person to agree to its refund
DEAR = [("SKU-1", "电脑", 1, "900.00")]
TWO_DEAR = [("SKU-1", "电脑", 2, "1800.00")]


def put_forward(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    """Let so much time go by."""
    before = clock.now
    monkeypatch.setattr(clock, "now", lambda case=None: before(case) + timedelta(**by))


async def self_shipping(shop: Shop) -> Telling:
    """A case whose customer was told to send the goods."""
    await shop.order()
    telling = await shop.tell(shop.application(shipping="self"))
    return await telling.decide("review", "C08", decision="approve")


async def picked_up(shop: Shop, *, order: dict[str, Any] | None = None, **application: Any) -> Telling:
    """A case whose goods are on their way as SF1001."""
    await shop.order(**(order or {}))
    telling = await shop.tell(shop.application(**application))
    await telling.decide("review", "C08", decision="approve")
    if telling.at == "exception-0":
        await telling.decide("exception", "A01", decision="approve", reason="老客户")
    return await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")


async def inspected(telling: Telling, *, quantity: int = 1, result: str = "pass", **row: Any) -> Telling:
    """What arrived is looked at."""
    item = {"line": "第1行", "quantity": str(quantity), "grade": "sellable", "cause": "no_reason", **row}
    reason = {"reason": "有划痕"} if result == "fail" else {}
    return await telling.decide("inspection", "W03", items=[item], result=result, **reason)


async def one_more(telling: Telling, rest: str) -> Telling:
    """One unit arrives and passes."""
    await telling.decide("receipt", "W02", items=[{"line": "第1行", "quantity": "1"}], rest=rest)
    return await inspected(telling)


async def lost(telling: Telling) -> Telling:
    """The carrier says that the parcel is lost, and logistics confirms it."""
    await telling.signal(Event.PARCEL_LOST, tracking_no="SF1001")
    return await telling.decide("tracing", "L02", result="lost", note="承运商确认丢失")


async def promise(telling: Telling, stage: str) -> Any:
    """The newest promise of a stage."""
    return (await telling.rows("promises", "*", f"and stage = '{stage}' order by id"))[-1]
