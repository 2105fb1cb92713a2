"""
The journal: what happened to a case, in order, never rewritten (design §3, AUD-01).

An entry's name is its key: whoever writes `review-0` first has decided it, and everybody else is told so.
`seq` and hashes are given here, under a short lock on the case's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Update, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.rules import chain
from aftersales.store.tables import CaseRow, JournalRow

CASES = CaseRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the journal."""

    seq: int
    entry: str
    kind: str
    at: datetime
    actor: str
    due_at: datetime | None
    rule: str
    data: Mapping[str, Any]


def _add() -> Update:
    """
    Write a row unless its entry is there, and move its case's head to it.

    Under the lock nobody else writes; `on conflict` would be a statement that SQLAlchemy compiles anew each time.
    """
    names = ("case_no", "seq", "entry", "kind", "at", "actor", "due_at", "rule", "data", "prev_hash", "hash")
    new = {name: bindparam(f"new_{name}", type_=JOURNAL.c[name].type) for name in names}
    is_known = select(JOURNAL.c.seq).where(JOURNAL.c.case_no == new["case_no"], JOURNAL.c.entry == new["entry"])
    row = select(*new.values()).where(~is_known.exists())
    written = insert(JOURNAL).from_select(list(names), row).returning(JOURNAL.c.seq).cte("written")
    return (
        update(CASES)
        .where(CASES.c.case_no == new["case_no"], select(written.c.seq).exists())
        .values(seq=new["seq"], last_hash=new["hash"])
    )


# putting it together takes as long as running it
_ADD = _add()


async def add(
    connection: AsyncConnection,
    case_no: str,
    entry: str,
    *,
    kind: str,
    at: datetime,
    actor: str,
    data: Mapping[str, Any] | None = None,
    due_at: datetime | None = None,
    rule: str = "",
) -> Entry | None:
    """Write an entry at the journal's end; None when an entry of that name is already there."""
    head = (
        await connection.execute(
            select(CASES.c.seq, CASES.c.last_hash).where(CASES.c.case_no == case_no).with_for_update()
        )
    ).one()
    row = {
        "case_no": case_no,
        "seq": head.seq + 1,
        "entry": entry,
        "kind": kind,
        "at": at.astimezone(UTC),
        "actor": actor,
        "due_at": due_at and due_at.astimezone(UTC),
        "rule": rule,
        "data": dict(data or {}),
    }
    new_hash = chain.digest(prev_hash=head.last_hash, row=row)
    values = row | {"prev_hash": head.last_hash, "hash": new_hash}
    moved = await connection.execute(_ADD, {f"new_{name}": value for name, value in values.items()})
    if not moved.rowcount:
        return None
    return entry_of(row)


async def read(connection: AsyncConnection, case_no: str) -> dict[str, Entry]:
    """Everything that happened to a case, by entry name, in order."""
    rows = await connection.execute(select(JOURNAL).where(JOURNAL.c.case_no == case_no).order_by(JOURNAL.c.seq))
    return {row["entry"]: entry_of(row) for row in rows.mappings()}


async def find(connection: AsyncConnection, case_no: str, entry: str) -> Entry | None:
    """One entry by name."""
    row = (
        (await connection.execute(select(JOURNAL).where(JOURNAL.c.case_no == case_no, JOURNAL.c.entry == entry)))
        .mappings()
        .one_or_none()
    )
    return entry_of(row) if row else None


def entry_of(row: Mapping[Any, Any]) -> Entry:
    """An entry as its row keeps it."""
    return Entry(
        row["seq"], row["entry"], row["kind"], row["at"], row["actor"], row["due_at"], row["rule"], row["data"]
    )
