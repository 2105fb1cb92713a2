"""
A leg driven by a Prefect run: its forms, its name and tags, its pages, and how a suspended run is woken.

Why each call is made in this order is in `prototype` ADR 0001: the form is saved before the run suspends (a run
without its form can never be resumed), and the leg looks once more after suspending (an answer that came in between
would otherwise be slept through).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, ObjectNotFound, Pause
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Scheduled, Suspended
from prefect.utilities.engine import propose_state
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk.leg import FormAnswer
from aftersales.desk.locks import LockLost, Locks, held
from aftersales.store import cases, desk, engine, installation, journal
from aftersales.store.engine import transaction
from aftersales.words import AWAITED, Unable

# the most rows that Prefect gives in one answer
PAGE = 200
# the most old versions of a page that are deleted when it is written for the first time
PRUNED = 50
# the labels by which a run that staff did not start knows its case, or the application it was started for
CASE, APPLICATION = "case", "application"

_RESPONSE = re.compile(r"suspended-(?P<key>.+)-response")
_SCHEMA = re.compile(r"suspended-(?P<key>.+)-schema")


_publishing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
_queued: dict[str, asyncio.Task[None]] = {}


class Run:
    """The driver of a leg inside a Prefect run."""

    def __init__(self, client: PrefectClient, flow_run: FlowRun, locks: Locks, held_key: str) -> None:
        self.run_id: UUID = flow_run.id
        self.case_no: str | None = None if held_key == str(flow_run.id) else held_key
        self.application = str((flow_run.labels or {}).get(APPLICATION) or "")
        self.locked = {held_key}
        self._client = client
        self._locks = locks
        self._name = flow_run.name
        self._tags = set(flow_run.tags or [])
        self._fired = set((flow_run.empirical_policy and flow_run.empirical_policy.pause_keys) or ())
        # Prefect forgets the keys of a failed run that is scheduled without force, but keeps what was submitted
        self._inputs: dict[str, Any] | None = None if self._fired or self.case_no else {}
        self._kept: list[FormAnswer] | None = None

    async def secure(self, case_no: str) -> None:
        """Hold the lock of a case that this leg has just opened; nobody else can know its number yet."""
        if case_no in self.locked:
            return
        if not await self._locks.take(case_no):
            raise Abort(f"{case_no} is told by another process.")
        self.locked.add(case_no)
        self.case_no = case_no

    async def check(self) -> None:
        """Make sure the lock is still ours. Raises Abort, which leaves the run's state to whoever tells it now."""
        try:
            await self._locks.check()
        except LockLost as error:
            raise Abort(str(error)) from error

    async def answers(self, entry: str) -> list[FormAnswer]:
        """What was submitted in a gate's forms: of runs that are gone first, then of this one as the forms were shown."""
        here = [answer for answer in _submitted(self.run_id, await self._read_inputs()) if _attempt(answer.key, entry)]
        known = {(answer.run_id, answer.key) for answer in here}
        kept = [
            answer
            for answer in await self._read_kept()
            if _attempt(answer.key, entry) and (answer.run_id, answer.key) not in known
        ]
        return [*kept, *sorted(here, key=lambda answer: _attempt(answer.key, entry))]

    async def forget(self, answer: FormAnswer) -> None:
        """Delete an answer that the journal now holds: it may name people (GEN-10)."""
        key = f"suspended-{answer.key}-response"
        try:
            await self._client.delete_flow_run_input(answer.run_id, key)
        except httpx.HTTPStatusError as error:
            # an earlier leg deleted it just before it was killed, or its run is gone
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
        if answer.run_id == self.run_id:
            (await self._read_inputs()).pop(key, None)
        async with transaction() as connection:
            await desk.forget_answer(connection, answer.run_id, answer.key, clock.now())
        self._kept = [kept for kept in self._kept or () if (kept.run_id, kept.key) != (answer.run_id, answer.key)]

    async def forget_pages(self) -> None:
        """Delete what stood above the forms of the case, in each of its runs (GEN-10)."""
        async with transaction() as connection:
            run_ids = await cases.runs_of_case(connection, self.case_no or "")
        for run_id in run_ids:
            for key in await _inputs(self._client, run_id):
                if key.endswith("-description"):
                    await self._client.delete_flow_run_input(run_id, key)

    async def show(self, *, name: str, tags: list[str], pages: Mapping[str, str]) -> None:
        """
        Name and tag the run in one call, and write its pages; what has not changed costs nothing.

        So a page that somebody deleted alone comes back when it changes next, or when another is missing too.
        """
        if name != self._name or set(tags) != self._tags:
            await self._client.update_flow_run(self.run_id, name=name, tags=tags)
            self._name, self._tags = name, set(tags)
            get_run_logger().info(name)
        async with transaction() as connection:
            known = await cases.artifacts(connection, self.run_id)
        written = {
            key: await _write(self._client, key, text, known.get(key), self.run_id)
            for key, text in pages.items()
            if known.get(key, {}).get("mark") != _mark(text)
        }
        if any(key in known and page["id"] != known[key]["id"] for key, page in written.items()):
            # somebody deleted a page: those that have not changed may be gone as well
            for key in pages.keys() - written.keys():
                written[key] = await _write(self._client, key, pages[key], known.get(key), self.run_id)
        if written:
            async with transaction() as connection:
                await cases.keep_artifacts(connection, self.run_id, {**known, **written})

    async def publish(self, key: str, write: Callable[[AsyncConnection], Awaitable[str]]) -> None:
        """Write a page that belongs to no run; who writes later has read later."""
        await publish(self._client, key, write)

    async def hide(self, request: Any) -> None:
        """Put a masked request in the place of the one that somebody submitted: Prefect shows a run's parameters."""
        await self._client.update_flow_run(self.run_id, parameters={"request": request})

    async def wake(self, case_no: str, *, anew: bool = False) -> None:
        """Wake another case's run, which something has just been told, or (`anew`) whose open form shows what is past."""
        try:
            await wake(self._client, case_no, anew=anew)
        except Unable:
            pass  # it is being told all the while, and looks once more before it sleeps

    async def wait(
        self, entry: str, schema: Mapping[str, Any], summary: str, answered: Callable[[], Awaitable[bool]]
    ) -> None:
        """Save the form, suspend, look once more, leave."""
        key, keyset = await self._save_form(entry, schema, summary)
        state: State = Suspended(pause_key=key)
        state.state_details.run_input_keyset = keyset
        state = await propose_state(self._client, state, flow_run_id=self.run_id)
        if not state.is_paused():
            raise Abort(f"The run did not suspend: it is {state.name}.")
        if await answered():
            await self._client.set_flow_run_state(self.run_id, Scheduled(name="Resuming"))
        raise Pause(state=state)

    async def call(self, name: str, retries: int, delays: list[float], body: Callable[[], Awaitable[Any]]) -> Any:
        """Run a step's body as a task of this run."""

        @task(name=name, retries=retries, retry_delay_seconds=delays, persist_result=False, cache_policy=NO_CACHE)
        async def step() -> Any:
            return await body()

        return await step()

    async def _save_form(self, entry: str, schema: Mapping[str, Any], summary: str) -> tuple[str, dict[str, str]]:
        attempt = 1 + max((_attempt(key, entry) for key in self._shown(await self._read_inputs())), default=0)
        while True:
            key = f"{entry}-{attempt}"
            keyset = keyset_from_base_key(f"suspended-{key}")
            try:
                await self._client.create_flow_run_input(self.run_id, keyset["schema"], json.dumps(schema))
                break
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.CONFLICT:
                    raise
                attempt += 1
        await self._client.create_flow_run_input(self.run_id, keyset["description"], json.dumps(summary))
        return key, {str(part): name for part, name in keyset.items()}

    def _shown(self, inputs: Mapping[str, Any]) -> set[str]:
        return self._fired | {match["key"] for key in inputs if (match := _SCHEMA.fullmatch(key))}

    async def _read_inputs(self) -> dict[str, Any]:
        if self._inputs is None:
            self._inputs = await _inputs(self._client, self.run_id)
        return self._inputs

    async def _read_kept(self) -> list[FormAnswer]:
        if self._kept is None:
            async with transaction() as connection:
                rows = await desk.kept_answers(connection, self.case_no or "")
            self._kept = [FormAnswer(UUID(row["run"]), row["form"], row["values"]) for row in rows]
        return self._kept


