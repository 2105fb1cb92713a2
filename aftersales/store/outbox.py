"""
The outbox: notices that wait to be sent, and the ledger of the addresses each goes to (design §8, P-11).

A row is taken by one sender at a time: `claim` moves it out of the others' sight for as long as a send may take, in the
transaction that writes down that the send begins.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import DateTime, Select, String, and_, bindparam, case, func, literal, null, or_, select, true, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.store.tables import AbsenceRow, CaseRow, DeliveryRow, OutboxRow, PromiseRow, RunRow
from aftersales.words import DIGEST

ABSENCES = AbsenceRow.__table__  # type: ignore[attr-defined]
CASES = CaseRow.__table__  # type: ignore[attr-defined]
DELIVERIES = DeliveryRow.__table__  # type: ignore[attr-defined]
OUTBOX = OutboxRow.__table__  # type: ignore[attr-defined]
PROMISES = PromiseRow.__table__  # type: ignore[attr-defined]
RUNS = RunRow.__table__  # type: ignore[attr-defined]

# whose time is still to come: also those that went into a digest which nobody has sent yet
WAITING = ("queued", "digested")
# how far a notice came at an address
SENT = "sent"
MAYBE = "maybe"
# where a withdrawn notice says which addresses have it, and how far it came there
HAD = "had"
# why a notice waits that has nowhere to go
NO_CHANNEL = "没有渠道，等待设置"
# what a digest takes in; a department with more gets another
MOST_DIGESTED = 500


async def put(connection: AsyncConnection, *, withdrawn: str = "", is_rehearsed: bool = False, **values: Any) -> bool:
    """
    Put a notice into the outbox; the same one (case, entry, recipient) once (GEN-14).

    `withdrawn` says why it is not to be sent. Nobody but its rehearsal sends what is rehearsed.
    """
    state = "withdrawn" if withdrawn else "queued"
    next_at = None if withdrawn or is_rehearsed else values["created_at"]
    result = await connection.execute(
        upsert(OUTBOX)
        .values(state=state, reason=withdrawn, next_at=next_at, **values)
        .on_conflict_do_nothing()
        .returning(OUTBOX.c.id)
    )
    return result.first() is not None


async def was_told(connection: AsyncConnection, entry: str) -> bool:
    """Whether somebody was told of something that belongs to no case."""
    query = select(OUTBOX.c.id).where(OUTBOX.c.case_no.is_(None), OUTBOX.c.entry == entry).limit(1)
    return await connection.scalar(query) is not None


# --- what is due ----------------------------------------------------------------------------------------------------


# the moment that is asked about, and whose clock it is on
AT = bindparam("at", type_=DateTime(timezone=True))
REHEARSAL = bindparam("rehearsal", type_=String)


def _due(query: Select, *, in_rehearsal: bool = False) -> Select:
    """Narrow a query of the outbox to what is due `AT` on the clock of a `REHEARSAL`, or in the shop itself."""
    when = func.coalesce(OUTBOX.c.next_at, OUTBOX.c.created_at) if in_rehearsal else OUTBOX.c.next_at
    whose = CASES.c.rehearsal == REHEARSAL if in_rehearsal else CASES.c.rehearsal.is_(None)
    return query.select_from(OUTBOX.outerjoin(CASES, CASES.c.case_no == OUTBOX.c.case_no)).where(
        OUTBOX.c.state == "queued", when <= AT, whose
    )


async def claim(connection: AsyncConnection, *, at: datetime, rehearsal: str | None) -> Mapping[str, Any] | None:
    """
    The notice that is due first and that nobody else has in hand, locked until this transaction ends.

    What one recipient is told about a case comes one after the other: not before what is being sent to them.
    """
    query, asked = (_first_due(in_rehearsal=True), {"rehearsal": rehearsal}) if rehearsal else (_first_due(), {})
    row = (await connection.execute(query, {"at": at, **asked})).mappings().one_or_none()
    return dict(row) if row else None


@cache  # putting it together takes longer than running it
def _first_due(*, in_rehearsal: bool = False) -> Select:
    earlier = OUTBOX.alias()
    is_under_way = select(DELIVERIES.c.id).where(
        DELIVERIES.c.outbox_id == earlier.c.id, DELIVERIES.c.state == "sending"
    )
    is_due = func.coalesce(earlier.c.next_at, earlier.c.created_at) <= AT if in_rehearsal else earlier.c.next_at <= AT
    before = select(earlier.c.id).where(
        earlier.c.case_no == OUTBOX.c.case_no,
        earlier.c.recipient == OUTBOX.c.recipient,
        earlier.c.id < OUTBOX.c.id,
        earlier.c.state == "queued",
        is_due | is_under_way.exists(),
    )
    query = _due(select(OUTBOX), in_rehearsal=in_rehearsal).where(~before.exists())
    return query.order_by(OUTBOX.c.next_at, OUTBOX.c.id).limit(1).with_for_update(of=OUTBOX, skip_locked=True)


ANYTHING_DUE = _due(select(OUTBOX.c.id)).limit(1)


async def is_anything_due(connection: AsyncConnection, at: datetime) -> bool:
    """Whether it is worth looking."""
    return await connection.scalar(ANYTHING_DUE, {"at": at}) is not None


async def waiting(connection: AsyncConnection, limit: int) -> tuple[list[Mapping[str, Any]], int]:
    """What has not arrived yet in the shop itself, the oldest first, with its worst address; and how many in all."""
    worst = (
        select(DELIVERIES.c.tries, DELIVERIES.c.reason.label("failure"), DELIVERIES.c.state.label("stands"))
        .where(DELIVERIES.c.outbox_id == OUTBOX.c.id, DELIVERIES.c.state.in_(("failed", "sending", "queued")))
        .order_by(DELIVERIES.c.tries.desc())
        .limit(1)
        .lateral()
    )
    mine = OUTBOX.outerjoin(CASES, CASES.c.case_no == OUTBOX.c.case_no)
    still = (OUTBOX.c.state == "queued", CASES.c.rehearsal.is_(None))
    rows = await connection.execute(
        select(OUTBOX, func.coalesce(worst.c.tries, 0).label("tries"), worst.c.failure, worst.c.stands)
        .select_from(mine.outerjoin(worst, true()))
        .where(*still)
        .order_by(OUTBOX.c.id)
        .limit(limit)
    )
    total = await connection.scalar(select(func.count()).select_from(mine).where(*still))
    return [dict(row) for row in rows.mappings()], total or 0


async def put_off(connection: AsyncConnection, outbox_id: int, until: datetime | None, reason: str = "") -> None:
    """Look at a notice again then; None: when there is a channel for it (`look_again`)."""
    await connection.execute(
        update(OUTBOX).where(OUTBOX.c.id == outbox_id).values(next_at=until, **({"reason": reason} if reason else {}))
    )


async def look_again(connection: AsyncConnection, recipients: Collection[str], at: datetime) -> int:
    """Let what waits for a channel, their own or that of whoever stands in, be looked at, of recipients who have one now."""
    is_under_way = select(DELIVERIES.c.id).where(DELIVERIES.c.outbox_id == OUTBOX.c.id, DELIVERIES.c.state == "sending")
    waiting = select(OUTBOX.c.id).select_from(OUTBOX.outerjoin(CASES, CASES.c.case_no == OUTBOX.c.case_no))
    waiting = waiting.where(
        OUTBOX.c.state == "queued",
        # the reason stays while it is sent after all
        or_(OUTBOX.c.next_at.is_(None), and_(OUTBOX.c.reason == NO_CHANNEL, ~is_under_way.exists())),
        OUTBOX.c.recipient.in_(recipients),
        CASES.c.rehearsal.is_(None),
    )
    found = await connection.execute(update(OUTBOX).where(OUTBOX.c.id.in_(waiting)).values(next_at=at))
    return found.rowcount


async def settle(connection: AsyncConnection, outbox_id: int, state: str, *, at: datetime, reason: str = "") -> bool:
    """End a notice: `sent`, `given_up` or `withdrawn`; False when somebody withdrew it meanwhile."""
    found = await connection.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == outbox_id, OUTBOX.c.state == "queued")
        .values(state=state, settled_at=at, reason=reason, next_at=None)
    )
    if found.rowcount and state in ("sent", "given_up"):
        # in the order in which everybody takes them, so that nobody waits for each other
        members = select(OUTBOX.c.id).where(OUTBOX.c.digest_id == outbox_id, OUTBOX.c.state == "digested")
        ids = list(await connection.scalars(members.order_by(OUTBOX.c.id).with_for_update()))
        await connection.execute(update(OUTBOX).where(OUTBOX.c.id.in_(ids)).values(state=state, settled_at=at))
    return bool(found.rowcount)


async def take(connection: AsyncConnection, outbox_id: int) -> bool:
    """Lock a notice that still waits; False when somebody has ended it."""
    query = select(OUTBOX.c.id).where(OUTBOX.c.id == outbox_id, OUTBOX.c.state.in_(WAITING)).with_for_update()
    return await connection.scalar(query) is not None


async def last_sent(connection: AsyncConnection, recipient: str, nth: int, since: datetime) -> datetime | None:
    """
    When the `nth` of what a recipient was sent one by one since then was sent, counted from the last.

    None: they had fewer. What is rehearsed does not count: it is sent on a clock of its own.
    """
    return await connection.scalar(
        select(OUTBOX.c.settled_at)
        .select_from(OUTBOX.outerjoin(CASES, CASES.c.case_no == OUTBOX.c.case_no))
        .where(
            OUTBOX.c.recipient == recipient,
            OUTBOX.c.settled_at > since,
            OUTBOX.c.state == "sent",
            OUTBOX.c.digest_id.is_(None),
            CASES.c.rehearsal.is_(None),
        )
        .order_by(OUTBOX.c.settled_at.desc())
        .offset(nth - 1)
        .limit(1)
    )


async def leave_out_of_quiet(connection: AsyncConnection, outbox_id: int, length: timedelta) -> None:
    """Let quiet hours not count as time in which a notice was tried."""
    await connection.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.outbox_id == outbox_id, DELIVERIES.c.state.in_(("failed", "queued", "sending")))
        .values(first_at=DELIVERIES.c.first_at + length)
    )


async def promise_of(connection: AsyncConnection, case_no: str, promised: str) -> Mapping[str, Any] | None:
    """The promise that a notice tells about, as it stands now."""
    row = await connection.execute(select(PROMISES).where(PROMISES.c.case_no == case_no, PROMISES.c.entry == promised))
    found = row.mappings().one_or_none()
    return dict(found) if found else None


async def run_of(connection: AsyncConnection, case_no: str) -> Any:
    """The newest run of a case, for a link; None when it never had one."""
    query = select(RUNS.c.run_id).where(RUNS.c.case_no == case_no).order_by(RUNS.c.generation.desc()).limit(1)
    return await connection.scalar(query)


# --- addresses ------------------------------------------------------------------------------------------------------


async def deliveries(connection: AsyncConnection, outbox_id: int) -> dict[str, Mapping[str, Any]]:
    """What became of a notice so far, by address."""
    rows = await connection.execute(
        select(DELIVERIES).where(DELIVERIES.c.outbox_id == outbox_id).order_by(DELIVERIES.c.id)
    )
    return {row["address"]: dict(row) for row in rows.mappings()}


async def keep(connection: AsyncConnection, outbox_id: int, address: str, **values: Any) -> None:
    """Write down how a notice stands at an address."""
    await connection.execute(
        upsert(DELIVERIES)
        .values(outbox_id=outbox_id, address=address, **values)
        .on_conflict_do_update(index_elements=["outbox_id", "address"], set_=values)
    )


async def one_at_a_time(connection: AsyncConnection, address: str) -> None:
    """Let sends to one address begin one after the other, until this transaction ends."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(address, 2))))


