"""Gates that answer themselves, and customers to be reminded: what is due now, for real cases or for one rehearsal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import CaseRow, PromiseRow

CASES = CaseRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]


async def lapsed(connection: AsyncConnection, *, at: datetime, rehearsal: str | None) -> list[Mapping[str, Any]]:
    """The gates that nobody answered in time, the oldest first."""
    return await _due(connection, PROMISES.c.lapses_at <= at, rehearsal)


async def to_remind(connection: AsyncConnection, *, at: datetime, rehearsal: str | None) -> list[Mapping[str, Any]]:
    """The promises of which the customer is to be reminded."""
    return await _due(connection, PROMISES.c.remind_at <= at, rehearsal)


async def still_lapsed(connection: AsyncConnection, promise_id: int, *, at: datetime) -> Mapping[str, Any] | None:
    """A gate as it stands now, if nobody has answered it or moved its end, and nobody is to be reminded first."""
    row = await connection.execute(
        select(PROMISES).where(
            PROMISES.c.id == promise_id,
            PROMISES.c.ended_at.is_(None),
            PROMISES.c.lapses_at <= at,
            PROMISES.c.remind_at.is_(None),
        )
    )
    found = row.mappings().one_or_none()
    return dict(found) if found else None


async def reminded(
    connection: AsyncConnection, promise_id: int, *, at: datetime, lapses_at: datetime
) -> Mapping[str, Any] | None:
    """
    Mark a promise as reminded of, which then lapses no sooner than `lapses_at`; answers it as it stands then.

    None when it was reminded of before, was given more time, or has ended meanwhile.
    """
    row = await connection.execute(
        update(PROMISES)
        .where(PROMISES.c.id == promise_id, PROMISES.c.remind_at <= at, PROMISES.c.ended_at.is_(None))
        .values(remind_at=None, lapses_at=func.greatest(PROMISES.c.lapses_at, lapses_at))
        .returning(PROMISES)
    )
    found = row.mappings().one_or_none()
    return dict(found) if found else None


async def _due(connection: AsyncConnection, condition: Any, rehearsal: str | None) -> list[Mapping[str, Any]]:
    rows = await connection.execute(
        select(PROMISES)
        .join(CASES, CASES.c.case_no == PROMISES.c.case_no)
        .where(condition, PROMISES.c.ended_at.is_(None), CASES.c.rehearsal.is_not_distinct_from(rehearsal))
        .order_by(PROMISES.c.id)
        .limit(500)
    )
    return [dict(row) for row in rows.mappings()]
