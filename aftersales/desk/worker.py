"""
The in-process worker: it loads each flow once and tells every leg on its own loop (design §10).

Prefect's process worker starts two Python processes for every start and every resume, about twelve CPU seconds a
six-stage case; this one needs a fraction of a second. Nothing that matters is kept in memory: it may be killed at any
moment, and the next one heals what it left (a run whose case lock can be had is told by nobody).
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import sqlalchemy.exc
from prefect import Flow, flow_engine
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import (
    DeploymentResponse,
    OrchestrationResult,
    SetStateStatus,
    StateAcceptDetails,
)
from prefect.context import AsyncClientContext, ContextModel, SyncClientContext
from prefect.exceptions import Abort, ObjectNotFound, Pause
from prefect.flow_engine import run_flow_async
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)
from prefect.states import Failed, Pending, Running, Scheduled
from prefect.utilities.engine import propose_state
from rich.console import Console

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.desk import runs
from aftersales.desk.links import ROUND
from aftersales.desk.locks import Locks
from aftersales.store import desk, engine
from aftersales.store.engine import transaction

log = logging.getLogger("aftersales.worker")

POOL = "aftersales"
POLL_SECONDS = 0.25
# Prefect calls a queue and its deployments not ready when no worker has asked for a minute
ASK_SECONDS = 15.0
HEARTBEAT_SECONDS = 30.0
HEAL_SECONDS = 20.0
# how soon a limit that somebody sets on a deployment is kept
DEPLOYMENT_SECONDS = 30.0
# a stock worker takes no lock before its first step; leave its runs alone for as long as a slow start may take
FOREIGN_GRACE_SECONDS = 120.0
# a round that is so late is left to the next of its kind, when that one is due too
OVERTAKEN_SECONDS = 90.0
# tells our claim from a stock worker's
CLAIM = "claimed by an aftersales worker"
LEGS_AT_ONCE = 24
GONE = "它的部署已被删除，请重新运行 make run；未办完的售后单由对账巡检重新建立运行。"
# the supervisor gives a worker five seconds before it kills it
DRAIN_SECONDS = 4.0


# what is done beside the legs; it is handed whether the worker is about to leave, and then begins nothing more
Chore = Callable[[Callable[[], bool]], Any]


class LeanClient(PrefectClient):
    """The API client of a leg: it leaves out what the engine asks and tells without need (three calls a leg)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.telling: dict[UUID, FlowRun] = {}
        # runs that were claimed as Running, until the engine says so too
        self.claimed: dict[UUID | str, State] = {}

    async def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        """The engine reads the run it was handed a moment ago: hand it the same one."""
        return self.telling.get(flow_run_id) or await super().read_flow_run(flow_run_id)

    async def update_flow_run(self, flow_run_id: UUID, *args: Any, **kwargs: Any) -> Any:
        """The engine writes the flow's retries into the run before each leg: ours have none."""
        if "empirical_policy" in kwargs:
            return None
        return await super().update_flow_run(flow_run_id, *args, **kwargs)

    async def set_flow_run_state(self, flow_run_id: UUID | str, state: State, force: bool = False) -> Any:
        """
        A leg that an outage ended has not failed: leave its run Running, and the healer tells it again.

        What the worker has claimed as Running is not set Running once more by the engine.
        Raises Abort, on which the engine leaves the run alone.
        """
        if state.is_running() and (claim := self.claimed.pop(flow_run_id, None)) is not None:
            return OrchestrationResult(state=claim, status=SetStateStatus.ACCEPT, details=StateAcceptDetails())
        if state.is_failed() and _is_outage(cause := getattr(state.data, "result", state.data)):
            raise Abort(f"An outage ended this leg ({type(cause).__name__}); it is told again.")
        return await super().set_flow_run_state(flow_run_id, state, force=force)


def _is_outage(error: Any) -> bool:
    """Whether it is the database or Prefect that failed, rather than our code."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    return isinstance(error, sqlalchemy.exc.OperationalError | psycopg.OperationalError | httpx.TransportError)


class LeanContext(AsyncClientContext):
    """Makes the engine use the worker's own client."""

    def __init__(self, client: PrefectClient) -> None:
        ContextModel.__init__(self, client=client)
        self._httpx_settings = None
        self._context_stack = 0


