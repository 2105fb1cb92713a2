"""A sleeping run wakes when it is answered, whoever answers, and never while it is being told (traps 8 and 9, design §3)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from prefect.states import Cancelled, Scheduled

from aftersales.desk import runs
from aftersales.words import Event, Stage
from tasks import gates
from tests.traps.conftest import MAIN_WAY, Desk, Run
from tests.traps.hanging_worker import Paper


async def test_trap_8_twenty_immediate_resumes(staffed: Desk, paper: Paper, caplog: pytest.LogCaptureFixture):
    """Trap 8: every form is answered the moment it opens, while its leg is still leaving; all cases are closed."""
    cases = [await staffed.apply(f"D{number}") for number in range(4)]

    await asyncio.gather(*(run.along(*MAIN_WAY) for run in cases))

    for run in cases:
        await run.ends()
        assert await run.legs() == 6
        assert (await run.case()).stage is Stage.CLOSED
    assert len(paper.calls) == len(set(paper.calls)) == 8
    assert not healer_woke(caplog)


async def test_trap_9_six_resumes_at_once(staffed: Desk):
    """Trap 9: exactly one of six wins, the journal has one row, and the others are told that they came too late."""
    run = await staffed.apply()
    await run.at("review-0-1")
    answer = await run.answer()

    told = await asyncio.gather(*(run.submit(answer) for _ in range(6)))

    verdicts = Counter(status for status, _ in told)
    assert verdicts["ACCEPT"] == 1, verdicts
    assert set(verdicts) <= {"ACCEPT", "ABORT", "REJECT", "HTTP 409"}
    await run.at("pickup-0-1")
    decisions = [entry for entry in (await run.journal()).values() if entry.kind == "decision"]
    assert [entry.entry for entry in decisions] == ["review-0"]
    assert await run.legs() == 2


async def test_the_late_loser_is_kept_and_told(desk: Desk):
    """A form that Prefect accepts after a command has decided: kept as `.late`, and its operator gets a notice."""
    async with desk.worker():
        run = await desk.apply()
        await run.at("review-0-1")
    await run.command("review", "C02", wake=False, decision="approve")
    assert (await run.submit(operator="C08 陈晓", decision="驳回", reason="不符合"))[0] == "ACCEPT"

    async with desk.worker():
        await run.at("pickup-0-1")

    journal = await run.journal()
    assert (journal["review-0"].actor, journal["review-0"].data["decision"]) == ("C02", "approve")
    [late] = [entry for name, entry in journal.items() if name.startswith("review-0.late:form:")]
    assert late.actor == "C08"
    [notice] = await run.rows("outbox", "recipient = 'staff:C08'")
    assert "已由 C02 刘洋" in notice.body
    assert not [key for key in await run.inputs() if key.endswith("-response")]


async def test_the_late_loser_at_the_command_is_told_at_once(desk: Desk):
    """The other way round the command hears who decided, and when."""
    async with desk.worker():
        run = await desk.apply()
        await run.fill("review-0")
        await run.at("pickup-0-1")

    with pytest.raises(gates.AlreadyDecided, match=r"审核已由 C08 陈晓 于 .* 完成"):
        await run.command("review", "C02", decision="approve")


async def test_the_empty_wake_opens_the_same_gate_again(staffed: Desk):
    """An un-forced Scheduled without any answer (an automation, a curious click): the form opens again, answerable."""
    run = await staffed.apply()
    await run.at("review-0-1")

    for showing in (2, 3):
        await staffed.client.set_flow_run_state(run.run_id, Scheduled(name="Resuming"))
        await run.at(f"review-0-{showing}")

    assert (await run.submit())[0] == "ACCEPT"
    await run.at("pickup-0-1")
    assert [name for name in await run.journal() if name.startswith("review-0")] == ["review-0.asked", "review-0"]


@pytest.mark.parametrize("way", ["decision", "event"])
async def test_the_lost_wake_up_is_found_after_suspending(
    staffed: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
):
    """Told between the gate's last look and the suspension, when no wake can reach the run: it goes on by itself."""
    run = await staffed.apply()
    await run.at("review-0-1")
    told: list[bool] = []
    save_form = runs.Run._save_form

    async def tell_just_now(self: runs.Run, entry: str, *args: object) -> object:
        saved = await save_form(self, entry, *args)  # type: ignore[arg-type]
        if entry == "pickup-0":
            if way == "event":
                await run.signal(Event.PARCEL_PICKED_UP, wake=False, tracking_no="SF1000")
            else:
                await run.command("pickup", "L02", wake=False, carrier="顺丰", tracking_no="SF1000")
            told.append(True)
        return saved

    monkeypatch.setattr(runs.Run, "_save_form", tell_just_now)
    await run.submit()

    await run.at("receipt-0-1")
    assert told == [True]
    assert not healer_woke(caplog)
    assert (await run.journal())["pickup-0"].data["tracking_no"] == "SF1000"