async def submitted(client: PrefectClient, run_id: UUID) -> list[FormAnswer]:
    """What was submitted in a run's forms and is not deleted yet, because no leg has read it."""
    return list(_submitted(run_id, await _inputs(client, run_id)))


async def _inputs(client: PrefectClient, run_id: UUID) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while True:
        rows = await client.filter_flow_run_input(run_id, key_prefix="suspended-", limit=PAGE, exclude_keys=set(found))
        found |= {row.key: row.decoded_value for row in rows}
        if len(rows) < PAGE:
            return found


def _submitted(run_id: UUID, inputs: Mapping[str, Any]) -> Iterator[FormAnswer]:
    for key, value in inputs.items():
        if match := _RESPONSE.fullmatch(key):
            yield FormAnswer(run_id, match["key"], value)


async def publish(client: PrefectClient, key: str, write: Callable[[AsyncConnection], Awaitable[str]]) -> None:
    """
    Write a page that belongs to no run, under a lock: who writes later has read later.

    Who comes while somebody waits to write it is told by that one too: a hundred legs at once write a page twice.
    """
    queued = _queued.get(key)
    if queued is None or queued.done():
        queued = _queued[key] = asyncio.create_task(_publish(client, key, write))
    # a leg that is stopped must not take the page away from the others
    await asyncio.shield(queued)


