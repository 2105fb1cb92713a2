"""
What happens when nobody answers: a reminder, then the end of the case (RET-04, AMB-52).

A gate that lapses is answered like any other, by time in the place of a person; the story tells what follows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aftersales import clock
from aftersales.desk.leg import Leg
from aftersales.rules import clocks
from aftersales.store import cases, lapses
from aftersales.store.engine import transaction
from aftersales.words import AWAITED, Limit, Stage, Unable, Unit
from tasks import gates, notices, outside

# what a customer has at least between the reminder and the end, however late the reminder came
AFTER_REMINDER = Limit(1, Unit.DAY)


@dataclass
class Lapses:
    """What one look at the clock has done: cases that ended, customers reminded, and what could not be done."""

    ended: list[str] = field(default_factory=list)
    reminded: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """True when nothing was due."""
        return not (self.ended or self.reminded or self.failed)


async def look(
    *,
    rehearsal: str | None = None,
    at: datetime | None = None,
    is_asleep: Callable[[str], Awaitable[bool]] | None = None,
) -> Lapses:
    """
    Remind and lapse whatever is due, each in a transaction of its own; the cases in `ended` are to be woken.

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
            if await _lapse(promise["case_no"], promise["id"], at, is_asleep):
                told.ended.append(promise["case_no"])
        except Exception as error:  # one bad item stops nothing
            told.failed.append(f"{promise['case_no']}：{error}")
    return told


async def _remind(due: Mapping[str, Any], at: datetime) -> bool:
    """Remind the customer that the goods have not been sent, and leave the time to do so (AMB-52, NTC-04)."""
    async with transaction() as connection:
        case, terms = await outside.found(connection, due["case_no"])
        soonest = clocks.due(start_at=at, limit=AFTER_REMINDER, calendars=terms.calendars, house=terms.house).due_at
        promise = await lapses.reminded(connection, due["id"], at=at, lapses_at=soonest)
        if promise is None:
            return False
        times = len(promise["trace"]["extensions"])
        until = f"{clocks.spoken(promise['lapses_at'], house=terms.house)} 前"
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody drives a reminder
        what = f"我们还没有收到寄回信息，请在 {until}寄出并告诉客服运单号，逾期将关闭本单。"
        await notices.tell_customer(
            connection,
            leg,
            "NTC-04",
            # whoever got more time is reminded of its end again
            f"{promise['entry']}.reminder" + (f"-{times}" if times else ""),
            {"subject": "请尽快寄回退货商品", "next": what},
        )
    return True


async def _lapse(
    case_no: str, promise_id: int, at: datetime, is_asleep: Callable[[str], Awaitable[bool]] | None
) -> bool:
    """Answer a gate in the place of whoever did not; False when somebody did meanwhile, or got more time."""
    try:
        async with transaction() as connection:
            case, terms = await outside.found(connection, case_no)
            await cases.lock(connection, case_no)
            promise = await lapses.still_lapsed(connection, promise_id, at=at)
            if promise is None:
                return False
            gate = promise["gate"]["gate"]
            # what has come and was not read yet is no silence
            if await cases.waiting(connection, case_no, [event.value for event in AWAITED[Stage(gate)]]) is not None:
                return False
            if is_asleep is not None and not await is_asleep(case_no):
                return False
            answer = {"lapsed": True, **({"decision": "withdraw"} if gate == Stage.CORRECTION else {})}
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
        return False
    return True
