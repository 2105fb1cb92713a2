"""What breaks around a leg: a page deleted, a worker told to stop, a database cut off, too many inputs (design §3, §10)."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import ArtifactCollectionFilter
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk import runs
from aftersales.desk import worker as workers
from aftersales.store import cases, engine, installation
from aftersales.store.engine import transaction
from aftersales.words import Unable
from tests.traps.conftest import PATIENCE, Desk, Process, Run
from tests.traps.hanging_worker import Paper

# the supervisor kills a worker that takes longer
SUPERVISOR_SECONDS = 5.0
FILLERS = runs.PAGE + 10


async def test_pages_that_somebody_deleted_are_written_anew(staffed: Desk):
    """A case's pages and a work list, deleted in the UI: the next leg writes new ones, the leg after keeps those."""
    run = await staffed.apply()
    await run.fill("review-0")
    await run.at("pickup-0-1")
    old = await pages_of(run)
    no = (await run.case_no()).lower()
    assert set(old) == {f"{no}-timeline", f"{no}-quote", "pickup-list"}
    for artifact_id in old.values():
        await staffed.client.request("DELETE", "/artifacts/{id}", path_params={"id": artifact_id})

    await run.fill("pickup-0")
    await run.at("receipt-0-1")
    new = await pages_of(run)
    await run.fill("receipt-0")
    await run.at("inspection-0-1")
    kept = await pages_of(run)

    assert set(old) < set(new)
    assert not set(old.values()) & set(new.values())
    assert kept == new
    shown = await staffed.client.read_latest_artifacts(
        artifact_filter=ArtifactCollectionFilter.model_validate({"key": {"any_": list(kept)}})
    )
    assert {page.key: str(page.latest_id) for page in shown} == kept
    assert all(str(page.data).startswith("# ") for page in shown)
    assert "Failed" not in await run.states()


async def test_a_page_that_has_not_changed_is_not_written_again(staffed: Desk):
    """The pick-up changes what happened, not what is paid."""
    run = await staffed.apply()
    await run.fill("review-0")
    await run.at("pickup-0-1")
    before = await written_at(run)

    await run.fill("pickup-0")
    await run.at("receipt-0-1")

    no = (await run.case_no()).lower()
    after = await written_at(run)
    assert after[f"{no}-quote"] == before[f"{no}-quote"]
    assert after[f"{no}-timeline"] > before[f"{no}-timeline"]


async def written_at(run: Run) -> dict[str, Any]:
    """When each page of a case was written last."""
    async with transaction() as connection:
        pages = await cases.artifacts(connection, run.run_id)
    found = {
        key: await run.client.request("GET", "/artifacts/{id}", path_params={"id": page["id"]})
        for key, page in pages.items()
    }
    return {key: answer.json()["updated"] for key, answer in found.items()}


async def test_trap_15_a_worker_told_to_stop_leaves_a_hanging_call_to_the_next(
    desk: Desk, paper: Paper, process: Callable[..., Process]
):
    """Trap 15: SIGTERM while a call to the outside hangs: gone before it is killed, its run neither crashed nor failed."""
    async with desk.worker():
        run = await desk.apply()
        await run.at("review-0-1")
    url = engine.engine().url.render_as_string(hide_password=False)
    told = process(
        "tests.traps.hanging_worker", "after", "book-pickup-0", str(paper.sheet), AFTERSALES_DATABASE_URL=url
    )
    await run.submit()
    await told.says("after")

    began = time.monotonic()
    told._process.terminate()
    exit_code = await asyncio.to_thread(told._process.wait, 2 * SUPERVISOR_SECONDS)
    seconds = time.monotonic() - began

    assert exit_code == 0
    assert workers.DRAIN_SECONDS <= seconds < SUPERVISOR_SECONDS
    assert (await run.states())[-1] == "Running"
    async with desk.worker():
        await run.at("pickup-0-1")
    assert paper.calls == [f"{await run.case_no()}/book-pickup-0"]
    assert not {"Crashed", "Failed", "Cancelled"} & set(await run.states())
    assert (await run.states()).count("Recovering") == 1


async def cut(connection: AsyncConnection) -> None:
    """Take the connection away under a statement, as a database that restarts does."""
    await connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))


async def refuse(connection: AsyncConnection) -> None:
    """Fail as a connection does that cannot be made."""
    raise psycopg.OperationalError("connection refused")


async def trip(connection: AsyncConnection) -> None:
    """Fail as our own code does."""
    raise ValueError("a bug")


@pytest.mark.parametrize("outage", [cut, refuse])
async def test_a_leg_that_an_outage_of_our_database_ended_is_told_again(
    desk: Desk,
    paper: Paper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    outage: Callable[[AsyncConnection], Awaitable[None]],
):
    """The run stays Running, the healer takes it up, and what was called before the outage is not called again."""
    caplog.set_level(logging.INFO, "aftersales.worker")
    async with desk.worker() as worker:
        run = await desk.apply()
        await run.at("review-0-1")
        happened = break_once(monkeypatch, outage, gate="pickup")
        await run.submit()
        await asyncio.wait_for(happened.wait(), 30)
        await idle(worker)
        assert (await run.states())[-1] == "Running"

        await worker.heal()

        await run.at("pickup-0-1")
    assert not {"Crashed", "Failed"} & set(await run.states())
    assert len([told for told in caplog.messages if told.startswith("Healed")]) == 1
    assert len(paper.calls) == 1


