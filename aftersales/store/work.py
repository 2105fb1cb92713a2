"""The work lists behind the embedded gateways: pick-ups to arrange, refunds to transfer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.store import cases
from aftersales.store.engine import transaction
from aftersales.store.tables import CaseRow, OrderRow, RunRow, WorkRow

WORK = WorkRow.__table__  # type: ignore[attr-defined]
CASES = CaseRow.__table__  # type: ignore[attr-defined]
ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
RUNS = RunRow.__table__  # type: ignore[attr-defined]


async def put(
    *, key: str, kind: str, case_no: str, amount: Decimal | None, route: str, data: Mapping[str, Any]
) -> None:
    """Put an item on its list; the same key once."""
    async with transaction() as connection:
        now = clock.now(await cases.read(connection, case_no))
        await connection.execute(
            upsert(WORK)
            .values(
                key=key, kind=kind, case_no=case_no, amount=amount, route=route, data=data, state="open", created_at=now
            )
            .on_conflict_do_nothing()
        )


async def find(key: str) -> bool:
    """Whether an item stands on a list."""
    async with transaction() as connection:
        return await connection.scalar(select(WORK.c.key).where(WORK.c.key == key)) is not None


async def finish(connection: AsyncConnection, key: str, *, reference: str, at: datetime) -> None:
    """Strike an item off its list."""
    await connection.execute(
        update(WORK)
        .where(WORK.c.key == key, WORK.c.state == "open")
        .values(state="done", reference=reference, done_at=at)
    )


async def drop(connection: AsyncConnection, case_no: str) -> None:
    """Take what is still open of a case off the lists: it ended otherwise."""
    await connection.execute(
        update(WORK).where(WORK.c.case_no == case_no, WORK.c.state == "open").values(state="dropped")
    )


async def listed(connection: AsyncConnection, kind: str, *, limit: int = 500) -> list[Mapping[str, Any]]:
    """What is open on a list, oldest first, with its order and the run that tells its case; rehearsed items are left out."""
    teller = (
        select(RUNS.c.run_id)
        .where(RUNS.c.case_no == WORK.c.case_no)
        .order_by(RUNS.c.generation.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await connection.execute(
        select(WORK, CASES.c.order_no, ORDERS.c.region, teller.label("run_id"))
        .join(CASES, CASES.c.case_no == WORK.c.case_no)
        .join(ORDERS, ORDERS.c.order_no == CASES.c.order_no)
        .where(WORK.c.kind == kind, WORK.c.state == "open", CASES.c.rehearsal.is_(None))
        .order_by(WORK.c.created_at)
        .limit(limit)
    )
    return [dict(row) for row in rows.mappings()]
