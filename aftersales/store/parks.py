"""Parked steps: what waits for another system to answer, and when it is tried again (design §4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import ParkRow

PARKS = ParkRow.__table__  # type: ignore[attr-defined]


async def find(connection: AsyncConnection, case_no: str, entry: str) -> Mapping[str, Any] | None:
    """The park of a step, while it lasts."""
    row = (
        (
            await connection.execute(
                select(PARKS).where(PARKS.c.case_no == case_no, PARKS.c.entry == entry, PARKS.c.ended_at.is_(None))
            )
        )
        .mappings()
        .one_or_none()
    )
    return dict(row) if row else None


async def is_resting(connection: AsyncConnection, step: str, at: datetime, longest: timedelta) -> bool:
    """Whether any case's step of this name rests after a try in vain."""
    found = await connection.scalar(
        select(PARKS.c.id)
        .where(
            PARKS.c.entry.like(f"{step}-%"),
            PARKS.c.ended_at.is_(None),
            PARKS.c.retry_at.between(at, at + longest),
        )
        .limit(1)
    )
    return found is not None


async def park(
    connection: AsyncConnection,
    case_no: str,
    entry: str,
    *,
    owner: str,
    tries: int,
    reason: str,
    at: datetime,
    retry_at: datetime,
) -> None:
    """Park a step, or park it again after another try."""
    values = {"owner": owner, "tries": tries, "reason": reason, "retry_at": retry_at, "ended_at": None}
    await connection.execute(
        upsert(PARKS)
        .values(case_no=case_no, entry=entry, parked_at=at, **values)
        .on_conflict_do_update(index_elements=["case_no", "entry"], set_=values)
    )


async def hurry(connection: AsyncConnection, case_no: str, entry: str, at: datetime) -> None:
    """Let a parked step be tried again at once."""
    await connection.execute(
        update(PARKS)
        .where(PARKS.c.case_no == case_no, PARKS.c.entry == entry, PARKS.c.ended_at.is_(None), PARKS.c.retry_at > at)
        .values(retry_at=at)
    )


async def end(connection: AsyncConnection, case_no: str, entry: str | None, at: datetime) -> None:
    """End the park of a step, or every park of a case."""
    query = update(PARKS).where(PARKS.c.case_no == case_no, PARKS.c.ended_at.is_(None)).values(ended_at=at)
    if entry is not None:
        query = query.where(PARKS.c.entry == entry)
    await connection.execute(query)
