"""A shop's past for the nightly round: orders, cases, customers; and the nights."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from aftersales.imports.sales import Sale, SoldLine
from aftersales.rules import clocks
from aftersales.rules.lists import DONE, Called
from aftersales.store import lists, orders
from aftersales.store.engine import transaction
from aftersales.terms import load
from tasks import followup
from tasks.followup import Round

HOUSE = load().house


def at(wall: str) -> datetime:
    """A time of the house; a mere day is noon."""
    return clocks.house_time(datetime.fromisoformat(wall if " " in wall else f"{wall} 12:00"), house=HOUSE)


async def sell(
    order_no: str,
    *,
    ordered: str,
    delivered: str | None,
    customer: str = "U1",
    warranty: int = 0,
    channel: str = "官方网站",
    rehearsal: str | None = None,
    parcels: tuple[str | None, ...] = (),
    phone: str = "10212345678",
) -> str:
    """Sell a line at 200.00, or one for each of `parcels`; no customer is a guest."""
    lines = tuple(
        SoldLine(
            line_no=number,
            sku=f"SKU-{number}",
            name="台灯",
            category="家居",
            quantity=1,
            paid=Decimal("200.00"),
            delivered_at=at(came) if came else None,
            warranty_months=warranty,
        )
        for number, came in enumerate(parcels or (delivered,), 1)
    )
    sale = Sale(
        order_no=order_no,
        channel=channel,
        ordered_at=at(ordered),
        lines=lines,
        customer_no=customer,
        name="李小红",
        phone=phone,
        region="浙江 杭州",
        payment_route="支付宝",
    )
    async with transaction() as connection:
        settled = await orders.insert(connection, [sale], source="test", rehearsal=rehearsal)
    assert settled.orders == 1
    return order_no


async def a_case(
    case_no: str,
    order_no: str,
    *,
    closed: str | None = None,
    process: str = "returns",
    stage: str = "closed",
    operator: str = "C07",
    facts: str = "{}",
) -> str:
    """Write a case's row down, as it stands once it has ended, or open."""
    async with transaction() as connection:
        await connection.execute(
            text("insert into terms (hash, document, stored_at) values ('t', '{}', now()) on conflict do nothing")
        )
        await connection.execute(
            text(
                "insert into cases (case_no, process, order_no, channel, stage, owner, opened_at, closed_at, operator,"
                " terms_hash, facts, seq) values (:case_no, :process, :order_no, '', :stage, 'customer_service',"
                " '2025-01-01', :closed_at, :operator, 't', cast(:facts as jsonb), 0)"
            ),
            {
                "case_no": case_no,
                "process": process,
                "order_no": order_no,
                "stage": stage if closed else "review",
                "closed_at": at(closed) if closed else None,
                "operator": operator,
                "facts": facts,
            },
        )
    return case_no


async def change(statement: str, **values: Any) -> None:
    """Change something in the database."""
    async with transaction() as connection:
        await connection.execute(text(statement), values)


async def night(on: str, *, hour: str = "02:00", **changes: Any) -> Round:
    """The round of a day, at two in the morning."""
    return await followup.look(at=at(f"{on} {hour}"), **changes)


async def rows(where: str = "true") -> list[Any]:
    """Visits, in order."""
    async with transaction() as connection:
        return list((await connection.execute(text(f"select * from visits where {where} order by id"))).all())


def day_of(row: Any) -> str:
    """The day a visit is for: that for which it was drawn up, or, after a call in vain, a later one."""
    return max(str(row.due_on), row.data.get("drawn_on", ""))


async def made(on: str | None = None, *, outcome: str = "reached") -> None:
    """Let everybody who is to be called be called, on a day or on that which each is for."""
    for row in await rows("agent is not null and state in ('planned', 'listed')"):
        called = at(f"{on or day_of(row)} 10:00")
        call = {"at": called.isoformat(), "by": row.agent, "outcome": outcome, "list_no": row.list_no, "entry": ""}
        async with transaction() as connection:
            await lists.settle(connection, row.id, Called(DONE, outcome), call=call, at=called)


async def drawn(on: str | date) -> list[str]:
    """The keys of what is drawn up for a day."""
    found = await rows("agent is not null and state <> 'dropped'")
    return sorted(row.key for row in found if day_of(row) == str(on))


async def states() -> dict[str, str]:
    """What became of every visit: its state, and why it was dropped; with the agent's and its day where it has one."""
    found = {}
    for row in await rows():
        found[row.key] = row.data.get("why") or (f"{day_of(row)} {row.agent}" if row.agent else row.state)
    return found


async def a_visit(
    order_no: str,
    *,
    agent: str | None = "C07",
    due: str = "2025-03-12",
    kind: str = "purchase",
    case_no: str | None = None,
    customer: str = "U1",
    rehearsal: str | None = None,
) -> int:
    """Plan a visit of an order, sold for it where there is none, for an agent; answers its number."""
    async with transaction() as connection:
        known = await connection.scalar(text("select 1 from orders where order_no = :o"), {"o": order_no})
    if known is None:
        await sell(order_no, ordered="2025-03-01", delivered="2025-03-04", customer=customer, rehearsal=rehearsal)
    async with transaction() as connection:
        return await connection.scalar(
            text(
                "insert into visits (key, kind, order_no, case_no, customer_id, owner, agent, due_on, rule, rehearsal,"
                " created_at) select :kind || ':' || coalesce(:case_no, order_no) || ':' || :due, :kind, order_no,"
                " :case_no, customer_id, 'customer_service', :agent, cast(:due as date), 'FUP-01',"
                " cast(:rehearsal as text), now() from orders where order_no = :order_no returning id"
            ),
            {
                "kind": kind,
                "case_no": case_no,
                "due": due,
                "agent": agent,
                "rehearsal": rehearsal,
                "order_no": order_no,
            },
        )
