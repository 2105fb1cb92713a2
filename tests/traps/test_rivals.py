"""Two at one case through a real Prefect server: a stale form beside a fresh one, an approval beside a cancellation."""

from __future__ import annotations

import asyncio

from aftersales.words import Stage
from tests.traps.conftest import CANCELLATION, Desk, Run


async def test_a_form_kept_open_from_the_round_before_never_answers_the_next_round(staffed: Desk):
    """Two reviewers at once: one sends the form of `review-0` that stood open all the time, one that of `review-1`."""
    run = await staffed.apply()
    await run.at("review-0-1")
    stale = await run.answer(decision="驳回", reason="旧表单")
    await run.submit(decision="驳回", reason="请补照片")
    await run.fill("correction-0")
    await run.at("review-1-1")
    fresh = await run.answer(operator="C02 刘洋")

    told = await asyncio.gather(*(run.submit(answer) for answer in (stale, fresh, stale, stale)))

    assert [status for status, _ in told].count("ACCEPT") == 1
    assert told[1][0] == "ACCEPT"
    await run.at("pickup-0-1")
    entries = await run.journal()
    assert (entries["review-1"].actor, entries["review-1"].data["decision"]) == ("C02", "approve")
    assert "旧表单" not in str([entry.data for entry in entries.values()])


async def test_ret17_an_approval_and_a_cancellation_at_once_leave_one_outcome(staffed: Desk):
    """The reviewer presses Resume while a colleague sends 取消售后单: cancelled either way, and nothing is left held."""
    cases = [await staffed.apply(f"D{number}") for number in range(2)]
    for run in cases:
        await run.at("review-0-1")

    async def approve(run: Run) -> None:
        await run.submit()

    async def cancel(run: Run) -> None:
        request = {"operator": "C07 王小明", "case_no": await run.case_no(), "reason": "客户不退了"}
        await (await staffed.start(CANCELLATION, request)).ends()

    await asyncio.gather(*(act(run) for run in cases for act in (approve, cancel)))

    for run in cases:
        await run.ends()
        assert (await run.case()).stage is Stage.CANCELLED
        entries = list(await run.journal())
        assert entries.count("cancelled-0") == 1
        assert "review-0" not in entries[entries.index("cancelled-0") :]
        assert {row.state for row in await run.rows("units")} == {"released"}
        assert not await run.rows("work", "state = 'open'")
        assert not await run.rows("promises", "ended_at is null")
        assert len(await run.rows("outbox", "notice = 'NTC-09'")) == 1
