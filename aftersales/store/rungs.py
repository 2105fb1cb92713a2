"""Promises that have reached the next rung of their ladder: the cost of a look follows what is due, not what is open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Text, func, literal, literal_column, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.rules import ladders
from aftersales.store import outbox
from aftersales.store.outbox import HAD, OUTBOX, SENT, WAITING
from aftersales.store.tables import UNCOUNTED, CaseRow, PromiseRow

CASES = CaseRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]

Place = tuple[datetime, int]


async def reached(
    connection: AsyncConnection, *, at: datetime, rehearsal: str | None, after: Place | None, limit: int
) -> list[tuple[str, Place]]:
    """The cases and places of promises with a rung reached at `at`, the earliest first, behind a place."""
    query = (
        select(PROMISES.c.case_no, PROMISES.c.rung_at, PROMISES.c.id)
        .join(CASES, CASES.c.case_no == PROMISES.c.case_no)
        .where(
            PROMISES.c.rung_at <= at,
            PROMISES.c.ended_at.is_(None),
            CASES.c.rehearsal.is_not_distinct_from(rehearsal),
        )
        .order_by(PROMISES.c.rung_at, PROMISES.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(PROMISES.c.rung_at, PROMISES.c.id) > after)
    return [(row.case_no, (row.rung_at, row.id)) for row in (await connection.execute(query)).all()]


async def find(connection: AsyncConnection, promise_id: int, *, at: datetime) -> Mapping[str, Any] | None:
    """A promise, if it still stands at a rung that is reached."""
    row = await connection.execute(
        select(PROMISES).where(PROMISES.c.id == promise_id, PROMISES.c.rung_at <= at, PROMISES.c.ended_at.is_(None))
    )
    found = row.mappings().one_or_none()
    return dict(found) if found else None


async def climb(
    connection: AsyncConnection,
    promise_id: int,
    *,
    told: Collection[str],
    rung_at: datetime | None,
    calendars: str,
    retags: bool,
) -> None:
    """Put the rungs `told` of a promise behind; None when no other comes. `retags`: it is more pressing than before."""
    await connection.execute(
        update(PROMISES)
        .where(PROMISES.c.id == promise_id)
        .values(
            told=list(told),
            rungs=ladders.behind(told),
            rung_at=rung_at,
            calendars=calendars,
            **({"retags": True} if retags else {}),
        )
    )


async def uncounted(
    connection: AsyncConnection, *, years: Collection[int], rehearsal: str | None, after: int, limit: int
) -> list[tuple[str, int]]:
    """
    The cases and ids of open promises that were counted without one of these years, behind an id.

    Each year is looked up by itself: its cost follows what is found, not what waits for other years.
    """
    missing = (
        func.unnest(literal([str(year) for year in years], ARRAY(Text)))
        .table_valued("year", name="years")
        .render_derived()
    )
    of_year = (
        select(PROMISES.c.case_no, PROMISES.c.id)
        .join(CASES, CASES.c.case_no == PROMISES.c.case_no)
        .where(
            PROMISES.c.ended_at.is_(None),
            literal_column(UNCOUNTED) == missing.c.year,
            CASES.c.rehearsal.is_not_distinct_from(rehearsal),
            PROMISES.c.id > after,
        )
        .order_by(PROMISES.c.id)
        .limit(limit)
        .lateral()
    )
    found = select(of_year).select_from(missing.join(of_year, true()))
    rows = await connection.execute(found.order_by(of_year.c.id).limit(limit))
    return [(row.case_no, row.id) for row in rows]


async def still_open(connection: AsyncConnection, promise_id: int) -> Mapping[str, Any] | None:
    """A promise, unless it has ended."""
    row = await connection.execute(select(PROMISES).where(PROMISES.c.id == promise_id, PROMISES.c.ended_at.is_(None)))
    found = row.mappings().one_or_none()
    return dict(found) if found else None


async def withdraw(
    connection: AsyncConnection,
    case_no: str,
    promised: str | None,
    *,
    notices: Collection[str],
    rung: str = "",
    reason: str,
    at: datetime,
) -> list[Mapping[str, Any]]:
    """
    Withdraw what the ladder of a promise (None: of each of the case's) has told and nobody has sent yet.

    `notices` are those that time alone tells; `rung` names one rung of the ladder. Answers what was withdrawn, and how
    far it `came` (`outbox.withdraw`).
    """
    entry = (
        OUTBOX.c.entry == f"{promised}.{rung}" if rung else OUTBOX.c.entry.startswith(f"{promised}.", autoescape=True)
    )
    found = await connection.execute(
        select(OUTBOX.c.id, OUTBOX.c.entry, OUTBOX.c.recipient, OUTBOX.c.notice, OUTBOX.c.subject)
        .where(
            OUTBOX.c.case_no == case_no,
            entry if promised is not None else true(),
            OUTBOX.c.notice.in_(notices),
            OUTBOX.c.state.in_(WAITING),
        )
        .order_by(OUTBOX.c.id)
        .with_for_update()
    )
    rows = [dict(row) for row in found.mappings()]
    came = await outbox.withdraw(connection, [row["id"] for row in rows], reason, at)
    return [{**row, "came": came.get(row["id"], "")} for row in rows]


async def untold(connection: AsyncConnection, case_no: str, promised: str, *, reason: str) -> list[Mapping[str, Any]]:
    """
    What was withdrawn from the ladder of a promise for a reason and is not known to have arrived anywhere; oldest first.

    A send that was under way may have arrived after all.
    """
    rows = await connection.execute(
        select(OUTBOX)
        .where(
            OUTBOX.c.case_no == case_no,
            OUTBOX.c.entry.startswith(f"{promised}.", autoescape=True),
            OUTBOX.c.state == "withdrawn",
            OUTBOX.c.reason == reason,
        )
        .order_by(OUTBOX.c.id)
    )
    return [dict(row) for row in rows.mappings() if outbox.how_far(row["data"].get(HAD, {})) != SENT]
