"""A case that waits longer than anything else in the house is alive afterwards (P-26)."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.store import rehearsals
from aftersales.store.engine import transaction
from aftersales.words import Stage
from tasks import extensions, lapses
from tests.traps.conftest import Desk, Run

WAIT = timedelta(days=31)
HOUSE = ZoneInfo("Asia/Shanghai")


async def rehearsed(desk: Desk, order_no: str) -> tuple[str, Run]:
    """Apply, on a rehearsal's clock, for the return of what the customer sends; answers the rehearsal."""
    await desk.order(order_no)
    async with transaction() as connection:
        now = clock.now()
        rehearsal = await rehearsals.begin(connection, at=now, on=now.astimezone(HOUSE).date())
        await connection.execute(
            text("update orders set rehearsal = :r where order_no = :o"), {"r": rehearsal, "o": order_no}
        )
    return rehearsal, await desk.start("returns/退货", desk.request(order_no, shipping="自行寄回"))


async def jump(rehearsal: str, by: timedelta) -> None:
    """Put a rehearsal's clock forward, and let what is due there happen."""
    async with transaction() as connection:
        at = await rehearsals.now(connection, rehearsal) + by
        await rehearsals.jump(connection, rehearsal, at)
    told = await lapses.look(rehearsal=rehearsal, at=at)
    assert (told.ended, told.failed) == ([], [])


async def give_time(run: Run, rehearsal: str, *, days: int) -> None:
    """Extend the customer's time, as a team lead may."""
    async with transaction() as connection:
        until = (await rehearsals.now(connection, rehearsal)).astimezone(HOUSE).date() + timedelta(days=days)
    await extensions.extend(
        await run.case_no(), operator="C02", until=until.isoformat(), reason="暴雨停运", key=f"test/{run.run_id}"
    )


@pytest.mark.timeout(600)
async def test_p26_a_case_that_waits_31_days_for_the_customer_is_alive_after_restarts(desk: Desk):
    """P-26: 31 days on the rehearsal clock, a new worker every week, and the parcel is taken in as on the first day."""
    async with desk.worker():
        rehearsal, run = await rehearsed(desk, "D1")
        await run.fill("review-0")
        found = (await run.at("pickup-0-1")) and await run.seen()
    assert found.state is not None
    assert found.state.state_details.pause_timeout is None, "Prefect must not end a wait by itself"
    await give_time(run, rehearsal, days=40)

    for _ in range(4):
        await jump(rehearsal, WAIT / 4)
        async with desk.worker() as worker:
            await worker.heal()
            await run.at("pickup-0-1")

    async with desk.worker():
        await run.along("pickup", "receipt", "inspection", "refund")
        await run.ends()
    case, journal = await run.case(), await run.journal()
    assert case.stage is Stage.CLOSED
    assert journal["pickup-0"].at - journal["opened"].at >= WAIT
    assert case.closed_at is not None and case.closed_at - case.opened_at >= WAIT
    assert (await run.states()).count("Running") == 6, "nobody told the story while nothing happened"
