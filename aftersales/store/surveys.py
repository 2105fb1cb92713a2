"""Surveys as the store keeps them: one row a closure, and what is due of them (SVY-01 to SVY-07)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Date, and_, case, cast, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store import people
from aftersales.store.tables import CaseRow, JournalRow, OutboxRow, SurveyRow
from aftersales.words import Heard, Process, Stage, Surveyed

CASES = CaseRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]
OUTBOX = OutboxRow.__table__  # type: ignore[attr-defined]
SURVEYS = SurveyRow.__table__  # type: ignore[attr-defined]


# Whoever bought, by person: a guest by the telephone. Each set is found once; they are joined whatever the plan.
_BUYERS = f"""
with bought as materialized (
    select distinct on (who) who, order_no, channel, customer_id, contact_email, contact_phone from (
        select {people.PERSON} as who,
               o.order_no, o.channel, o.customer_id, o.contact_email, o.contact_phone, l.delivered_at
        from order_lines l join orders o on o.id = l.order_id
        where l.delivered_at >= :since and l.delivered_at < :until
          and o.rehearsal is not distinct from cast(:rehearsal as text)
    ) as theirs
    order by who, delivered_at desc, order_no desc
), busy as materialized (
    select {people.PERSON} as who
    from (
        select order_no from cases
        where closed_at is null and rehearsal is not distinct from cast(:rehearsal as text)
          and process = any(cast(:processes as text[]))
        union
        select order_no from surveys
        where (state in ('waiting', 'sent') or (state <> 'skipped' and ended_at >= :asked_since))
          and rehearsal is not distinct from cast(:rehearsal as text)
    ) as taken join orders o on o.order_no = taken.order_no
    union
    select coalesce('c' || v.customer_id, {people.PERSON})
    from visits v left join orders o on o.order_no = v.order_no
    where (v.state in ('planned', 'listed') and v.agent is not null or exists (
            select from jsonb_array_elements(v.data -> 'calls') call
            where cast(call ->> 'at' as timestamptz) >= :day and cast(call ->> 'at' as timestamptz) < :next_day
        ))
      and v.rehearsal is not distinct from cast(:rehearsal as text)
    union select unnest(cast(:besides as text[]))
)
select b.order_no, b.channel
from bought b left join customers c on c.id = b.customer_id left join guests g on g.person = b.who
where not coalesce(c.opted_out, false) and not coalesce(g.opted_out, false)
  and (cast(:by_mail as bool) and b.contact_email <> '' or cast(:by_text as bool) and b.contact_phone <> '')
  and not exists (select from busy where busy.who = b.who)
order by md5(b.who || cast(:lot as text)), b.who limit :limit
"""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody to whom something was delivered, by their last order."""

    order_no: str
    channel: str


# --- one a closure --------------------------------------------------------------------------------------------------


async def plan(connection: AsyncConnection, **values: Any) -> None:
    """Write the survey of a closure."""
    await connection.execute(insert(SURVEYS).values(**values))


async def one_order_at_a_time(connection: AsyncConnection, order_no: str) -> None:
    """Let the cases of an order look for each other's surveys one after the other, until this transaction ends."""
    await connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:o, 4))"), {"o": order_no})


async def last_of_order(connection: AsyncConnection, order_no: str, *, besides: str) -> tuple[str, datetime] | None:
    """The case of an order that was asked about last, and when it ended; skipped ones and the month's were not asked about it."""
    row = (
        await connection.execute(
            select(SURVEYS.c.case_no, SURVEYS.c.ended_at)
            .join(CASES, CASES.c.case_no == SURVEYS.c.case_no)
            .where(
                SURVEYS.c.order_no == order_no,
                SURVEYS.c.case_no != besides,
                CASES.c.process != Process.SURVEY.value,
                SURVEYS.c.state != Surveyed.SKIPPED.value,
            )
            .order_by(SURVEYS.c.ended_at.desc())
            .limit(1)
        )
    ).one_or_none()
    return (row.case_no, row.ended_at) if row else None


async def of_case(connection: AsyncConnection, case_no: str) -> Mapping[str, Any] | None:
    """The survey about a case."""
    row = (await connection.execute(select(SURVEYS).where(SURVEYS.c.case_no == case_no))).mappings().one_or_none()
    return dict(row) if row else None


async def find(connection: AsyncConnection, survey_id: int) -> Mapping[str, Any] | None:
    """A survey by its number."""
    row = (await connection.execute(select(SURVEYS).where(SURVEYS.c.id == survey_id))).mappings().one_or_none()
    return dict(row) if row else None