async def begun_lately(connection: AsyncConnection, address: str, since: datetime, most: int) -> list[datetime]:
    """When the last sends to an address began, the newest first."""
    rows = await connection.scalars(
        select(DELIVERIES.c.begun_at)
        .where(DELIVERIES.c.address == address, DELIVERIES.c.begun_at > since)
        .order_by(DELIVERIES.c.begun_at.desc())
        .limit(most)
    )
    return list(rows)


async def last_outcomes(connection: AsyncConnection, address: str, since: datetime, most: int) -> list[tuple[str, str]]:
    """What became of the last sends to an address that have ended, and why, the newest first."""
    rows = await connection.execute(
        select(DELIVERIES.c.state, DELIVERIES.c.reason)
        .where(DELIVERIES.c.address == address, DELIVERIES.c.begun_at > since, DELIVERIES.c.state != "sending")
        .order_by(DELIVERIES.c.begun_at.desc())
        .limit(most)
    )
    return [(row.state, row.reason) for row in rows]


# --- digests --------------------------------------------------------------------------------------------------------


def _loose(query: Select) -> Select:
    """Narrow a query to due notices that no address has or may have: a digest may take their place."""
    begun = select(DELIVERIES.c.id).where(
        DELIVERIES.c.outbox_id == OUTBOX.c.id, DELIVERIES.c.state.in_(("sending", "sent")) | DELIVERIES.c.is_doubtful
    )
    return _due(query).where(OUTBOX.c.notice != DIGEST, ~begun.exists())


