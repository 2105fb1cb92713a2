"""Whom visits and surveys are for, and who wants none: a customer, or a guest by the telephone (FUP-11, P-22)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, any_, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import CaseRow, CustomerRow, GuestRow, OrderRow, VisitRow

CASES = CaseRow.__table__  # type: ignore[attr-defined]
CUSTOMERS = CustomerRow.__table__  # type: ignore[attr-defined]
GUESTS = GuestRow.__table__  # type: ignore[attr-defined]
ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
VISITS = VisitRow.__table__  # type: ignore[attr-defined]

CUSTOMER, PHONE, ORDER = "c", "p", "o"
# whose the order `o` is, in SQL: what `person` names
PERSON = (
    f"""coalesce('{CUSTOMER}' || o.customer_id, '{PHONE}' || nullif(o.contact_phone, ''), '{ORDER}' || o.order_no)"""
)


def person(*, customer_id: int | None, phone: str, order_no: str) -> str:
    """Name a person: a customer; a guest by the telephone, for guests have no number; else by the order."""
    if customer_id is not None:
        return f"{CUSTOMER}{customer_id}"
    return f"{PHONE}{phone}" if phone else f"{ORDER}{order_no}"


def parted(people: Collection[str]) -> dict[str, list[Any]]:
    """Part names by what they name: the numbers of customers, telephones, orders."""
    of: dict[str, list[Any]] = {CUSTOMER: [], PHONE: [], ORDER: []}
    for name in sorted(people):
        of[name[0]].append(int(name[1:]) if name[0] == CUSTOMER else name[1:])
    return {"customers": of[CUSTOMER], "phones": of[PHONE], "orders": of[ORDER]}


async def of_order(connection: AsyncConnection, order_no: str) -> str | None:
    """Whose an order is; None where there is no such order."""
    row = (
        await connection.execute(
            select(ORDERS.c.customer_id, ORDERS.c.contact_phone).where(ORDERS.c.order_no == order_no)
        )
    ).one_or_none()
    return person(customer_id=row.customer_id, phone=row.contact_phone, order_no=order_no) if row else None


def has_order(name: str, order_no: ColumnElement[str]) -> ColumnElement[bool]:
    """Tell which orders are somebody's."""
    of = name[1:]
    if name[0] == ORDER:
        return order_no == of
    whose = (
        ORDERS.c.customer_id == int(of)
        if name[0] == CUSTOMER
        else ORDERS.c.customer_id.is_(None) & (ORDERS.c.contact_phone == of)
    )
    return order_no.in_(select(ORDERS.c.order_no).where(whose))


def has_visit(name: str) -> ColumnElement[bool]:
    """Tell which visits are somebody's."""
    if name[0] == CUSTOMER:
        return VISITS.c.customer_id == int(name[1:])
    return VISITS.c.customer_id.is_(None) & has_order(name, VISITS.c.order_no)


async def opted_out(connection: AsyncConnection, people: Collection[str]) -> set[str]:
    """Which of these do not want to be asked."""
    customers = parted(people)["customers"]
    found = select(CUSTOMERS.c.id).where(
        CUSTOMERS.c.opted_out, CUSTOMERS.c.id == any_(literal(customers, ARRAY(BigInteger)))
    )
    guests = select(GUESTS.c.person).where(
        GUESTS.c.opted_out, GUESTS.c.person == any_(literal(list(people), ARRAY(Text)))
    )
    names = {f"{CUSTOMER}{number}" for number in await connection.scalars(found)}
    return names | set(await connection.scalars(guests))


async def opt_out(connection: AsyncConnection, name: str, *, is_out: bool = True) -> None:
    """Keep whether somebody wants to be asked no more (FUP-11)."""
    if name[0] == CUSTOMER:
        await connection.execute(update(CUSTOMERS).where(CUSTOMERS.c.id == int(name[1:])).values(opted_out=is_out))
        return
    await connection.execute(
        upsert(GUESTS)
        .values(person=name, opted_out=is_out)
        .on_conflict_do_update(index_elements=["person"], set_={"opted_out": is_out})
    )


async def wish_visits_until(connection: AsyncConnection, name: str, until: date | None) -> bool:
    """Keep up to which day a customer wants visits in use; False for a guest, who has none (FUP-02)."""
    if name[0] != CUSTOMER:
        return False
    theirs = CUSTOMERS.c.id == int(name[1:])
    await connection.execute(update(CUSTOMERS).where(theirs).values(visits_until=until))
    return True


async def is_opted_out_of(connection: AsyncConnection, case_no: str) -> bool:
    """Whether whoever a case is about does not want to be asked."""
    order_no = await connection.scalar(select(CASES.c.order_no).where(CASES.c.case_no == case_no))
    return order_no is not None and await is_opted_out(connection, order_no)


async def is_opted_out(connection: AsyncConnection, order_no: str) -> bool:
    """Whether whoever bought an order does not want to be asked."""
    name = await of_order(connection, order_no)
    return name is not None and bool(await opted_out(connection, [name]))