async def lock(connection: AsyncConnection, survey_id: int) -> Mapping[str, Any]:
    """A survey as it stands, locked until this transaction ends."""
    row = await connection.execute(select(SURVEYS).where(SURVEYS.c.id == survey_id).with_for_update())
    return dict(row.mappings().one())


async def change(connection: AsyncConnection, survey_id: int, **values: Any) -> None:
    """Write down how a survey stands now."""
    await connection.execute(update(SURVEYS).where(SURVEYS.c.id == survey_id).values(**values))


async def look_again(connection: AsyncConnection, name: str, *, at: datetime) -> None:
    """Let the next look see what staff are still to ask somebody about by phone (FUP-11)."""
    await connection.execute(
        update(SURVEYS)
        .where(people.has_order(name, SURVEYS.c.order_no), SURVEYS.c.state == "sent", SURVEYS.c.asked_by == "staff")
        .values(next_at=at)
    )


async def buyers(
    connection: AsyncConnection,
    *,
    delivered: tuple[datetime, datetime],
    day: tuple[datetime, datetime],
    asked_since: datetime,
    processes: Sequence[str],
    besides: Collection[str],
    by_mail: bool,
    by_text: bool,
    lot: str,
    rehearsal: str | None,
    limit: int,
) -> list[Buyer]:
    """
    Draw by lot some of those to whom something was delivered in a span, the same ones whenever it is drawn (SVY-04).

    Those alone who left a mail address (`by_mail`) or a telephone (`by_text`). Not whoever wants none, has an open case of
    these processes, is about to be called (`besides` too) or was called on the day, was asked since `asked_since` or is
    being asked.
    """
    values = {
        "since": delivered[0],
        "until": delivered[1],
        "day": day[0],
        "next_day": day[1],
        "asked_since": asked_since,
        "processes": processes,
        "besides": list(besides),
        "by_mail": by_mail,
        "by_text": by_text,
        "lot": lot,
        "rehearsal": rehearsal,
        "limit": limit,
    }
    return [Buyer(**row) for row in (await connection.execute(text(_BUYERS), values)).mappings()]


# --- what is due ----------------------------------------------------------------------------------------------------


async def due(connection: AsyncConnection, *, at: datetime, rehearsal: str | None, limit: int) -> list[tuple[int, str]]:
    """The surveys that something is to be done about, the earliest first: each with its case."""
    rows = await connection.execute(
        select(SURVEYS.c.id, SURVEYS.c.case_no)
        .where(SURVEYS.c.next_at <= at, SURVEYS.c.rehearsal.is_not_distinct_from(rehearsal))
        .order_by(SURVEYS.c.next_at, SURVEYS.c.id)
        .limit(limit)
    )
    return [(row.id, row.case_no) for row in rows]


async def is_anything_due(connection: AsyncConnection, at: datetime) -> bool:
    """Whether it is worth looking."""
    query = select(SURVEYS.c.id).where(SURVEYS.c.next_at <= at, SURVEYS.c.rehearsal.is_(None)).limit(1)
    return await connection.scalar(query) is not None


async def notice(connection: AsyncConnection, case_no: str, entry: str, recipient: str) -> Mapping[str, Any] | None:
    """What became of a notice: its state and why, when it was settled, when it is tried again."""
    row = await connection.execute(
        select(OUTBOX.c.state, OUTBOX.c.reason, OUTBOX.c.settled_at, OUTBOX.c.next_at, OUTBOX.c.created_at).where(
            OUTBOX.c.case_no == case_no, OUTBOX.c.entry == entry, OUTBOX.c.recipient == recipient
        )
    )
    found = row.mappings().one_or_none()
    return dict(found) if found else None


# --- what people read -----------------------------------------------------------------------------------------------


