"""
What the measures share: a whole stack of its own, a clerk who costs the server no looks, CPU by process, reports.

Every measure is a module with `measure()`; `python -m bench` runs them all and writes `docs/benchmarks.md`,
`python -m bench.latency` runs one. Cases are what `aftersales up` makes of them on free ports in a folder that is
thrown away, with PostgreSQL as durable as in a shop.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import UUID

import psutil
import psycopg
from sqlalchemy.engine import make_url

from aftersales import clock
from aftersales.imports.sales import Sale, SoldLine
from aftersales.stack import prefect_settings
from aftersales.store import engine, orders
from tests.conftest import Shop

# where a measure leaves its report for whoever runs them all
REPORT = "BENCH_REPORT"
PATIENCE = 120.0


# --- reports --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what, how much, against which goal (none: it is only told)."""

    what: str
    measured: str
    goal: str = ""
    met: bool | None = None

    @property
    def row(self) -> str:
        """The figure as a row of the table."""
        verdict = "" if self.met is None else ("met" if self.met else "**missed**")
        return f"| {self.what} | {self.measured} | {self.goal} | {verdict} |"


@dataclass
class Report:
    """What a measure found, and how, in Markdown."""

    title: str
    how: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def tell(self, what: str, measured: str, goal: str = "", met: bool | None = None) -> None:
        """Add a figure."""
        self.figures.append(Figure(what, measured, goal, met))

    @property
    def missed(self) -> bool:
        """True when a goal was not met."""
        return any(figure.met is False for figure in self.figures)

    def markdown(self) -> str:
        """The report as a section."""
        return "\n\n".join([f"## {self.title}", self.how, figures(self.figures), *self.tables])


def figures(told: Collection[Figure]) -> str:
    """Figures as one table."""
    return table(("Figure", "Measured", "Goal", ""), [], rows=[figure.row for figure in told])


def table(heads: Collection[str], lines: Collection[Collection[object]], *, rows: Collection[str] = ()) -> str:
    """A Markdown table."""
    told = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *told, *rows])


def main(measure: Callable[[], Any]) -> None:
    """Measure, print the report, leave it where it was asked for; ends with 1 when a goal was missed."""
    # a measure that is told to stop takes its stack down
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = measure()
    report: Report = asyncio.run(found) if inspect.isawaitable(found) else found
    print(report.markdown(), flush=True)
    if where := os.environ.get(REPORT):
        Path(where).write_text(json.dumps(asdict(report), ensure_ascii=False))
    sys.exit(1 if report.missed else 0)


def say(what: str) -> None:
    """Tell whoever waits where the measure stands."""
    print(f"… {what}", file=sys.stderr, flush=True)


def p50_p95(values: Collection[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    return median(values), quantiles(values, n=20, method="inclusive")[-1]


# --- a stack --------------------------------------------------------------------------------------------------------


class Stack:
    """A whole shop as `make run` starts it, and what its processes have used."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        found = shop.stack
        assert found is not None
        self.found = found
        self.prefect_url = prefect_settings.prefect_url(found.database_url)

    def pid(self, name: str) -> int:
        """The process of a name: postgres, server, worker, serve."""
        found = self.shop.stack
        assert found is not None
        return found.processes[name].pid

    def cpu(self, **others: int) -> dict[str, float]:
        """CPU seconds used so far by server, worker and PostgreSQL, or by the processes named instead."""
        pids = {name: self.pid(name) for name in ("server", "postgres", "worker")} | others
        return {name: used(pid) for name, pid in pids.items()}

    @contextmanager
    def resting_worker(self) -> Iterator[None]:
        """Our worker lies still for the block, so that another one has the desk for itself."""
        pid = self.pid("worker")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def environment(self, *, api_url: str = "") -> dict[str, str]:
        """The environment of another worker of this stack; it finds the desk by it, not by the stack's home."""
        home = self.shop.home.with_name("beside")
        home.mkdir(exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "AFTERSALES_"))}
        return {
            **clean,
            **prefect_settings.client(home=home, api_url=api_url or self.found.api_url),
            "AFTERSALES_HOME": str(home),
            "AFTERSALES_DATABASE_URL": self.found.database_url,
        }


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can enter, thrown away at the end."""
    place = Path(tempfile.mkdtemp(prefix="aftersales-bench-"))
    place.chmod(0o711)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def stack(*, at: Path | None = None, **environment: str) -> Iterator[Stack]:
    """A running stack, of another checkout if need be; this process's Prefect client and database are pointed to it."""
    with folder() as place:
        shop = Shop(place / "shop", at=at, **environment)
        try:
            shop.start()
            running = Stack(shop)
            os.environ.update(prefect_settings.client(home=shop.home, api_url=running.found.api_url))
            from prefect.context import refresh_global_settings_context

            refresh_global_settings_context()
            engine.connect(running.found.database_url)
            yield running
            shop.stop()
        finally:
            shop.kill()


