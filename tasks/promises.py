"""Promises: what a department owes by when, written when a gate opens (GEN-09, design §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.leg import Leg
from aftersales.rules import clocks, deliveries, ladders, lists, offers
from aftersales.rules import standing as standings
from aftersales.rules.clocks import Pause
from aftersales.rules.ladders import Rung
from aftersales.store import cases, journal, outbox
from aftersales.store import lists as listed
from aftersales.store import rungs as climbed
from aftersales.store.engine import transaction
from aftersales.terms import House, Promised, Terms
from aftersales.words import Due, Limit, Shipping, Stage
from tasks import notices

# why a question withdraws what its gate's ladder has told and nobody has sent yet
ASKED = "已请客户补充，时限暂停，不用再通知"


async def ask(leg: Leg, gate: str, entry: str) -> None:
    """
    Open a gate's promise, once: its owner, its due time with the trace, what its form offers (RET-02 to RET-10).

    The case moves to the gate's stage in the same transaction.
    """
    assert leg.case is not None
    assert leg.terms is not None
    if f"{entry}.asked" in leg.entries:
        return
    async with transaction() as connection:
        await cases.lock(connection, leg.case.case_no)
        await open_gate(connection, leg, gate, entry)


async def open_gate(connection: AsyncConnection, leg: Leg, gate: str, entry: str) -> None:
    """Open a gate's promise under the case's lock; not one that was decided before it could be opened."""
    assert leg.case is not None
    assert leg.terms is not None
    if gate == Stage.VISIT and await journal.find(connection, leg.case.case_no, entry) is not None:
        return
    promised = leg.terms.promised(gate, channel=leg.case.channel)
    told = standings.standing(leg.history)
    offer = offers.offer(gate=gate, standing=told, terms=leg.terms)
    form = {
        "gate": gate,
        # a list's form stays good while it is filled in, whatever else of the list is recorded meanwhile
        "ref": f"{leg.case.case_no} {gate if gate == Stage.VISIT else entry}",
        "options": {name: list(choices.items()) for name, choices in offer.options.items()},
        "prefill": offer.prefill,
        "context": {**offer.context, "key": f"{leg.case.case_no}/{entry}"},
        "demands": list(offer.demands),
    }
    is_self_shipped = gate == "pickup" and told.request["shipping"] == Shipping.SELF
    # a story that has changed may ask another question where it stands: two gates are never open at once
    await cases.end_gates(connection, leg.case.case_no, leg.now())
    due = await give(
        connection,
        leg,
        entry,
        stage=gate,
        promised=promised,
        gate=form,
        lapses=is_self_shipped or gate in ("correction", standings.QUESTION),
    )
    await leg.note(
        connection,
        f"{entry}.asked",
        kind="gate",
        data={"stage": gate, "owner": promised.owner, **clocks.noted(due)},
        due_at=due.due_at,
        rule=promised.rule,
    )
    await cases.move(connection, leg.case.case_no, stage=Stage(gate), owner=promised.owner)


async def ask_again(leg: Leg, gate: str, entry: str) -> Mapping[str, Any] | None:
    """Open a gate anew that a question in between has ended unanswered; None when it was answered after all."""
    assert leg.case is not None
    async with transaction() as connection:
        await cases.lock(connection, leg.case.case_no)
        if await journal.find(connection, leg.case.case_no, entry) is not None:
            return None
        await cases.end_gates(connection, leg.case.case_no, leg.now())
        promise = await cases.reopen_gate(connection, leg.case.case_no, entry)
        await cases.move(connection, leg.case.case_no, stage=Stage(gate), owner=promise["owner"])
        return promise


def reckon(leg: Leg, stage: str, limit: Limit) -> Due:
    """
    Reckon when something is due at a stage that began with what last happened to the case.

    A window runs from the event that opens it (submission, confirmation, receipt, inspection: RET-02 to RET-10), not
    from the moment a worker came to it; notices and promises agree because both ask here (GEN-11).
    """
    assert leg.terms is not None
    return clocks.due(
        start_at=standings.began_at(leg.history, stage=stage) or leg.now(),
        limit=limit,
        calendars=leg.terms.calendars,
        house=leg.terms.house,
    )


def owed(promise: Mapping[str, Any], *, house: House) -> Due:
    """Read the due time of a promise's row; `missing` are the years that make it provisional."""
    return Due(
        clocks.in_house(promise["started_at"], house=house),
        Limit.parse(promise["limit"]),
        clocks.in_house(promise["due_at"], house=house),
        missing=tuple(promise["trace"]["missing"]) if promise["provisional"] else (),
    )


