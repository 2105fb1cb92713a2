"""
Cases as the store keeps them: opening, the current state, the runs that tell them, promises, events, notices.

What happened stands in the journal; these rows are where a case is now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.rules import ladders
from aftersales.store.tables import (
    CaseRow,
    CounterRow,
    InboxRow,
    JournalRow,
    OrderRow,
    PromiseRow,
    RefusalRow,
    RehearsalRow,
    RunRow,
    TermsRow,
)
from aftersales.words import Due, Event, Stage

CASES = CaseRow.__table__  # type: ignore[attr-defined]
COUNTERS = CounterRow.__table__  # type: ignore[attr-defined]
INBOX = InboxRow.__table__  # type: ignore[attr-defined]
JOURNAL = JournalRow.__table__  # type: ignore[attr-defined]
ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]
REFUSALS = RefusalRow.__table__  # type: ignore[attr-defined]
REHEARSALS = RehearsalRow.__table__  # type: ignore[attr-defined]
RUNS = RunRow.__table__  # type: ignore[attr-defined]
TERMS = TermsRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Case:
    """A case's current state; `rehearsal_at` is its rehearsal's clock, None for a real case."""

    case_no: str
    process: str
    order_no: str
    channel: str
    stage: Stage
    owner: str
    opened_at: datetime
    closed_at: datetime | None
    operator: str
    terms_hash: str
    facts: Mapping[str, Any]
    rehearsal: str | None
    rehearsal_at: datetime | None

    @property
    def is_past(self) -> bool:
        """True for what was settled long ago and is only brought in: nobody is told of it any more."""
        return bool(self.facts.get("imported", {}).get("is_past"))

    @property
    def is_real(self) -> bool:
        """True when other systems may be asked to act for this case: no rehearsal, and not past."""
        return self.rehearsal is None and not self.is_past


_CASE = select(CASES, REHEARSALS.c.now_at.label("rehearsal_at")).select_from(
    CASES.outerjoin(REHEARSALS, CASES.c.rehearsal == REHEARSALS.c.id)
)


def _case(row: Mapping[Any, Any]) -> Case:
    return Case(
        case_no=row["case_no"],
        process=row["process"],
        order_no=row["order_no"],
        channel=row["channel"],
        stage=Stage(row["stage"]),
        owner=row["owner"],
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        operator=row["operator"],
        terms_hash=row["terms_hash"],
        facts=row["facts"],
        rehearsal=row["rehearsal"],
        rehearsal_at=row["rehearsal_at"],
    )


async def read(connection: AsyncConnection, case_no: str) -> Case | None:
    """A case by number."""
    row = (await connection.execute(_CASE.where(CASES.c.case_no == case_no))).mappings().one_or_none()
    return _case(row) if row else None


async def of_order(connection: AsyncConnection, order_no: str) -> list[Case]:
    """The cases of an order, oldest first."""
    rows = await connection.execute(_CASE.where(CASES.c.order_no == order_no).order_by(CASES.c.opened_at))
    return [_case(row) for row in rows.mappings()]


async def next_number(connection: AsyncConnection, *, prefix: str, on: date) -> str:
    """The next case number of a house day: `RT-20261122-0007`. Gaps are allowed."""
    name = f"{prefix}-{on:%Y%m%d}"
    value = await connection.scalar(
        upsert(COUNTERS)
        .values(name=name, value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": COUNTERS.c.value + 1})
        .returning(COUNTERS.c.value)
    )
    return f"{name}-{value:04d}"


async def open_case(connection: AsyncConnection, **values: Any) -> None:
    """Insert a case's row."""
    await connection.execute(insert(CASES).values(seq=0, last_hash="", **values))


