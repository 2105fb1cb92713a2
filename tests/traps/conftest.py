"""
Cases on a real Prefect server and a real PostgreSQL, answered by the same calls that the UI makes.

Workers are ours, in this process; where one must be killed, it is a process of its own (`hanging_worker.py`).
Nothing here sleeps and hopes: `Run.at` waits for the form that it names and fails with what it saw instead.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from sqlalchemy import text
from sqlalchemy.engine import make_url

from aftersales.desk import deployments, runs
from aftersales.desk import worker as workers
from aftersales.stack import deploy
from aftersales.store import cases, journal
from aftersales.store.engine import transaction
from aftersales.words import Event
from tests.stories.conftest import Shop
from tests.traps.hanging_worker import Paper

PATIENCE = 90.0
RETURNS, ARRIVALS, CANCELLATION = "returns/退货", "arrivals/到件登记", "cancellation/取消售后单"
EXTENSION = "extension/延期"

# what the UI sends, in the words that the forms show
ANSWERS: dict[str, dict[str, Any]] = {
    "review": {"operator": "C08 陈晓", "decision": "通过"},
    "question": {"operator": "C07 王小明", "answer": "照片已发"},
    "correction": {"operator": "C07 王小明", "decision": "补正重提"},
    "exception": {"operator": "A01 何静", "decision": "批准", "reason": "情况属实"},
    "tracing": {"operator": "L02 孙磊", "result": "已找到", "note": "在分拨中心"},
    "pickup": {"operator": "L02 孙磊", "carrier": "顺丰", "tracking_no": "SF100200300"},
    "receipt": {"operator": "W02 郑凯", "rest": "全部到齐"},
    "inspection": {"operator": "W03 冯雪", "result": "通过"},
    "refund": {"operator": "A03 马琳", "reference": "ALI-2026-0001"},
}
MAIN_WAY = ("review", "pickup", "receipt", "inspection", "refund")


class Run:
    """A run of a deployment, as people at the desk see it, and what its case left in our database."""

    def __init__(self, client: PrefectClient, run_id: UUID) -> None:
        self.client = client
        self.run_id = run_id

    async def seen(self) -> FlowRun:
        """The run as it is now."""
        return await self.client.read_flow_run(self.run_id)

    async def until(self, true: Callable[[FlowRun], bool], what: str) -> FlowRun:
        """Wait for something to be true of the run."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not true(found := await self.seen()):
            assert found.state is not None
            if found.state.is_final() or asyncio.get_running_loop().time() > deadline:
                pytest.fail(f"expected {what}, but {found.name!r} is {_told(found)}")
            await asyncio.sleep(0.1)
        return found

    async def at(self, form: str) -> Run:
        """Wait for a form: `review-0-1` is the first showing of the review's first round, `review-0` any showing."""
        await self.until(lambda found: _is_at(found, form), f"form {form}")
        return self

    async def ends(self, state: str = "Completed") -> FlowRun:
        """Wait for the run's end."""
        found = await self.until(lambda found: bool(found.state and found.state.is_final()), "the end")
        assert found.state is not None
        assert found.state.name == state, _told(found)
        return found

    async def form(self) -> dict[str, Any]:
        """The JSON schema of the form that stands open."""
        return (await self.inputs())[f"suspended-{pause_key(await self.seen())}-schema"]

    async def page(self) -> str:
        """What stands above the form that is open."""
        return (await self.inputs())[f"suspended-{pause_key(await self.seen())}-description"]

    async def inputs(self) -> dict[str, Any]:
        """The run's inputs by key: schema, description and response of every form shown."""
        rows = await self.client.filter_flow_run_input(
            self.run_id, key_prefix="suspended-", limit=200, exclude_keys=set()
        )
        return {row.key: row.decoded_value for row in rows}

    async def answer(self, **changes: Any) -> dict[str, Any]:
        """What a clerk would send now: the form's defaults, the gate's usual answer, and the changes."""
        properties = (await self.form())["properties"]
        gate = pause_key(await self.seen()).split("-")[0]
        drawn = {name: field["default"] for name, field in properties.items() if "default" in field}
        return {**drawn, **ANSWERS[gate], **changes}

    async def submit(self, answer: dict[str, Any] | None = None, **changes: Any) -> tuple[str, str]:
        """Send an answer as the UI's Resume does; answers the server's verdict and its reason."""
        sent = await self.answer(**changes) if answer is None else answer
        try:
            told = await self.client.resume_flow_run(self.run_id, run_input=sent)
        except httpx.HTTPStatusError as error:
            return f"HTTP {error.response.status_code}", error.response.text
        return told.status.value, str(getattr(told.details, "reason", "") or "")

    async def fill(self, form: str, **changes: Any) -> None:
        """Wait for a form and answer it."""
        await self.at(form)
        status, reason = await self.submit(**changes)
        assert status == "ACCEPT", reason

    async def along(self, *gates: str) -> Run:
        """Answer the first round of each gate by its form."""
        for gate in gates:
            await self.fill(f"{gate}-0")
        return self

    async def command(self, gate: str, operator: str, *, wake: bool = True, **answer: Any) -> bool:
        """Decide as `aftersales decide` does; answers whether the run was woken."""
        from tasks import outside

        await outside.decide(await self.case_no(), gate, operator=operator, answer=answer)
        return await runs.wake(self.client, await self.case_no()) if wake else False

    async def signal(self, event: Event, *, wake: bool = True, **data: Any) -> bool:
        """Tell an event as a scanner does; answers whether the run was woken."""
        from tasks import outside

        await outside.signal(await self.case_no(), event, actor="carrier", data=data)
        return await runs.wake(self.client, await self.case_no()) if wake else False

    async def case_no(self) -> str:
        """The case that this run tells."""
        async with transaction() as connection:
            return await cases.case_of_run(connection, self.run_id) or ""

    async def case(self) -> cases.Case:
        """Where the case stands."""
        async with transaction() as connection:
            found = await cases.read(connection, await self.case_no())
        assert found is not None
        return found

    async def journal(self) -> dict[str, journal.Entry]:
        """What happened so far."""
        async with transaction() as connection:
            return await journal.read(connection, await self.case_no())

    async def rows(self, table: str, where: str = "true") -> list[Any]:
        """The case's rows of a table."""
        async with transaction() as connection:
            query = f"select * from {table} where case_no = :c and ({where})"
            return list((await connection.execute(text(query), {"c": await self.case_no()})).all())

    async def states(self) -> list[str]:
        """The names of the states the run went through, oldest first."""
        found = await self.client.read_flow_run_states(self.run_id)
        return [str(state.name) for state in sorted(found, key=lambda state: state.timestamp)]

    async def legs(self) -> int:
        """How often the story was told."""
        return (await self.states()).count("Running")

    async def tasks(self) -> list[str]:
        """The names of the run's task runs."""
        found = await self.client.read_task_runs(
            flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [self.run_id]}})
        )
        return sorted(task.name.rpartition("-")[0] for task in found)


