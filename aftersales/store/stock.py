"""What goes back to stock: told once for each receipt, for a stock system to read; nothing else counts stock (P-24)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import RestockRow

RESTOCK = RestockRow.__table__  # type: ignore[attr-defined]


async def restock(
    connection: AsyncConnection, *, case_no: str, entry: str, units: Sequence[tuple[int, str, int]], at: datetime
) -> None:
    """Write down units that can be sold again as `(line_no, sku, quantity)`, once a receipt and line."""
    if units:
        await connection.execute(
            upsert(RESTOCK)
            .values(
                [
                    {
                        "case_no": case_no,
                        "entry": entry,
                        "line_no": line_no,
                        "sku": sku,
                        "quantity": quantity,
                        "at": at,
                    }
                    for line_no, sku, quantity in units
                ]
            )
            .on_conflict_do_nothing()
        )
