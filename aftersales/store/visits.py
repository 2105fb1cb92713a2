"""
Visits: what is planned for whom, and what the nightly round finds, as sets (FUP).

The round's cost follows what is due: each question goes by an index on the day that makes something due.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, RowMapping, cast, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.rules.lists import LISTED, PLANNED
from aftersales.rules.visits import Drawn, Due, Left, Person
from aftersales.store import people
from aftersales.store.tables import OrderRow, VisitRow
from aftersales.words import LeftOut

ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
VISITS = VisitRow.__table__  # type: ignore[attr-defined]

Span = tuple[datetime, datetime]

# goods that went back are used no more; what is exchanged or repaired still is
_RETURNED = """
    coalesce((select sum(u.end_unit - u.first_unit) from units u
              where u.line_id = l.id and u.state <> 'released' and u.process = 'returns'), 0)
"""

# numbers first, then each row by its number: a planner that joins at will reads every order, or every line for every day
_PURCHASES = f"""
select o.order_no, o.channel, o.customer_id, o.contact_phone, o.ordered_at, max(l.delivered_at) as delivered_at
from orders o join order_lines l on l.order_id = o.id
where o.id = any(array(
    select id from orders where ordered_at >= :ordered_since and ordered_at < :ordered_until
    union
    select order_id from order_lines where delivered_at >= :delivered_since and delivered_at < :delivered_until
  )) and o.rehearsal is not distinct from cast(:rehearsal as text)
  and not exists (select from visits v where v.key = 'purchase:' || o.order_no)
group by o.id
having bool_and(l.delivered_at is not null) and max(l.delivered_at) < :delivered_until
   and bool_or(l.quantity > {_RETURNED})
order by o.id
"""

_UNDELIVERED = """
select o.order_no, count(*) over () as number
from orders o
where o.ordered_at >= :ordered_since and o.ordered_at < :ordered_until
  and o.rehearsal is not distinct from cast(:rehearsal as text)
  and exists (select from order_lines l where l.order_id = o.id and l.delivered_at is null)
order by o.ordered_at, o.id limit :most
"""

# whoever got something later that is surely still under warranty is asked on another day: they need not be looked at
_USERS = f"""
select distinct o.customer_id
from unnest(cast(:starts as timestamptz[]), cast(:ends as timestamptz[])) as day (starts, ends)
cross join lateral (
    select order_id from order_lines where delivered_at >= day.starts and delivered_at < day.ends offset 0
) found
cross join lateral (
    select customer_id from orders
    where id = found.order_id and customer_id is not null and rehearsal is not distinct from cast(:rehearsal as text)
    offset 0
) o
cross join lateral (
    select exists (
        select from orders later join order_lines l on l.order_id = later.id
        where later.customer_id = o.customer_id and l.delivered_at >= day.ends and l.delivered_at < cast(:before as timestamptz)
          and later.rehearsal is not distinct from cast(:rehearsal as text)
          and l.delivered_at + make_interval(months => l.warranty_months) > cast(:until as timestamptz) + interval '2 days'
          and l.quantity > {_RETURNED}
    ) as is_there offset 0
) more
where not more.is_there
order by o.customer_id
"""

_GOODS = f"""
select o.customer_id, c.channel, c.visits_until, l.delivered_at, max(l.warranty_months) as months
from orders o join customers c on c.id = o.customer_id join order_lines l on l.order_id = o.id
where o.customer_id = any(cast(:customers as integer[])) and l.delivered_at < :until
  and o.rehearsal is not distinct from cast(:rehearsal as text) and l.quantity > {_RETURNED}
group by o.customer_id, c.channel, c.visits_until, l.delivered_at
"""

_CLOSED = """
select c.case_no, c.process, c.order_no, c.operator, c.closed_at, o.customer_id, o.contact_phone,
       coalesce(o.channel, c.channel) as channel, c.facts ->> 'solved' is distinct from 'false' as is_solved
from cases c left join orders o on o.order_no = c.order_no
where c.closed_at >= :since and c.closed_at < :until and c.stage = 'closed'
  and c.rehearsal is not distinct from cast(:rehearsal as text)
  and (c.process = any(cast(:processes as text[])) or c.facts ->> 'solved' = 'false')
  and c.facts -> 'imported' ->> 'is_past' is distinct from 'true'