async def _publish(client: PrefectClient, key: str, write: Callable[[AsyncConnection], Awaitable[str]]) -> None:
    # inside the process first, so that no more than one connection of ours waits for the database's lock
    async with _publishing[key]:
        _queued.pop(key, None)  # from here on it reads: who comes now may have written something it does not see
        async with transaction() as connection:
            known = await installation.lock(connection, f"page:{key}")
            await _keep(connection, client, key, await write(connection), known)


async def renew(
    connection: AsyncConnection, client: PrefectClient, key: str, *, says: str, text: str, anew: bool = False
) -> bool:
    """
    Write a page that belongs to no run, if it says something new, or `anew` in any case; False when it was not written.

    `says` is what of its text counts as new.
    """
    known = await installation.lock(connection, f"page:{key}")
    if known and known["mark"] == _mark(says) and not anew:
        return False
    await _keep(connection, client, key, text, known, mark=_mark(says))
    return True


async def _keep(
    connection: AsyncConnection,
    client: PrefectClient,
    key: str,
    text: str,
    known: Mapping[str, str] | None,
    *,
    mark: str | None = None,
) -> None:
    """Write a page that belongs to no run, and remember it; when it is a new one, nothing else keeps its name."""
    kept = await _write(client, key, text, known)
    if mark is not None:
        kept["mark"] = mark
    await installation.keep(connection, f"page:{key}", kept)
    if known is None or kept["id"] != known["id"]:
        await _prune(client, key, kept["id"])


async def _prune(client: PrefectClient, key: str, kept: str) -> None:
    """Delete what else bears a page's name: of a database that was lost, or of whoever was killed before remembering."""
    found = await client.read_artifacts(
        artifact_filter=ArtifactFilter.model_validate({"key": {"any_": [key]}}), limit=PRUNED
    )
    for artifact in found:
        if str(artifact.id) != kept:
            await client.request("DELETE", "/artifacts/{id}", path_params={"id": str(artifact.id)})


async def _write(
    client: PrefectClient, key: str, text: str, known: Mapping[str, str] | None, run_id: UUID | None = None
) -> dict[str, str]:
    """Write a page in the place of the one before; a new one when that is gone. Answers its id and what it says."""
    if known and await _rewrite(client, known["id"], text):
        return {"id": known["id"], "mark": _mark(text)}
    artifact = await client.create_artifact(
        ArtifactCreate(key=key, type="markdown", description=_title(text), data=text, flow_run_id=run_id)
    )
    return {"id": str(artifact.id), "mark": _mark(text)}


async def _rewrite(client: PrefectClient, artifact_id: str, text: str) -> bool:
    """Write a page anew; False when it is gone (deleted in the UI, or Prefect's database was lost)."""
    try:
        await client.update_artifact(UUID(artifact_id), ArtifactUpdate(data=text, description=_title(text)))
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return False
    return True


def _mark(page: str) -> str:
    return hashlib.sha256(page.encode()).hexdigest()[:16]


def _title(page: str) -> str:
    """A page's heading: its key may hold no Chinese, so the list of artifacts names it by this."""
    return page.partition("\n")[0].lstrip("# ")


def _attempt(key: str, entry: str) -> int:
    """The attempt of a form's key, 0 when the form belongs to another gate."""
    head, _, number = key.rpartition("-")
    return int(number) if head == entry and number.isdigit() else 0


async def driver() -> Run:
    """
    The driver of the Prefect run this code is in, for a worker that prepares nothing (the stock process worker).

    Raises RuntimeError outside a run.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("A story is told inside a Prefect run, or with a leg begun beforehand.")
    flow_run = FlowRun.model_validate(context.flow_run, from_attributes=True)
    engine.connect_from_settings()
    locks = await Locks.open()
    key = await lock_key(flow_run)
    for _ in range(300):
        if await locks.take(key):
            return Run(context.client, flow_run, locks, key)  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
    raise Abort(f"{key} is told by another process.")


async def lock_key(flow_run: FlowRun) -> str:
    """What to lock before a run is told: its case, or the run itself while it has none."""
    async with transaction() as connection:
        case_no = await cases.case_of_run(connection, flow_run.id)
    return case_no or str((flow_run.labels or {}).get(CASE) or flow_run.id)


async def start(
    client: PrefectClient,
    deployment_id: UUID,
    parameters: Mapping[str, Any],
    *,
    name: str,
    tags: list[str],
    labels: Mapping[str, str],
    key: str,
) -> UUID:
    """Start a run of a deployment that nobody started at the desk, once a key; answers the run's id."""
    response = await client.request(
        "POST",
        "/deployments/{id}/create_flow_run",
        path_params={"id": deployment_id},
        json={
            "parameters": dict(parameters),
            # it speaks in codes, and what was asked long ago need not be what the form offers today
            "enforce_parameter_schema": False,
            "name": name,
            "tags": tags,
            "labels": dict(labels),
            "idempotency_key": key,
        },
    )
    return UUID(response.json()["id"])


