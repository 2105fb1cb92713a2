"""What the audits read: journals case by case, payments, windows (AUD-01 to AUD-03)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.journal import Entry
from aftersales.store.tables import CaseRow, JournalRow, PromiseRow

CASES = CaseRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]

# journals are read in parts, so that memory does not grow with the house
PART = 500


@dataclass(frozen=True, slots=True)
class Chain:
    """A case's journal, and what its row says the journal ends with; no row: `seq` is None."""

    case_no: str
    seq: int | None
    last_hash: str
    rows: list[Mapping[str, Any]]


async def chains(
    connection: AsyncConnection, *, case_no: str = "", since: datetime | None = None, until: datetime | None = None
) -> AsyncIterator[Chain]:
    """Every journal with its case, in order of their numbers; of cases opened in a period, or of one."""
    opened = [CASES.c.opened_at >= since] if since else []
    opened += [CASES.c.opened_at < until] if until else []
    after = ""
    while True:
        query = select(CASES.c.case_no, CASES.c.seq, CASES.c.last_hash).where(CASES.c.case_no > after, *opened)
        if case_no:
            query = query.where(CASES.c.case_no == case_no)
        heads = (await connection.execute(query.order_by(CASES.c.case_no).limit(PART))).all()
        if not heads:
            break
        journals = await _journals(connection, [head.case_no for head in heads])
        for head in heads:
            yield Chain(head.case_no, head.seq, head.last_hash, journals.get(head.case_no, []))
        after = heads[-1].case_no
    if since or until:
        return
    # a journal whose case is gone; one at a time, for there should be none
    orphans = select(JOURNAL.c.case_no).outerjoin(CASES, CASES.c.case_no == JOURNAL.c.case_no)
    orphans = orphans.where(CASES.c.case_no.is_(None)).distinct()
    if case_no:
        orphans = orphans.where(JOURNAL.c.case_no == case_no)
    for (orphan,) in (await connection.execute(orphans.order_by(JOURNAL.c.case_no))).all():
        yield Chain(orphan, None, "", (await _journals(connection, [orphan]))[orphan])


async def heads(connection: AsyncConnection) -> AsyncIterator[tuple[str, int, str]]:
    """The end of every case's journal: case, number of rows, last hash."""
    after = ""
    while True:
        query = select(CASES.c.case_no, CASES.c.seq, CASES.c.last_hash).where(CASES.c.case_no > after)
        rows = (await connection.execute(query.order_by(CASES.c.case_no).limit(PART * 10))).all()
        for row in rows:
            yield row.case_no, row.seq, row.last_hash
        if not rows:
            return
        after = rows[-1].case_no


async def paid_between(
    connection: AsyncConnection, *, since: datetime, until: datetime, real: bool = True
) -> list[tuple[str, str, str]]:
    """The cases of which money went back in a period, in order: case, order, hash of its terms."""
    paid = (
        select(JOURNAL.c.case_no)
        .where(
            JOURNAL.c.kind == "decision",
            or_(JOURNAL.c.entry.like("refund-%"), JOURNAL.c.entry.like("reimbursement-%")),
            JOURNAL.c.at >= since,
            JOURNAL.c.at < until,
        )
        .distinct()
    )
    query = select(CASES.c.case_no, CASES.c.order_no, CASES.c.terms_hash).where(CASES.c.case_no.in_(paid))
    if real:
        query = query.where(CASES.c.rehearsal.is_(None))
    rows = await connection.execute(query.order_by(CASES.c.case_no))
    return [(row.case_no, row.order_no, row.terms_hash) for row in rows]


async def histories(connection: AsyncConnection, case_nos: list[str]) -> dict[str, list[Entry]]:
    """The journals of some cases, in order."""
    names = Entry.__dataclass_fields__
    return {
        case_no: [Entry(**{name: row[name] for name in names}) for row in rows]
        for case_no, rows in (await _journals(connection, case_nos)).items()
    }


async def windows(connection: AsyncConnection, *, since: datetime, until: datetime) -> list[Mapping[str, Any]]:
    """The promises of real cases that fell due, or fall due, in a period."""
    query: Select[Any] = (
        select(PROMISES, CASES.c.closed_at)
        .join(CASES, CASES.c.case_no == PROMISES.c.case_no)
        .where(PROMISES.c.due_at >= since, PROMISES.c.due_at < until, CASES.c.rehearsal.is_(None))
        # what was settled before it came to us kept or missed its windows elsewhere
        .where(CASES.c.facts["imported"]["is_past"].astext.is_distinct_from("true"))
        .order_by(PROMISES.c.due_at)
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def count(connection: AsyncConnection) -> int:
    """How many rows all journals have."""
    return await connection.scalar(select(func.count()).select_from(JOURNAL)) or 0


async def _journals(connection: AsyncConnection, case_nos: list[str]) -> dict[str, list[Mapping[str, Any]]]:
    rows = await connection.execute(
        select(JOURNAL).where(JOURNAL.c.case_no.in_(case_nos)).order_by(JOURNAL.c.case_no, JOURNAL.c.seq)
    )
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows.mappings():
        found.setdefault(row["case_no"], []).append(dict(row))
    return found