def used(pid: int) -> float:
    """CPU seconds of a process and everything it has started, also of what has ended and was waited for."""
    root = psutil.Process(pid)
    seconds = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            seconds += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue  # it ended between the two looks
    return seconds


def since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used between two looks, with the sum."""
    parts = {name: after[name] - before[name] for name in before}
    return {**parts, "all": sum(parts.values())}


async def settled(pid: int) -> None:
    """Wait until a worker's last subprocess has ended, and give the server a second for the events that come after."""
    while psutil.Process(pid).children(recursive=True):  # noqa: ASYNC110 - nothing tells us when it ends
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)


async def until(true: Callable[[], object], process: subprocess.Popen, log: Path, *, seconds: float = 240) -> None:
    """Wait for a process to be ready; fails with its log when it ends or takes too long."""
    limit = time.monotonic() + seconds
    while not true():
        if process.poll() is not None or time.monotonic() > limit:
            said = await asyncio.to_thread(log.read_text, errors="replace")
            raise RuntimeError(f"did not come up (exit {process.poll()}): {said[-3000:]}")
        await asyncio.sleep(0.1)


# --- a clerk --------------------------------------------------------------------------------------------------------

RETURNS = "returns/退货"
# what the UI sends, in the words that the forms show
ANSWERS: dict[str, dict[str, Any]] = {
    "review": {"operator": "C08 陈晓", "decision": "通过"},
    "pickup": {"operator": "L02 孙磊", "carrier": "顺丰", "tracking_no": "SF100200300"},
    "receipt": {"operator": "W02 郑凯", "rest": "全部到齐"},
    "inspection": {"operator": "W03 冯雪", "result": "通过"},
    "refund": {"operator": "A03 马琳", "reference": "ALI-2026-0001"},
}