async def crowded(connection: AsyncConnection, *, at: datetime, above: int) -> Sequence[str]:
    """Departments and members of staff for whom more than so many notices are due."""
    query = _loose(select(OUTBOX.c.recipient)).where(OUTBOX.c.recipient != "customer")
    query = query.group_by(OUTBOX.c.recipient).having(func.count() > above)
    return list(await connection.scalars(query, {"at": at}))


async def loose(connection: AsyncConnection, recipient: str, *, at: datetime) -> list[Mapping[str, Any]]:
    """The notices of one recipient that a digest may take in, locked, the oldest first."""
    query = _loose(select(OUTBOX)).where(OUTBOX.c.recipient == recipient).order_by(OUTBOX.c.id)
    rows = await connection.execute(query.limit(MOST_DIGESTED).with_for_update(of=OUTBOX, skip_locked=True), {"at": at})
    return [dict(row) for row in rows.mappings()]


async def digest(connection: AsyncConnection, members: Collection[int], **values: Any) -> None:
    """Put one message into the outbox that takes the place of several."""
    digest_id = await connection.scalar(
        upsert(OUTBOX)
        .values(state="queued", next_at=values["created_at"], case_no=None, notice=DIGEST, **values)
        .returning(OUTBOX.c.id)
    )
    await connection.execute(
        update(OUTBOX).where(OUTBOX.c.id.in_(members)).values(state="digested", digest_id=digest_id, next_at=None)
    )