async def move(
    connection: AsyncConnection,
    case_no: str,
    *,
    stage: Stage,
    owner: str | None = None,
    closed_at: datetime | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Put a case at a stage; `closed_at` ends it, `facts` are added to what it has."""
    values: dict[str, Any] = {"stage": stage.value}
    if facts:
        values["facts"] = CASES.c.facts.op("||")(literal(dict(facts), JSONB))
    if owner is not None:
        values["owner"] = owner
    if closed_at is not None:
        values["closed_at"] = closed_at
    await connection.execute(update(CASES).where(CASES.c.case_no == case_no).values(**values))


# --- runs -----------------------------------------------------------------------------------------------------------


async def case_of_run(connection: AsyncConnection, run_id: UUID) -> str | None:
    """The case a run tells."""
    return await connection.scalar(select(RUNS.c.case_no).where(RUNS.c.run_id == run_id))


async def link_run(connection: AsyncConnection, run_id: UUID, case_no: str) -> None:
    """Make a run the newest teller of a case."""
    newest = select(func.coalesce(func.max(RUNS.c.generation), 0) + 1).where(RUNS.c.case_no == case_no)
    await connection.execute(
        upsert(RUNS)
        .values(run_id=run_id, case_no=case_no, generation=newest.scalar_subquery(), artifacts={})
        .on_conflict_do_nothing()
    )


async def run_of_case(connection: AsyncConnection, case_no: str) -> UUID | None:
    """The run that tells a case now."""
    return await connection.scalar(
        select(RUNS.c.run_id).where(RUNS.c.case_no == case_no).order_by(RUNS.c.generation.desc()).limit(1)
    )


async def runs_of_case(connection: AsyncConnection, case_no: str) -> list[UUID]:
    """Every run that has told a case."""
    return list(await connection.scalars(select(RUNS.c.run_id).where(RUNS.c.case_no == case_no)))


async def artifacts(connection: AsyncConnection, run_id: UUID) -> dict[str, dict[str, str]]:
    """The artifacts of a run by key: their ids, and a mark of what they say."""
    return await connection.scalar(select(RUNS.c.artifacts).where(RUNS.c.run_id == run_id)) or {}


async def keep_artifacts(connection: AsyncConnection, run_id: UUID, pages: Mapping[str, Mapping[str, str]]) -> None:
    """Remember the artifacts of a run."""
    await connection.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(artifacts=dict(pages)))


# --- terms ----------------------------------------------------------------------------------------------------------


async def keep_terms(connection: AsyncConnection, terms_hash: str, document: Mapping[str, Any], at: datetime) -> None:
    """Store terms under their hash; the same terms once (GEN-07)."""
    await connection.execute(
        upsert(TERMS).values(hash=terms_hash, document=document, stored_at=at).on_conflict_do_nothing()
    )


async def terms_document(connection: AsyncConnection, terms_hash: str) -> dict[str, Any]:
    """The terms stored under a hash."""
    return (await connection.execute(select(TERMS.c.document).where(TERMS.c.hash == terms_hash))).scalar_one()


# --- promises -------------------------------------------------------------------------------------------------------


async def promise(
    connection: AsyncConnection,
    case_no: str,
    entry: str,
    *,
    stage: str,
    owner: str,
    rule: str,
    due: Due,
    trace: Mapping[str, Any],
    calendars: str = "",
    gate: Mapping[str, Any] | None = None,
    lapses_at: datetime | None = None,
    remind_at: datetime | None = None,
    told: Collection[str] = (),
    rung_at: datetime | None = None,
) -> bool:
    """Write a promise; False when it was already given."""
    result = await connection.execute(
        upsert(PROMISES)
        .values(
            case_no=case_no,
            entry=entry,
            stage=stage,
            owner=owner,
            rule=rule,
            limit=str(due.limit),
            started_at=due.start_at,
            due_at=due.due_at,
            provisional=due.provisional,
            calendars=calendars,
            trace=trace,
            gate=gate or {},
            lapses_at=lapses_at,
            remind_at=remind_at,
            told=list(told),
            rungs=ladders.behind(told),
            rung_at=rung_at,
        )
        .on_conflict_do_nothing()
        .returning(PROMISES.c.id)
    )
    return result.first() is not None


async def promises(connection: AsyncConnection, case_no: str) -> list[Mapping[str, Any]]:
    """A case's promises, oldest first."""
    rows = await connection.execute(select(PROMISES).where(PROMISES.c.case_no == case_no).order_by(PROMISES.c.id))
    return [dict(row) for row in rows.mappings()]


async def promise_of(connection: AsyncConnection, case_no: str, entry: str) -> Mapping[str, Any]:
    """The promise that was given under an entry's name."""
    row = await connection.execute(select(PROMISES).where(PROMISES.c.case_no == case_no, PROMISES.c.entry == entry))
    return dict(row.mappings().one())


async def carry_on(connection: AsyncConnection, promise_id: int, entry: str) -> None:
    """Write down that a paused promise goes on under another entry's name, so that nobody counts its window twice."""
    await connection.execute(
        update(PROMISES)
        .where(PROMISES.c.id == promise_id)
        .values(trace=PROMISES.c.trace.op("||")(func.jsonb_build_object("continued", entry)))
    )


async def open_gate(connection: AsyncConnection, case_no: str, gate: str) -> Mapping[str, Any] | None:
    """The promise of the gate a case now waits at, if it is this one."""
    row = (
        (
            await connection.execute(
                select(PROMISES)
                .where(
                    PROMISES.c.case_no == case_no,
                    PROMISES.c.ended_at.is_(None),
                    PROMISES.c.gate["gate"].astext == gate,
                )
                .order_by(PROMISES.c.id.desc())
                .limit(1)
            )
        )
        .mappings()
        .one_or_none()
    )
    return dict(row) if row else None


async def lock(connection: AsyncConnection, case_no: str) -> None:
    """Let nobody else write into a case until this transaction ends."""
    await connection.execute(select(CASES.c.case_no).where(CASES.c.case_no == case_no).with_for_update())


async def lock_gate(connection: AsyncConnection, case_no: str, entry: str) -> bool:
    """Lock a case and tell whether a gate of it is still open."""
    await lock(connection, case_no)
    return (
        await connection.scalar(
            select(PROMISES.c.id).where(
                PROMISES.c.case_no == case_no, PROMISES.c.entry == entry, PROMISES.c.ended_at.is_(None)
            )
        )
    ) is not None


async def move_due(
    connection: AsyncConnection,
    promise_id: int,
    *,
    due_at: datetime,
    provisional: bool,
    calendars: str,
    trace: Mapping[str, Any],
    lapses_at: datetime | None,
    remind_at: datetime | None,
    told: Collection[str],
    rung_at: datetime | None,
) -> None:
    """Move a promise's due time; its trace says why and what it was, the rungs `told` stay behind (GEN-08, P-05)."""
    await connection.execute(
        update(PROMISES)
        .where(PROMISES.c.id == promise_id)
        .values(
            due_at=due_at,
            provisional=provisional,
            calendars=calendars,
            trace=dict(trace),
            lapses_at=lapses_at,
            remind_at=remind_at,
            told=list(told),
            rungs=ladders.behind(told),
            rung_at=rung_at,
            # what had climbed stands among the tags of its run
            retags=PROMISES.c.retags | (PROMISES.c.rungs > ladders.behind(told)),
        )
    )


async def reopen_gate(connection: AsyncConnection, case_no: str, entry: str) -> Mapping[str, Any]:
    """Open the promise of a gate anew; its due time stays what it was."""
    row = await connection.execute(
        update(PROMISES)
        .where(PROMISES.c.case_no == case_no, PROMISES.c.entry == entry)
        .values(ended_at=None)
        .returning(PROMISES)
    )
    return dict(row.mappings().one())


async def end_gates(connection: AsyncConnection, case_no: str, at: datetime) -> None:
    """End every open gate of a case, but not its outer limit."""
    await connection.execute(
        update(PROMISES)
        .where(
            PROMISES.c.case_no == case_no, PROMISES.c.ended_at.is_(None), PROMISES.c.gate["gate"].astext.is_not(None)
        )
        .values(ended_at=at)
    )


async def end_promise(connection: AsyncConnection, case_no: str, entry: str | None, at: datetime) -> None:
    """End one promise of a case, or every open one."""
    query = update(PROMISES).where(PROMISES.c.case_no == case_no, PROMISES.c.ended_at.is_(None)).values(ended_at=at)
    if entry is not None:
        query = query.where(PROMISES.c.entry == entry)
    await connection.execute(query)


# --- inbox ----------------------------------------------------------------------------------------------------------


async def receive(
    connection: AsyncConnection,
    *,
    key: str,
    case_no: str | None,
    event: str,
    actor: str,
    data: Mapping[str, Any],
    at: datetime,
) -> bool:
    """Take an event in; False when the same key was taken in before."""
    result = await connection.execute(
        upsert(INBOX)
        .values(key=key, case_no=case_no, event=event, actor=actor, data=dict(data), received_at=at)
        .on_conflict_do_nothing()
        .returning(INBOX.c.id)
    )
    return result.first() is not None


async def waiting(connection: AsyncConnection, case_no: str, events: Sequence[str]) -> Mapping[str, Any] | None:
    """The oldest event of these kinds that nobody has taken yet."""
    row = (
        (
            await connection.execute(
                select(INBOX)
                .where(INBOX.c.case_no == case_no, INBOX.c.event.in_(events), INBOX.c.taken_at.is_(None))
                .order_by(INBOX.c.id)
                .limit(1)
            )
        )
        .mappings()
        .one_or_none()
    )
    return dict(row) if row else None


async def told(connection: AsyncConnection, case_no: str) -> set[str]:
    """What kinds of events wait to be taken."""
    rows = await connection.scalars(
        select(INBOX.c.event).where(INBOX.c.case_no == case_no, INBOX.c.taken_at.is_(None)).distinct()
    )
    return set(rows)


async def waiting_about(connection: AsyncConnection, case_no: str, key: str) -> list[Mapping[str, Any]]:
    """Every event that speaks of one matter of a case and that nobody has taken or is taking."""
    rows = await connection.execute(
        select(INBOX)
        .where(INBOX.c.case_no == case_no, INBOX.c.taken_at.is_(None), INBOX.c.data["key"].astext == key)
        .order_by(INBOX.c.id)
        .with_for_update(skip_locked=True)
    )
    return [dict(row) for row in rows.mappings()]


async def was_received(connection: AsyncConnection, key: str) -> bool:
    """Whether an event of this key was taken in before."""
    return await connection.scalar(select(INBOX.c.id).where(INBOX.c.key == key)) is not None


async def one_parcel_at_a_time(connection: AsyncConnection, tracking_no: str) -> None:
    """Let a parcel and its case look for each other one after the other, until this transaction ends."""
    await connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:t, 3))"), {"t": tracking_no})


