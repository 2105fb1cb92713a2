"""What an import of returns needs to know: lines that could have come back, what was imported before, what was left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.imports.returns import Sold, Unplaced
from aftersales.store.tables import CaseRow, UnplacedRow

CASES = CaseRow.__table__  # type: ignore[attr-defined]
UNPLACED = UnplacedRow.__table__  # type: ignore[attr-defined]

_SOLD = text("""
with wanted as (select distinct unnest(cast(:customers as text[])) as customer_no, unnest(cast(:skus as text[])) as sku)
select o.order_no, l.line_no, l.sku, c.customer_no, o.ordered_at, l.quantity, l.paid,
       l.quantity - coalesce((select sum(u.end_unit - u.first_unit) from units u
                              where u.line_id = l.id and u.state <> 'released'), 0) as free
from wanted w
join customers c on c.customer_no = w.customer_no
join orders o on o.customer_id = c.id and o.rehearsal is null
join order_lines l on l.order_id = o.id and l.sku = w.sku
order by o.order_no, l.line_no
""")


async def sold(connection: AsyncConnection, goods: Iterable[tuple[str, str]]) -> list[Sold]:
    """Every line of these customers and codes, with the units that can still come back; one query for all."""
    pairs = sorted(set(goods))
    rows = await connection.execute(
        _SOLD.bindparams(bindparam("customers"), bindparam("skus")),
        {"customers": [customer for customer, _ in pairs], "skus": [sku for _, sku in pairs]},
    )
    return [Sold(**{**row._mapping, "free": int(row.free)}) for row in rows]


async def known(connection: AsyncConnection, source: str) -> set[str]:
    """The keys of the rows that were imported from a source before, placed or not."""
    facts = await connection.scalars(
        select(CASES.c.facts["imported"]["rows"]).where(CASES.c.facts["imported"]["source"].astext == source)
    )
    left = await connection.scalars(select(UNPLACED.c.row_key).where(UNPLACED.c.source == source))
    return {key for rows in facts for key in rows or ()} | set(left)


async def leave(connection: AsyncConnection, source: str, unplaced: Sequence[Unplaced], at: datetime) -> int:
    """Keep the rows that a person must look at, once each; answers how many are new."""
    if not unplaced:
        return 0
    rows = [
        {
            "source": source,
            "row_key": each.row.key,
            "reason": each.reason,
            # no customer's name or number: the invoice leads to them (GEN-10)
            "data": {
                "line": each.row.line,
                "invoice": each.row.invoice,
                "sku": each.row.sku,
                "quantity": each.row.quantity,
                "amount": f"{each.row.amount:.2f}",
                "asked_at": each.row.asked_at.isoformat(),
            },
            "imported_at": at,
        }
        for each in unplaced
    ]
    result = await connection.execute(upsert(UNPLACED).on_conflict_do_nothing().returning(UNPLACED.c.id), rows)
    return len(result.all())


async def unplaced(connection: AsyncConnection) -> list[Mapping[str, Any]]:
    """The rows that nobody has dealt with yet, oldest first."""
    rows = await connection.execute(select(UNPLACED).where(UNPLACED.c.done_at.is_(None)).order_by(UNPLACED.c.id))
    return [dict(row) for row in rows.mappings()]


async def done(connection: AsyncConnection, number: int, at: datetime) -> bool:
    """Mark a row as dealt with; False when there is none of that number that was not."""
    result = await connection.execute(
        update(UNPLACED)
        .where(UNPLACED.c.id == number, UNPLACED.c.done_at.is_(None))
        .values(done_at=at)
        .returning(UNPLACED.c.id)
    )
    return result.first() is not None
