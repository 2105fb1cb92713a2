"""What the audits read: journals case by case, payments, windows, notices (AUD-01 to AUD-04)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, literal, or_, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from aftersales.store.journal import Entry
from aftersales.store.outbox import DELIVERIES, OUTBOX
from aftersales.store.tables import CaseRow, JournalRow, PromiseRow
from aftersales.words import DIGEST

CASES = CaseRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]

# journals are read in parts, so that memory does not grow with the house
PART = 500

_PAYMENTS = and_(
    JOURNAL.c.kind == "decision", or_(JOURNAL.c.entry.like("refund-%"), JOURNAL.c.entry.like("reimbursement-%"))
)
# whatever else names a case
_NAMING = tuple(
    SQLModel.metadata.tables[name]
    for name in (
        "evidence",
        "inbox",
        "outbox",
        "parks",
        "promises",
        "restock",
        "runs",
        "units",
        "visits",
        "work",
    )
)


@dataclass(frozen=True, slots=True)
class Billed:
    """A bill among all of an order; `total` is whatever stands there."""

    case_no: str
    seq: int
    at: datetime
    total: Any


@dataclass(frozen=True, slots=True)
class Chain:
    """A case's journal, and what its row says the journal ends with (no row: `seq` is None); its row and its promises."""

    case_no: str
    seq: int | None
    last_hash: str
    rows: list[Mapping[str, Any]]
    case: Mapping[str, Any] = field(default_factory=dict)
    promises: list[Mapping[str, Any]] = field(default_factory=list)


async def chains(
    connection: AsyncConnection, *, case_no: str = "", since: datetime | None = None, until: datetime | None = None
) -> AsyncIterator[Chain]:
    """Every journal with its case, in order of their numbers; of cases opened in a period, or of one."""
    opened = [CASES.c.opened_at >= since] if since else []
    opened += [CASES.c.opened_at < until] if until else []
    after = ""
    while True:
        query = select(CASES).where(CASES.c.case_no > after, *opened)
        if case_no:
            query = query.where(CASES.c.case_no == case_no)
        heads = (await connection.execute(query.order_by(CASES.c.case_no).limit(PART))).mappings().all()
        if not heads:
            break
        numbers = [head["case_no"] for head in heads]
        journals, promises = await _of(connection, JOURNAL, numbers), await _of(connection, PROMISES, numbers)
        for head in heads:
            number = head["case_no"]
            rows = journals.get(number, [])
            yield Chain(number, head["seq"], head["last_hash"], rows, dict(head), promises.get(number, []))
        after = numbers[-1]
    if since or until:
        return
    # a journal whose case is gone; one at a time, for there should be none
    orphans = select(JOURNAL.c.case_no).outerjoin(CASES, CASES.c.case_no == JOURNAL.c.case_no)
    orphans = orphans.where(CASES.c.case_no.is_(None)).distinct()
    if case_no:
        orphans = orphans.where(JOURNAL.c.case_no == case_no)
    for (orphan,) in (await connection.execute(orphans.order_by(JOURNAL.c.case_no))).all():
        yield Chain(orphan, None, "", (await _of(connection, JOURNAL, [orphan]))[orphan])


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


async def reckoned_between(
    connection: AsyncConnection, *, since: datetime, until: datetime
) -> list[tuple[str, str, str]]:
    """The real cases of which a bill was made or money went back in a period, in order: case, order, hash of its terms."""
    reckoned = (
        select(JOURNAL.c.case_no)
        .where(or_(JOURNAL.c.kind == "bill", _PAYMENTS), JOURNAL.c.at >= since, JOURNAL.c.at < until)
        .distinct()
    )
    query = select(CASES.c.case_no, CASES.c.order_no, CASES.c.terms_hash).where(
        CASES.c.case_no.in_(reckoned), CASES.c.rehearsal.is_(None)
    )
    rows = await connection.execute(query.order_by(CASES.c.case_no))
    return [(row.case_no, row.order_no, row.terms_hash) for row in rows]


async def bills(connection: AsyncConnection, order_no: str) -> list[Billed]:
    """Every bill of an order's cases, as it stands in the journal, oldest first."""
    rows = await connection.execute(
        select(JOURNAL.c.case_no, JOURNAL.c.seq, JOURNAL.c.at, JOURNAL.c.data["total"].label("total"))
        .join(CASES, CASES.c.case_no == JOURNAL.c.case_no)
        .where(CASES.c.order_no == order_no, JOURNAL.c.kind == "bill")
        .order_by(JOURNAL.c.at, JOURNAL.c.case_no, JOURNAL.c.seq)
    )
    return [Billed(row.case_no, row.seq, row.at, row.total) for row in rows]