order by c.case_no
"""

_DUE = f"""
select v.list_no, v.key, v.kind, v.due_on, v.owner, v.rule, v.customer_id, v.order_no, v.case_no,
       coalesce(cu.channel, o.channel, '') as channel, coalesce(o.contact_phone, '') as contact_phone,
       coalesce(c.operator, '') as operator, v.also @> '[{{"kind": "unsolved"}}]' as takes_unsolved,
       v.kind = 'purchase' and not exists (
           select from order_lines l where l.order_id = o.id and l.quantity > {_RETURNED}
       ) as is_returned
from visits v
left join customers cu on cu.id = v.customer_id
left join orders o on o.order_no = v.order_no
left join cases c on c.case_no = v.case_no
"""

# what is planned, or has an agent and stands on no list
_WAITING = "where v.state = 'planned' and v.due_on <= :on and v.rehearsal is not distinct from cast(:rehearsal as text)"

_PLAN = """
insert into visits (key, kind, due_on, owner, rule, order_no, case_no, customer_id, rehearsal, created_at)
select key, kind, due_on, owner, rule, order_no, case_no, customer_id, cast(:rehearsal as text), :at
from unnest(cast(:key as text[]), cast(:kind as text[]), cast(:due_on as date[]), cast(:owner as text[]),
            cast(:rule as text[]), cast(:order_no as text[]), cast(:case_no as text[]), cast(:customer_id as bigint[]))
  as found (key, kind, due_on, owner, rule, order_no, case_no, customer_id)
on conflict (key) do nothing
"""

# figures and ladders go by the day it was due, however late it is drawn up
_DRAW = """
update visits v
set agent = drawn.agent, data = v.data || jsonb_build_object('drawn_on', cast(:on as date))
from unnest(cast(:key as text[]), cast(:agent as text[])) as drawn (key, agent)
where v.key = drawn.key and v.state = 'planned' and v.agent is null
"""

_DROP = """
update visits v
set state = 'dropped', done_at = :at,
    data = v.data || jsonb_build_object('why', dropped.why)
        || case when dropped.lead = '' then '{}'::jsonb else jsonb_build_object('into', dropped.lead) end
from unnest(cast(:key as text[]), cast(:why as text[]), cast(:lead as text[])) as dropped (key, why, lead)
where v.key = dropped.key and v.state = 'planned'
returning v.key
"""

# what had become part of a visit that is not made after all is a visit of its own again
_REVIVE = """
update visits v set state = 'planned', agent = null, done_at = null, data = v.data - 'why' - 'into' - 'drawn_on'
from visits lead cross join lateral jsonb_array_elements(lead.also) part
where lead.key = any(cast(:leads as text[])) and v.key = part ->> 'key'
  and v.state = 'dropped' and v.data ->> 'into' = lead.key
"""

_JOIN = """
update visits v set also = v.also || joined.also
from unnest(cast(:lead as text[]), cast(:also as jsonb[])) as joined (lead, also)
where v.key = joined.lead
"""

# Every order of some people: a guest's are those with the same telephone. Found once: after a few nights PostgreSQL keeps
# a plan for ten people, and would find those of two thousand anew for each open case.
_THEIRS = """
with theirs as materialized (
    select 'c' || o.customer_id as who, o.order_no from orders o
    where o.customer_id = any(cast(:customers as bigint[]))
    union all
    select 'p' || o.contact_phone, o.order_no from orders o
    where o.customer_id is null and o.contact_phone = any(cast(:phones as text[]))
    union all
    select 'o' || o.order_no, o.order_no from orders o
    where o.customer_id is null and o.order_no = any(cast(:orders as text[]))
)
"""

# the open ones are found once, too: looked up order by order they took minutes
_OPEN_CASES = f"""
{_THEIRS},
open as materialized (
    select c.case_no, c.order_no from cases c
    where c.closed_at is null and c.rehearsal is not distinct from cast(:rehearsal as text)
      and c.process = any(cast(:processes as text[]))
)
select theirs.who, min(open.case_no) as case_no
from theirs join open on open.order_no = theirs.order_no
group by theirs.who
"""

# somebody was called on the day of the call, whatever day that was due
_CALLS = f"""
{_THEIRS},
visited as (
    select 'c' || v.customer_id as who, v.* from visits v where v.customer_id = any(cast(:customers as bigint[]))
    union all
    select theirs.who, v.* from theirs join visits v on v.order_no = theirs.order_no where v.customer_id is null
)
select v.who,
       count(*) filter (where called.this_month) as contacts,
       coalesce(bool_or(called.today), false) as is_seen,
       max(v.key) filter (where v.state in ('planned', 'listed')) as open_visit,
       (array_agg(v.agent order by v.due_on desc, v.id desc))[1] as last_agent
