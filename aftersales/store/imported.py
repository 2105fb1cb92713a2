"""What an import of returns needs to know: lines that could have come back, what was imported before, what was left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Result, bindparam, delete, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.imports.returns import Sold
from aftersales.store.tables import CaseRow, ImportedRow, UnplacedRow
from aftersales.words import Unable

CASES = CaseRow.__table__  # type: ignore[attr-defined]
IMPORTED = ImportedRow.__table__  # type: ignore[attr-defined]
UNPLACED = UnplacedRow.__table__  # type: ignore[attr-defined]

# what is wanted is put together once, under any plan
_SOLD = text("""
with wanted as materialized (
    select distinct * from unnest(cast(:customers as text[]), cast(:skus as text[])) as pair (customer_no, sku)
)
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


class AlreadyPlaced(Unable):
    """A case of the same order asks the same row back already."""


@dataclass(frozen=True, slots=True)
class Left:
    """A row that no rule could place, and why; `told` is what a person needs to look at it, without the customer."""

    key: str
    reason: str
    told: Mapping[str, Any]


async def placed(connection: AsyncConnection, source: str) -> dict[str, int]:
    """How many units of each row of a source cases have asked back."""
    rows = await connection.execute(
        select(IMPORTED.c.row_key, func.sum(IMPORTED.c.quantity))
        .where(IMPORTED.c.source == source)
        .group_by(IMPORTED.c.row_key)
    )
    return {key: int(quantity) for key, quantity in rows}


async def dealt_with(connection: AsyncConnection, source: str) -> set[str]:
    """The rows of a source that a person has dealt with."""
    rows = await connection.scalars(
        select(UNPLACED.c.row_key).where(UNPLACED.c.source == source, UNPLACED.c.done_at.is_not(None))
    )
    return set(rows)


async def place(
    connection: AsyncConnection, source: str, rows: Mapping[str, int], *, order_no: str, case_no: str
) -> None:
    """
    Write down which units of which rows a case asks back, in the transaction that opens it; no person need look at them.

    Raises AlreadyPlaced.
    """
    values = [
        {"source": source, "row_key": key, "order_no": order_no, "case_no": case_no, "quantity": quantity}
        for key, quantity in rows.items()
    ]
    written = await connection.execute(
        upsert(IMPORTED).values(values).on_conflict_do_nothing().returning(IMPORTED.c.row_key)
    )
    if len(written.all()) < len(values):
        raise AlreadyPlaced(f"订单 {order_no} 已有售后单处理同一退货行，其余的请人工登记。")
    await connection.execute(
        delete(UNPLACED).where(
            UNPLACED.c.source == source, UNPLACED.c.row_key.in_(rows.keys()), UNPLACED.c.done_at.is_(None)
        )
    )


async def unfinished(connection: AsyncConnection, source: str) -> list[Mapping[str, Any]]:
    """The past cases of a source that are still open: an import that was killed left them between two gates."""
    facts = CASES.c.facts["imported"]
    rows = await connection.execute(
        select(CASES.c.case_no, CASES.c.order_no, CASES.c.stage, facts["invoice"].astext.label("invoice"))
        .where(facts["source"].astext == source, facts["is_past"].astext == "true", CASES.c.closed_at.is_(None))
        .order_by(CASES.c.case_no)
    )
    return [dict(row) for row in rows.mappings()]


async def leave(connection: AsyncConnection, source: str, left: Iterable[Left], at: datetime) -> int:
    """Keep the rows that a person must look at, once each, as they are today; answers how many are new."""
    rows = [
        {"source": source, "row_key": each.key, "reason": each.reason, "data": dict(each.told), "imported_at": at}
        for each in left
    ]
    if not rows:
        return 0
    statement = upsert(UNPLACED)
    result: Result[Any] = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[UNPLACED.c.source, UNPLACED.c.row_key],
            # a row that was corrected tells more than it did
            set_={"reason": statement.excluded.reason, "data": statement.excluded.data},
            where=UNPLACED.c.done_at.is_(None),
        ).returning(literal_column("xmax = 0").label("is_new")),
        rows,
    )
    return sum(row.is_new for row in result)


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
