"""A case that workers die over, people who are patient with it, and what must hold of it afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from sqlalchemy import text

from aftersales.desk.worker import POOL
from aftersales.rules import chain
from aftersales.store import cases, engine
from aftersales.store.engine import transaction
from aftersales.words import Stage
from tests.traps.conftest import Desk, Run, pause_key
from tests.traps.hanging_worker import Paper

# two of an article, in two parcels: two receipts, two refunds
LAMPS = [("SKU-1", "台灯", 2, "200.00")]
WANTED = [{"sku": "SKU-1", "quantity": 2}]
MORE_COMES = "其余还会寄来"
# a bound for what never comes, on a machine with other work too; a case that workers die over comes to no gate for long
PATIENCE = 900.0
# what people meet while the server or its database is away; the client itself repeats some of it
OUT_OF_ORDER = (httpx.TransportError, httpx.HTTPStatusError)
# what a run must not be left in; Suspended is a gate, Completed the end
UNSETTLED = ("RUNNING", "PENDING", "SCHEDULED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING")


@dataclass(frozen=True, slots=True)
class Moment:
    """A write of a whole case: its name, which of its name it is, and what kinds of write it is."""

    name: str
    nth: int
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return self.name if self.nth == 1 else f"{self.name} #{self.nth}"


class Nursery:
    """Workers that die at a moment of our choice (`mortal_worker.py`)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.traps.faults.mortal_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._child = 0
        self.dying: asyncio.Task[dict[str, Any]]

    async def raise_one(self, folder: Path, paper: Paper, *, at: Moment | None = None, where: str = "") -> None:
        """Let a worker begin that dies before or after a moment; without one it lives until `kill`."""
        assert self._process.stdin is not None
        order = {
            "database": engine.engine().url.render_as_string(hide_password=False),
            "sheet": str(paper.sheet),
            "told": str(folder / "told"),
            "name": at.name if at else "",
            "nth": at.nth if at else 0,
            "where": where,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self._child = (await self._hears())["born"]
        self.dying = asyncio.create_task(self._hears())

    async def ends(self) -> int:
        """Wait until the worker has died; answers its exit code."""
        ended = (await asyncio.shield(self.dying))["ended"]
        self._child = 0
        return ended

    async def kill(self) -> None:
        """End the worker as a machine that loses power does."""
        if self._child:
            os.kill(self._child, signal.SIGKILL)
            await self.ends()

    def close(self) -> None:
        """End everything, also when a test has failed in the middle."""
        if self._child:
            try:
                os.kill(self._child, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it was faster
        self._process.kill()
        self._process.wait(10)

    async def _hears(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        assert line, "the nursery ended"
        return json.loads(line)


@pytest.fixture
def nursery(deployed: None) -> Iterator[Nursery]:
    """A nursery of workers that die."""
    made = Nursery()
    yield made
    made.close()


class Log:
    """What a long test has seen, line by line, on the terminal and in `var/soak.log`."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def title(self, text: str) -> None:
        """Begin another part."""
        self.line(f"\n## {text}\n")

    def line(self, text: str) -> None:
        """Tell one thing."""
        print(text, flush=True)
        with self._file.open("a") as file:
            file.write(f"{text}\n")


@pytest.fixture(scope="session")
def soak_log() -> Log:
    """The log of this soak; the one before it is lost."""
    file = Path("var/soak.log")
    file.parent.mkdir(exist_ok=True)
    file.write_text("# What the soak has seen\n")
    return Log(file)


def told(folder: Path) -> list[dict[str, Any]]:
    """What the workers of a case told of their moments."""
    file = folder / "told"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def moments(folder: Path) -> list[Moment]:
    """Every write that the workers of a case came to."""
    return [Moment(line["name"], line["nth"], tuple(line["kinds"])) for line in told(folder) if "number" in line]


def deaths(folder: Path) -> list[tuple[str, str]]:
    """Where the workers of a case died: before or after which write."""
    return [(line["died"], line["name"]) for line in told(folder) if "died" in line]


async def forget_lists() -> None:
    """Let the next case publish the work lists anew, as the first one did: so that all have the same moments."""
    async with transaction() as connection:
        await connection.execute(text("delete from settings where name like 'page:%'"))


async def apply(desk: Desk, order_no: str) -> Run:
    """Apply for the return of two lamps."""
    await desk.order(order_no, lines=LAMPS)
    return await desk.start("returns/退货", desk.request(order_no, items=WANTED))


@dataclass
class People:
    """Whoever answers a case's forms, as often as it asks: patient, and remembering which answers were taken."""

    run: Run
    accepted: Counter[str] = field(default_factory=Counter)
    gate: str = ""

    async def finish(self, *, until: str = "") -> None:
        """Answer every form until the run ends, or until it stands at a form that is named."""
        while await self.reaches_a_gate() and self.gate != until:
            if not await self.answer():
                await asyncio.sleep(0.1)

    async def reaches_a_gate(self) -> bool:
        """Wait for the next form, or for the end of the run; False when it has ended."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    found = await self.run.seen()
                except OUT_OF_ORDER:
                    await asyncio.sleep(0.5)
                    continue
                assert found.state is not None
                self.gate = pause_key(found).rpartition("-")[0]
                if found.state.is_final() or self.gate:
                    return not found.state.is_final()
                await asyncio.sleep(0.1)

    async def answer(self) -> str:
        """Answer the form that stands open; answers its gate, empty when the answer was not taken."""
        try:
            answer = await self.run.answer()
        except (KeyError, *OUT_OF_ORDER):
            return ""  # no form stands open any more: somebody goes on with the case
        if self.gate == "receipt-0":
            answer |= {"items_": [{**answer["items_"][0], "quantity": 1}], "rest": MORE_COMES}
        verdict, reason = await self.run.submit(answer)
        assert verdict in ("ACCEPT", "ABORT"), f"{self.gate} was not taken: {verdict} {reason}"
        self.accepted[self.gate] += verdict == "ACCEPT"
        return self.gate if verdict == "ACCEPT" else ""


TABLES = {
    "journal": "entry, kind, actor, rule",
    "outbox": "entry, notice, recipient, state",
    "promises": "entry, stage, owner, rule, ended_at is not null as has_ended",
    "work": "key, kind, amount, route, state, reference",
    "units": "first_unit, end_unit, state",
    "restock": "entry, line_no, sku, quantity",
    "visits": "kind, owner",
    "inbox": "event, taken_at is not null as is_taken",
    "parks": "entry",
}
# what the reconciling round tells of its own doing, what the number of a case decides (RET-16), and copies of forms that
# were read: whether one is made depends on who comes first, the leg or the round
ASIDE = {
    "journal": "kind not in ('reconciled', 'sample')",
    "outbox": "entry not like 'run.%'",
    "inbox": "(event <> 'form.submitted' or taken_at is null)",
}


async def left_by(run: Run) -> dict[str, list[str]]:
    """What a case has left in every table of ours, in no order, without its number and its times."""
    case_no = await run.case_no()
    left: dict[str, list[str]] = {}
    async with transaction() as connection:
        for table, columns in TABLES.items():
            query = f"select {columns} from {table} where case_no = :c and {ASIDE.get(table, 'true')}"
            rows = await connection.execute(text(query), {"c": case_no})
            left[table] = sorted(str(tuple(row)).replace(case_no, "RT") for row in rows)
    return left


async def faults_of(
    run: Run,
    people: People,
    calls: list[str],
    reference: dict[str, list[str]] | None = None,
    *,
    of_all_runs: bool = True,
) -> list[str]:
    """
    Say what is wrong with a case that has ended: money, decisions, notices, promises, work, chain, runs.

    `calls` are the keys under which money was asked for outside; `reference` is what an undisturbed case leaves;
    `of_all_runs` looks also for other runs that are in between.
    """
    case_no = await run.case_no()
    wrong: list[str] = []
    states = await run.states()
    if states[-1] != "Completed" or {"Failed", "Crashed", "Cancelled"} & set(states):
        wrong.append(f"the run went through {states}")
    case = await run.case()
    if case.stage is not Stage.CLOSED or case.closed_at is None:
        wrong.append(f"the case is {case.stage}")
    paid = Counter(call for call in calls if call.startswith(f"{case_no}/"))
    if paid != Counter([f"{case_no}/refund-0", f"{case_no}/refund-1"]):
        wrong.append(f"refunds at the outside: {paid}")
    journal = await run.journal()
    decided = Counter(entry.entry for entry in journal.values() if entry.kind == "decision")
    if decided != people.accepted:
        wrong.append(f"decisions accepted {people.accepted}, kept {decided}")
    if odd := [name for name in journal if ".late" in name or ".refused" in name]:
        wrong.append(f"late or refused: {odd}")
    left = await left_by(run)
    for table, rows in left.items():
        if doubled := [row for row, count in Counter(rows).items() if count > 1]:
            wrong.append(f"{table} doubled: {doubled}")
        if reference is not None and rows != reference[table]:
            more, less = Counter(rows) - Counter(reference[table]), Counter(reference[table]) - Counter(rows)
            wrong.append(f"{table} too much: {list(more)}, too little: {list(less)}")
    wrong += [f"chain: {each}" for each in await breaks_of(case_no)]
    if answers := [key for key in await run.inputs() if key.endswith("-response")]:
        wrong.append(f"answers left in Prefect: {answers}")
    if of_all_runs and (unsettled := await unsettled_runs(run.client)):
        wrong.append(f"runs left: {unsettled}")
    return wrong


async def breaks_of(case_no: str) -> list[chain.Break]:
    """Where a case's journal does not hold together."""
    async with transaction() as connection:
        query = text("select * from journal where case_no = :c order by seq")
        rows = [dict(row) for row in (await connection.execute(query, {"c": case_no})).mappings()]
        end = (
            await connection.execute(text("select seq, last_hash from cases where case_no = :c"), {"c": case_no})
        ).one()
    return chain.breaks(rows, seq=end.seq, last_hash=end.last_hash)


async def unsettled_runs(client: PrefectClient) -> list[str]:
    """Runs that stand neither at a gate nor at their end."""
    found = await client.read_flow_runs(
        work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [POOL]}}),
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": list(UNSETTLED)}}}),
    )
    return [f"{run.name} {run.state_name}" for run in found]


async def living(client: PrefectClient, case_no: str) -> Run:
    """The run that tells a case now."""
    async with transaction() as connection:
        run_id: UUID | None = await cases.run_of_case(connection, case_no)
    assert run_id is not None
    return Run(client, run_id)