from visited v
left join lateral (
    select bool_or(call.at >= :day and call.at < :next_day) as today,
           bool_or(call.at >= :month and call.at < :next_month) as this_month
    from (select cast(each ->> 'at' as timestamptz) as at from jsonb_array_elements(v.data -> 'calls') each) call
) called on true
where v.agent is not null and (v.state <> 'dropped' or v.data ? 'calls')
  and v.rehearsal is not distinct from cast(:rehearsal as text)
group by v.who
"""


# The month's survey writes to somebody on the day on which its case begins and ends, a second revisit ends with a call,
# and some answer a survey by phone; no survey is open for longer than a month.
_SPOKEN_TO = f"""
{_THEIRS},
asked as materialized (
    select c.order_no from cases c
    where c.process in ('survey', 'revisit') and c.closed_at >= :day and c.closed_at < :next_day
      and c.rehearsal is not distinct from cast(:rehearsal as text)
    union all
    select s.order_no from surveys s
    where s.sent_at >= cast(:day as timestamptz) - interval '31 days' and s.answered_at >= :day and s.answered_at < :next_day
      and s.via <> 'link' and s.rehearsal is not distinct from cast(:rehearsal as text)
)
select distinct theirs.who from theirs join asked on asked.order_no = theirs.order_no
"""


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order of which everything has been delivered and nobody has been visited yet."""

    order_no: str
    channel: str
    customer_id: int | None
    contact_phone: str
    ordered_at: datetime
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A case that has ended, and about which a visit may be due."""

    case_no: str
    process: str
    order_no: str
    operator: str
    closed_at: datetime
    customer_id: int | None
    contact_phone: str | None
    channel: str
    is_solved: bool


# --- what the round finds -------------------------------------------------------------------------------------------


async def purchases(
    connection: AsyncConnection, *, rehearsal: str | None, ordered: Span, delivered: Span
) -> list[Purchase]:
    """Find the orders bought in one span or delivered in another that are delivered whole and not yet visited."""
    rows = await connection.execute(text(_PURCHASES), _spans(ordered, delivered) | {"rehearsal": rehearsal})
    return [Purchase(**row) for row in rows.mappings()]


async def undelivered(
    connection: AsyncConnection, *, rehearsal: str | None, ordered: Span, most: int | None
) -> tuple[int, list[str]]:
    """Count the orders bought in a span of which something has not been delivered, and name the first few, or all."""
    bounds = {"ordered_since": ordered[0], "ordered_until": ordered[1], "rehearsal": rehearsal, "most": most}
    rows = (await connection.execute(text(_UNDELIVERED), bounds)).all()
    return (rows[0].number if rows else 0), [row.order_no for row in rows]


async def users(connection: AsyncConnection, *, rehearsal: str | None, days: Sequence[Span], asked: Span) -> list[int]:
    """Find the customers to whom something was delivered on one of these days, who may be asked in a span about it."""
    bounds = {
        "starts": [span[0] for span in days],
        "ends": [span[1] for span in days],
        "rehearsal": rehearsal,
        "before": asked[0],
        "until": asked[1],
    }
    return list(await connection.scalars(text(_USERS), bounds))


async def goods(
    connection: AsyncConnection, customers: Collection[int], *, rehearsal: str | None, until: datetime
) -> list[Mapping[str, Any]]:
    """Tell what was delivered to customers and has not gone back: when, and how many months it is under warranty."""
    rows = await connection.execute(
        text(_GOODS), {"customers": list(customers), "rehearsal": rehearsal, "until": until}
    )
    return [dict(row) for row in rows.mappings()]


async def ended(
    connection: AsyncConnection, *, rehearsal: str | None, closed: Span, processes: Collection[str]
) -> list[Ended]:
    """Find the cases of these processes, and those that solved nothing, that ended in a span."""
    bounds = {"since": closed[0], "until": closed[1], "rehearsal": rehearsal, "processes": list(processes)}
    return [Ended(**row) for row in (await connection.execute(text(_CLOSED), bounds)).mappings()]


async def due(connection: AsyncConnection, *, rehearsal: str | None, on: date) -> list[Due]:
    """The planned visits whose day has come and that nobody has yet."""
    which = f"{_DUE} {_WAITING} and v.agent is null order by v.id"
    return _dues(await connection.execute(text(which), {"on": on, "rehearsal": rehearsal}))


async def waiting(connection: AsyncConnection, *, rehearsal: str | None, on: date) -> list[Due]:
    """What has an agent, has come due by a day and stands on no list, locked until this transaction ends."""
    which = f"{_DUE} {_WAITING} and v.agent is not null order by v.due_on, v.id for update of v"
    return _dues(await connection.execute(text(which), {"on": on, "rehearsal": rehearsal}))


async def listed(connection: AsyncConnection, list_no: str | None = None) -> dict[str, list[Due]]:
    """Tell what stands on a list, or on each of those that are no rehearsal's, by list."""
    which = "v.rehearsal is null" if list_no is None else "v.list_no = :list_no"
    query = text(f"{_DUE} where v.state = 'listed' and {which} order by v.due_on, v.id")
    found: dict[str, list[Due]] = {}
    for row in (await connection.execute(query, {} if list_no is None else {"list_no": list_no})).mappings():
        found.setdefault(row["list_no"], []).append(_due(row))
    return found