async def sent_as(connection: AsyncConnection, tracking_no: str) -> str | None:
    """The open case whose goods travel under this parcel number, by what was told when they were sent."""
    return await connection.scalar(
        select(JOURNAL.c.case_no)
        .join(CASES, CASES.c.case_no == JOURNAL.c.case_no)
        .where(
            JOURNAL.c.kind == "decision",
            JOURNAL.c.data["tracking_no"].astext == tracking_no,
            JOURNAL.c.entry.like("pickup-%"),
            CASES.c.closed_at.is_(None),
        )
        .limit(1)
    )


async def orphan(connection: AsyncConnection, tracking_no: str) -> Mapping[str, Any] | None:
    """The oldest parcel of this number that was taken in without a case."""
    row = (
        (
            await connection.execute(
                select(INBOX)
                .where(
                    INBOX.c.case_no.is_(None),
                    INBOX.c.taken_at.is_(None),
                    INBOX.c.data["tracking_no"].astext == tracking_no,
                )
                .order_by(INBOX.c.id)
                .limit(1)
            )
        )
        .mappings()
        .one_or_none()
    )
    return dict(row) if row else None


async def orphans(connection: AsyncConnection) -> list[Mapping[str, Any]]:
    """Every parcel that was taken in without a case and is still unmatched, oldest first."""
    rows = await connection.execute(
        select(INBOX).where(INBOX.c.case_no.is_(None), INBOX.c.taken_at.is_(None)).order_by(INBOX.c.id)
    )
    return [dict(row) for row in rows.mappings()]


