"""
Visits: what is planned for whom, and what the nightly round looks at (FUP).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import OrderRow, VisitRow

ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
VISITS = VisitRow.__table__  # type: ignore[attr-defined]


async def plan(connection: AsyncConnection, *, key: str, order_no: str, **values: Any) -> None:
    """Plan a visit about an order, once; its customer is the order's."""
    customer = select(ORDERS.c.customer_id).where(ORDERS.c.order_no == order_no).scalar_subquery()
    await connection.execute(
        upsert(VISITS).values(key=key, order_no=order_no, customer_id=customer, **values).on_conflict_do_nothing()
    )
