"""Parts of the way of a return, so that a test begins where its rule begins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aftersales import clock
from tests.stories.conftest import Shop, Telling


async def on_the_way(shop: Shop, *, lines: Any = None, age: int = 3, **application: Any) -> Telling:
    """An application that was approved and whose goods were picked up or sent as SF1001."""
    await shop.order(age=age, **({"lines": lines} if lines else {}))
    telling = await shop.tell(shop.application(**application))
    await telling.decide("review", "C08", decision="approve")
    return await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")


async def receive(telling: Telling, quantity: int = 1, rest: str = "complete", **more: Any) -> Telling:
    """The warehouse books so many of the first line in."""
    rows = [{"line": "第1行", "quantity": str(quantity)}]
    return await telling.decide("receipt", "W02", items=rows, rest=rest, **more)


async def inspect(telling: Telling, quantity: int = 1, *, result: str = "pass", **row: Any) -> Telling:
    """The warehouse inspects so many of the first line."""
    rows = [{"line": "第1行", "quantity": str(quantity), "grade": "sellable", "cause": "no_reason", **row}]
    reason = {"reason": "有划痕"} if result == "fail" else {}
    return await telling.decide("inspection", "W03", items=rows, result=result, **reason)


async def lose(telling: Telling, **more: Any) -> Telling:
    """The warehouse says that the parcel is lost, and logistics confirms it."""
    await telling.decide("receipt", "W02", items=[], rest="lost")
    return await telling.decide("tracing", "L02", result="lost", note="承运商确认丢件", **more)


async def bill(telling: Telling, number: int = 0) -> str:
    """What a bill came to."""
    return (await telling.journal())[f"bill-{number}"].data["total"]


async def told(telling: Telling, notice: str) -> list[str]:
    """What the customer read under a notice's number, oldest first."""
    return [row.body for row in await telling.rows("outbox", "notice, body", "order by id") if row.notice == notice]


def house_minute(ago: timedelta = timedelta(0)) -> str:
    """A minute of the house's clock, as people write it."""
    return f"{(clock.now() - ago).astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%d %H:%M}"


def told_now() -> dict[str, str]:
    """The customer was told by phone just now."""
    return {"told_how": "phone", "told_at": house_minute()}
