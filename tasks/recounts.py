"""
Recounts (重算): what was counted without a year's calendar is counted again once that year is known (P-05, design §5).

Each promise in one transaction: its due time with the trace, the calendars that it was counted with, its ladder, and
the journal that says what it was. A second look finds nothing; one that is killed leaves the rest to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.leg import Leg
from aftersales.rules import clocks, ladders
from aftersales.store import cases, rungs
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import Due
from tasks import notices, outside, promises
from tasks.cases import current_terms

# promises that one question to the database names
AT_ONCE = 500
# why what a promise told without a calendar, and nobody has sent yet, is withdrawn
COUNTED = "日历已有，时限已重算，不用再通知"


@dataclass(frozen=True, slots=True)
class Recounted:
    """One promise that was counted again: its due time as people read it, before and now (`failed`: why it was not)."""

    case_no: str
    stage: str = ""
    years: str = ""
    was: str = ""
    due: str = ""
    failed: str = ""

    @property
    def said(self) -> str:
        """What came of it, in a line."""
        return f"{self.years} 年的日历已有，重算：{self.was} → {self.due}"


async def look(*, rehearsal: str | None, at: datetime) -> list[Recounted]:
    """
    Count again what a calendar has come for, each in a transaction of its own.

    `rehearsal` names the rehearsal whose cases are meant, None the real ones. One that fails is reported, stops
    nothing, and is tried again by the next look.
    """
    found: list[Recounted] = []
    years = current_terms().calendars
    after = 0
    while True:
        async with transaction() as connection:
            waiting = await rungs.uncounted(
                connection, years=years.keys(), rehearsal=rehearsal, after=after, limit=AT_ONCE
            )
        for case_no, promise_id in waiting:
            try:
                counted = await _recount(case_no, promise_id, at)
            except Exception as error:  # one bad item stops nothing
                counted = Recounted(case_no, failed=str(error) or type(error).__name__)
            if counted is not None:
                found.append(counted)
        if len(waiting) < AT_ONCE:
            return found
        after = waiting[-1][1]


async def _recount(case_no: str, promise_id: int, at: datetime) -> Recounted | None:
    """Count one promise again; None when it has ended, or was counted again meanwhile."""
    async with transaction() as connection:
        case, terms = await outside.found(connection, case_no)
        await cases.lock(connection, case_no)
        promise = await rungs.still_open(connection, promise_id)
        lacked = [] if promise is None else clocks.years_missing(promise["calendars"])
        years = [year for year in lacked if year in terms.calendars]
        if promise is None or not years:
            return None
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
        return await _count(connection, leg, promise, years, at)


async def _count(
    connection: AsyncConnection, leg: Leg, promise: Mapping[str, Any], years: list[int], at: datetime
) -> Recounted:
    case, terms = leg.case, leg.terms
    assert case is not None
    assert terms is not None
    was = promises.owed(promise, house=terms.house)
    trace = clocks.recounted(promise["trace"], calendars=terms.calendars, house=terms.house)
    due = clocks.told(trace, house=terms.house) if was.provisional else was
    is_moved = due.due_at != was.due_at
    lapses_at, remind_at = promise["lapses_at"], promise["remind_at"]
    if lapses_at is not None:
        ends_at = promises.lapse(terms, promise["gate"]["gate"], due.due_at)
        # whoever was reminded was told an end, and has at least until then
        lapses_at = max(ends_at, lapses_at) if remind_at is None else ends_at
        remind_at = remind_at and promises.reminder(terms, promise["stage"], due)
    ladder = promises.rungs(
        terms, stage=promise["stage"], due=due, lapses_at=lapses_at, pauses=clocks.pauses_of(promise["trace"])
    )
    behind = [] if is_moved else [name for name in promise["told"] if name != ladders.PROVISIONAL]
    climbs = () if case.is_past else ladders.left(ladder, told=behind)
    alone = {terms.escalation.provisional.notice}
    await notices.withdraw(
        connection,
        case.case_no,
        promise["entry"],
        notices=terms.escalation.notices if is_moved else alone,
        reason=COUNTED,
        at=at,
    )
    await cases.move_due(
        connection,
        promise["id"],
        due_at=due.due_at,
        provisional=due.provisional,
        calendars=promises.counted_with(terms, due, ladder, lapses_at=lapses_at),
        trace=trace,
        lapses_at=lapses_at,
        remind_at=remind_at,
        told=behind,
        rung_at=climbs[0].at if climbs else None,
    )
    told = Recounted(case.case_no, promise["stage"], clocks.spoken_years(years), _words(was, terms), _words(due, terms))
    await leg.note(
        connection,
        f"{promise['entry']}.recount-{'-'.join(map(str, years))}",
        kind="recount",
        at=at,
        due_at=due.due_at,
        rule="P-05",
        data={"gate": promise["entry"], "stage": told.stage, "years": told.years, "was": told.was, "due": told.due},
    )
    return told


def _words(due: Due, terms: Terms) -> str:
    return clocks.marked(clocks.spoken(due.due_at, house=terms.house), due.provisional)
