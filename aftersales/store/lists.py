"""
Lists of visits: what stands on them, what a call makes of a visit, and what figures and the feedback log tell (FUP).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.rules.lists import DONE, DROPPED, LISTED, PLANNED, Called, Visit
from aftersales.store import people
from aftersales.store.tables import CaseRow, PromiseRow, VisitRow
from aftersales.words import LeftOut, Process

CASES = CaseRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]
VISITS = VisitRow.__table__  # type: ignore[attr-defined]

# a customer who is asked how it goes has many orders: the newest names them
_VISIT = """
select v.id, v.key, v.kind, v.state, v.outcome, coalesce(nullif(v.order_no, ''), newest.order_no, '') as order_no,
       v.case_no, v.customer_id, coalesce(c.channel, o.channel, '') as channel, v.agent, v.owner, v.rule, v.due_on,
       v.promised_on, v.done_at, v.tries, v.told, v.list_no, v.rehearsal, v.also, v.data,
       coalesce(nullif(o.contact_name, ''), c.name, '') as name,
       coalesce(nullif(o.contact_phone, ''), c.phone, '') as phone,
       coalesce(last.note, '') as said
from visits v
left join customers c on c.id = v.customer_id
left join orders o on o.order_no = v.order_no
left join lateral (
    select x.order_no from orders x where v.order_no = '' and x.customer_id = v.customer_id
    order by x.ordered_at desc, x.id desc limit 1
) newest on true
left join lateral (
    select j.data ->> 'note' as note
    from visits w cross join lateral (select w.data -> 'calls' -> -1 as call) t
    join journal j on j.case_no = t.call ->> 'list_no' and j.entry = t.call ->> 'entry'
    where (w.customer_id = v.customer_id or (v.customer_id is null and w.order_no = v.order_no))
      and j.data ->> 'note' <> ''
    order by j.at desc limit 1
) last on true
"""


def _visits(rows: Any) -> list[Visit]:
    return [Visit(**row) for row in rows.mappings()]


async def read(connection: AsyncConnection, visit_id: int) -> Visit | None:
    """A visit by number."""
    found = _visits(await connection.execute(text(f"{_VISIT} where v.id = :id"), {"id": visit_id}))
    return found[0] if found else None


async def take(connection: AsyncConnection, visit_id: int) -> Visit | None:
    """A visit by number, locked until this transaction ends."""
    await connection.execute(select(VISITS.c.id).where(VISITS.c.id == visit_id).with_for_update())
    return await read(connection, visit_id)


async def left(connection: AsyncConnection, list_no: str) -> list[Visit]:
    """What is left on a list, the most overdue first."""
    where = "where v.list_no = :list_no and v.state = 'listed' order by v.due_on, v.id"
    return _visits(await connection.execute(text(f"{_VISIT} {where}"), {"list_no": list_no}))


async def is_left(connection: AsyncConnection, list_no: str) -> bool:
    """Whether anything is left on a list."""
    query = select(VISITS.c.id).where(VISITS.c.list_no == list_no, VISITS.c.state == LISTED).limit(1)
    return await connection.scalar(query) is not None


async def open_visits(connection: AsyncConnection, *, agent: str, rehearsal: str | None = None) -> list[Visit]:
    """What agents have to do now, of one of them or of all: what is listed, and what waits for its list."""
    where = "where v.state in ('planned', 'listed') and v.agent is not null and v.rehearsal is not distinct from cast(:rehearsal as text)"
    where += " and v.agent = :agent" if agent else ""
    rows = await connection.execute(
        text(f"{_VISIT} {where} order by v.agent, v.state, v.due_on, v.id"), {"agent": agent, "rehearsal": rehearsal}
    )
    return _visits(rows)


# --- what a call makes of a visit -----------------------------------------------------------------------------------


async def settle(
    connection: AsyncConnection, visit_id: int, what: Called, *, call: Mapping[str, Any], at: datetime, **more: Any
) -> None:
    """Write down what a call has made of a visit; one that is made once more stands on no list."""
    values: dict[str, Any] = {"state": what.state, "outcome": what.outcome, "tries": what.tries}
    if what.state == DONE:
        values["done_at"] = at
    else:
        values |= {"list_no": None, "due_on": what.due_on, "told": []}
    calls = func.jsonb_set(
        VISITS.c.data.op("||")(literal(more, JSONB)),
        text("'{calls}'"),
        func.coalesce(VISITS.c.data["calls"], text("'[]'::jsonb")).op("||")(literal([dict(call)], JSONB)),
    )
    await connection.execute(update(VISITS).where(VISITS.c.id == visit_id).values(**values, data=calls))


async def call_off(connection: AsyncConnection, name: str, *, at: datetime) -> int:
    """
    Drop what is planned for somebody who wants no visits; answers how many (FUP-11).

    What stands on a list is struck off under the list's lock.
    """
    dropped = await connection.execute(
        update(VISITS)
        .where(people.has_visit(name), VISITS.c.state == PLANNED)
        .values(
            state=DROPPED,
            done_at=at,
            data=VISITS.c.data.op("||")(literal({"why": LeftOut.OPTED_OUT.value}, JSONB)),
        )
    )
    return dropped.rowcount


# --- ladders --------------------------------------------------------------------------------------------------------


async def climbed(connection: AsyncConnection, list_no: str, *, due_on: date, told: Collection[str]) -> None:
    """Write down which rungs the visits of a list that were due on a day have behind them (ESC-10)."""
    await connection.execute(
        update(VISITS)
        .where(VISITS.c.list_no == list_no, VISITS.c.state == LISTED, VISITS.c.due_on == due_on)
        .values(told=list(told))
    )


# --- lists ----------------------------------------------------------------------------------------------------------


async def one_at_a_time(connection: AsyncConnection) -> None:
    """Let lists be opened by one round after the other, until this transaction ends."""
    await connection.execute(text("select pg_advisory_xact_lock(hashtextextended('visit-lists', 4))"))


async def open_before(connection: AsyncConnection, on: date, *, rehearsal: str | None) -> list[str]:
    """The lists of days before a day that have not ended."""
    rows = await connection.scalars(
        select(CASES.c.case_no)
        .where(
            CASES.c.process == Process.VISITS,
            CASES.c.closed_at.is_(None),
            CASES.c.facts["on"].astext < on.isoformat(),
            CASES.c.rehearsal.is_not_distinct_from(rehearsal),
        )
        .order_by(CASES.c.case_no)
    )
    return list(rows)


async def lock_day(connection: AsyncConnection, on: date, *, rehearsal: str | None) -> dict[str, tuple[str, bool]]:
    """The lists of a day by agent, locked until this transaction ends: their number, and whether they have ended."""
    rows = await connection.execute(
        select(CASES.c.operator, CASES.c.case_no, CASES.c.closed_at)
        .where(
            CASES.c.process == Process.VISITS,
            CASES.c.facts["on"].astext == on.isoformat(),
            CASES.c.rehearsal.is_not_distinct_from(rehearsal),
        )
        .order_by(CASES.c.case_no)
        .with_for_update()
    )
    return {row.operator: (row.case_no, row.closed_at is not None) for row in rows}


async def waiting(connection: AsyncConnection, keys: Collection[str]) -> list[Mapping[str, Any]]:
    """Number, agent and department of some visits that stand on no list, the most overdue first."""
    rows = await connection.execute(
        select(VISITS.c.id, VISITS.c.agent, VISITS.c.owner)
        .where(VISITS.c.key.in_(keys), VISITS.c.state == PLANNED)
        .order_by(VISITS.c.due_on, VISITS.c.id)
    )
    return [dict(row) for row in rows.mappings()]


async def give(connection: AsyncConnection, given: Mapping[int, str]) -> None:
    """Give visits to other agents."""
    await connection.execute(
        text(
            "update visits v set agent = given.agent"
            " from unnest(cast(:ids as bigint[]), cast(:agents as text[])) as given (id, agent) where v.id = given.id"
        ),
        {"ids": list(given), "agents": list(given.values())},
    )


async def put_on(connection: AsyncConnection, list_no: str, visit_ids: Collection[int]) -> None:
    """Put visits on a list; figures go by the day they were due when they first came onto one."""
    await connection.execute(
        text(
            "update visits set state = 'listed', list_no = :list_no, promised_on = coalesce(promised_on, due_on)"
            " where id = any(cast(:ids as bigint[]))"
        ),
        {"list_no": list_no, "ids": list(visit_ids)},
    )


async def take_off(connection: AsyncConnection, list_no: str, keys: Collection[str] | None = None) -> list[int]:
    """Take what is left, or some of it, off a list: it waits for the next one, due when it was."""
    some = [] if keys is None else [VISITS.c.key.in_(keys)]
    rows = await connection.scalars(
        update(VISITS)
        .where(VISITS.c.list_no == list_no, VISITS.c.state == LISTED, *some)
        .values(state=PLANNED, list_no=None)
        .returning(VISITS.c.id)
    )
    return sorted(rows)


# --- figures and feedback -------------------------------------------------------------------------------------------

_FEEDBACK = """
select j.at, j.case_no as list_no, j.actor, j.data ->> 'visit' as visit, j.data ->> 'kind' as kind,
       j.data ->> 'order_no' as order_no, j.data ->> 'outcome' as outcome, j.data ->> 'feedback' as feedback,
       j.data ->> 'note' as note, j.data ->> 'measure' as measure, j.data ->> 'effect' as effect
