"""A new last day for what a case, or each case of a region, waits for, through force majeure (GEN-08, AMB-51, NTC-11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk.leg import Leg
from aftersales.forms.fields import clean, seen
from aftersales.rules import authority, clocks, masking
from aftersales.rules import regions as rules
from aftersales.rules.clocks import Extension
from aftersales.rules.regions import ForceMajeure
from aftersales.store import cases, journal, regions
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import Due, Process, Right, Stage, Unable, matter
from tasks import notices, outside, promises
from tasks.cases import current_terms
from tasks.gates import Refused

# how long a reason is, as in the form of one case
LEAST, MOST = 2, 500


async def extend(case_no: str, *, operator: str, until: str, reason: str, key: str) -> str:
    """
    Move the due time of a case's open gate to the end of a day; answers a sentence with the old and the new one.

    The outer limit moves along when it would end before. The original stays in the promise's trace and in the journal,
    and the customer is told in the same transaction. `key` makes it count once. Raises Unable; what was refused stands
    in the case's journal with its reason.
    """
    try:
        told = await _extend(case_no, operator=operator, until=until, reason=reason, key=key)
        if told is None:
            return f"{case_no} 的这次延期已登记过，未重复登记。"
        return f"{case_no} 的“{matter(told.stage)}”已延期：{told.was} → {told.due}，{told.told}。"
    except Unable as error:
        async with transaction() as connection:
            case, terms = await outside.found(connection, case_no)
            await journal.add(
                connection,
                case_no,
                f"extended.refused:{key}",
                kind="refused",
                at=clock.now(case),
                actor=operator if operator in terms.staff() else "system",
                data={"reason": masking.scrub(str(error)), "gate": "extended"},
                rule="GEN-08",
            )
        raise


# --- a region -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Touched:
    """One case of a region: what it waited for until when, and until when now; `why` it was left out, or failed."""

    case_no: str
    region: str
    stage: Stage
    was: str = ""
    due: str = ""
    why: str = ""
    # not where the customer was told a later time, which stays
    is_told: bool = True


@dataclass
class Regional:
    """What became of the cases of a region; `nowhere` counts open cases whose order names no region."""

    extended: list[Touched] = field(default_factory=list)
    left_out: list[Touched] = field(default_factory=list)
    failed: list[Touched] = field(default_factory=list)
    nowhere: int = 0


def force_majeure(
    *,
    regions: Sequence[str],
    since: date,
    until: date,
    to: date,
    reason: str,
    stages: Sequence[Stage] = (),
) -> ForceMajeure:
    """Describe what happened, as the form of one case would take it. Raises Unable."""
    try:
        reason = masking.scrub(seen(clean(reason)))
    except ValueError as error:
        raise Refused(f"延期原因{error}。") from None
    if not LEAST <= len(reason) <= MOST:
        raise Refused(f"延期原因会告知客户，请写 {LEAST}～{MOST} 字，如：台风，快递停运。")
    if since > until:
        raise Refused(f"受影响的时间从 {since} 到 {until}，前后颠倒了，请对调。")
    return ForceMajeure(tuple(regions), since, until, to, reason, frozenset(stages))


async def extend_region(force: ForceMajeure, *, operator: str, dry_run: bool = False) -> Regional:
    """
    Move the due times of every case of some regions that force majeure has touched, each in a transaction of its own.

    What a region is, is told by the order alone. `dry_run` only says what would be done. One that fails is told and
    stops nothing; a second call with the same reason and date moves nothing twice. Raises Unable for whoever may not,
    and for a region that no open case lies in.
    """
    terms = current_terms()
    if no := authority.objection(operator=terms.staff().get(operator), named=operator, right=Right.EXTEND):
        raise Refused(no)
    told = Regional()
    async with transaction() as connection:
        there = await regions.of_open_cases(connection, process=Process.RETURNS)
        told.nowhere = there.pop("", 0)
        meant = {region for asked in force.regions for region in _meant(asked, there)}
        placed = await regions.placed(connection, meant, process=Process.RETURNS)
    for each in placed:
        touched = Touched(each.case_no, each.region, each.stage)
        try:
            touched = _touched(touched, each.promise, force, terms)
            if not touched.why and not dry_run:
                assert each.promise is not None
                touched = await _extend_one(touched, each.promise["entry"], force, operator)
            (told.left_out if touched.why else told.extended).append(touched)
        except Exception as error:  # one bad case stops nothing
            told.failed.append(replace(touched, why=str(error) or type(error).__name__))
    return told


def _meant(asked: str, there: Mapping[str, int]) -> list[str]:
    """The regions that somebody means by a name. Raises Refused, naming those there are."""
    if found := rules.named(there, asked):
        return found
    names = "、".join(f"{region}（{count} 张）" for region, count in sorted(there.items())[:20])
    raise Refused(
        f"没有未结案的售后单在“{asked}”。地区按订单写的开头比较，如“浙江”“浙江 杭州”；"
        + (f"现有：{names}。" if names else "现在没有写明地区的未结案售后单。")
    )


def _touched(touched: Touched, promise: Mapping[str, Any] | None, force: ForceMajeure, terms: Terms) -> Touched:
    """Say what would become of one case."""
    why = rules.untouched(stage=touched.stage, promise=promise, force=force, house=terms.house, at=clock.now())
    if promise is None:
        return replace(touched, why=why)
    was = clocks.marked(clocks.spoken(promise["due_at"], house=terms.house), promise["provisional"])
    due = clocks.spoken(clocks.end_of_day(force.to, house=terms.house), house=terms.house)
    return replace(touched, was=was, why=why, due="" if why else due)


async def _extend_one(touched: Touched, entry: str, force: ForceMajeure, operator: str) -> Touched:
    digest = sha256(force.reason.encode()).hexdigest()[:12]
    told = await _extend(
        touched.case_no,
        operator=operator,
        until=force.to.isoformat(),
        reason=force.reason,
        key=f"region/{entry}/{force.to}/{digest}",
        entry=entry,
    )
    if told is None:
        return replace(touched, why="这次延期已登记过", due="")
    return replace(touched, was=told.was, due=told.due, is_told=not told.kept)


# --- one case -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Extended:
    """
    What was moved: the stage, and its due time before and after, as people read them.

    `kept` is what the customer was told, where that is later than both and stays (AMB-13).
    """

    stage: str
    was: str
    due: str
    kept: str = ""

    @property
    def told(self) -> str:
        """What becomes of the customer, as a sentence's end."""
        return f"客户预计的时间 {self.kept} 不变，不另行通知" if self.kept else "客户已列入通知"