class Clerk:
    """
    Applies and submits by the calls that the UI makes, and sees what is open in Prefect's database.

    A look there costs the server nothing, so that what is measured is the work and not the looking.
    """

    def __init__(self, running: Stack, client: Any, database: psycopg.AsyncConnection) -> None:
        self.running, self.client, self.database = running, client, database
        self._deployment: UUID | None = None
        self._sold = 0

    async def sell(self, count: int) -> list[str]:
        """Sell orders of one line at 200.00, received three days ago."""
        now = clock.now()
        numbers = [f"B{os.getpid()}-{self._sold + n:05d}" for n in range(count)]
        self._sold += count
        async with engine.transaction() as connection:
            await orders.insert(connection, [_sale(number, now) for number in numbers], source="bench")
        return numbers

    async def apply(self, order_no: str) -> UUID:
        """Send in the form of the deployment `退货`; answers the run."""
        if self._deployment is None:
            self._deployment = (await self.client.read_deployment_by_name(RETURNS)).id
        request = {
            "operator": "C07 王小明",
            "order_no": order_no,
            "items": [{"sku": "SKU-1", "quantity": 1}],
            "reason": "七天无理由",
            "shipping": "上门取件",
        }
        response = await self.client.request(
            "POST",
            "/deployments/{id}/create_flow_run",
            path_params={"id": self._deployment},
            json={
                "parameters": {"request": request},
                "enforce_parameter_schema": True,
                "state": {"type": "SCHEDULED", "state_details": {}},
            },
        )
        return UUID(response.json()["id"])

    async def submit(self, run_id: UUID) -> None:
        """Fill in the form that a run shows and send it as the UI's Resume does."""
        await self.send(run_id, await self.answer(run_id))

    async def answer(self, run_id: UUID) -> dict[str, Any]:
        """What a clerk fills in: the form's defaults and the gate's usual answer."""
        key, schema = await self.form(run_id)
        drawn = {name: each["default"] for name, each in schema["properties"].items() if "default" in each}
        return {**drawn, **ANSWERS[key.split("-")[0]]}

    async def send(self, run_id: UUID, answer: Mapping[str, Any]) -> None:
        """Send a form as the UI's Resume does."""
        told = await self.client.resume_flow_run(run_id, run_input=dict(answer))
        assert told.status.value == "ACCEPT", told.details

    async def form(self, run_id: UUID) -> tuple[str, dict[str, Any]]:
        """The key and the schema of the form that a run shows."""
        row = await (
            await self.database.execute(
                "select s.state_details->>'pause_key', i.value from flow_run r join flow_run_state s on s.id = r.state_id"
                " join flow_run_input i on i.flow_run_id = r.id"
                " and i.key = 'suspended-' || (s.state_details->>'pause_key') || '-schema' where r.id = %s",
                [run_id],
            )
        ).fetchone()
        assert row is not None, "the run shows no form"
        return row[0], json.loads(row[1])

    async def at(self, gate: str, runs: Collection[UUID], *, every: float = 0.05, patience: float = PATIENCE) -> float:
        """Wait until every run shows a form of a gate that has its schema; an empty gate is the end. Answers when."""
        until = time.perf_counter() + patience
        while True:
            if gate:
                query = (
                    "select r.id from flow_run r join flow_run_state s on s.id = r.state_id"
                    " join flow_run_input i on i.flow_run_id = r.id"
                    " and i.key = 'suspended-' || (s.state_details->>'pause_key') || '-schema'"
                    " where r.id = any(%s) and r.state_type = 'PAUSED' and s.state_details->>'pause_key' like %s"
                )
                found = await (await self.database.execute(query, [list(runs), f"{gate}-%"])).fetchall()
            else:
                query = "select id from flow_run where id = any(%s) and state_type = 'COMPLETED'"
                found = await (await self.database.execute(query, [list(runs)])).fetchall()
            if len(found) == len(runs):
                return time.perf_counter()
            if time.perf_counter() > until:
                raise TimeoutError(
                    f"{len(found)} of {len(runs)} runs are at {gate or 'the end'}: {await self.told(runs)}"
                )
            await asyncio.sleep(every)

    async def told(self, runs: Collection[UUID]) -> str:
        """How many runs are in which state."""
        query = "select state_name, count(*) from flow_run where id = any(%s) group by 1 order by 2 desc"
        return ", ".join(
            f"{name} {n}" for name, n in await (await self.database.execute(query, [list(runs)])).fetchall()
        )

    async def case_of(self, run_id: UUID) -> str:
        """The case that a run tells."""
        from aftersales.store import cases

        async with engine.transaction() as connection:
            found = await cases.case_of_run(connection, run_id)
        assert found is not None
        return found

    async def scan(self, run_id: UUID) -> None:
        """Tell that the parcel has arrived, as a scanner does, and wake the run."""
        from aftersales.desk import runs
        from aftersales.words import Event
        from tasks import outside

        case_no = await self.case_of(run_id)
        await outside.signal(
            case_no,
            Event.PARCEL_RECEIVED,
            actor="carrier",
            data={"tracking_no": f"SF{self._sold}{str(run_id.int)[:9]}"},
        )
        # the worker's own look for sleepers may have been faster
        await runs.wake(self.client, case_no)

    async def hush(self) -> None:
        """Let no round come by itself."""
        for deployment in await self.client.read_deployments():
            if deployment.schedules:
                await self.client.pause_deployment(deployment.id)


def _sale(number: str, now: Any) -> Sale:
    delivered_at = now - timedelta(days=3)
    line = SoldLine(
        line_no=1,
        sku="SKU-1",
        name="台灯",
        category="家居",
        quantity=1,
        paid=Decimal("200.00"),
        delivered_at=delivered_at,
        is_gift=False,
        warranty_months=12,
        attributes={},
    )
    return Sale(
        order_no=number,
        channel="官方网站",
        ordered_at=now - timedelta(days=6),
        lines=(line,),
        customer_no=f"U{number}",
        name="李小红",
        phone="10212345678",
        email="",
        region="浙江 杭州",
        freight=Decimal("0.00"),
        insured_freight=Decimal("0.00"),
        payment_route="支付宝",
    )


def clerk(running: Stack) -> Any:
    """A clerk for the block."""
    from contextlib import asynccontextmanager

    from prefect.client.orchestration import get_client

    @asynccontextmanager
    async def hired() -> Any:
        async with (
            get_client() as client,
            await psycopg.AsyncConnection.connect(running.prefect_url, autocommit=True) as database,
        ):
            yield Clerk(running, client, database)
        await engine.disconnect()

    return hired()


def spread(values: Collection[float], unit: str = "s", digits: int = 2) -> str:
    """A median with the least and the most."""
    middle = f"{median(values):.{digits}f}"
    return f"{middle} {unit} [{min(values):.{digits}f}–{max(values):.{digits}f}]"


def plain(url: str) -> str:
    """The URL as libpq reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