class Worker:
    """Polls the work pool, claims runs, tells their legs."""

    def __init__(
        self,
        client: LeanClient,
        locks: Locks,
        *,
        name: str,
        poll_seconds: float = POLL_SECONDS,
        chores: Mapping[Chore, float] | None = None,
    ) -> None:
        self._client = client
        self._chores = chores or {}
        self._is_leaving_something = False
        self._locks = locks
        self._name = name
        self._poll_seconds = poll_seconds
        self._flows: dict[UUID, Flow] = {}
        self._deployments: dict[UUID, tuple[float, DeploymentResponse]] = {}
        self._legs: dict[UUID, asyncio.Task] = {}
        self._reading = asyncio.Lock()
        self._room = asyncio.Semaphore(LEGS_AT_ONCE)
        self._stopping = asyncio.Event()
        self._asked = float("-inf")

    async def run(self, on_ready: Callable[[], None] | None = None) -> None:
        """Work until told to stop, then let the legs under way end (within seconds) and leave."""
        await self._heartbeat()
        chores = [
            asyncio.create_task(self._every(HEARTBEAT_SECONDS, self._heartbeat)),
            asyncio.create_task(self._every(HEAL_SECONDS, self.heal)),
            *(
                asyncio.create_task(self._every(seconds, functools.partial(chore, self._stopping.is_set)))
                for chore, seconds in self._chores.items()
            ),
        ]
        await self.heal()
        if on_ready is not None:
            on_ready()
        log.info("Worker %s is ready", self._name)
        try:
            while not self._stopping.is_set():
                try:
                    await self._locks.check()
                    await self._poll()
                except (httpx.HTTPError, OSError) as error:
                    log.warning("Prefect cannot be reached (%s), trying again", type(error).__name__)
                    await self._rest(2.0)
                except ObjectNotFound:
                    log.warning("The work pool %s is gone, waiting until it is deployed anew", POOL)
                    await self._rest(2.0)
                await self._rest(self._poll_seconds)
        finally:
            self._stopping.set()
            await self._drain(chores)

    @property
    def is_busy(self) -> bool:
        """Whether a leg or a chore is still under way."""
        return bool(self._legs) or self._is_leaving_something

    def stop(self) -> None:
        """Take on nothing new."""
        self._stopping.set()

    async def heal(self) -> None:
        """
        Take up what a dead worker left, and what nobody woke.

        Running, Pending or Submitting runs whose case lock can be had are scheduled again (their answers are kept);
        suspended runs whose gate has been answered meanwhile, or whose parked step may be tried again, are woken.
        """
        await self._heal_abandoned()
        async with transaction() as connection:
            answered = await desk.could_go_on(connection, clock.now())
        for case_no, run_id in answered:
            if await self._locks.take(case_no):  # else it is being told, and will see for itself
                try:
                    if await runs.wake_if_asleep(self._client, case_no, run_id):
                        log.info("Woke %s, which could go on", case_no)
                finally:
                    await self._locks.free(case_no)

    async def _heal_abandoned(self) -> None:
        found = await self._client.read_flow_runs(
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [POOL]}}),
            flow_run_filter=FlowRunFilter.model_validate(
                {"state": {"type": {"any_": [StateType.RUNNING.value, StateType.PENDING.value]}}}
            ),
            limit=200,
        )
        for flow_run in found:
            if flow_run.id in self._legs or not _is_ours_to_heal(flow_run):
                continue
            key = await runs.lock_key(flow_run)
            if not await self._locks.take(key):
                continue
            try:
                fresh = await self._client.read_flow_run(flow_run.id)
                if fresh.state is not None and (fresh.state.is_running() or fresh.state.is_pending()):
                    await self._client.set_flow_run_state(flow_run.id, Scheduled(name="Recovering"))
                    log.info("Healed %s (%s)", fresh.name, fresh.state.name)
            finally:
                await self._locks.free(key)

    async def _poll(self) -> None:
        if self._room.locked():
            return
        if not await self._is_something_due() and time.monotonic() - self._asked < ASK_SECONDS:
            return
        self._asked = time.monotonic()
        # without a bound the server hands out tomorrow's runs too, and their claim would wait for tomorrow
        due = await self._client.get_scheduled_flow_runs_for_work_pool(POOL, scheduled_before=clock.now())
        for response in due:
            flow_run = response.flow_run
            if flow_run.id in self._legs or self._stopping.is_set():
                continue
            if self._room.locked():
                break
            await self._room.acquire()
            task = asyncio.create_task(self._tell(flow_run), name=f"leg {flow_run.name}")
            self._legs[flow_run.id] = task
            task.add_done_callback(functools.partial(self._leave, flow_run.id))

    async def _is_something_due(self) -> bool:
        """
        Whether it is worth asking the pool: each time it is asked, the server starts two tasks that note the asking.

        At four times a second they were half of what the server uses at rest. Whether the pool is paused, and what its
        limits are, only the pool knows.
        """
        waiting = FlowRunFilter.model_validate(
            {
                "state": {"type": {"any_": [StateType.SCHEDULED.value]}},
                "next_scheduled_start_time": {"before_": clock.now()},
            }
        )
        pool = WorkPoolFilter.model_validate({"name": {"any_": [POOL]}})
        return await self._client.count_flow_runs(flow_run_filter=waiting, work_pool_filter=pool) > 0

    def _leave(self, run_id: UUID, done: asyncio.Task) -> None:
        self._legs.pop(run_id, None)
        self._room.release()
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("A leg ended badly", exc_info=error)

    async def _tell(self, flow_run: FlowRun) -> None:
        """Claim a run under its case's lock and tell one leg of its story."""
        if await self._is_overtaken(flow_run):
            with suppress(ObjectNotFound):  # another worker was faster
                await self._client.delete_flow_run(flow_run.id)
            return
        key = await runs.lock_key(flow_run)
        if not await self._locks.take(key):
            return  # somebody else tells this case; it is asked for again at the next poll
        driver = None
        try:
            if not await self._claim(flow_run):
                return
            try:
                flow = await self._flow(flow_run)
            except Exception as error:
                await self._fail(flow_run, f"无法加载流程代码：{error}")
                raise
            driver = runs.Run(self._client, flow_run, self._locks, key)
            # without its deployment the engine starts no thread, loop and websocket to watch for somebody's suspension
            told = flow_run.model_copy(update={"deployment_id": None})
            self._client.telling[flow_run.id] = told
            if flow_run.state is not None and flow_run.state.is_running():
                self._client.claimed[flow_run.id] = flow_run.state
            legs.begin(driver)
            await self._run(flow, told, flow_run)
        finally:
            self._client.telling.pop(flow_run.id, None)
            self._client.claimed.pop(flow_run.id, None)
            for held in driver.locked if driver else {key}:
                await self._locks.free(held)

    async def _run(self, flow: Flow, told: FlowRun, flow_run: FlowRun) -> None:
        known = set(flow.parameters.properties)
        if unknown := set(flow_run.parameters) - known:
            await self._fail(
                flow_run, f"参数 {'、'.join(sorted(unknown))} 不存在，可用的参数：{'、'.join(sorted(known))}。"
            )
            return
        try:
            await run_flow_async(flow, flow_run=told, parameters=dict(flow_run.parameters), return_type="state")
        except Pause:
            pass  # the story waits at a gate
        except Abort as error:
            log.info("%s: %s", flow_run.name, error)  # cancelled, or claimed by somebody else

    async def _is_overtaken(self, flow_run: FlowRun) -> bool:
        """
        Whether a round was due long ago and another of its kind is due since (trap 14).

        While no worker runs, Prefect's scheduler goes on: hundreds would come one after the other, and the first of them
        makes up for all.
        """
        due = flow_run.next_scheduled_start_time
        if ROUND not in flow_run.tags or due is None or (clock.now() - due).total_seconds() < OVERTAKEN_SECONDS:
            return False
        later = FlowRunFilter.model_validate(
            {
                "state": {"type": {"any_": [StateType.SCHEDULED.value]}},
                "deployment_id": {"any_": [flow_run.deployment_id]},
                "next_scheduled_start_time": {"after_": due + timedelta(microseconds=1), "before_": clock.now()},
            }
        )
        return await self._client.count_flow_runs(flow_run_filter=later) > 0

    async def _claim(self, flow_run: FlowRun) -> bool:
        """
        Take a run in hand; False when it is not as the pool listed it: somebody else told it, or it was cancelled.

        Prefect refuses Pending to such a run, but not Running: so the run is read once more under the lock, which costs
        less than one state more. It grants a limited deployment's places on the way to Pending.
        """
        try:
            deployment = await self._deployment(flow_run)
            claim: State = Running(message=CLAIM)
            if deployment is None:
                await self._fail(flow_run, GONE)  # else it would be asked for for ever: Prefect hands it to nobody
                return False
            if deployment.global_concurrency_limit is not None:
                claim = Pending(message=CLAIM)
            elif not await self._is_as_listed(flow_run):
                return False
            state = await propose_state(self._client, claim, flow_run_id=flow_run.id)
        except (Abort, Pause, ObjectNotFound):
            return False
        flow_run.state = state
        return state.is_pending() or state.is_running()

    async def _is_as_listed(self, flow_run: FlowRun) -> bool:
        return (await self._client.read_flow_run(flow_run.id)).state_id == flow_run.state_id

    async def _deployment(self, flow_run: FlowRun) -> DeploymentResponse | None:
        """The deployment of a run, None when somebody has deleted it."""
        if flow_run.deployment_id is None:
            return None
        async with self._reading:  # a burst of runs asks once
            read_at, known = self._deployments.get(flow_run.deployment_id, (float("-inf"), None))
            if known is None or time.monotonic() - read_at > DEPLOYMENT_SECONDS:
                try:
                    known = await self._client.read_deployment(flow_run.deployment_id)
                except ObjectNotFound:
                    return None
                self._deployments[flow_run.deployment_id] = (time.monotonic(), known)
            return known

    async def _fail(self, flow_run: FlowRun, message: str) -> None:
        with suppress(Abort):
            await propose_state(self._client, Failed(message=message), flow_run_id=flow_run.id)
        log.error("%s: %s", flow_run.name, message)

    async def _flow(self, flow_run: FlowRun) -> Flow:
        deployment = await self._deployment(flow_run)
        if deployment is None:
            raise LookupError(GONE)
        if deployment.id not in self._flows:
            self._flows[deployment.id] = load(deployment.entrypoint or "")
        return self._flows[deployment.id]

    async def _heartbeat(self) -> None:
        await self._client.send_worker_heartbeat(POOL, self._name, heartbeat_interval_seconds=HEARTBEAT_SECONDS)

    async def _every(self, seconds: float, chore: Callable[[], Any]) -> None:
        while not self._stopping.is_set():
            await self._rest(seconds)
            if self._stopping.is_set():
                return
            try:
                await chore()
            except Exception as error:  # a chore that dies is never done again
                log.warning("A chore failed (%s), trying again later", type(error).__name__)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _drain(self, chores: list[asyncio.Task[None]]) -> None:
        """Let legs under way come to their gate and chores to their end; what takes longer is healed by the next worker."""
        _, left = await asyncio.wait([*self._legs.values(), *chores], timeout=DRAIN_SECONDS)
        self._is_leaving_something = bool(left)
        for chore in chores:
            chore.cancel()