async def digested(connection: AsyncConnection, digest_id: int, *, is_locked: bool = False) -> list[Mapping[str, Any]]:
    """What a digest still has to tell: some may have been withdrawn since, none can be while it `is_locked`."""
    query = select(OUTBOX).where(OUTBOX.c.digest_id == digest_id, OUTBOX.c.state == "digested").order_by(OUTBOX.c.id)
    rows = await connection.execute(query.with_for_update() if is_locked else query)
    return [dict(row) for row in rows.mappings()]


async def withdraw(connection: AsyncConnection, ids: Collection[int], reason: str, at: datetime) -> dict[int, str]:
    """
    End notices that have nothing more to tell, also out of a digest; answers how far they had come by then.

    `sent`: it is only not tried again elsewhere; `maybe`: a send is under way, or was not answered; not named: nobody
    has it. Called under the lock of their cases.
    """
    had = await _had(connection, ids)
    came = {each: how_far(addresses) for each, addresses in had.items()}
    is_sent = OUTBOX.c.id.in_([each for each, far in came.items() if far == SENT])
    await connection.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id.in_(ids), OUTBOX.c.state.in_(WAITING))
        .values(
            state=case((is_sent, SENT), else_="withdrawn"),
            reason=reason,
            settled_at=at,
            next_at=None,
            # it goes out of a digest, unless that has told it somewhere, or may have
            digest_id=case((OUTBOX.c.id.in_(came), OUTBOX.c.digest_id), else_=null()),
        )
    )
    for each, addresses in had.items():
        await _keep_had(connection, each, addresses)
    return came


def how_far(had: Mapping[str, str]) -> str:
    """How far a notice has come of which addresses `had` what: `sent`, `maybe`, or nowhere (empty)."""
    return SENT if SENT in had.values() else MAYBE if had else ""


async def _had(connection: AsyncConnection, ids: Collection[int]) -> dict[int, dict[str, str]]:
    """Which addresses have or may have a notice that waits, by itself or in a digest, and how far it came there."""
    of = or_(DELIVERIES.c.outbox_id == OUTBOX.c.id, DELIVERIES.c.outbox_id == OUTBOX.c.digest_id)
    rows = await connection.execute(
        select(OUTBOX.c.id, DELIVERIES.c.address, DELIVERIES.c.state)
        .join(DELIVERIES, of)
        .where(
            OUTBOX.c.id.in_(ids),
            OUTBOX.c.state.in_(WAITING),
            DELIVERIES.c.state.in_((SENT, "sending")) | DELIVERIES.c.is_doubtful,
        )
        .order_by(OUTBOX.c.id, DELIVERIES.c.id)
    )
    found: dict[int, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.id, {})[row.address] = SENT if row.state == SENT else MAYBE
    return found