from journal j join cases c on c.case_no = j.case_no
where c.process = 'visits' and c.rehearsal is null and j.kind = 'decision' and j.data ? 'visit'
  and j.at >= :since and j.at < :until
order by j.at, j.case_no, j.seq
"""

_KEPT = """
select agent, promised_on as due_on, case when state = 'done' then (done_at at time zone :zone)::date end as done_on,
       outcome, count(*) as count
from visits
where promised_on >= :since and promised_on <= :until and rehearsal is null
  and (state <> 'dropped' or data ->> 'why' = 'too_late')
group by 1, 2, 3, 4
"""


async def feedback(connection: AsyncConnection, *, since: datetime, until: datetime) -> list[Mapping[str, Any]]:
    """Every call of real customers in a span and what was said, in order (FUP-13)."""
    rows = await connection.execute(text(_FEEDBACK), {"since": since, "until": until})
    return [dict(row) for row in rows.mappings()]


async def kept(connection: AsyncConnection, *, since: date, until: date, zone: str) -> Sequence[Mapping[str, Any]]:
    """
    How many visits were first due on each of some days and done on which, by the agent who has them (KPI-40).

    What stood on a list until it was too late was due; what is not to be made for another reason was not.
    """
    rows = await connection.execute(text(_KEPT), {"since": since, "until": until, "zone": zone})
    return [dict(row) for row in rows.mappings()]