def load(entrypoint: str) -> Flow:
    """Load a flow by `flows.returns.returns` or `flows/returns.py:returns`."""
    module, _, name = entrypoint.rpartition(":") if ":" in entrypoint else entrypoint.rpartition(".")
    return getattr(importlib.import_module(module.removesuffix(".py").replace("/", ".")), name)


def _is_ours_to_heal(flow_run: FlowRun) -> bool:
    """A stock worker's run takes its lock late: it is Pending without our claim, or Running with a process id."""
    state = flow_run.state
    if state is None:
        return False
    if (state.message == CLAIM) if state.is_pending() else (flow_run.infrastructure_pid is None):
        return True
    return (clock.now() - state.timestamp).total_seconds() > FOREIGN_GRACE_SECONDS


@asynccontextmanager
async def hired(
    *, name: str, poll_seconds: float = POLL_SECONDS, chores: Mapping[Chore, float] | None = None
) -> AsyncIterator[Worker]:
    """
    A worker with its own locks and client, in the settings and the context that its legs need.

    `chores` are done beside its legs, each every so many seconds; one that fails is done again.
    """
    locks = await Locks.open()
    client = LeanClient(PREFECT_API_URL.value(), auth_string=PREFECT_API_AUTH_STRING.value() or None)
    try:
        with (
            temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
            # the engine makes a client for each leg only to see that our result storage needs none, and reads every
            # certificate for it: a third of the worker's time; with this, all legs share one
            SyncClientContext.get_or_create(),
        ):
            async with LeanContext(client):
                yield Worker(client, locks, name=name, poll_seconds=poll_seconds, chores=chores)
    finally:
        await locks.close()