class Desk(Shop):
    """The shop with its desk: who starts deployments, and who works behind it."""

    def __init__(self, client: PrefectClient) -> None:
        self.client = client

    async def start(self, deployment: str, request: Any, *, enforce: bool = True, **others: Any) -> Run:
        """Run a deployment as the UI does; `enforce=False` is the switch in its form that asks for no check."""
        found = await self.client.read_deployment_by_name(deployment)
        response = await self.client.request(
            "POST",
            "/deployments/{id}/create_flow_run",
            path_params={"id": found.id},
            json={"parameters": {"request": request, **others}, "enforce_parameter_schema": enforce, "state": _NOW},
        )
        return Run(self.client, UUID(response.json()["id"]))

    async def apply(self, order_no: str = "D1", **changes: Any) -> Run:
        """Sell an order and apply for its return."""
        await self.order(order_no)
        return await self.start(RETURNS, self.request(order_no, **changes))

    def request(self, order_no: str = "D1", **changes: Any) -> dict[str, Any]:
        """The application as the form shows it."""
        return self.application(
            order_no, **{"operator": "C07 王小明", "reason": "七天无理由", "shipping": "上门取件", **changes}
        )

    @asynccontextmanager
    async def worker(self, name: str = "worker") -> AsyncIterator[workers.Worker]:
        """Our worker, in this process. At the end it must still be alive, and it drains."""
        ready = asyncio.Event()
        hired: list[workers.Worker] = []

        async def work() -> None:
            async with workers.hired(name=name, poll_seconds=0.05) as worker:
                hired.append(worker)
                await worker.run(ready.set)

        working = asyncio.create_task(work())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        waiting.cancel()
        if working.done():
            working.result()
        try:
            yield hired[0]
            assert not working.done(), "the worker died"
        finally:
            for worker in hired:
                worker.stop()
            await working