async def test_a_bug_is_no_outage(staffed: Desk, paper: Paper, monkeypatch: pytest.MonkeyPatch):
    """What no repetition mends ends the run Failed, for everybody to see."""
    run = await staffed.apply()
    await run.at("review-0-1")
    break_once(monkeypatch, trip, gate="pickup")

    await run.submit()

    found = await run.ends("Failed")
    assert "a bug" in (found.state.message or "")  # type: ignore[union-attr]


async def test_an_answer_after_more_inputs_than_prefect_gives_at_once(staffed: Desk):
    """A run with so many inputs that the newest, the answer, is on the second page: it is found and taken."""
    run = await staffed.apply()
    await run.at("review-0-1")
    answer = await run.answer()
    at_once = asyncio.Semaphore(20)

    async def fill(number: int) -> None:
        async with at_once:
            await staffed.client.create_flow_run_input(
                run.run_id, f"suspended-filler-{number}-schema", json.dumps({"type": "object"})
            )

    await asyncio.gather(*(fill(number) for number in range(FILLERS)))
    assert (await run.submit(answer))[0] == "ACCEPT"

    await run.at("pickup-0-1")
    assert (await run.journal())["review-0"].actor == "C08"
    assert await run.legs() == 2


async def test_a_command_wakes_a_run_though_prefect_was_imported_too_early(
    staffed: Desk, prefect_api: str, monkeypatch: pytest.MonkeyPatch
):
    """Prefect read its settings before the stack was found: the address in the environment counts, or none does."""
    run = await staffed.apply()
    await run.at("review-0-1")
    await run.command("review", "C02", wake=False, decision="approve")

    monkeypatch.delenv("PREFECT_API_URL")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert not PREFECT_API_URL.value()
        with pytest.raises(Unable, match="Prefect 服务没有运行"):
            await runs.wake_from_outside(await run.case_no())
        monkeypatch.setenv("PREFECT_API_URL", prefect_api)
        assert not PREFECT_API_URL.value()

        assert await runs.wake_from_outside(await run.case_no()) is True

    await run.at("pickup-0-1")
    assert (await run.journal())["review-0"].actor == "C02"


def break_once(
    monkeypatch: pytest.MonkeyPatch, breaks: Callable[[AsyncConnection], Awaitable[None]], *, gate: str
) -> asyncio.Event:
    """Break the next look whether a gate is open, in the middle of its transaction; the event tells when."""
    happened = asyncio.Event()
    look = cases.open_gate

    async def broken(connection: AsyncConnection, case_no: str, asked: str) -> Any:
        if asked == gate and not happened.is_set():
            happened.set()
            await breaks(connection)
        return await look(connection, case_no, asked)

    monkeypatch.setattr(cases, "open_gate", broken)
    return happened


async def idle(worker: workers.Worker) -> None:
    """Wait until no leg of a worker is under way."""
    if worker.is_busy:
        await asyncio.wait(list(worker._legs.values()), timeout=30)
    assert not worker.is_busy


async def pages_of(run: Run) -> dict[str, str]:
    """The ids, by key, of a case's pages and of the work lists."""
    async with transaction() as connection:
        found = {key: page["id"] for key, page in (await cases.artifacts(connection, run.run_id)).items()}
        for key in ("pickup-list", "refund-list"):
            if known := await installation.lock(connection, f"page:{key}"):
                found[key] = known["id"]
    return found


@pytest.mark.parametrize(("prepare", "code"), [("worker.outlive_the_reader()", 7), ("pass", 1)], ids=["ours", "rich"])
def test_a_worker_whose_supervisor_was_killed_goes_on_without_its_log(prepare: str, code: int):
    """Nobody reads the pipe any more: a log line must not end the leg it is written in."""
    program = f"""
import os, sys
from prefect.logging.handlers import PrefectConsoleHandler
import logging
from aftersales.desk import worker
{prepare}
reader, writer = os.pipe()
os.dup2(writer, 2)
os.close(writer)
os.close(reader)
logging.getLogger("leg").addHandler(PrefectConsoleHandler(stream=sys.stderr))
logging.getLogger("leg").warning("nobody reads this")
os._exit(7)
"""

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == code


async def test_a_worker_outlives_the_loss_of_its_work_pool(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """With Prefect's database the pool is gone: the worker waits until somebody deploys anew, and goes on."""
    caplog.set_level(logging.WARNING, "aftersales.worker")
    theirs = workers.POOL
    monkeypatch.setattr(workers, "POOL", "short-lived")
    await desk.client.create_work_pool(WorkPoolCreate(name="short-lived", type="process"))

    async with desk.worker():
        await desk.client.delete_work_pool("short-lived")
        deadline = time.monotonic() + PATIENCE
        while not any("short-lived is gone" in message for message in caplog.messages):
            assert time.monotonic() < deadline, caplog.messages
            await asyncio.sleep(0.05)
        monkeypatch.setattr(workers, "POOL", theirs)
        run = await desk.apply()
        await run.at("review-0-1")
