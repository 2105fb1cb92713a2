"""
What happens when nobody answers: a reminder, then the end of the case (RET-04, AMB-52).

A gate that lapses is answered like any other, by time in the place of a person; the story tells what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aftersales import clock
from aftersales.desk.leg import Leg
from aftersales.rules import clocks
from aftersales.store import journal, lapses
from aftersales.store.engine import transaction
from aftersales.words import Stage, Unable
from tasks import gates, notices, outside


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


async def look(*, rehearsal: str | None = None, at: datetime | None = None) -> Lapses:
    """
    Remind and lapse whatever is due, each in a transaction of its own; the cases in `ended` are to be woken.

    `rehearsal` names the rehearsal whose cases and clock are meant, None the real ones; safe to call twice or late.
    """
    told = Lapses()
    at = at or clock.now()
    async with transaction() as connection:
        to_remind = await lapses.to_remind(connection, at=at, rehearsal=rehearsal)
        lapsed = await lapses.lapsed(connection, at=at, rehearsal=rehearsal)
    is_lapsing = {promise["id"] for promise in lapsed}
    for promise in to_remind:
        try:
            if promise["id"] not in is_lapsing and await _remind(promise):
                told.reminded.append(promise["case_no"])
        except Exception as error:  # one bad item stops nothing
            told.failed.append(f"{promise['case_no']}：{error}")
    for promise in lapsed:
        try:
            if await _lapse(promise):
                told.ended.append(promise["case_no"])
        except Exception as error:  # one bad item stops nothing
            told.failed.append(f"{promise['case_no']}：{error}")
    return told


async def _remind(promise: Mapping[str, Any]) -> bool:
    """Remind the customer that the goods have not been sent (AMB-52, NTC-04)."""
    async with transaction() as connection:
        case, terms = await outside.found(connection, promise["case_no"])
        if not await lapses.reminded(connection, promise["id"]):
            return False
        until = f"{clocks.spoken(promise['lapses_at'], house=terms.house)} 前"
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody drives a reminder
        what = f"我们还没有收到寄回信息，请在 {until}寄出并告诉客服运单号，逾期将关闭本单。"
        await notices.tell_customer(
            connection,
            leg,
            "NTC-04",
            f"{promise['entry']}.reminder",
            {"subject": "请尽快寄回退货商品", "next": what},
        )
    return True


async def _lapse(promise: Mapping[str, Any]) -> bool:
    """Answer a gate in the place of whoever did not; False when somebody did meanwhile."""
    gate = promise["gate"]["gate"]
    answer = {"lapsed": True, **({"decision": "withdraw"} if gate == Stage.CORRECTION else {})}
    try:
        async with transaction() as connection:
            case, terms = await outside.found(connection, promise["case_no"])
            if await journal.find(connection, case.case_no, promise["entry"]) is not None:
                return False
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
