"""
What happens when nobody answers: a reminder, then the end of the case (RET-04, AMB-52, NUM-223).

A gate that lapses is answered like any other, by time in the place of a person; the story tells what follows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk.leg import Leg
from aftersales.rules import clocks
from aftersales.rules.standing import QUESTION, standing
from aftersales.store import cases, journal, lapses
from aftersales.store.engine import transaction
from aftersales.words import AWAITED, Event, Limit, Stage, Unable, Unit
from tasks import gates, notices, outside

# what a customer has at least between the reminder and the end, however late the reminder came
AFTER_REMINDER = Limit(1, Unit.DAY)


@dataclass
class Lapses:
    """
    What one look at the clock has done: cases that ended, those that go on without the customer's answer, customers
    reminded, and what could not be done.
    """

    ended: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    reminded: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """True when nothing was due."""
        return not (self.ended or self.unanswered or self.reminded or self.failed)


async def look(
    *,
    rehearsal: str | None = None,
    at: datetime | None = None,
    is_asleep: Callable[[str], Awaitable[bool]] | None = None,
) -> Lapses:
    """
    Remind and lapse whatever is due, each in a transaction of its own; those `ended` and `unanswered` are to be woken.

    `rehearsal` names the rehearsal whose cases and clock are meant, None the real ones; safe to call twice or late.
    `is_asleep` tells whether a case waits with nothing to read: what somebody has just answered is never silence.
    """
    told = Lapses()
    at = at or clock.now()
    async with transaction() as connection:
        to_remind = await lapses.to_remind(connection, at=at, rehearsal=rehearsal)
        lapsed = await lapses.lapsed(connection, at=at, rehearsal=rehearsal)
    for promise in to_remind:
        try:
            if await _remind(promise, at):
                told.reminded.append(promise["case_no"])
        except Exception as error:  # one bad item stops nothing
            told.failed.append(f"{promise['case_no']}：{error}")
    for promise in lapsed:
        try:
            answer = await _lapse(promise["case_no"], promise["id"], at, is_asleep)
            if answer is not None:
                (told.ended if "lapsed" in answer else told.unanswered).append(promise["case_no"])
        except Exception as error:  # one bad item stops nothing
            told.failed.append(f"{promise['case_no']}：{error}")
    return told


async def _remind(due: Mapping[str, Any], at: datetime) -> bool:
    """Remind the customer of goods to be sent or of a question, and leave the time to do so (AMB-52, NUM-223)."""
    async with transaction() as connection:
        # the case first, then its promise, as everybody does
        await cases.lock(connection, due["case_no"])
        case, terms = await outside.found(connection, due["case_no"])
        soonest = clocks.due(start_at=at, limit=AFTER_REMINDER, calendars=terms.calendars, house=terms.house).due_at
        promise = await lapses.reminded(connection, due["id"], at=at, lapses_at=soonest)
        if promise is None:
            return False
        times = len(promise["trace"]["extensions"])
        until = clocks.spoken(promise["lapses_at"], house=terms.house)
        until = clocks.marked(until, bool(clocks.years_missing(promise["calendars"])))
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody drives a reminder
        # whoever got more time is reminded of its end again
        entry = f"{promise['entry']}.reminder" + (f"-{times}" if times else "")
        if promise["stage"] == QUESTION:
            asked = standing((await journal.read(connection, case.case_no)).values()).asked
            assert asked is not None, "an open gate waits for the answer to a question"
            await notices.tell_customer(connection, leg, "NTC-18", entry, {"question": asked.question, "due": until})
            return True
        what = f"我们还没有收到寄回信息，请在 {until} 前寄出并告诉客服运单号，逾期将关闭本单。"
        await notices.tell_customer(connection, leg, "NTC-04", entry, {"subject": "请尽快寄回退货商品", "next": what})
    return True


async def _lapse(
    case_no: str, promise_id: int, at: datetime, is_asleep: Callable[[str], Awaitable[bool]] | None
) -> Mapping[str, Any] | None:
    """Answer a gate in the place of whoever did not; None when somebody did meanwhile, or got more time."""
    try:
        async with transaction() as connection:
            case, terms = await outside.found(connection, case_no)
            await cases.lock(connection, case_no)
            promise = await lapses.still_lapsed(connection, promise_id, at=at)
            if promise is None:
                return None
            gate = promise["gate"]["gate"]
            # what has come and was not read yet is no silence
            if await cases.waiting(connection, case_no, [event.value for event in AWAITED[Stage(gate)]]) is not None:
                return None
            if is_asleep is not None and not await is_asleep(case_no):
                return None
            answer = await _silence(connection, case_no, gate)
            await gates.accept(
                connection,
                case=case,
                terms=terms,
                promise=promise,
                answer=answer,
                operator="",
                via=gates.LAPSE,
                at=promise["lapses_at"],
            )
    except Unable:
        return None
    return answer


async def _silence(connection: AsyncConnection, case_no: str, gate: str) -> dict[str, Any]:
    """
    Say what it means that nobody answers: the case ends; but goods that are here end no case over a question.

    They are inspected with what is known (RET-07); also a parcel that came before its application was reviewed.
    """
    if gate == QUESTION:
        told = standing((await journal.read(connection, case_no)).values())
        if told.has_arrived or await cases.waiting(connection, case_no, [Event.PARCEL_RECEIVED.value]) is not None:
            return {"unanswered": True}
    return {"lapsed": True, **({"decision": "withdraw"} if gate == Stage.CORRECTION else {})}
