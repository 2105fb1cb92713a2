"""
A leg: one telling of a case's story, from its first line to the gate where it leaves.

The leg knows the case, what its journal already answers, and who drives it: a Prefect run, or nobody but us (bulk,
tests). Steps and gates find it with `here()`; it is made on first use, so that the stock worker needs no help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.store import cases, journal
from aftersales.store.journal import Entry
from aftersales.terms import Terms


class Waiting(BaseException):
    """A story told without a Prefect run has reached a gate that nobody has answered yet."""

    def __init__(self, case_no: str, gate: str) -> None:
        super().__init__(f"{case_no} waits at {gate}")
        self.case_no = case_no
        self.gate = gate


@dataclass(frozen=True, slots=True)
class FormAnswer:
    """What somebody submitted in a form of the case; run and `key` tell which form."""

    run_id: UUID
    key: str
    values: Mapping[str, Any]


class Driver(Protocol):
    """Who runs a leg: what differs between a Prefect run and a plain call."""

    run_id: UUID
    case_no: str | None
    # the application that the run was started for, where no member of staff started it
    application: str

    async def secure(self, case_no: str) -> None:
        """Hold the lock of a case that this leg has just opened."""

    async def check(self) -> None:
        """Make sure that nobody else tells this case. Raises LockLost."""

    async def answers(self, entry: str) -> list[FormAnswer]:
        """What was submitted in the case's forms of a gate, oldest first."""

    async def forget(self, answer: FormAnswer) -> None:
        """Delete an answer that the journal now holds (GEN-10)."""

    async def forget_pages(self) -> None:
        """Delete what stood above the forms of a case that has ended: a customer's own words may stand there (GEN-10)."""

    async def show(self, *, name: str, tags: list[str], pages: Mapping[str, str]) -> None:
        """Name and tag the run, and bring its pages (artifacts) up to date."""

    async def publish(self, key: str, write: Callable[[AsyncConnection], Awaitable[str]]) -> None:
        """Write a page that belongs to no run; two writers never overtake each other."""

    async def hide(self, request: Any) -> None:
        """Put a masked request in the place of the one that somebody submitted (GEN-10)."""

    async def wake(self, case_no: str, *, anew: bool = False) -> None:
        """Wake another case's run, which something has just been told, or (`anew`) whose open form shows what is past."""

    async def wait(
        self, entry: str, schema: Mapping[str, Any], summary: str, answered: Callable[[], Awaitable[bool]]
    ) -> None:
        """Open a form and leave; never returns. `answered` is asked once more after the run has suspended."""

    async def call(self, name: str, retries: int, delays: list[float], body: Callable[[], Awaitable[Any]]) -> Any:
        """Run a step's body with its retries."""


@dataclass
class Leg:
    """One telling of one case's story."""

    driver: Driver
    case: cases.Case | None = None
    terms: Terms | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    rounds: Counter[str] = field(default_factory=Counter)
    # why steps of this telling wait for another system
    parked: list[str] = field(default_factory=list)

    @property
    def history(self) -> list[Entry]:
        """The case's journal, in order."""
        return sorted(self.entries.values(), key=lambda entry: entry.seq)

    def now(self) -> datetime:
        """The case's time."""
        return clock.now(self.case)

    def round(self, name: str) -> int:
        """How often this telling has come to a gate or step of this name before: its round."""
        self.rounds[name] += 1
        return self.rounds[name] - 1

    async def load(self, connection: AsyncConnection, case_no: str, terms: Terms) -> None:
        """Read the case and its journal, once a leg."""
        self.case = await cases.read(connection, case_no)
        self.entries = await journal.read(connection, case_no)
        self.terms = terms

    async def note(
        self,
        connection: AsyncConnection,
        entry: str,
        *,
        kind: str,
        actor: str = "system",
        data: Mapping[str, Any] | None = None,
        due_at: datetime | None = None,
        rule: str = "",
        at: datetime | None = None,
    ) -> Entry | None:
        """Write an entry into the case's journal; None (and the standing one is learnt) when it was there already."""
        assert self.case is not None, "a leg has a case before it writes"
        written = await journal.add(
            connection,
            self.case.case_no,
            entry,
            kind=kind,
            at=at or self.now(),
            actor=actor,
            data=data,
            due_at=due_at,
            rule=rule,
        )
        standing = written or await journal.find(connection, self.case.case_no, entry)
        if standing is not None:
            self.entries[entry] = standing
        return written


_leg: ContextVar[Leg | None] = ContextVar("aftersales_leg", default=None)


async def here() -> Leg:
    """The leg this code runs in. Raises RuntimeError outside a run when none was begun."""
    leg = _leg.get()
    if leg is None:
        from aftersales.desk import runs  # not at the top: a story told without Prefect does not load it

        leg = begin(await runs.driver())
    return leg


def begin(driver: Driver) -> Leg:
    """Begin a leg in this context."""
    leg = Leg(driver)
    _leg.set(leg)
    return leg
