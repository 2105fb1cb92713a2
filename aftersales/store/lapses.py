"""Gates that answer themselves, and customers to be reminded: what is due now, for real cases or for one rehearsal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import CaseRow, PromiseRow

CASES = CaseRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]


async def lapsed(connection: AsyncConnection, *, at: datetime, rehearsal: str | None) -> list[Mapping[str, Any]]:
    """The gates that nobody answered in time, the oldest first."""
    return await _due(connection, PROMISES.c.lapses_at <= at, rehearsal)


async def to_remind(connection: AsyncConnection, *, at: datetime, rehearsal: str | None) -> list[Mapping[str, Any]]:
    """The promises that fell due of which the customer is to be reminded."""
    return await _due(connection, PROMISES.c.reminds & (PROMISES.c.due_at <= at), rehearsal)


async def reminded(connection: AsyncConnection, promise_id: int) -> bool:
    """Mark a promise as reminded of; False when it was, or has ended meanwhile."""
    result = await connection.execute(
        update(PROMISES)
        .where(PROMISES.c.id == promise_id, PROMISES.c.reminds, PROMISES.c.ended_at.is_(None))
        .values(reminds=False)
        .returning(PROMISES.c.id)
    )
    return result.first() is not None


async def _due(connection: AsyncConnection, condition: Any, rehearsal: str | None) -> list[Mapping[str, Any]]:
    rows = await connection.execute(
        select(PROMISES)
        .join(CASES, CASES.c.case_no == PROMISES.c.case_no)
        .where(condition, PROMISES.c.ended_at.is_(None), CASES.c.rehearsal.is_not_distinct_from(rehearsal))
        .order_by(PROMISES.c.id)
        .limit(500)
    )
    return [dict(row) for row in rows.mappings()]
