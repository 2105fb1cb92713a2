"""
Ladders: who is told before and after a window passes, and when (ESC-04, ESC-05, ESC-08, ESC-09, AMB-13).

A ladder is reckoned anew from its promise each time; what is stored is the names of the rungs that are behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aftersales.rules import clocks
from aftersales.rules.clocks import Pause
from aftersales.terms import Calendar, Escalation, House, minutes
from aftersales.terms import Rung as Step
from aftersales.words import PROVISIONAL as PROVISIONAL
from aftersales.words import REMINDER as REMINDER
from aftersales.words import Due, Limit, Stage, Urgency

# whoever has it, and so is reminded
ASSIGNEE = "assignee"
OVERTAKEN = "到点前已超时，由超时通知代替"
# whom the rung from where a year without calendar is needed tells (P-05)
OF_PROVISIONAL = ("manager",)


@dataclass(frozen=True, slots=True)
class Rung:
    """
    A rung of one promise: when it is reached, whom it tells (by role), and by which notice.

    `missing` are the years without calendar that its time was counted over.
    """

    name: str
    at: datetime
    rule: str
    notice: str
    tell: tuple[str, ...]
    missing: tuple[int, ...] = ()
    # it is reached when the time has passed that the customer was told
    is_bound: bool = False


def bound(
    due: Due, limit: Limit, *, calendars: Mapping[int, Calendar], house: House, pauses: Sequence[Pause] = ()
) -> Due:
    """
    Say by when the customer was told to have their money (AMB-13, GEN-11): `limit` after the same start.

    Whoever extended the promise beyond that has told them the new date.
    """
    told = clocks.due(start_at=due.start_at, limit=limit, calendars=calendars, house=house)
    told = clocks.paused(due=told, pauses=pauses, calendars=calendars, house=house)
    return told if told.due_at.astimezone(UTC) > due.due_at.astimezone(UTC) else due


def ladder(
    *,
    stage: str,
    due: Due,
    refund_bound: Limit,
    escalation: Escalation,
    calendars: Mapping[int, Calendar],
    house: House,
    pauses: Sequence[Pause] = (),
) -> tuple[Rung, ...]:
    """
    Give the rungs of a promise, the earliest first: the reminder, the breach, and what follows the breach.

    None for a stage whose time is the customer's. A window too short for its reminder has none. `due` has moved by the
    `pauses` already; of a promise that was late before, they move what follows the breach (P-07).

    It ends at the first rung that needs a year without calendar: whether that one is reached nobody knows, and only the
    manager is told so (P-05). It goes on when that year is known.
    """
    steps = escalation.ladder(stage)
    if steps is None:
        return ()
    rungs = []
    for step in steps:
        at, missing = _reached(step, due, refund_bound=refund_bound, calendars=calendars, house=house, pauses=pauses)
        is_bound = step.at is not None
        rungs.append(Rung(step.name, at, step.rule, step.notice, tuple(step.tell), missing, is_bound))
    remind = escalation.reminder
    remind_at = clocks.reminded(
        due=due, share=remind.of_hours, minute=minutes(remind.on_last_day), calendars=calendars, house=house
    )
    if remind_at is not None and not due.provisional:
        rungs.append(Rung(REMINDER, remind_at, remind.rule, remind.notice, (ASSIGNEE,)))
    rungs.sort(key=lambda rung: (rung.at.astimezone(UTC), bool(rung.missing)))
    for place, rung in enumerate(rungs):
        if rung.missing:
            lacks = escalation.provisional
            last = Rung(PROVISIONAL, rung.at, lacks.rule, lacks.notice, OF_PROVISIONAL, rung.missing)
            return (*rungs[:place], last)
    return tuple(rungs)


def left(ladder: Sequence[Rung], *, told: Collection[str]) -> tuple[Rung, ...]:
    """Say which rungs are still to come: one that was added to or taken out of the terms moves none of the others."""
    return tuple(rung for rung in ladder if rung.name not in told)


def behind(told: Collection[str]) -> int:
    """Count the rungs that are behind; that a calendar is missing is none: the ladder goes on from there (P-05)."""
    return sum(name != PROVISIONAL for name in told)


def urgency(*, due_at: datetime, rungs: int, rung_at: datetime | None, at: datetime) -> Urgency | None:
    """
    Say how pressing a promise is: late from its due time on, soon late from its reminder on (ESC-04, ESC-05).

    `rungs` are behind, the next one comes at `rung_at`. None while it is neither, and always where nobody climbs: the
    time is the customer's.
    """
    if not rungs and rung_at is None:
        return None
    if clocks.is_overdue(due_at=due_at, at=at):
        return Urgency.LATE
    return Urgency.SOON if rungs else None


def most_urgent(promises: Iterable[Mapping[str, Any]], *, at: datetime) -> Urgency | None:
    """Say how pressing a case is: as pressing as the most pressing of what it owes."""
    found = {urgency(due_at=p["due_at"], rungs=p["rungs"], rung_at=p["rung_at"], at=at) for p in promises}
    return next((each for each in (Urgency.LATE, Urgency.SOON) if each in found), None)


def told_at(
    rung_at: datetime,
    *,
    stage: str,
    due: Due,
    refund_bound: Limit,
    escalation: Escalation,
    calendars: Mapping[int, Calendar],
    house: House,
    pauses: Sequence[Pause] = (),
) -> tuple[str, ...]:
    """
    Say by role whom the rung that is reached at `rung_at` tells, without reckoning the ladder below it.

    The `pauses` are those of the promise. Nobody when the ladder was changed since that time was reckoned.
    """
    if rung_at < due.due_at:
        return (ASSIGNEE,)
    told: dict[str, None] = {}
    for step in escalation.ladder(stage) or ():
        at, missing = _reached(step, due, refund_bound=refund_bound, calendars=calendars, house=house, pauses=pauses)
        if at == rung_at:
            told |= dict.fromkeys(OF_PROVISIONAL if missing else step.tell)
    return tuple(told)


def _reached(
    step: Step,
    due: Due,
    *,
    refund_bound: Limit,
    calendars: Mapping[int, Calendar],
    house: House,
    pauses: Sequence[Pause],
) -> tuple[datetime, tuple[int, ...]]:
    """When a rung of a promise is reached, and over which years without calendar that was counted."""
    if step.at is not None:
        found = bound(due, refund_bound, calendars=calendars, house=house, pauses=pauses)
    elif step.after is not None:
        found = clocks.later(due.due_at, step.after, calendars=calendars, house=house, pauses=pauses)
    else:
        found = due
    return found.due_at, tuple(sorted({*due.missing, *found.missing}))


def called(rung: Rung) -> str:
    """Name a rung as people read it: by whom it tells."""
    if rung.name == REMINDER:
        return "到期前提醒"
    if rung.name == PROVISIONAL:
        return "暂定"
    told = {"owner": "责任部门", "head": "部门负责人", "manager": "售后经理", "customer": "客户"}
    return f"通知{'和'.join(told[role] for role in rung.tell)}"


def assignee(stage: str, operator: str) -> str:
    """Say whose a stage is (ESC-05): a list of visits is its agent's, all else whoever's of the department (empty)."""
    return operator if stage == Stage.VISIT else ""


def recipient(role: str, *, owner: str, agent: str, house: House) -> str:
    """Name whom a role means at a department: `department:logistics`, `staff:L01`, `customer`; `agent` (`assignee`)."""
    match role:
        case "assignee" if agent:
            return f"staff:{agent}"
        case "assignee":
            return f"department:{owner}"
        case "owner":
            return f"department:{owner}"
        case "head":
            return f"staff:{house.departments[owner].head}"
        case "manager":
            return f"staff:{house.aftersales_manager}"
    return role
