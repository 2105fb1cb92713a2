"""
What the customer's page reads: who may see an order, its cases with what happened; and how often somebody has tried.

An order that there is not costs the same statement as one that there is (AMB-47).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from aftersales.store.applications import APPLICATIONS, REFUSALS, RUNS
from aftersales.store.journal import Entry, entry_of
from aftersales.store.tables import AttemptRow, CustomerRow, JournalRow, OrderRow, PromiseRow
from aftersales.words import Stage

ATTEMPTS = AttemptRow.__table__  # type: ignore[attr-defined]
CUSTOMERS = CustomerRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]
ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]

# how many counts that are over go with each new one
SWEPT = 20


# --- the order ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose an order is: its phone, else its customer's. Never shown, never logged (GEN-10)."""

    order_no: str
    phone: str
    language: str


_ASKED = select(bindparam("order_no", type_=Text).label("order_no")).subquery("asked")
_HOLDER = select(
    func.coalesce(ORDERS.c.order_no, ""),
    func.coalesce(func.nullif(ORDERS.c.contact_phone, ""), CUSTOMERS.c.phone, ""),
    func.coalesce(CUSTOMERS.c.language, ""),
).select_from(
    _ASKED.outerjoin(ORDERS, ORDERS.c.order_no == _ASKED.c.order_no).outerjoin(
        CUSTOMERS, CUSTOMERS.c.id == ORDERS.c.customer_id
    )
)


async def holder(connection: AsyncConnection, order_no: str) -> Holder:
    """Whose an order is; of one that there is not everything is empty."""
    return Holder(*(await connection.execute(_HOLDER, {"order_no": order_no})).one())


@dataclass(frozen=True, slots=True)
class Due:
    """The open promise of a case's gate."""

    stage: Stage
    due_at: datetime
    provisional: bool


async def histories(connection: AsyncConnection, case_nos: Sequence[str]) -> dict[str, list[Entry]]:
    """What happened to cases, in order."""
    found: dict[str, list[Entry]] = {case_no: [] for case_no in case_nos}
    rows = await connection.execute(
        select(JOURNAL).where(JOURNAL.c.case_no.in_(case_nos)).order_by(JOURNAL.c.case_no, JOURNAL.c.seq)
    )
    for row in rows.mappings():
        found[row["case_no"]].append(entry_of(row))
    return found


async def open_gates(connection: AsyncConnection, case_nos: Sequence[str]) -> dict[str, Due]:
    """The promise of the gate that each case stands at; nothing of those that stand at none."""
    rows = await connection.execute(
        select(PROMISES.c.case_no, PROMISES.c.stage, PROMISES.c.due_at, PROMISES.c.provisional)
        .where(
            PROMISES.c.case_no.in_(case_nos), PROMISES.c.ended_at.is_(None), PROMISES.c.gate["gate"].astext.is_not(None)
        )
        .order_by(PROMISES.c.id)
    )
    return {row.case_no: Due(Stage(row.stage), row.due_at, row.provisional) for row in rows}


@dataclass(frozen=True, slots=True)
class Applied:
    """An application of an order: when, the sentence with which it was turned away, or that it is being taken in."""

    id: str
    at: datetime
    refusal: str


async def applications(connection: AsyncConnection, order_no: str, *, since: datetime) -> list[Applied]:
    """The applications of an order that are no cases: those being taken in, and those turned away since; newest first."""
    rows = await connection.execute(
        select(APPLICATIONS.c.id, APPLICATIONS.c.created_at, func.coalesce(REFUSALS.c.reason, ""))
        .select_from(
            APPLICATIONS.outerjoin(RUNS, RUNS.c.run_id == APPLICATIONS.c.run_id).outerjoin(
                REFUSALS, REFUSALS.c.run_id == APPLICATIONS.c.run_id
            )
        )
        .where(
            APPLICATIONS.c.order_no == order_no,
            APPLICATIONS.c.via == "page",
            RUNS.c.case_no.is_(None),
            # what was never handed over was not taken in, and whoever sent it was told so
            APPLICATIONS.c.run_id.is_not(None),
            (APPLICATIONS.c.created_at >= since) | REFUSALS.c.reason.is_(None),
        )
        .order_by(APPLICATIONS.c.created_at.desc())
        .limit(5)
    )
    return [Applied(str(row[0]), row[1], row[2]) for row in rows]


# --- attempts -------------------------------------------------------------------------------------------------------


async def attempt(connection: AsyncConnection, mark: str, *, window: timedelta, at: datetime) -> tuple[int, datetime]:
    """Count one more attempt, and tell how many there are in its window and when that ends."""
    is_over = ATTEMPTS.c.until_at <= at
    counted = await connection.execute(
        upsert(ATTEMPTS)
        .values(mark=mark, count=1, until_at=at + window)
        .on_conflict_do_update(
            index_elements=["mark"],
            set_={
                "count": case((is_over, 1), else_=ATTEMPTS.c.count + 1),
                "until_at": case((is_over, at + window), else_=ATTEMPTS.c.until_at),
            },
        )
        .returning(ATTEMPTS.c.count, ATTEMPTS.c.until_at)
    )
    row = counted.one()
    return row[0], row[1]


async def give_back(connection: AsyncConnection, marks: Sequence[str]) -> None:
    """Take one attempt from each count: it found what it sought."""
    for mark in sorted(marks):
        await connection.execute(
            ATTEMPTS.update().where(ATTEMPTS.c.mark == mark, ATTEMPTS.c.count > 0).values(count=ATTEMPTS.c.count - 1)
        )


async def sweep(connection: AsyncConnection, *, at: datetime) -> None:
    """Forget some counts that are over."""
    over = (
        select(ATTEMPTS.c.mark)
        .where(ATTEMPTS.c.until_at <= at - timedelta(days=1))
        .limit(SWEPT)
        .with_for_update(skip_locked=True)
    )
    await connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.mark.in_(over)))