Hire = Callable[..., AbstractAsyncContextManager[workers.Worker]]
_NOW = {"type": "SCHEDULED", "state_details": {}}


def pause_key(found: FlowRun) -> str:
    """The key of the form that a run waits at, empty when it waits at none."""
    return (found.state and found.state.is_paused() and found.state.state_details.pause_key) or ""


def _is_at(found: FlowRun, form: str) -> bool:
    key = pause_key(found)
    return key == form or key.rpartition("-")[0] == form


def _told(found: FlowRun) -> str:
    assert found.state is not None
    return f"{found.state.name} {pause_key(found)} {found.state.message or ''}"


@pytest.fixture(scope="session")
def deployed(prefect_api: str, postgres: str, migrated: str) -> Iterator[None]:
    """Everything in `prefect.yaml`, deployed as `aftersales up` does it."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f'create database deploying template "{migrated}"')
    url = make_url(postgres).set(database="deploying").render_as_string(hide_password=False)
    deploy.run(database_url=url, api_url=prefect_api, auth="", refine=deployments.refine)
    yield
    # while there is still a server to send to: at the end of this process they would go on trying for a minute
    for late in (APILogWorker, EventsWorker):
        late.drain_all(timeout=5)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("drop database deploying with (force)")


@pytest.fixture
async def desk(deployed: None, database: str) -> AsyncIterator[Desk]:
    """A shop with its desk and nobody behind it yet; what it leaves open in Prefect is taken away."""
    async with get_client() as client:
        try:
            yield Desk(client)
        finally:
            left = await client.read_flow_runs(
                work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [workers.POOL]}})
            )
            for run in left:
                await client.delete_flow_run(run.id)


@pytest.fixture
async def staffed(desk: Desk, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Desk]:
    """A shop with its desk and one worker, which in the end has had nothing to heal: no leg was left half told."""
    caplog.set_level(logging.INFO, "aftersales.worker")
    async with desk.worker():
        yield desk
    assert not [told for told in caplog.messages if told.startswith(("Healed", "A leg ended badly"))]


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paper:
    """The outside world on a sheet of paper, where every call that lands is counted."""
    from tasks import money, parcels

    sheet = Paper(tmp_path / "sheet")
    monkeypatch.setattr(parcels, "carrier", lambda leg: sheet)
    monkeypatch.setattr(money, "cashier", lambda: sheet)
    return sheet


class Process:
    """A worker in a process of its own, which tells what it is about to do, line by line."""

    def __init__(self, *command: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def says(self, word: str) -> None:
        """Wait until it says something."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await asyncio.to_thread(self._process.stdout.readline):
                if json.loads(line) == word:
                    return
        pytest.fail(f"the worker ended without saying {word!r}")

    def kill(self) -> None:
        """End it as a machine that loses power does."""
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    """Start `python -m …`; whatever still runs is killed at the end."""
    started: list[Process] = []

    def start(*command: str, **environment: str) -> Process:
        started.append(Process(*command, **environment))
        return started[-1]

    yield start
    for each in started:
        each.kill()