async def listed(
    connection: AsyncConnection, *, state: Surveyed | None, is_dissatisfied: bool, limit: int
) -> list[Mapping[str, Any]]:
    """Surveys of the shop itself, the newest first, with whoever had the case first."""
    query = (
        select(SURVEYS, CASES.c.operator)
        .join(CASES, CASES.c.case_no == SURVEYS.c.case_no)
        .where(SURVEYS.c.rehearsal.is_(None))
        .order_by(SURVEYS.c.ended_at.desc(), SURVEYS.c.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(SURVEYS.c.state == state.value)
    if is_dissatisfied:
        query = query.where(SURVEYS.c.satisfied.is_(False))
    return [dict(row) for row in (await connection.execute(query)).mappings()]


def _day(at: Any, zone: str) -> Any:
    """The day of the house that an instant falls on."""
    return cast(func.timezone(zone, at), Date).label("day")


async def tallies(
    connection: AsyncConnection, *, since: datetime, until: datetime, zone: str, good: int
) -> Sequence[Mapping[str, Any]]:
    """What came of the surveys about cases that were sent in a time, by day and whoever had the case first (KPI-09, KPI-44)."""
    s = SURVEYS.c
    day = _day(s.sent_at, zone)
    is_answered = s.state == Surveyed.ANSWERED.value
    rows = await connection.execute(
        select(
            CASES.c.operator,
            day,
            func.count().label("sent"),
            func.count().filter(s.asked_by == "staff").label("by_phone"),
            func.count().filter(is_answered).label("answered"),
            func.coalesce(func.sum(s.score), 0).label("points"),
            func.count().filter(s.score >= good).label("good"),
            func.count().filter(s.satisfied.is_(False)).label("dissatisfied"),
            func.count().filter(s.other_need.is_(True)).label("other_need"),
        )
        .select_from(SURVEYS.join(CASES, CASES.c.case_no == s.case_no))
        .where(s.sent_at >= since, s.sent_at < until, s.rehearsal.is_(None), CASES.c.process != Process.SURVEY.value)
        .group_by(CASES.c.operator, day)
    )
    return [dict(row) for row in rows.mappings()]


async def recommendations(
    connection: AsyncConnection, *, since: datetime, until: datetime, zone: str
) -> Sequence[Mapping[str, Any]]:
    """How often customers chose each answer to whether they would recommend us, by day and whoever had the case first."""
    day = _day(SURVEYS.c.sent_at, zone)
    answer = func.jsonb_array_elements(SURVEYS.c.answers).table_valued("value").render_derived()
    value = answer.c.value
    rows = await connection.execute(
        select(CASES.c.operator, value.op("->>")("answer").label("answer"), day, func.count().label("times"))
        .select_from(SURVEYS.join(CASES, CASES.c.case_no == SURVEYS.c.case_no).join(answer, text("true")))
        .where(
            SURVEYS.c.sent_at >= since,
            SURVEYS.c.sent_at < until,
            SURVEYS.c.rehearsal.is_(None),
            CASES.c.process != Process.SURVEY.value,
            value.op("->>")("scale") == "nps",
        )
        .group_by(CASES.c.operator, text("2"), day)
    )
    return [dict(row) for row in rows.mappings()]


async def answers(connection: AsyncConnection, *, since: datetime, until: datetime) -> Sequence[Mapping[str, Any]]:
    """How often each answer was chosen in the surveys sent in a time, the month's apart; free text is only counted (SVY-06)."""
    answer = func.jsonb_array_elements(SURVEYS.c.answers).table_valued("value").render_derived()
    code, scale, chosen = (answer.c.value.op("->>")(name).label(name) for name in ("code", "scale", "answer"))
    is_regular = (CASES.c.process == Process.SURVEY.value).label("is_regular")
    said = case((scale == "text", ""), else_=chosen).label("answer")
    rows = await connection.execute(
        select(is_regular, code, scale, said, func.count().label("times"))
        .select_from(SURVEYS.join(CASES, CASES.c.case_no == SURVEYS.c.case_no).join(answer, text("true")))
        .where(SURVEYS.c.sent_at >= since, SURVEYS.c.sent_at < until, SURVEYS.c.rehearsal.is_(None))
        .group_by(text("1, 2, 3, 4"))
    )
    return [dict(row) for row in rows.mappings()]


async def recoveries(
    connection: AsyncConnection, *, since: datetime, until: datetime, zone: str
) -> Sequence[Mapping[str, Any]]:
    """What came of the second revisits that were opened in a time, by day and whoever had the first case first (KPI-41)."""
    day = _day(CASES.c.opened_at, zone)
    later = JOURNAL.alias()
    is_last = ~exists().where(
        later.c.case_no == JOURNAL.c.case_no, later.c.kind == "decision", later.c.seq > JOURNAL.c.seq
    )
    is_satisfied = exists().where(
        JOURNAL.c.case_no == CASES.c.case_no,
        JOURNAL.c.kind == "decision",
        JOURNAL.c.data["result"].astext == Heard.SATISFIED.value,
        is_last,
    )
    is_ended = CASES.c.closed_at.is_not(None)
    rows = await connection.execute(
        select(
            CASES.c.operator,
            day,
            func.count().label("revisits"),
            func.count().filter(is_ended).label("revisits_ended"),
            func.sum(case((and_(is_ended, is_satisfied), 1), else_=0)).label("recovered"),
        )
        .where(
            CASES.c.process == Process.REVISIT.value,
            CASES.c.opened_at >= since,
            CASES.c.opened_at < until,
            CASES.c.rehearsal.is_(None),
            CASES.c.stage != Stage.CANCELLED.value,
        )
        .group_by(CASES.c.operator, day)
    )
    return [dict(row) for row in rows.mappings()]
