"""
Rehearsals: a clock of their own, and whatever lives on it (design §5).

A rehearsal's clock does not run, it jumps, and only forward. Its cases are those of its orders; no other case is
ever moved by it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.imports.sales import Sale
from aftersales.rules.deliveries import CUSTOMER
from aftersales.store import orders
from aftersales.store.outbox import OUTBOX
from aftersales.store.tables import CaseRow, PromiseRow, RehearsalRow, SurveyRow
from aftersales.words import Unable

CASES = CaseRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]
REHEARSALS = RehearsalRow.__table__  # type: ignore[attr-defined]
SURVEYS = SurveyRow.__table__  # type: ignore[attr-defined]

SOURCE = "rehearsal"


@dataclass(frozen=True, slots=True)
class Owed:
    """A promise of a rehearsed case that is still open, and when something comes: it is late, answers itself, is told."""

    case_no: str
    stage: str
    owner: str
    due_at: datetime
    is_late: bool


async def begin(connection: AsyncConnection, *, at: datetime, on: date) -> str:
    """
    Begin a rehearsal whose clock stands at `at`; answers its id, `X20261122-3F9A` on that day of the house.

    Raises Unable when every name that was tried is taken.
    """
    for _ in range(20):
        name = f"X{on:%Y%m%d}-{secrets.token_hex(2).upper()}"
        begun = await connection.execute(
            upsert(REHEARSALS).values(id=name, now_at=at).on_conflict_do_nothing().returning(REHEARSALS.c.id)
        )
        if begun.first() is not None:
            return name
    raise Unable(f"{on} 的演练编号已用完，请换一天再演示。")


def order_no(rehearsal: str, place: int) -> str:
    """Number an order of a rehearsal, as no import and no other rehearsal numbers theirs: `DX-20261122-3F9A-01`."""
    return f"D{rehearsal[0]}-{rehearsal[1:]}-{place:02d}"


async def sell(connection: AsyncConnection, rehearsal: str, sales: Sequence[Sale]) -> None:
    """
    Take freshly made orders in that belong to a rehearsal.

    Raises Unable when the shop has orders of its own under these numbers.
    """
    settled = await orders.insert(connection, sales, source=SOURCE, rehearsal=rehearsal)
    if settled.orders != len(sales):
        taken = settled.conflicts[0].order_no if settled.conflicts else sales[0].order_no
        raise Unable(f"库中已有订单 {taken}，不能用作演练；请再运行一次，会换一批订单号。")


async def now(connection: AsyncConnection, rehearsal: str) -> datetime:
    """Read a rehearsal's clock."""
    return (await connection.execute(select(REHEARSALS.c.now_at).where(REHEARSALS.c.id == rehearsal))).scalar_one()


async def told(connection: AsyncConnection, case_no: str, notice: str) -> str:
    """Read the last notice of a kind to a rehearsed customer, as they would; empty when there is none."""
    body = await connection.scalar(
        select(OUTBOX.c.body)
        .join(CASES, CASES.c.case_no == OUTBOX.c.case_no)
        .where(
            OUTBOX.c.case_no == case_no,
            OUTBOX.c.notice == notice,
            OUTBOX.c.recipient == CUSTOMER,
            CASES.c.rehearsal.is_not(None),
        )
        .order_by(OUTBOX.c.id.desc())
        .limit(1)
    )
    return body or ""


async def jump(connection: AsyncConnection, rehearsal: str, to: datetime) -> None:
    """
    Put a rehearsal's clock forward.

    Raises ValueError for a time in its past: what has happened there would come to stand in the future.
    """
    moved = await connection.execute(
        update(REHEARSALS).where(REHEARSALS.c.id == rehearsal, REHEARSALS.c.now_at <= to).values(now_at=to)
    )
    if moved.rowcount != 1:
        raise ValueError(f"{rehearsal} is later than {to} already, or there is no such rehearsal")


async def next_due(connection: AsyncConnection, rehearsal: str, *, until: datetime) -> list[Owed]:
    """
    Find what falls due next on a rehearsal's clock, after its now and until an instant: all that is due at once.

    A jump stops there, so that nothing that is late is jumped over unseen; and where a notice or a survey may leave.
    """
    rows: list[Owed] = []
    for column in (PROMISES.c.due_at, PROMISES.c.lapses_at, PROMISES.c.remind_at, PROMISES.c.rung_at):
        open_ = (
            select(PROMISES.c.case_no, PROMISES.c.stage, PROMISES.c.owner, column)
            .join(CASES, CASES.c.case_no == PROMISES.c.case_no)
            .join(REHEARSALS, REHEARSALS.c.id == CASES.c.rehearsal)
            .where(
                REHEARSALS.c.id == rehearsal,
                PROMISES.c.ended_at.is_(None),
                column > REHEARSALS.c.now_at,
                column <= until,
            )
            .order_by(column, PROMISES.c.case_no)
        )
        rows += [
            Owed(row.case_no, row.stage, row.owner, row[3], column is PROMISES.c.due_at)
            for row in (await connection.execute(open_)).all()
        ]
    notices = await connection.execute(
        select(OUTBOX.c.case_no, OUTBOX.c.recipient, OUTBOX.c.next_at)
        .join(CASES, CASES.c.case_no == OUTBOX.c.case_no)
        .join(REHEARSALS, REHEARSALS.c.id == CASES.c.rehearsal)
        .where(
            REHEARSALS.c.id == rehearsal,
            OUTBOX.c.state == "queued",
            OUTBOX.c.next_at > REHEARSALS.c.now_at,
            OUTBOX.c.next_at <= until,
        )
    )
    rows += [Owed(row.case_no, "", row.recipient, row.next_at, False) for row in notices.all()]
    asked = await connection.execute(
        select(SURVEYS.c.case_no, SURVEYS.c.next_at)
        .join(REHEARSALS, REHEARSALS.c.id == SURVEYS.c.rehearsal)
        .where(REHEARSALS.c.id == rehearsal, SURVEYS.c.next_at > REHEARSALS.c.now_at, SURVEYS.c.next_at <= until)
    )
    rows += [Owed(row.case_no, "", "customer", row.next_at, False) for row in asked.all()]
    first = min((row.due_at for row in rows), default=None)
    return [row for row in rows if row.due_at == first]