async def parcel(connection: AsyncConnection, tracking_no: str) -> Mapping[str, Any] | None:
    """The parcel of this number that was taken in last, for a case or without one."""
    row = (
        (
            await connection.execute(
                select(INBOX)
                .where(INBOX.c.event == Event.PARCEL_RECEIVED.value, INBOX.c.data["tracking_no"].astext == tracking_no)
                .order_by(INBOX.c.id.desc())
                .limit(1)
            )
        )
        .mappings()
        .one_or_none()
    )
    return dict(row) if row else None


async def end_parcel(connection: AsyncConnection, tracking_no: str, *, became: str, actor: str, at: datetime) -> bool:
    """Take a parcel off those without a case: its row stays and says what became of it; False when it is not there."""
    result = await connection.execute(
        update(INBOX)
        .where(
            INBOX.c.case_no.is_(None),
            INBOX.c.taken_at.is_(None),
            INBOX.c.data["tracking_no"].astext == tracking_no,
        )
        .values(taken_at=at, data=INBOX.c.data.op("||")(literal({"became": became, "ended_by": actor}, JSONB)))
        .returning(INBOX.c.id)
    )
    return result.first() is not None


async def adopt(connection: AsyncConnection, inbox_id: int, case_no: str, data: Mapping[str, Any]) -> bool:
    """Give a parcel to its case; False when it has left the list of those without a case meanwhile."""
    result = await connection.execute(
        update(INBOX)
        .where(INBOX.c.id == inbox_id, INBOX.c.case_no.is_(None), INBOX.c.taken_at.is_(None))
        .values(case_no=case_no, data=dict(data))
        .returning(INBOX.c.id)
    )
    return result.first() is not None


