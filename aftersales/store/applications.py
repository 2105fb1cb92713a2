"""Applications that no member of staff typed: which there are, whom they were given to, and what became of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store import installation
from aftersales.store.tables import ApplicationRow, OrderRow, RefusalRow, RunRow

APPLICATIONS = ApplicationRow.__table__  # type: ignore[attr-defined]
ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
REFUSALS = RefusalRow.__table__  # type: ignore[attr-defined]
RUNS = RunRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Kept:
    """An application as it stands: `case_no` once it was opened, `refusal` once it was turned away."""

    id: UUID
    via: str
    key: str
    fingerprint: str
    request: Mapping[str, Any]
    operator: str
    run_id: UUID | None
    case_no: str
    refusal: str


_KEPT = select(
    APPLICATIONS.c.id,
    APPLICATIONS.c.via,
    APPLICATIONS.c.key,
    APPLICATIONS.c.fingerprint,
    APPLICATIONS.c.request,
    APPLICATIONS.c.operator,
    APPLICATIONS.c.run_id,
    func.coalesce(RUNS.c.case_no, "").label("case_no"),
    func.coalesce(REFUSALS.c.reason, "").label("refusal"),
).select_from(
    APPLICATIONS.outerjoin(RUNS, RUNS.c.run_id == APPLICATIONS.c.run_id).outerjoin(
        REFUSALS, REFUSALS.c.run_id == APPLICATIONS.c.run_id
    )
)


async def read(connection: AsyncConnection, application_id: str | UUID) -> Kept | None:
    """An application by its id; None when there is none such, whatever the id looks like."""
    try:
        known = UUID(str(application_id))
    except ValueError:
        return None
    row = (await connection.execute(_KEPT.where(APPLICATIONS.c.id == known))).one_or_none()
    return Kept(*row) if row else None


async def find(connection: AsyncConnection, *, via: str, key: str) -> Kept | None:
    """An application by what its sender calls it."""
    row = (await connection.execute(_KEPT.where(APPLICATIONS.c.via == via, APPLICATIONS.c.key == key))).one_or_none()
    return Kept(*row) if row else None


async def of_case(connection: AsyncConnection, case_no: str) -> Kept | None:
    """The application that a case was opened for; None when a member of staff typed it."""
    row = (await connection.execute(_KEPT.where(RUNS.c.case_no == case_no).limit(1))).one_or_none()
    return Kept(*row) if row else None


async def in_hand(connection: AsyncConnection, *, since: datetime, until: datetime, limit: int) -> list[Kept]:
    """Applications of a time that were handed to a run and that no story has opened or turned away yet."""
    rows = await connection.execute(
        _KEPT.where(
            APPLICATIONS.c.created_at >= since,
            APPLICATIONS.c.created_at < until,
            APPLICATIONS.c.run_id.is_not(None),
            RUNS.c.case_no.is_(None),
            REFUSALS.c.id.is_(None),
        )
        .order_by(APPLICATIONS.c.created_at)
        .limit(limit)
    )
    return [Kept(*row) for row in rows]


async def one_at_a_time(connection: AsyncConnection) -> None:
    """Let new applications be given to staff one after the other, until this transaction ends."""
    await installation.lock(connection, "applications")


async def keep(connection: AsyncConnection, **values: object) -> None:
    """Write an application down; the same one (way and key) once."""
    await connection.execute(upsert(APPLICATIONS).values(**values).on_conflict_do_nothing())


async def hand(connection: AsyncConnection, application_id: UUID, run_id: UUID) -> None:
    """Write down which run an application was handed to."""
    await connection.execute(update(APPLICATIONS).where(APPLICATIONS.c.id == application_id).values(run_id=run_id))


async def given(
    connection: AsyncConnection, staff: Collection[str], since: datetime, *, rehearsal: str | None
) -> dict[str, tuple[int, datetime | None]]:
    """
    How many applications each of these was given since then by us, and when the last one ever.

    Of a rehearsal's orders, or (None) of the shop's own: what is rehearsed is nobody's work.
    """
    rows = await connection.execute(
        select(
            APPLICATIONS.c.operator,
            func.count().filter(APPLICATIONS.c.created_at >= since),
            func.max(APPLICATIONS.c.created_at),
        )
        # an application for an order that there is not is turned away, but somebody was given it
        .select_from(APPLICATIONS.outerjoin(ORDERS, ORDERS.c.order_no == APPLICATIONS.c.order_no))
        .where(
            APPLICATIONS.c.operator.in_(staff),
            APPLICATIONS.c.is_assigned,
            ORDERS.c.rehearsal.is_not_distinct_from(rehearsal),
        )
        .group_by(APPLICATIONS.c.operator)
    )
    return {operator: (count, last) for operator, count, last in rows}
