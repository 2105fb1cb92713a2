"""A worker killed before and after its writes: the next one heals the case; nothing is lost or done twice (trap 10)."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.traps.conftest import Desk, Run
from tests.traps.faults.conftest import (
    Log,
    Moment,
    Nursery,
    People,
    apply,
    breaks_of,
    deaths,
    faults_of,
    forget_lists,
    left_by,
    moments,
)
from tests.traps.faults.mortal_worker import AFTER, BEFORE
from tests.traps.hanging_worker import Paper

# what a whole case writes, so that a kind of write that is new here is not left out in silence
KINDS = 20


async def undisturbed(desk: Desk, paper: Paper, nursery: Nursery, folder: Path) -> tuple[list[Moment], Run, People]:
    """Play a case that nobody dies over; answers its moments, in order."""
    await nursery.raise_one(folder, paper)
    run = await apply(desk, "UNDISTURBED")
    people = People(run)
    await people.finish()
    await nursery.kill()
    await forget_lists()
    return moments(folder), run, people


def one_of_each_kind(found: list[Moment]) -> list[Moment]:
    """The first moments that have among them every kind of write."""
    chosen: list[Moment] = []
    known: set[str] = set()
    for moment in found:
        if set(moment.kinds) - known:
            known |= set(moment.kinds)
            chosen.append(moment)
    return chosen


async def dies(nursery: Nursery, answering: asyncio.Task[None]) -> bool:
    """Wait until the worker has died; False when the case came to its end without that."""
    await asyncio.wait({nursery.dying, answering}, return_when=asyncio.FIRST_COMPLETED)
    if answering.done():
        answering.result()  # what people met that they do not bear says more than that nobody died
    # at the last write of all, the end is seen before the death is
    await asyncio.wait({nursery.dying}, timeout=10)
    return nursery.dying.done() and await nursery.ends() == -signal.SIGKILL


@pytest.mark.timeout(1800)
async def test_trap_10_a_case_whose_workers_die_before_and_after_every_kind_of_write(
    desk: Desk, paper: Paper, nursery: Nursery, tmp_path: Path
):
    """Trap 10: one worker after the other dies over the same case, each at another kind of write, and it still ends."""
    found, calm, calm_people = await undisturbed(desk, paper, nursery, tmp_path / "calm")
    reference = await left_by(calm)
    assert await faults_of(calm, calm_people, paper.calls) == []
    chosen = one_of_each_kind(found)
    kinds = {kind for moment in chosen for kind in moment.kinds}
    assert len(kinds) >= KINDS
    assert kinds >= {f"commit journal {kind}" for kind in ("decision", "gate", "intent", "outcome", "bill")}

    run = await apply(desk, "D1")
    people = People(run)
    answering = asyncio.create_task(people.finish())
    for moment in chosen:
        for where in (BEFORE, AFTER):
            await nursery.raise_one(tmp_path, paper, at=Moment(moment.name, 1, moment.kinds), where=where)
            assert await dies(nursery, answering), f"the case goes on, and nobody died {where} {moment}"
            assert not await run.case_no() or not await breaks_of(await run.case_no())
    await nursery.raise_one(tmp_path, paper)
    await answering
    await nursery.kill()

    assert deaths(tmp_path) == [(where, moment.name) for moment in chosen for where in (BEFORE, AFTER)]
    assert await faults_of(run, people, paper.calls, reference) == []
    assert len(await run.rows("runs")) == 1


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_soak_trap_10_a_worker_dies_before_and_after_every_write_of_a_case(
    desk: Desk, paper: Paper, nursery: Nursery, tmp_path: Path, soak_log: Log
):
    """
    Trap 10: for every write of a whole case, a case of its own whose worker dies there, before and after.

    `make soak SOAK_EVERY=5` takes every fifth write only.
    """
    found, calm, _ = await undisturbed(desk, paper, nursery, tmp_path / "calm")
    reference = await left_by(calm)
    soak_log.title(f"A worker killed before and after every write of a case ({len(found)} writes)")
    soak_log.line("| # | killed | write | seconds | refunds | decisions | notices | promises | chain | wrong |")
    soak_log.line("|--:|--------|-------|--------:|--------:|----------:|--------:|---------:|-------|-------|")
    bad: Counter[str] = Counter()

    for number, moment in list(enumerate(found, 1))[:: int(os.environ.get("SOAK_EVERY", "1"))]:
        for where in (BEFORE, AFTER):
            folder = tmp_path / f"{number}-{where}"
            began = time.monotonic()
            await nursery.raise_one(folder, paper, at=moment, where=where)
            run = await apply(desk, f"D{number}-{where}")
            people = People(run)
            answering = asyncio.create_task(people.finish())
            wrong = [] if await dies(nursery, answering) else ["nobody died"]
            if not wrong:
                await nursery.raise_one(folder, paper)
                await asyncio.wait({answering})
                wrong += [repr(answering.exception())] if answering.exception() else []
            await nursery.kill()
            await forget_lists()
            wrong += await faults_of(run, people, paper.calls, reference)
            left = await left_by(run)
            whole = not await breaks_of(await run.case_no())
            refunds = f"{await run.case_no()}/refund"
            paid = sum(call.startswith(refunds) for call in paper.calls)
            soak_log.line(
                f"| {number} | {where} | {moment} | {time.monotonic() - began:.1f} | {paid} | "
                f"{sum(people.accepted.values())} | {len(left['outbox'])} | {len(left['promises'])} | "
                f"{'whole' if whole else 'BROKEN'} | {'; '.join(wrong) or 'nothing'} |"
            )
            bad.update([f"{where} {moment}"] if wrong else [])

    assert not bad
    assert len(found) >= 20