async def uses(connection: AsyncConnection, references: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Which payments of real cases, whenever they were made, name each of these references: case and entry."""
    reference = JOURNAL.c.data["reference"].astext
    found: dict[str, list[tuple[str, str]]] = {}
    some = sorted(references)
    for start in range(0, len(some), PART * 10):
        rows = await connection.execute(
            select(reference.label("reference"), JOURNAL.c.case_no, JOURNAL.c.entry)
            .join(CASES, CASES.c.case_no == JOURNAL.c.case_no)
            .where(_PAYMENTS, CASES.c.rehearsal.is_(None), reference.in_(some[start : start + PART * 10]))
            .order_by(JOURNAL.c.at, JOURNAL.c.case_no)
        )
        for row in rows:
            found.setdefault(row.reference, []).append((row.case_no, row.entry))
    return found


async def homeless(connection: AsyncConnection, case_no: str = "") -> list[tuple[str, str]]:
    """Cases that other tables still name though neither case nor journal is there: case, and the tables."""
    named = union_all(
        *(
            select(table.c.case_no, literal(table.name).label("place")).where(
                table.c.case_no.is_not(None), table.c.case_no == case_no if case_no else true()
            )
            for table in _NAMING
        )
    ).subquery()
    rows = await connection.execute(
        select(named.c.case_no, func.string_agg(named.c.place.distinct(), literal("、")).label("places"))
        .where(
            ~select(CASES.c.case_no).where(CASES.c.case_no == named.c.case_no).exists(),
            ~select(JOURNAL.c.case_no).where(JOURNAL.c.case_no == named.c.case_no).exists(),
        )
        .group_by(named.c.case_no)
        .order_by(named.c.case_no)
    )
    return [(row.case_no, row.places) for row in rows]


async def histories(connection: AsyncConnection, case_nos: list[str]) -> dict[str, list[Entry]]:
    """The journals of some cases, in order."""
    names = Entry.__dataclass_fields__
    return {
        case_no: [Entry(**{name: row[name] for name in names}) for row in rows]
        for case_no, rows in (await _of(connection, JOURNAL, case_nos)).items()
    }


async def windows(connection: AsyncConnection, *, since: datetime, until: datetime) -> list[Mapping[str, Any]]:
    """The promises of real cases that fell due, or fall due, in a period."""
    query: Select[Any] = (
        select(PROMISES, CASES.c.closed_at)
        .join(CASES, CASES.c.case_no == PROMISES.c.case_no)
        # a due time is exclusive: what is due on the 26th ends at the 27th's first moment
        .where(PROMISES.c.due_at > since, PROMISES.c.due_at <= until, CASES.c.rehearsal.is_(None))
        # what was settled before it came to us kept or missed its windows elsewhere
        .where(CASES.c.facts["imported"]["is_past"].astext.is_distinct_from("true"))
        .order_by(PROMISES.c.due_at)
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def notices(
    connection: AsyncConnection,
    *,
    case_no: str = "",
    recipients: Collection[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Mapping[str, Any]]:
    """
    Every notice of a case, of recipients or of a period, with each address it went to, in order (AUD-04).

    Those of a rehearsal, which go by a clock of their own, only when their case is named.
    """
    # what went into a digest went where the digest did
    of = DELIVERIES.c.outbox_id == func.coalesce(OUTBOX.c.digest_id, OUTBOX.c.id)
    due = (
        select(JOURNAL.c.due_at)
        .where(JOURNAL.c.case_no == OUTBOX.c.case_no, JOURNAL.c.entry == OUTBOX.c.entry, JOURNAL.c.kind == "rung")
        .scalar_subquery()
    )
    query = (
        select(
            OUTBOX,
            due.label("reached_at"),
            *(
                DELIVERIES.c[name]
                for name in ("address", "channel", "told", "tries", "is_doubtful", "begun_at", "ended_at")
            ),
            DELIVERIES.c.state.label("outcome"),
            DELIVERIES.c.reason.label("why"),
        )
        .select_from(OUTBOX.outerjoin(DELIVERIES, of))
        .where(OUTBOX.c.notice != DIGEST)
        .order_by(OUTBOX.c.id, DELIVERIES.c.id)
    )
    if case_no:
        query = query.where(OUTBOX.c.case_no == case_no)
    else:
        rehearsed = select(CASES.c.case_no).where(CASES.c.case_no == OUTBOX.c.case_no, CASES.c.rehearsal.is_not(None))
        query = query.where(~rehearsed.exists())
    if recipients:
        query = query.where(OUTBOX.c.recipient.in_(recipients))
    if since is not None:
        query = query.where(OUTBOX.c.created_at >= since)
    if until is not None:
        query = query.where(OUTBOX.c.created_at < until)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def count(connection: AsyncConnection) -> int:
    """How many rows all journals have."""
    return await connection.scalar(select(func.count()).select_from(JOURNAL)) or 0


async def _of(connection: AsyncConnection, table: Any, case_nos: list[str]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of some cases in the journal or among the promises, in order."""
    order = table.c.seq if table is JOURNAL else table.c.id
    rows = await connection.execute(select(table).where(table.c.case_no.in_(case_nos)).order_by(table.c.case_no, order))
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows.mappings():
        found.setdefault(row["case_no"], []).append(dict(row))
    return found
