"""Surveys as the store keeps them: one row a closure, and what is due of them (SVY-01 to SVY-07)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Date, and_, case, cast, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import CaseRow, JournalRow, OutboxRow, SurveyRow
from aftersales.words import Heard, Process, Stage, Surveyed

CASES = CaseRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]
OUTBOX = OutboxRow.__table__  # type: ignore[attr-defined]
SURVEYS = SurveyRow.__table__  # type: ignore[attr-defined]


# --- one a closure --------------------------------------------------------------------------------------------------


async def plan(connection: AsyncConnection, **values: Any) -> None:
    """Write the survey of a closure."""
    await connection.execute(insert(SURVEYS).values(**values))


async def one_order_at_a_time(connection: AsyncConnection, order_no: str) -> None:
    """Let the cases of an order look for each other's surveys one after the other, until this transaction ends."""
    await connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:o, 4))"), {"o": order_no})


async def last_of_order(connection: AsyncConnection, order_no: str, *, besides: str) -> tuple[str, datetime] | None:
    """The case of an order that was asked about last, and when it ended; skipped ones were not asked about."""
    row = (
        await connection.execute(
            select(SURVEYS.c.case_no, SURVEYS.c.ended_at)
            .where(
                SURVEYS.c.order_no == order_no,
                SURVEYS.c.case_no != besides,
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
    """What became of a notice: its state, when it was settled, when it is tried again."""
    row = await connection.execute(
        select(OUTBOX.c.state, OUTBOX.c.settled_at, OUTBOX.c.next_at, OUTBOX.c.created_at).where(
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
    """What came of the surveys that were sent in a time, by day and whoever had the case first (KPI-09, KPI-44)."""
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
        .where(s.sent_at >= since, s.sent_at < until, s.rehearsal.is_(None))
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
            value.op("->>")("scale") == "nps",
        )
        .group_by(CASES.c.operator, text("2"), day)
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
