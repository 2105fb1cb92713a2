"""Silence is ended by the round, but a form that somebody has sent is no silence (RET-04, design §7)."""

from __future__ import annotations

from sqlalchemy import text

from aftersales.store.engine import transaction
from aftersales.words import Stage
from tasks import reconcile
from tests.traps.conftest import Desk, Run


async def to_correction(desk: Desk) -> Run:
    """A rejected application whose seven days are over."""
    run = await desk.apply()
    await run.fill("review-0", decision="驳回", reason="照片不清楚", missing=["照片"])
    await run.at("correction-0-1")
    async with transaction() as connection:
        await connection.execute(
            text("update promises set lapses_at = started_at - interval '1 minute' where stage = 'correction'")
        )
    return run


async def done(desk: Desk) -> list[str]:
    return [finding.done for finding in (await reconcile.look(desk.client)).findings]


async def test_ret04_a_correction_that_nobody_sends_ends_the_case(staffed: Desk):
    run = await to_correction(staffed)

    assert await done(staffed) == ["按规则自动结案"]

    await run.ends()
    assert (await run.case()).stage is Stage.CANCELLED


async def test_ret04_a_correction_that_nobody_has_read_yet_is_no_silence(desk: Desk):
    """The customer's answer stands in Prefect while no worker runs: the round leaves the case alone."""
    async with desk.worker():
        run = await to_correction(desk)
    status, reason = await run.submit()
    assert status == "ACCEPT", reason

    assert await done(desk) == []

    async with desk.worker():
        await run.at("review-1-1")