def _dues(rows: Any) -> list[Due]:
    return [_due(row) for row in rows.mappings()]


def _due(row: RowMapping) -> Due:
    return Due(
        **{name: value for name, value in row.items() if name not in ("contact_phone", "list_no")},
        person=people.person(customer_id=row["customer_id"], phone=row["contact_phone"], order_no=row["order_no"]),
    )


async def planned_before(connection: AsyncConnection, keys: Collection[str]) -> set[str]:
    """Which of these visits there are already, whatever became of them."""
    found = text("select key from visits where key = any(cast(:keys as text[]))")
    return set(await connection.scalars(found, {"keys": list(keys)}))


async def known(
    connection: AsyncConnection,
    due: Sequence[Due],
    *,
    rehearsal: str | None,
    processes: Collection[str],
    day: Span,
    month: Span,
) -> dict[str, Person]:
    """Tell what is known of those who are to be visited: their wish, their open cases of these processes, their visits."""
    bounds = {**people.parted({each.person for each in due}), "rehearsal": rehearsal}
    when = {"day": day[0], "next_day": day[1], "month": month[0], "next_month": month[1]}
    facts = await _barred(connection, due, rehearsal=rehearsal, processes=processes)
    for name in await connection.scalars(text(_SPOKEN_TO), {**bounds, "day": day[0], "next_day": day[1]}):
        facts.setdefault(name, {})["is_seen"] = True
    for calls in (await connection.execute(text(_CALLS), {**bounds, **when})).mappings():
        called = {name: value for name, value in calls.items() if name != "who" and value}
        facts.setdefault(calls["who"], {}).update(called)
    return {name: Person(**fact) for name, fact in facts.items()}


async def barred(
    connection: AsyncConnection, due: Sequence[Due], *, rehearsal: str | None, processes: Collection[str]
) -> dict[str, Person]:
    """Tell who of those who are to be visited wants no visits, or has a case of these processes open (FUP-11)."""
    facts = await _barred(connection, due, rehearsal=rehearsal, processes=processes)
    return {name: Person(**fact) for name, fact in facts.items()}