def of_the_customer(terms: Terms, promise: Mapping[str, Any], due: Due) -> Due:
    """Say what the customer was told of a due time of a promise: while money is awaited, their own bound (AMB-13)."""
    if promise["stage"] not in standings.PAYING:
        return due
    pauses = clocks.pauses_of(promise["trace"])
    limit = terms.returns.refund_bound
    return ladders.bound(due, limit, calendars=terms.calendars, house=terms.house, pauses=pauses)


def counted_with(terms: Terms, due: Due, ladder: Sequence[Rung], *, lapses_at: datetime | None) -> str:
    """Name the calendars that a promise was counted with, up to its last rung: what a recount goes by (P-05)."""
    until = max([due.due_at, *(rung.at for rung in ladder), *([lapses_at] if lapses_at else [])])
    return clocks.calendar_version(due, terms.calendars, until=until)


def again(trace: Mapping[str, Any]) -> str:
    """What tells a ladder's rungs from those before it: whoever got more time, or was counted again, climbs anew."""
    times = len(trace["extensions"]) + len(trace["pauses"]) + len(trace.get("recounted", ()))
    return f"-{times}" if times else ""


def lapse(terms: Terms, gate: str, due_at: datetime) -> datetime:
    """
    Say when a gate answers itself because nobody did: an answer or a correction that never comes, goods never sent.

    An answer and a correction lapse when they are due (NUM-223, RET-04); a self-shipment a grace time after it was due
    (AMB-52).
    """
    if gate != Stage.PICKUP:
        return due_at
    grace = terms.returns.selfship_grace
    return clocks.later(due_at, grace, calendars=terms.calendars, house=terms.house).due_at


def reminder(terms: Terms, gate: str, due: Due, *, since: datetime | None = None) -> datetime | None:
    """
    Say when the customer is reminded: of goods to be sent when that is due, of a question a while before it closes.

    `since` is when the due time was moved: what would have been a reminder before that is none. Nobody is reminded of a
    correction.
    """
    if gate == Stage.PICKUP:
        return due.due_at
    if gate != standings.QUESTION:
        return None
    first, last = (
        clocks.due(start_at=due.start_at, limit=limit, calendars=terms.calendars, house=terms.house).due_at
        for limit in (terms.returns.question_reminder, due.limit)
    )
    at = due.due_at - (last - first)
    return at if since is None or at > since else None


def rungs(
    terms: Terms, *, stage: str, due: Due, lapses_at: datetime | None, pauses: Sequence[Pause] = ()
) -> tuple[Rung, ...]:
    """Give the ladder of a promise (ESC-04); none where the customer's silence is the answer: nobody here is late."""
    if lapses_at is not None:
        return ()
    return ladders.ladder(
        stage=stage,
        due=due,
        refund_bound=terms.returns.refund_bound,
        escalation=terms.escalation,
        calendars=terms.calendars,
        house=terms.house,
        pauses=pauses,
    )


