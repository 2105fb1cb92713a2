"""What the boards show, and which runs do not show yet how pressing their case is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    exists,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.rules import clocks
from aftersales.rules.boards import Group, Owed
from aftersales.store.tables import LISTED, PRESSING, CaseRow, PromiseRow, RunRow

CASES = CaseRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]
RUNS = RunRow.__table__  # type: ignore[attr-defined]

# where the boards' rows are: a board says what it said before as long as nobody writes here
SOURCES = ("promises", "runs")


async def writes(connection: AsyncConnection) -> list[int]:
    """
    Count the rows that were ever written where the boards come from.

    PostgreSQL counts them anyway, so that to ask costs the same however much is open. It tells of a transaction up to
    some seconds after its end, never of one that has not ended: what is read after equal counts may be old for a
    moment, never for good.
    """
    counted = ", ".join(
        f"pg_stat_get_tuples_{what}('{table}'::regclass)"
        for table in SOURCES
        for what in ("inserted", "updated", "deleted")
    )
    return list((await connection.execute(text(f"select {counted}"))).one())


async def groups(connection: AsyncConnection, *, at: datetime) -> list[Group]:
    """Count what is open of real cases, by owner and stage, together with all that no rule of urgency tells apart."""
    open_ = _open().subquery()
    is_nobodys, is_past = and_(open_.c.rungs == 0, open_.c.rung_at.is_(None)), open_.c.due_at <= at
    rows = await connection.execute(
        select(
            open_.c.owner,
            open_.c.stage,
            func.count().label("count"),
            func.min(open_.c.due_at).label("due_at"),
            func.min(open_.c.rungs).label("rungs"),
            func.min(open_.c.rung_at).label("rung_at"),
        ).group_by(open_.c.owner, open_.c.stage, is_past, open_.c.rungs > 0, is_nobodys)
    )
    return [Group(**row) for row in rows.mappings()]


async def nearest(connection: AsyncConnection, *, owners: Collection[str], most: int) -> list[Owed]:
    """The most pressing that is open of each owner's real cases, with the runs that tell them; reads no more than that."""
    owner = func.unnest(literal(list(owners), ARRAY(Text))).table_valued("owner", name="owners").render_derived()
    order: list[ColumnElement[Any]] = [literal_column(each) for each in PRESSING]
    theirs = _open().where(PROMISES.c.owner == owner.c.owner).order_by(*order, PROMISES.c.id).limit(most).lateral()
    listed = select(theirs).select_from(owner.join(theirs, true())).subquery()
    teller = (
        select(RUNS.c.run_id)
        .where(RUNS.c.case_no == listed.c.case_no)
        .order_by(RUNS.c.generation.desc())
        .limit(1)
        .scalar_subquery()
    )
    # none of this stands in the index that the list is read from
    more = select(
        PROMISES.c.id,
        PROMISES.c.started_at,
        PROMISES.c.trace["pauses"].label("pauses"),
        case((PROMISES.c.provisional, PROMISES.c.trace["missing"]), else_=literal([], JSONB)).label("missing"),
        PROMISES.c.calendars.contains(":-").label("is_uncounted"),
    ).subquery()
    operator = select(CASES.c.operator).where(CASES.c.case_no == listed.c.case_no).scalar_subquery()
    names = ("case_no", "stage", "owner", "due_at", "lapses_at", "rungs", "rung_at")
    rows = await connection.execute(
        select(
            *(listed.c[name] for name in names),
            teller.label("run_id"),
            operator.label("operator"),
            *(more.c[name] for name in ("started_at", "pauses", "missing", "is_uncounted")),
        )
        .join(more, more.c.id == listed.c.id)
        .order_by(listed.c.owner, *order, listed.c.id)
    )
    return [
        Owed(**{**row, "pauses": tuple(clocks.pauses_of(dict(row))), "missing": tuple(row["missing"])})
        for row in rows.mappings()
    ]


def _open() -> Select[Any]:
    """What is open of real cases; of the limit of a whole case, only what presses: its gate stands there already."""
    names = ("id", "case_no", "stage", "owner", "due_at", "lapses_at", "rungs", "rung_at")
    rehearsed = exists().where(CASES.c.case_no == PROMISES.c.case_no, CASES.c.rehearsal.is_not(None))
    return select(*(PROMISES.c[name] for name in names)).where(
        PROMISES.c.ended_at.is_(None), literal_column(LISTED), ~rehearsed
    )


# --- tags -----------------------------------------------------------------------------------------------------------


async def untagged(connection: AsyncConnection, *, limit: int) -> list[tuple[str, UUID]]:
    """Cases whose run does not show yet how pressing they are, in no order, so that none is always left out."""
    newest = (
        select(RUNS.c.run_id)
        .where(RUNS.c.case_no == PROMISES.c.case_no)
        .order_by(RUNS.c.generation.desc())
        .limit(1)
        .lateral()
    )
    asked = (
        select(PROMISES.c.case_no, newest.c.run_id)
        .join(newest, newest.c.run_id.is_not(None))
        .where(PROMISES.c.retags, PROMISES.c.ended_at.is_(None))
        .distinct()
        .subquery()
    )
    rows = await connection.execute(select(asked.c.case_no, asked.c.run_id).order_by(func.random()).limit(limit))
    return [(row.case_no, row.run_id) for row in rows]


async def owed_by(connection: AsyncConnection, case_no: str) -> list[Mapping[str, Any]]:
    """What a case owes now, and how far each has climbed."""
    rows = await connection.execute(
        select(PROMISES.c.id, PROMISES.c.due_at, PROMISES.c.rungs, PROMISES.c.rung_at).where(
            PROMISES.c.case_no == case_no, PROMISES.c.ended_at.is_(None)
        )
    )
    return [dict(row) for row in rows.mappings()]


async def tagged(connection: AsyncConnection, owed: Sequence[Mapping[str, Any]]) -> None:
    """Mark what a run shows now; not what has climbed or was given more time since it was read."""
    for promise in owed:
        await connection.execute(
            update(PROMISES)
            .where(
                PROMISES.c.id == promise["id"],
                PROMISES.c.retags,
                PROMISES.c.rungs == promise["rungs"],
                PROMISES.c.due_at == promise["due_at"],
            )
            .values(retags=False)
        )
