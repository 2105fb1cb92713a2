"""The facts of an order as the rules see them: no names, no contacts, and what other cases have taken and paid."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Numeric, Row, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store import units
from aftersales.store.tables import CaseRow, JournalRow, OrderLineRow, OrderRow
from aftersales.words import ZERO, Order, OrderLine

ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
LINES = OrderLineRow.__table__  # type: ignore[attr-defined]
CASES = CaseRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]


async def load(connection: AsyncConnection, order_no: str, *, with_refunds: bool = True) -> Order | None:
    """
    Tell the facts of an order, None when there is none; with the units that cases hold or have settled, and what went back.

    A refund counts from the moment its bill is made: two cases must not both count on the same money (MON-14).
    The audit leaves them out (`with_refunds`) and reads the bills one by one: one of them may have been tampered with.
    """
    order = (await connection.execute(select(ORDERS).where(ORDERS.c.order_no == order_no))).one_or_none()
    if order is None:
        return None
    lines = (
        await connection.execute(select(LINES).where(LINES.c.order_id == order.id).order_by(LINES.c.line_no))
    ).all()
    taken: dict[int, list[Row]] = {line.id: [] for line in lines}
    for row in await units.ledger(connection, list(taken)):
        taken[row.line_id].append(row)
    return Order(
        order_no=order.order_no,
        channel=order.channel,
        ordered_at=order.ordered_at,
        lines=tuple(
            OrderLine(
                line_no=line.line_no,
                sku=line.sku,
                name=line.name,
                category=line.category,
                quantity=line.quantity,
                paid=line.paid,
                delivered_at=line.delivered_at,
                is_gift=line.is_gift,
                variant="，".join(str(value) for value in (line.attributes or {}).values()),
                taken=units.runs(taken[line.id]),
                holders=units.holders(taken[line.id]),
            )
            for line in lines
        ),
        freight=order.freight,
        insured_freight=order.insured_freight or ZERO,
        payment_route=order.payment_route,
        paid=order.paid,
        refunded=await refunded(connection, order_no) if with_refunds else ZERO,
        refunds=await refunds(connection, order_no) if with_refunds else 0,
    )


async def refunded(connection: AsyncConnection, order_no: str) -> Decimal:
    """Add up what the bills of all cases of an order pay."""
    return (
        await connection.scalar(
            select(func.coalesce(func.sum(cast(JOURNAL.c.data["total"].astext, Numeric(14, 2))), ZERO))
            .join(CASES, CASES.c.case_no == JOURNAL.c.case_no)
            .where(CASES.c.order_no == order_no, JOURNAL.c.kind == "bill")
        )
    ) or ZERO


async def refunds(connection: AsyncConnection, order_no: str) -> int:
    """
    Count the refunds that all cases of an order have sent by the original route: the provider takes only so many (P-16).

    One counts from the moment it is about to be sent; what the provider has refused, or was transferred, does not.
    """
    refused = JOURNAL.alias("refused")
    was_refused = (
        select(refused.c.seq)
        .where(
            refused.c.case_no == JOURNAL.c.case_no,
            refused.c.kind == "outcome",
            func.split_part(refused.c.entry, ".", 1) == func.split_part(JOURNAL.c.entry, ".", 1),
            refused.c.data["outcome"].astext == "refused",
        )
        .exists()
    )
    return (
        await connection.scalar(
            select(func.count())
            .select_from(JOURNAL.join(CASES, CASES.c.case_no == JOURNAL.c.case_no))
            .where(
                CASES.c.order_no == order_no,
                JOURNAL.c.kind == "sending",
                JOURNAL.c.data["reason"].astext == "",
                ~was_refused,
            )
        )
    ) or 0