async def _barred(
    connection: AsyncConnection, due: Sequence[Due], *, rehearsal: str | None, processes: Collection[str]
) -> dict[str, dict[str, Any]]:
    names = {each.person for each in due}
    bounds = {**people.parted(names), "rehearsal": rehearsal, "processes": list(processes)}
    facts: dict[str, dict[str, Any]] = {name: {"opted_out": True} for name in await people.opted_out(connection, names)}
    for row in await connection.execute(text(_OPEN_CASES), bounds):
        facts.setdefault(row.who, {})["open_case"] = row.case_no
    return facts


async def loads(connection: AsyncConnection, on: date, *, rehearsal: str | None) -> dict[tuple[str, str], int]:
    """How many open visits each agent has for a day, by agent and kind."""
    rows = await connection.execute(
        select(VISITS.c.agent, VISITS.c.kind, func.count().label("number"))
        .where(
            VISITS.c.state.in_((PLANNED, LISTED)),
            VISITS.c.agent.is_not(None),
            # the day it was drawn up for; who was not reached has another
            func.greatest(VISITS.c.due_on, cast(VISITS.c.data["drawn_on"].astext, Date)) == on,
            VISITS.c.rehearsal.is_not_distinct_from(rehearsal),
        )
        .group_by(VISITS.c.agent, VISITS.c.kind)
    )
    return {(row.agent, row.kind): row.number for row in rows}


# --- what it writes -------------------------------------------------------------------------------------------------


async def plan(connection: AsyncConnection, *, key: str, order_no: str, **values: Any) -> None:
    """Plan a visit about an order, once; its customer is the order's."""
    customer = select(ORDERS.c.customer_id).where(ORDERS.c.order_no == order_no).scalar_subquery()
    await connection.execute(
        upsert(VISITS).values(key=key, order_no=order_no, customer_id=customer, **values).on_conflict_do_nothing()
    )


async def plan_all(connection: AsyncConnection, found: Sequence[Due], *, rehearsal: str | None, at: datetime) -> int:
    """Plan visits, each once; answers how many are new."""
    columns = ("key", "kind", "due_on", "owner", "rule", "order_no", "case_no", "customer_id")
    values = {column: [getattr(each, column) for each in found] for column in columns}
    return (await connection.execute(text(_PLAN), {**values, "rehearsal": rehearsal, "at": at})).rowcount


async def draw_up(connection: AsyncConnection, drawn: Sequence[Drawn], *, on: date) -> int:
    """Give visits their agents and the day they are made on; answers how many nobody had yet."""
    values = {"key": [each.due.key for each in drawn], "agent": [each.agent for each in drawn]}
    return (await connection.execute(text(_DRAW), {**values, "on": on})).rowcount


async def drop(connection: AsyncConnection, left: Sequence[Left], *, at: datetime) -> int:
    """
    Leave visits out for good, with the reason, or let them become part of those that are open; answers how many.

    What had become part of one that is left out is planned again, unless its person wants no visits.
    """
    values = {
        "key": [each.due.key for each in left],
        "why": [each.why.value for each in left],
        "lead": [each.into for each in left],
    }
    dropped = set(await connection.scalars(text(_DROP), {**values, "at": at}))
    parts: dict[str, list[Due]] = {}
    for each in left:
        if each.into and each.due.key in dropped:
            parts.setdefault(each.into, []).append(each.due)
    if parts:
        await connection.execute(text(_JOIN), {"lead": list(parts), "also": [_also(dues) for dues in parts.values()]})
    alone = [each.due.key for each in left if not each.into and each.why is not LeftOut.OPTED_OUT]
    if leads := [key for key in alone if key in dropped]:
        await connection.execute(text(_REVIVE), {"leads": leads})
    return len(dropped)


def _also(dues: Iterable[Due]) -> str:
    return json.dumps(
        [
            {"key": each.key, "kind": each.kind, "rule": each.rule, "order_no": each.order_no, "case_no": each.case_no}
            for each in dues
        ],
        ensure_ascii=False,
    )


def _spans(ordered: Span, delivered: Span) -> dict[str, datetime]:
    return {
        "ordered_since": ordered[0],
        "ordered_until": ordered[1],
        "delivered_since": delivered[0],
        "delivered_until": delivered[1],
    }