async def _keep_had(connection: AsyncConnection, outbox_id: int, had: Mapping[str, str]) -> None:
    """Write down which addresses have what was withdrawn: a digest goes on without it."""
    data = OUTBOX.c.data.op("||")(literal({HAD: dict(had)}, JSONB))
    await connection.execute(update(OUTBOX).where(OUTBOX.c.id == outbox_id).values(data=data))


async def lock_cases(connection: AsyncConnection, ids: Collection[int]) -> None:
    """Let nobody else write into the cases of some notices until this transaction ends; in one order for all."""
    theirs = select(OUTBOX.c.case_no).where(OUTBOX.c.id.in_(ids))
    query = select(CASES.c.case_no).where(CASES.c.case_no.in_(theirs)).order_by(CASES.c.case_no)
    await connection.execute(query.with_for_update(of=CASES))


async def withdrawn_under_way(connection: AsyncConnection, ids: Collection[int]) -> list[Mapping[str, Any]]:
    """Which of what was just sent had been withdrawn meanwhile; waits for whoever is about to withdraw some of it."""
    query = select(OUTBOX).where(OUTBOX.c.id.in_(ids)).order_by(OUTBOX.c.id).with_for_update()
    return [dict(row) for row in (await connection.execute(query)).mappings() if HAD in row["data"]]


async def have_come(
    connection: AsyncConnection, outbox_id: int, had: Mapping[str, str], far: Mapping[str, str]
) -> dict[str, str]:
    """Write down how `far` the sends came that were under way when a notice was withdrawn; answers who has it now."""
    # whoever is not among them was not being told it
    now = {address: how for address in had if (how := far.get(address, had[address]))}
    if now != had:
        await _keep_had(connection, outbox_id, now)
    return now


# --- absences -------------------------------------------------------------------------------------------------------


async def absences(connection: AsyncConnection, on: date) -> dict[str, str]:
    """Who is away on a day, and who stands in for them (empty: nobody); of several the one written last."""
    rows = await connection.execute(
        select(ABSENCES.c.staff_id, ABSENCES.c.stand_in)
        .where(ABSENCES.c.from_on <= on, ABSENCES.c.until_on >= on, ABSENCES.c.ended_at.is_(None))
        .order_by(ABSENCES.c.id)
    )
    return {row.staff_id: row.stand_in for row in rows}


async def absences_from(connection: AsyncConnection, on: date) -> list[Mapping[str, Any]]:
    """The absences that have not ended on a day, in order of their beginning."""
    rows = await connection.execute(
        select(ABSENCES)
        .where(ABSENCES.c.until_on >= on, ABSENCES.c.ended_at.is_(None))
        .order_by(ABSENCES.c.from_on, ABSENCES.c.id)
    )
    return [dict(row) for row in rows.mappings()]


async def be_away(connection: AsyncConnection, **values: Any) -> list[Mapping[str, Any]] | None:
    """
    Write an absence down; None when on each of its days the same counts already, else those that count less by it.

    Of several the one written last counts: those of another stand-in lose their days to it, and end when none is left.
    """
    first, last, stand_in = (values[name] for name in ("from_on", "until_on", "stand_in"))
    rows = await connection.execute(
        select(ABSENCES)
        .where(
            ABSENCES.c.staff_id == values["staff_id"],
            ABSENCES.c.ended_at.is_(None),
            ABSENCES.c.from_on <= last,
            ABSENCES.c.until_on >= first,
        )
        .order_by(ABSENCES.c.id)
    )
    before: list[Mapping[str, Any]] = [dict(row) for row in rows.mappings()]
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    counts = {day: row["stand_in"] for row in before for day in days if row["from_on"] <= day <= row["until_on"]}
    if len(counts) == len(days) and set(counts.values()) == {stand_in}:
        return None
    others = [row for row in before if row["stand_in"] != stand_in]
    over = [row["id"] for row in others if first <= row["from_on"] and row["until_on"] <= last]
    await connection.execute(update(ABSENCES).where(ABSENCES.c.id.in_(over)).values(ended_at=values["created_at"]))
    await connection.execute(upsert(ABSENCES).values(**values))
    return others


async def be_back(connection: AsyncConnection, staff_id: str, *, on: date, at: datetime) -> int:
    """Take back the absences of somebody that have not ended; answers how many there were."""
    found = await connection.execute(
        update(ABSENCES)
        .where(
            ABSENCES.c.staff_id == staff_id,
            ABSENCES.c.ended_at.is_(None),
            ABSENCES.c.until_on >= on,
        )
        .values(ended_at=at)
    )
    return found.rowcount