async def give(
    connection: AsyncConnection,
    leg: Leg,
    entry: str,
    *,
    stage: str,
    promised: Promised,
    gate: Mapping[str, Any] | None = None,
    lapses: bool = False,
) -> Due:
    """
    Write one promise; answers its due time. `lapses` means that silence answers it.

    A gate that has asked the customer something goes on with what was left of its window when it asked, and with the
    ladder where that stood if the question has given it no time (P-06, P-07, P-08): what it had told and the question
    withdrew unsent is told then.
    """
    assert leg.case is not None
    assert leg.terms is not None
    due = reckon(leg, stage, promised.limit)
    trace = clocks.trace(due, promised.rule)
    told: Sequence[str] = ()
    untold: Sequence[Mapping[str, Any]] = ()
    if stage == Stage.VISIT and (left := lists.owed(await listed.left(connection, leg.case.case_no), terms=leg.terms)):
        due, told = left
        trace = clocks.trace(due, promised.rule)
    if asked := standings.interrupted(leg.history, gate=stage):
        paused = await cases.promise_of(connection, leg.case.case_no, asked.entry)
        due, trace = _resumed(leg.terms, paused, asked)
        if due.due_at == paused["due_at"]:
            told = paused["told"]
            untold = await climbed.untold(connection, leg.case.case_no, asked.entry, reason=ASKED)
        await cases.carry_on(connection, paused["id"], entry)
    lapses_at = lapse(leg.terms, stage, due.due_at) if lapses else None
    pauses = clocks.pauses_of(trace)
    ladder = rungs(leg.terms, stage=stage, due=due, lapses_at=lapses_at, pauses=pauses)
    climbs = () if leg.case.is_past else ladders.left(ladder, told=told)
    await cases.promise(
        connection,
        leg.case.case_no,
        entry,
        stage=stage,
        owner=promised.owner,
        rule=promised.rule,
        due=due,
        trace=trace,
        calendars=counted_with(leg.terms, due, ladder, lapses_at=lapses_at),
        gate=gate,
        lapses_at=lapses_at,
        remind_at=reminder(leg.terms, stage, due) if lapses else None,
        told=told,
        rung_at=climbs[0].at if climbs else None,
    )
    await _tell_again(connection, leg, entry, untold, due)
    return due


async def _tell_again(
    connection: AsyncConnection, leg: Leg, entry: str, untold: Sequence[Mapping[str, Any]], due: Due
) -> None:
    """
    Tell what a question withdrew before anybody is known to have heard of it, now that its gate is open again.

    What somebody may have heard says so; a reminder that is late by now is not told.
    """
    assert leg.case is not None
    assert leg.terms is not None
    is_late = clocks.is_overdue(due_at=due.due_at, at=leg.now())
    to: dict[str, list[str]] = {}
    for row in untold:
        if is_late and row["notice"] == leg.terms.escalation.reminder.notice:
            continue
        to.setdefault(row["entry"], []).append(row["recipient"])
        await notices.put(
            connection,
            leg,
            row["notice"],
            _under(entry, row["entry"]),
            to=row["recipient"],
            subject=deliveries.doubted(row["subject"]) if row["data"].get(outbox.HAD) else row["subject"],
            body=row["body"],
            data={name: value for name, value in row["data"].items() if name != outbox.HAD},
        )
    for told, recipients in to.items():
        before = await journal.find(connection, leg.case.case_no, told)
        assert before is not None, "what was told stands in the journal"
        await leg.note(
            connection,
            _under(entry, told),
            kind="rung",
            due_at=before.due_at,
            rule=before.rule,
            data={**before.data, "told": recipients},
        )


def _under(entry: str, told: str) -> str:
    """A rung's name under another promise."""
    return f"{entry}.{told.partition('.')[2]}"


def _resumed(terms: Terms, paused: Mapping[str, Any], asked: standings.Asked) -> tuple[Due, dict[str, Any]]:
    """Move a promise by the question that was asked from it; answers its due time and its trace."""
    assert asked.until_at is not None, "a gate opens again after the answer"
    pause = Pause(asked.from_at, asked.until_at, f"等待客户答复：{_short(asked.question)}")
    # nobody has counted it again while it was paused
    trace = clocks.recounted(paused["trace"], calendars=terms.calendars, house=terms.house)
    due = clocks.told(trace, house=terms.house)
    due = clocks.paused(due=due, pauses=[pause], calendars=terms.calendars, house=terms.house)
    return due, clocks.with_pause(trace, due, pause)


def _short(text: str) -> str:
    """A text as it fits into a line; the journal has all of it."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}…"
