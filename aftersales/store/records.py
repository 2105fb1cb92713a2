"""What stands beside a case's story: evidence, contacts, looks at contacts; and the lists and audits people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, case, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import (
    CaseRow,
    ContactRow,
    CustomerRow,
    EvidenceRow,
    JournalRow,
    LookRow,
    OrderRow,
    PromiseRow,
    RehearsalRow,
)
from aftersales.words import Stage

CASES = CaseRow.__table__  # type: ignore[attr-defined]
CONTACTS = ContactRow.__table__  # type: ignore[attr-defined]
CUSTOMERS = CustomerRow.__table__  # type: ignore[attr-defined]
EVIDENCE = EvidenceRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]
LOOKS = LookRow.__table__  # type: ignore[attr-defined]
ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]
REHEARSALS = RehearsalRow.__table__  # type: ignore[attr-defined]


# --- the work list --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """
    A case in a list: where it stands, until when, and about how much money. `due_at` is None between two gates.

    `is_customers` where it is the customer who is waited for, which is never late.
    """

    case_no: str
    process: str
    order_no: str
    stage: Stage
    owner: str
    opened_at: datetime
    closed_at: datetime | None
    due_at: datetime | None
    provisional: bool
    is_customers: bool
    amount: Decimal | None
    rehearsal: str | None
    rehearsal_at: datetime | None


async def listed(
    connection: AsyncConnection, *, stage: Stage | None, owner: str | None, everything: bool, limit: int
) -> list[Listed]:
    """List open cases, the most urgent first, of a stage or an owning department when named; or all, newest first."""
    due = (
        select(PROMISES.c.due_at, PROMISES.c.provisional, PROMISES.c.lapses_at)
        .where(
            PROMISES.c.case_no == CASES.c.case_no,
            PROMISES.c.ended_at.is_(None),
            PROMISES.c.gate["gate"].astext.is_not(None),
        )
        .order_by(PROMISES.c.id.desc())
        .limit(1)
        .lateral("due")
    )
    # the newest word on the money: a bill or what the manager was shown, else the quote of the application as it stands
    money = (
        select(
            case(
                (JOURNAL.c.kind.in_(("bill", "reckoning")), JOURNAL.c.data["total"].astext),
                else_=JOURNAL.c.data["quote"]["total"].astext,
            ).label("amount")
        )
        .where(
            JOURNAL.c.case_no == CASES.c.case_no,
            JOURNAL.c.kind.in_(("opened", "amended", "bill", "reckoning")),
            # what is taken back stands there as a negative bill
            JOURNAL.c.entry.not_like("void-%"),
        )
        .order_by(JOURNAL.c.seq.desc())
        .limit(1)
        .lateral("money")
    )
    query: Select = select(
        CASES.c.case_no,
        CASES.c.process,
        CASES.c.order_no,
        CASES.c.stage,
        CASES.c.owner,
        CASES.c.opened_at,
        CASES.c.closed_at,
        due.c.due_at,
        func.coalesce(due.c.provisional, False).label("provisional"),
        due.c.lapses_at.is_not(None).label("is_customers"),
        money.c.amount,
        CASES.c.rehearsal,
        REHEARSALS.c.now_at.label("rehearsal_at"),
    ).select_from(
        CASES.outerjoin(REHEARSALS, CASES.c.rehearsal == REHEARSALS.c.id)
        .outerjoin(due, due.c.due_at.is_not(None))
        .outerjoin(money, money.c.amount.is_not(None))
    )
    if everything:
        query = query.order_by(CASES.c.opened_at.desc(), CASES.c.case_no.desc())
    else:
        query = query.where(CASES.c.closed_at.is_(None)).order_by(due.c.due_at.asc().nulls_last(), CASES.c.case_no)
    if stage is not None:
        query = query.where(CASES.c.stage == stage.value)
    if owner is not None:
        query = query.where(CASES.c.owner == owner)
    rows = await connection.execute(query.limit(limit))
    return [
        Listed(
            **{
                **row,
                "stage": Stage(row["stage"]),
                "amount": None if row["amount"] is None else Decimal(row["amount"]),
            }
        )
        for row in rows.mappings()
    ]


# --- the audit ------------------------------------------------------------------------------------------------------


async def audited(connection: AsyncConnection, case_no: str) -> tuple[Sequence[Mapping[str, Any]], int, str]:
    """Give the whole rows of a case's journal, with their hashes, and the number and hash the case says they end with."""
    head = (await connection.execute(select(CASES.c.seq, CASES.c.last_hash).where(CASES.c.case_no == case_no))).one()
    rows = await connection.execute(select(JOURNAL).where(JOURNAL.c.case_no == case_no).order_by(JOURNAL.c.seq))
    return [dict(row) for row in rows.mappings()], head.seq, head.last_hash


# --- evidence -------------------------------------------------------------------------------------------------------