async def wake(client: PrefectClient, case_no: str, *, anew: bool = False) -> bool:
    """
    Wake a case's run if it sleeps and was told something, or (`anew`) to show its form once more; True when it was woken.

    Waits for the case's lock, then reads the state: a live leg would accept the wake too, and fail.
    """
    async with transaction() as connection:
        run_id = await cases.run_of_case(connection, case_no)
    if run_id is None:
        return False
    async with held(case_no):
        return await wake_if_asleep(client, case_no, run_id, anew=anew)


async def show_anew(client: PrefectClient, case_nos: Iterable[str]) -> None:
    """Open the forms of cases anew that show an old due time. Raises Unreachable."""
    for case_no in case_nos:
        try:
            await wake(client, case_no, anew=True)
        except Unreachable:
            raise
        except Unable:
            pass  # it is being told right now, and shows the new time by itself


async def wake_if_asleep(client: PrefectClient, case_no: str, run_id: UUID, *, anew: bool = False) -> bool:
    """
    Schedule a suspended run that was told something; True when it was. Only for who holds the case's lock.

    A run that was told nothing would only open its form anew, under the hands of whoever is filling it in.
    """
    try:
        flow_run = await client.read_flow_run(run_id)
    except ObjectNotFound:
        return False
    if flow_run.state is None or not flow_run.state.is_paused():
        return False
    key = flow_run.state.state_details.pause_key
    if key and not anew and not await _was_told(case_no, key.rpartition("-")[0]):
        return False
    await client.set_flow_run_state(run_id, Scheduled(name="Resuming"))
    return True


async def _was_told(case_no: str, entry: str) -> bool:
    """Whether the gate that a run sleeps at was answered, an event has come that its stage takes, or a rest is over."""
    async with transaction() as connection:
        case = await cases.read(connection, case_no)
        events = [event.value for event in AWAITED.get(case.stage, ())] if case else []
        return (
            await journal.find(connection, case_no, entry) is not None
            or await cases.waiting(connection, case_no, events) is not None
            or await desk.park_is_due(connection, case_no, clock.now(case))
        )


@asynccontextmanager
async def from_outside() -> AsyncIterator[PrefectClient]:
    """
    A client of the running Prefect for a command. Raises Unable when there is none, or it cannot be reached.

    Its address comes from the environment, for Prefect read its settings when it was imported, maybe before the stack
    was found; without an address its client would start a server of its own.
    """
    api, auth = os.environ.get("PREFECT_API_URL"), os.environ.get("PREFECT_API_AUTH_STRING")
    if not api:
        raise Unreachable("Prefect 服务没有运行，请先在另一个终端运行 make run。")
    try:
        async with PrefectClient(api, auth_string=auth or None) as client:
            yield client
    except (httpx.HTTPError, OSError) as error:
        raise Unreachable(
            f"连不上 Prefect（{type(error).__name__}），请看运行 make run 的窗口，恢复后再试。"
        ) from error


class Unreachable(Unable):
    """Prefect does not answer."""


async def wake_from_outside(case_no: str) -> bool:
    """
    Wake a case's run from a command. Raises Unable when Prefect cannot be reached, or the case is still being told.

    What was decided is in the journal already, so the worker finds it at its next look even then.
    """
    try:
        async with from_outside() as client:
            return await wake(client, case_no)
    except Unreachable as error:
        cause = error.__cause__
        if cause is None:
            raise Unable(
                f"已登记，但 Prefect 服务没有运行；{case_no} 在服务启动后会自动继续，无需重复提交。"
            ) from error
        raise Unable(
            f"已登记，但连不上 Prefect（{type(cause).__name__}）；{case_no} 在恢复后会自动继续，无需重复提交。"
        ) from cause
    except Unable as error:
        raise Unable(f"已登记，但 {case_no} 正在处理中；处理完后会自动继续，无需重复提交。") from error