async def _extend(
    case_no: str, *, operator: str, until: str, reason: str, key: str, entry: str = ""
) -> Extended | None:
    """
    Move the due time of the open gate, which must be `entry` when that is named; None when the key has counted already.

    Raises Unable.
    """
    try:
        day = date.fromisoformat(until)
    except ValueError:
        raise Refused(f"延期日期“{until}”不是日期，请写成 2026-12-01 这样。") from None
    reason = masking.scrub(reason)
    async with transaction() as connection:
        case, terms = await outside.found(connection, case_no)
        if no := authority.objection(operator=terms.staff().get(operator), named=operator, right=Right.EXTEND):
            raise Refused(no)
        if case.process == Process.VISITS:
            raise Refused(f"{case_no} 是回访清单，不能延期；没有回访完的会自动列入下一张清单。")
        await cases.lock(connection, case_no)
        written = f"extended:{key}"
        if await journal.find(connection, case_no, written) is not None:
            return None
        waiting = [promise for promise in await cases.promises(connection, case_no) if promise["ended_at"] is None]
        gates = [promise for promise in waiting if promise["gate"].get("gate")]
        if case.stage.is_over or not gates:
            raise Refused(f"{case_no} {case.stage.label}，没有等待办理的环节，不能延期。")
        if entry and gates[-1]["entry"] != entry:
            raise Refused(f"{case_no} 刚刚办到了下一环节（{case.stage.label}），没有延期，请再运行一次。")
        now = clock.now(case)
        was, due = await _move(connection, gates[-1], terms, Extension(day, reason), now)
        for outer in waiting:
            if not outer["gate"].get("gate") and outer["due_at"] < due.due_at:
                await _move(connection, outer, terms, Extension(day, reason), now)
        spoken_was, spoken_due = _spoken(was, terms), _spoken(due, terms)
        data = {"gate": gates[-1]["entry"], "was": spoken_was, "due": spoken_due, "until": until, "reason": reason}
        await journal.add(
            connection,
            case_no,
            written,
            kind="extension",
            at=now,
            actor=operator,
            data=data,
            due_at=due.due_at,
            rule="GEN-08",
        )
        told = Extended(gates[-1]["stage"], spoken_was, spoken_due)
        # the customer may have been told more time than we have (AMB-13)
        theirs_was, theirs = (promises.of_the_customer(terms, gates[-1], each) for each in (was, due))
        if theirs.due_at <= theirs_was.due_at:
            return replace(told, kept=_spoken(theirs, terms))
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
        await notices.tell_customer(
            connection,
            leg,
            "NTC-11",
            written,
            {
                "reason": reason,
                "stage": matter(told.stage),
                "due": f"{_spoken(theirs, terms)} 前",
                "was": _spoken(theirs_was, terms),
            },
        )
    return told


def _spoken(due: Due, terms: Terms) -> str:
    return clocks.marked(clocks.spoken(due.due_at, house=terms.house), due.provisional)


async def _move(
    connection: AsyncConnection, promise: Mapping[str, Any], terms: Terms, extension: Extension, at: datetime
) -> tuple[Due, Due]:
    """Move one promise; answers its due time before, and the new one."""
    now = promises.owed(promise, house=terms.house)
    moved = clocks.extended(due=now, extension=extension, house=terms.house, at=at)
    trace = promise["trace"]
    told = {"until": extension.until_on.isoformat(), "reason": extension.reason, "at": at.isoformat()}
    lapses_at = promise["lapses_at"]
    if lapses_at is not None:
        # whoever has more time to answer also has more time before silence is an answer, and is reminded of its end
        lapses_at = promises.lapse(terms, promise["gate"]["gate"], moved.due_at)
    told_by_time = terms.escalation.notices
    reason = "已延期，不用再通知"
    await notices.withdraw(connection, promise["case_no"], promise["entry"], notices=told_by_time, reason=reason, at=at)
    climbs = promises.rungs(terms, stage=promise["stage"], due=moved, lapses_at=lapses_at)
    await cases.move_due(
        connection,
        promise["id"],
        due_at=moved.due_at,
        provisional=moved.provisional,
        calendars=promises.counted_with(terms, moved, climbs, lapses_at=lapses_at),
        # the original due time stays in the trace
        trace={
            **trace,
            "due_at": moved.due_at.isoformat(),
            "provisional": moved.provisional,
            "extensions": [*trace["extensions"], told],
        },
        lapses_at=lapses_at,
        remind_at=None if lapses_at is None else promises.reminder(terms, promise["stage"], moved, since=at),
        told=(),
        rung_at=climbs[0].at if climbs else None,
    )
    return now, moved