async def test_a_live_leg_is_never_woken(staffed: Desk, paper: Paper, monkeypatch: pytest.MonkeyPatch):
    """A waker waits until the leg has ended, and then leaves a run alone that nobody has told anything."""
    entered, leave = asyncio.Event(), asyncio.Event()
    book = paper.book

    async def slow(*args: object, **kwargs: object) -> object:
        entered.set()
        await leave.wait()
        return await book(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(paper, "book", slow)
    run = await staffed.apply()
    await run.fill("review-0")
    await asyncio.wait_for(entered.wait(), 30)

    waking = asyncio.create_task(runs.wake(staffed.client, await run.case_no()))
    await waits_for_a_lock()
    assert not waking.done()
    assert (await run.seen()).state.name == "Running"  # type: ignore[union-attr]
    leave.set()

    assert await asyncio.wait_for(waking, 30) is False
    await run.at("pickup-0-1")
    assert (await run.states())[-1] == "Suspended"
    assert len(paper.calls) == 1


@pytest.mark.parametrize("number", [2, pytest.param(10, marks=pytest.mark.soak)])
async def test_cases_hammered_by_form_and_command(staffed: Desk, paper: Paper, number: int):
    """Form and command at random moments on many cases: whoever wins, none fails, none is stuck, each call is made once."""
    dice = random.Random(20261122)
    cases = [await staffed.apply(f"D{each}") for each in range(number)]

    async def by_form(run: Run, answer: dict[str, Any], after: float) -> None:
        await asyncio.sleep(after)
        await run.submit(answer)

    async def by_command(run: Run, gate: str, after: float) -> None:
        await asyncio.sleep(after)
        answers = {
            "review": ("C02", {"decision": "approve"}),
            "pickup": ("L01", {"carrier": "圆通", "tracking_no": "YT1000"}),
        }
        operator, answer = answers[gate]
        try:
            await run.command(gate, operator, **answer)
        except gates.AlreadyDecided:
            pass  # the form was first

    async def hammer(run: Run) -> None:
        for gate in ("review", "pickup"):
            await run.at(f"{gate}-0")
            answer = await run.answer()
            await asyncio.gather(
                by_form(run, answer, dice.uniform(0, 0.3)), by_command(run, gate, dice.uniform(0, 0.3))
            )

    await asyncio.gather(*(hammer(run) for run in cases))

    for run in cases:
        await run.at("receipt-0")
        assert "Failed" not in await run.states()
        decided = [name for name, entry in (await run.journal()).items() if entry.kind == "decision"]
        assert decided == ["review-0", "pickup-0"]
    assert len(paper.calls) == len(set(paper.calls)) == number


async def test_a_bricked_suspension_is_left_by_an_unforced_schedule(staffed: Desk):
    """Prefect has lost the form of a suspended run, so that no resume is possible: the next attempt's form is."""
    run = await staffed.apply()
    await run.at("review-0-1")
    answer = await run.answer()
    await staffed.client.delete_flow_run_input(run.run_id, "suspended-review-0-1-schema")
    status, reason = await run.submit(answer)
    assert (status, "schema not found" in reason) == ("REJECT", True)

    await staffed.client.set_flow_run_state(run.run_id, Scheduled(name="Resuming"))

    await run.at("review-0-2")
    assert (await run.submit())[0] == "ACCEPT"
    await run.at("pickup-0-1")


async def test_a_run_cancelled_in_the_ui_is_not_revived(desk: Desk):
    """Neither a decision nor the healer wakes a run that somebody has cancelled; the decision stays in the journal."""
    async with desk.worker() as worker:
        run = await desk.apply()
        await run.at("review-0-1")
        await desk.client.set_flow_run_state(run.run_id, Cancelled())
        await run.ends("Cancelled")

        assert await run.command("review", "C02", decision="approve") is False
        await worker.heal()

    assert (await run.states())[-1] == "Cancelled"
    assert await run.legs() == 1
    assert list(await run.journal())[-1] == "review-0"


def healer_woke(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Whom the healer had to wake, which is only the net below the leg's own last look."""
    return [told for told in caplog.messages if told.startswith("Woke")]


async def waits_for_a_lock() -> None:
    """Wait until somebody waits for an advisory lock."""
    from sqlalchemy import text

    from aftersales.store.engine import transaction

    async with asyncio.timeout(30):
        while True:
            async with transaction() as connection:
                query = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
                if await connection.scalar(text(query)):
                    return
            await asyncio.sleep(0.02)
