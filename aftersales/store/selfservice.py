"""
What the customer's page reads: who may see an order, its cases with what happened; and how often somebody has tried.

An order that there is not costs the same statement as one that there is (AMB-47).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, bindparam, case, delete, func, select, true
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from aftersales.rules.applying import Goods
from aftersales.store.applications import APPLICATIONS, REFUSALS, RUNS
from aftersales.store.journal import Entry, entry_of
from aftersales.store.tables import (
    AttemptRow,
    CaseRow,
    CustomerRow,
    JournalRow,
    OrderLineRow,
    OrderRow,
    PromiseRow,
    RehearsalRow,
    UnitsRow,
)
from aftersales.words import Process, Stage, Way

ATTEMPTS = AttemptRow.__table__  # type: ignore[attr-defined]
CASES = CaseRow.__table__  # type: ignore[attr-defined]
CUSTOMERS = CustomerRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]
LINES = OrderLineRow.__table__  # type: ignore[attr-defined]
ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]
REHEARSALS = RehearsalRow.__table__  # type: ignore[attr-defined]
UNITS = UnitsRow.__table__  # type: ignore[attr-defined]

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
class Order:
    """An order as its customer may see it, and what can still be returned of it; `rehearsal_at` is a rehearsal's clock."""

    order_no: str
    payment_route: str
    is_rehearsed: bool
    rehearsal_at: datetime | None
    goods: tuple[Goods, ...]


# the statements of a look are built once: that costs more than to ask them
_TAKEN = (
    select(func.coalesce(func.sum(UNITS.c.end_unit - UNITS.c.first_unit), 0))
    .where(UNITS.c.line_id == LINES.c.id, UNITS.c.state != "released")
    .scalar_subquery()
)
_ORDER = (
    select(
        ORDERS.c.order_no,
        ORDERS.c.payment_route,
        ORDERS.c.rehearsal,
        REHEARSALS.c.now_at,
        LINES.c.line_no,
        LINES.c.sku,
        LINES.c.name,
        (LINES.c.quantity - _TAKEN).label("free"),
    )
    .select_from(
        ORDERS.outerjoin(REHEARSALS, REHEARSALS.c.id == ORDERS.c.rehearsal).outerjoin(
            LINES, LINES.c.order_id == ORDERS.c.id
        )
    )
    .where(ORDERS.c.order_no == bindparam("order_no"))
    .order_by(LINES.c.line_no)
)


async def order(connection: AsyncConnection, order_no: str) -> Order | None:
    """An order by its number, None when there is none."""
    rows = (await connection.execute(_ORDER, {"order_no": order_no})).all()
    if not rows:
        return None
    first = rows[0]
    goods = tuple(Goods(row.line_no, row.sku, row.name, row.free) for row in rows if row.free and row.free > 0)
    return Order(first.order_no, first.payment_route, first.rehearsal is not None, first.now_at, goods)


async def lines(connection: AsyncConnection, order_no: str) -> int:
    """How many lines an order has, returned or not."""
    counted = select(func.count()).select_from(LINES.join(ORDERS, ORDERS.c.id == LINES.c.order_id))
    return (await connection.execute(counted.where(ORDERS.c.order_no == order_no))).scalar_one()


@dataclass(frozen=True, slots=True)
class Case:
    """A case and the promise of the gate that it stands at; between two gates there is none."""

    case_no: str
    stage: Stage
    opened_at: datetime
    due_stage: Stage | None
    due_at: datetime | None
    provisional: bool


# what customers ask for, or complain of
THEIRS = (Process.RETURNS.value, Process.COMPLAINT.value)
_GATE = (
    select(PROMISES.c.stage, PROMISES.c.due_at, PROMISES.c.provisional)
    .where(
        PROMISES.c.case_no == CASES.c.case_no,
        PROMISES.c.ended_at.is_(None),
        PROMISES.c.gate["gate"].astext.is_not(None),
    )
    .order_by(PROMISES.c.id.desc())
    .limit(1)
    .lateral("gate")
)
_CASES = (
    select(
        CASES.c.case_no,
        CASES.c.stage,
        CASES.c.opened_at,
        _GATE.c.stage.label("due_stage"),
        _GATE.c.due_at,
        func.coalesce(_GATE.c.provisional, False).label("provisional"),
    )
    .select_from(CASES.outerjoin(_GATE, true()))
    # what the house does by itself is no matter of the customer's
    .where(CASES.c.order_no == bindparam("order_no"), CASES.c.process.in_(THEIRS))
    .order_by(CASES.c.opened_at.desc(), CASES.c.case_no.desc())
)


async def cases(connection: AsyncConnection, order_no: str) -> list[Case]:
    """The cases of an order, newest first."""
    rows = await connection.execute(_CASES, {"order_no": order_no})
    return [
        Case(
            row.case_no,
            Stage(row.stage),
            row.opened_at,
            Stage(row.due_stage) if row.due_stage else None,
            row.due_at,
            row.provisional,
        )
        for row in rows
    ]


_HISTORIES = (
    select(JOURNAL)
    .where(JOURNAL.c.case_no.in_(bindparam("case_nos", expanding=True)))
    .order_by(JOURNAL.c.case_no, JOURNAL.c.seq)
)


async def histories(connection: AsyncConnection, case_nos: Sequence[str]) -> dict[str, list[Entry]]:
    """What happened to cases, in order."""
    found: dict[str, list[Entry]] = {case_no: [] for case_no in case_nos}
    if case_nos:
        rows = await connection.execute(_HISTORIES, {"case_nos": list(case_nos)})
        for row in rows.mappings():
            found[row["case_no"]].append(entry_of(row))
    return found


@dataclass(frozen=True, slots=True)
class Applied:
    """An application of an order: when, the sentence with which it was turned away, or that it is being taken in."""

    id: str
    at: datetime
    refusal: str


_APPLICATIONS = (
    select(APPLICATIONS.c.id, APPLICATIONS.c.created_at, func.coalesce(REFUSALS.c.reason, ""))
    .select_from(
        APPLICATIONS.outerjoin(RUNS, RUNS.c.run_id == APPLICATIONS.c.run_id).outerjoin(
            REFUSALS, REFUSALS.c.run_id == APPLICATIONS.c.run_id
        )
    )
    .where(
        APPLICATIONS.c.order_no == bindparam("order_no"),
        APPLICATIONS.c.via == Way.PAGE.value,
        RUNS.c.case_no.is_(None),
        # what was never handed over was not taken in, and whoever sent it was told so
        APPLICATIONS.c.run_id.is_not(None),
        (APPLICATIONS.c.created_at >= bindparam("since", type_=DateTime(timezone=True))) | REFUSALS.c.reason.is_(None),
    )
    .order_by(APPLICATIONS.c.created_at.desc())
    .limit(5)
)


async def applications(connection: AsyncConnection, order_no: str, *, since: datetime) -> list[Applied]:
    """The applications of an order that are no cases: those being taken in, and those turned away since; newest first."""
    rows = await connection.execute(_APPLICATIONS, {"order_no": order_no, "since": since})
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


async def is_counted(connection: AsyncConnection, mark: str, *, at: datetime) -> bool:
    """Whether there is an attempt that has not been forgotten."""
    asked = select(ATTEMPTS.c.count).where(ATTEMPTS.c.mark == mark, ATTEMPTS.c.until_at > at)
    return (await connection.execute(asked)).scalar() is not None


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