async def work(
    *,
    poll_seconds: float = POLL_SECONDS,
    on_ready: Callable[[], None] | None = None,
    chores: Mapping[Chore, float] | None = None,
) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    engine.connect_from_settings()
    try:
        name = f"{socket.gethostname()}-{os.getpid()}"
        async with hired(name=name, poll_seconds=poll_seconds, chores=chores) as worker:
            # while a leg is under way the engine would put a handler of its own in the place of ours, which breaks the
            # loop and calls every run crashed
            flow_engine.capture_sigterm = nullcontext  # type: ignore[assignment]
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, worker.stop)
            await worker.run(on_ready)
            if worker.is_busy:
                # to cancel a leg would have Prefect call its run crashed; a killed one is healed by the next worker
                logging.shutdown()
                os._exit(0)
    finally:
        await engine.disconnect()


def run(chores: Mapping[Chore, float] | None = None) -> None:
    """Run one worker: `aftersales worker`; `chores` are done beside its legs, each every so many seconds."""
    logging.getLogger("aftersales").setLevel(logging.INFO)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_is_worth_reading)
    outlive_the_reader()
    asyncio.run(work(chores=chores))


def outlive_the_reader() -> None:
    """
    Let the log lines of this process get lost when nobody reads them any more.

    Prefect logs through rich, which leaves the program when its pipe is broken: with the supervisor killed, the next
    line inside a leg would end it, and Prefect would call the case's run crashed.
    """
    Console.on_broken_pipe = lambda console: None  # type: ignore[assignment, method-assign]


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Keep the engine's chatter out of the run's log: staff read there where the case stands."""
    return not record.getMessage().startswith(("Beginning flow run", "View at", "Finished in state"))