async def add_evidence(
    connection: AsyncConnection, *, case_no: str, reference: str, name: str, actor: str, at: datetime
) -> bool:
    """Keep a piece of evidence; False when the case has it already."""
    result = await connection.execute(
        upsert(EVIDENCE)
        .values(case_no=case_no, reference=reference, name=name, actor=actor, added_at=at)
        .on_conflict_do_nothing()
        .returning(EVIDENCE.c.id)
    )
    return result.first() is not None


# --- contacts -------------------------------------------------------------------------------------------------------


async def keep_contact(
    connection: AsyncConnection, *, case_no: str, kind: str, data: Mapping[str, str], actor: str, at: datetime
) -> None:
    """Keep a case's contact or account; a new one takes the place of the old."""
    values = {"data": dict(data), "actor": actor, "at": at}
    await connection.execute(
        upsert(CONTACTS)
        .values(case_no=case_no, kind=kind, **values)
        .on_conflict_do_update(index_elements=["case_no", "kind"], set_=values)
    )


async def contacts(connection: AsyncConnection, case_nos: Sequence[str]) -> list[Mapping[str, Any]]:
    """Give the contacts and accounts recorded for cases, whole: whoever shows them masks them (GEN-10)."""
    rows = await connection.execute(
        select(CONTACTS).where(CONTACTS.c.case_no.in_(case_nos)).order_by(CONTACTS.c.case_no, CONTACTS.c.kind)
    )
    return [dict(row) for row in rows.mappings()]


async def add_look(connection: AsyncConnection, *, order_no: str, actor: str, reason: str, at: datetime) -> int:
    """Write down that somebody looks at an order's full contact; answers how many looks there were, this one too."""
    await connection.execute(insert(LOOKS).values(at=at, actor=actor, order_no=order_no, reason=reason))
    return await connection.scalar(select(func.count()).select_from(LOOKS).where(LOOKS.c.order_no == order_no)) or 0


async def has_account(connection: AsyncConnection, case_no: str) -> bool:
    """Whether an account for a manual transfer was recorded (MON-08)."""
    return (
        await connection.scalar(
            select(CONTACTS.c.id).where(CONTACTS.c.case_no == case_no, CONTACTS.c.kind == "account")
        )
    ) is not None


async def reach(connection: AsyncConnection, case_no: str) -> dict[str, str]:
    """Whom a carrier comes to: the contact recorded for the case, else the order's own. Never logged (GEN-10)."""
    order = (
        await connection.execute(
            select(ORDERS.c.contact_name, ORDERS.c.contact_phone, ORDERS.c.region)
            .join(CASES, CASES.c.order_no == ORDERS.c.order_no)
            .where(CASES.c.case_no == case_no)
        )
    ).one()
    recorded = await connection.scalar(
        select(CONTACTS.c.data).where(CONTACTS.c.case_no == case_no, CONTACTS.c.kind == "contact")
    )
    named = recorded or {"name": order.contact_name, "phone": order.contact_phone}
    return {"name": named.get("name", ""), "phone": named.get("phone", ""), "address": order.region}


async def reach_customer(connection: AsyncConnection, case_no: str) -> dict[str, str]:
    """Where a customer is told: phone and mail recorded for the case, each else the order's own. Never logged (GEN-10)."""
    order = (
        await connection.execute(
            select(ORDERS.c.contact_phone, ORDERS.c.contact_email)
            .join(CASES, CASES.c.order_no == ORDERS.c.order_no)
            .where(CASES.c.case_no == case_no)
        )
    ).one()
    recorded = await connection.scalar(
        select(CONTACTS.c.data).where(CONTACTS.c.case_no == case_no, CONTACTS.c.kind == "contact")
    )
    named = recorded or {}
    return {
        "phone": named.get("phone") or order.contact_phone,
        "email": named.get("email") or order.contact_email,
    }


async def quiet_of_customer(connection: AsyncConnection, case_no: str) -> str:
    """When a case's customer wants to hear nothing; empty when they have said nothing, or are a guest (P-10)."""
    own = await connection.scalar(
        select(CUSTOMERS.c.quiet)
        .join(ORDERS, ORDERS.c.customer_id == CUSTOMERS.c.id)
        .join(CASES, CASES.c.order_no == ORDERS.c.order_no)
        .where(CASES.c.case_no == case_no)
    )
    return own or ""


async def keep_quiet(connection: AsyncConnection, order_no: str, hours: str) -> bool:
    """Write down when an order's customer wants to hear nothing; False when nobody stands behind it: a guest's."""
    theirs = select(ORDERS.c.customer_id).where(ORDERS.c.order_no == order_no).scalar_subquery()
    result = await connection.execute(update(CUSTOMERS).where(CUSTOMERS.c.id == theirs).values(quiet=hours))
    return bool(result.rowcount)