async def take(connection: AsyncConnection, inbox_id: int, at: datetime) -> None:
    """Mark an event as taken."""
    await connection.execute(update(INBOX).where(INBOX.c.id == inbox_id).values(taken_at=at))


# --- refusals, rehearsals -------------------------------------------------------------------------------------------


async def refuse(connection: AsyncConnection, **values: Any) -> None:
    """Write down an application that could not be opened; one row a run."""
    await connection.execute(upsert(REFUSALS).values(**values).on_conflict_do_nothing())


async def refusal_of_run(connection: AsyncConnection, run_id: UUID) -> str | None:
    """Why a run's application was not opened."""
    return await connection.scalar(select(REFUSALS.c.reason).where(REFUSALS.c.run_id == run_id))


async def rehearsal_of_order(connection: AsyncConnection, order_no: str) -> tuple[str, datetime] | None:
    """The rehearsal an order belongs to and its clock, None for a real order."""
    row = (
        await connection.execute(
            select(REHEARSALS.c.id, REHEARSALS.c.now_at)
            .select_from(ORDERS.join(REHEARSALS, ORDERS.c.rehearsal == REHEARSALS.c.id))
            .where(ORDERS.c.order_no == order_no)
        )
    ).one_or_none()
    return (row.id, row.now_at) if row else None


async def one_at_a_time(connection: AsyncConnection, order_no: str) -> None:
    """Let applications for one order be opened one after the other, until this transaction ends."""
    await connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:o, 1))"), {"o": order_no})
