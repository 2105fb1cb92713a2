"""What our side knows about the desk: which runs tell which open cases, and what sleeps although it could go on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import CaseRow, InboxRow, ParkRow, PromiseRow, RunRow, UnitsRow
from aftersales.words import AWAITED

CASES = CaseRow.__table__  # type: ignore[attr-defined]
INBOX = InboxRow.__table__  # type: ignore[attr-defined]
PARKS = ParkRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]
RUNS = RunRow.__table__  # type: ignore[attr-defined]
UNITS = UnitsRow.__table__  # type: ignore[attr-defined]

# the most cases that one look wakes; whoever is left out has the same chance at the next
AT_ONCE = 200
# what the inbox calls a form's answer that was copied before its leg came to it; no stage awaits it as an event
ANSWER = "form.submitted"


async def open_cases(
    connection: AsyncConnection, *, processes: Sequence[str], after: str, limit: int
) -> list[tuple[str, UUID | None, int]]:
    """Open cases of some processes behind a number: case, newest run (None when it never had one), its generation."""
    newest = (
        select(RUNS.c.run_id, RUNS.c.generation)
        .where(RUNS.c.case_no == CASES.c.case_no)
        .order_by(RUNS.c.generation.desc())
        .limit(1)
        .lateral()
    )
    rows = await connection.execute(
        select(CASES.c.case_no, newest.c.run_id, func.coalesce(newest.c.generation, 0).label("generation"))
        .select_from(CASES.outerjoin(newest, newest.c.run_id.is_not(None)))
        .where(CASES.c.process.in_(processes), CASES.c.closed_at.is_(None), CASES.c.case_no > after)
        .order_by(CASES.c.case_no)
        .limit(limit)
    )
    return [(row.case_no, row.run_id, row.generation) for row in rows]


async def newest_runs(connection: AsyncConnection, case_nos: Collection[str]) -> dict[UUID, str]:
    """The living run of each of some cases, with the case it tells."""
    rows = await connection.execute(
        select(RUNS.c.case_no, RUNS.c.run_id)
        .distinct(RUNS.c.case_no)
        .where(RUNS.c.case_no.in_(case_nos))
        .order_by(RUNS.c.case_no, RUNS.c.generation.desc())
    )
    return {row.run_id: row.case_no for row in rows}


async def held_by_the_ended(connection: AsyncConnection) -> list[str]:
    """Ended cases that still hold units, which should not happen."""
    rows = await connection.scalars(
        select(UNITS.c.case_no)
        .join(CASES, CASES.c.case_no == UNITS.c.case_no)
        .where(UNITS.c.state == "held", CASES.c.closed_at.is_not(None))
        .distinct()
        .limit(AT_ONCE)
    )
    return list(rows)


async def tellers(connection: AsyncConnection, run_ids: Collection[UUID]) -> set[UUID]:
    """Which of these runs tell a case."""
    return set(await connection.scalars(select(RUNS.c.run_id).where(RUNS.c.run_id.in_(run_ids))))


async def keep_answer(
    connection: AsyncConnection, case_no: str, run_id: UUID, form: str, *, operator: str, values: Any, at: datetime
) -> bool:
    """Copy what was submitted in a form, once a form, with personal data masked; False when it is here already."""
    result = await connection.execute(
        upsert(INBOX)
        .values(
            key=_answer(run_id, form),
            case_no=case_no,
            event=ANSWER,
            actor=operator,
            data={"run": str(run_id), "form": form, "values": values},
            received_at=at,
        )
        .on_conflict_do_nothing()
        .returning(INBOX.c.id)
    )
    return result.first() is not None


async def kept_answers(connection: AsyncConnection, case_no: str) -> list[Mapping[str, Any]]:
    """The copied answers of a case that no leg has read yet, oldest first: run, form and values."""
    rows = await connection.scalars(
        select(INBOX.c.data)
        .where(INBOX.c.case_no == case_no, INBOX.c.event == ANSWER, INBOX.c.taken_at.is_(None))
        .order_by(INBOX.c.id)
    )
    return list(rows)


async def forget_answer(connection: AsyncConnection, run_id: UUID, form: str, at: datetime) -> None:
    """Mark a copied answer as read, and keep nothing of what it said: the journal does."""
    await connection.execute(
        update(INBOX)
        .where(INBOX.c.key == _answer(run_id, form))
        .values(taken_at=at, data={"run": str(run_id), "form": form})
    )


def _answer(run_id: UUID, form: str) -> str:
    return f"form/{run_id}/{form}"


async def park_is_due(connection: AsyncConnection, case_no: str, at: datetime) -> bool:
    """Whether a step of a case may be tried again."""
    return (
        await connection.scalar(
            select(PARKS.c.entry)
            .where(PARKS.c.case_no == case_no, PARKS.c.ended_at.is_(None), PARKS.c.retry_at <= at)
            .limit(1)
        )
    ) is not None


async def could_go_on(connection: AsyncConnection, at: datetime) -> list[tuple[str, UUID]]:
    """
    Open cases, with their runs, that something waits for, in no order, so that none is always left out.

    An event that the case's stage takes, an answered gate with no later promise, a parked step that may be tried again.
    """
    waiting_events = (
        select(INBOX.c.case_no)
        .join(CASES, CASES.c.case_no == INBOX.c.case_no)
        .where(
            INBOX.c.taken_at.is_(None),
            CASES.c.closed_at.is_(None),
            tuple_(CASES.c.stage, INBOX.c.event).in_(
                [(stage.value, event.value) for stage, events in AWAITED.items() for event in events]
            ),
        )
    )
    asked = (
        select(PROMISES.c.id)
        .where(
            PROMISES.c.case_no == CASES.c.case_no,
            PROMISES.c.ended_at.is_(None),
            PROMISES.c.gate["gate"].astext.is_not(None),
        )
        .exists()
    )
    between_gates = select(CASES.c.case_no).where(CASES.c.closed_at.is_(None), ~asked)
    parked = (
        select(PARKS.c.case_no)
        .join(CASES, CASES.c.case_no == PARKS.c.case_no)
        .where(PARKS.c.ended_at.is_(None), PARKS.c.retry_at <= at, CASES.c.closed_at.is_(None))
    )
    waiting = waiting_events.union(between_gates, parked).subquery()
    newest = (
        select(RUNS.c.case_no, RUNS.c.run_id)
        .join(waiting, waiting.c.case_no == RUNS.c.case_no)
        .distinct(RUNS.c.case_no)
        .order_by(RUNS.c.case_no, RUNS.c.generation.desc())
        .subquery()
    )
    rows = await connection.execute(select(newest.c.case_no, newest.c.run_id).order_by(func.random()).limit(AT_ONCE))
    return [(row.case_no, row.run_id) for row in rows]
