"""Open cases by the region of their order: whom force majeure may have touched."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import CaseRow, OrderRow, PromiseRow
from aftersales.words import Stage

CASES = CaseRow.__table__  # type: ignore[attr-defined]
ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Placed:
    """An open case, the region of its order, and the promise of the gate where it waits; None between two gates."""

    case_no: str
    region: str
    stage: Stage
    promise: Mapping[str, Any] | None


def _open(process: str) -> Any:
    # a rehearsal lives on a clock of its own
    return (CASES.c.closed_at.is_(None), CASES.c.process == process, CASES.c.rehearsal.is_(None))


async def of_open_cases(connection: AsyncConnection, *, process: str) -> dict[str, int]:
    """How many open cases there are in each region; an order may have none (empty)."""
    rows = await connection.execute(
        select(ORDERS.c.region, func.count())
        .select_from(CASES.join(ORDERS, ORDERS.c.order_no == CASES.c.order_no))
        .where(*_open(process))
        .group_by(ORDERS.c.region)
    )
    return {region: count for region, count in rows.all()}


async def placed(connection: AsyncConnection, regions: Collection[str], *, process: str) -> list[Placed]:
    """The open cases whose orders name one of these regions, by number."""
    gate = CASES.join(ORDERS, ORDERS.c.order_no == CASES.c.order_no).outerjoin(
        PROMISES,
        (PROMISES.c.case_no == CASES.c.case_no)
        & PROMISES.c.ended_at.is_(None)
        & PROMISES.c.gate["gate"].astext.is_not(None),
    )
    rows = await connection.execute(
        select(CASES.c.case_no.label("number"), ORDERS.c.region, CASES.c.stage.label("at"), PROMISES)
        .select_from(gate)
        .where(ORDERS.c.region.in_(regions), *_open(process))
        .order_by(CASES.c.case_no)
    )
    return [
        Placed(row["number"], row["region"], Stage(row["at"]), dict(row) if row["id"] is not None else None)
        for row in rows.mappings()
    ]
