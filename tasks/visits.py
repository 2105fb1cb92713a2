"""
Lists of visits: opened by the nightly round, one a day and agent, told by `flows/visits.py` (FUP-10, FUP-12, ESC-10).

What is left at the end of a day moves to the next list: of the same agent, or of another when they are away.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock, forms
from aftersales import terms as rulebook
from aftersales.desk import leg as legs
from aftersales.desk import runs
from aftersales.desk.deployments import STORIES
from aftersales.desk.leg import Leg
from aftersales.rules import authority, clocks, lists, visits
from aftersales.rules import figures as counting
from aftersales.rules.figures import Kept
from aftersales.rules.lists import Visit
from aftersales.rules.visits import Due, Left
from aftersales.store import cases, journal, outbox
from aftersales.store import lists as store
from aftersales.store import visits as planned
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.terms import Terms
from aftersales.words import LeftOut, Process, Stage, Unable
from tasks import cases as opening
from tasks import gates, heard, outside, promises, tellers

_BY_HAND = "回访清单由系统每天凌晨为每位客服自动建立，不用手动新建；要查看已有的，请在运行列表按标签“回访”筛选。"


# --- the nightly round ----------------------------------------------------------------------------------------------


@dataclass
class Opened:
    """What a round has done with lists: those it opened, those on which it changed something, and those it ended."""

    opened: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    # what was drawn up before and is not to be made after all, or not now
    left: list[Left] = field(default_factory=list)


async def end_lists(
    connection: AsyncConnection, on: date, *, rehearsal: str | None = None, at: datetime | None = None
) -> Opened:
    """
    End the lists of the days before, and drop what was drawn up and is over meanwhile (FUP-11).

    Before a day is drawn up: nothing may become part of a visit that is not made. Safe to call twice. Call `set_going` with
    what `open_lists` answers after it.
    """
    terms, at = opening.current_terms(), at or clock.now()
    told = Opened()
    if visits.is_working(on, terms=terms):
        told.ended = await _end_before(connection, on, rehearsal=rehearsal, at=at)
        _, left = await _look_again(connection, on, rehearsal=rehearsal, at=at, terms=terms)
        told.left = [each for each in left if each.why.is_final]
    return told


async def open_lists(
    connection: AsyncConnection, on: date, *, rehearsal: str | None = None, at: datetime | None = None
) -> Opened:
    """
    End the lists of the days before, and open one for every agent who has visits on a working day, once (FUP-10).

    What comes later in the day is added to a list that has not ended, else it stands on the next one. Safe to call
    twice, late, or from two places. Call `set_going` after the commit.
    """
    terms, at = opening.current_terms(), at or clock.now()
    told = Opened()
    if not visits.is_working(on, terms=terms):
        return told
    told.ended = await _end_before(connection, on, rehearsal=rehearsal, at=at)
    # the lists first, then visits: the order in which a call is recorded, else the two wait for each other
    there = await store.lock_day(connection, on, rehearsal=rehearsal)
    keys, told.left = await _look_again(connection, on, rehearsal=rehearsal, at=at, terms=terms)
    by_agent = await _by_agent(connection, on, keys, terms=terms)
    for agent, visit_ids in by_agent.items():
        list_no, is_over = there.get(agent, ("", False))
        if is_over:
            continue
        if list_no:
            told.changed.append(list_no)
        else:
            list_no = await _open(connection, agent, len(visit_ids), on=on, rehearsal=rehearsal, at=at, terms=terms)
            told.opened.append(list_no)
        await store.put_on(connection, list_no, visit_ids)
    return told


async def set_going(told: Opened) -> None:
    """
    Start the runs of new lists, and wake those of old ones, after the commit.

    What Prefect does not hear now is found by the reconciling round and by the worker's next look.
    """
    for list_no in told.opened:
        with suppress(Unable):
            await tellers.begin_from_outside(list_no)
    for list_no in (*told.ended, *told.changed):
        with suppress(Unable):
            async with runs.from_outside() as client:
                await runs.wake(client, list_no, anew=list_no in told.changed)


async def strike_off() -> list[tuple[str, Left]]:
    """
    Take off their lists whom nobody is to call after all: they want no visits, or a case of theirs is open (FUP-11).

    What is only held waits for a later list; a list on which nobody is left ends. Answers what was struck off which
    list. By the minute's round, and by whoever has just been told such a wish. Safe to call twice, or from two places
    at once; no rehearsals.
    """
    terms, struck, told = opening.current_terms(), [], Opened()
    async with transaction() as connection:
        standing = await planned.listed(connection)
        everybody = list(itertools.chain.from_iterable(standing.values()))
        barred = {each.due.key for each in await _barred(connection, everybody, terms)}
    for list_no in sorted(list_no for list_no, dues in standing.items() if barred & {each.key for each in dues}):
        async with transaction() as connection:
            await cases.lock(connection, list_no)
            dues = (await planned.listed(connection, list_no)).get(list_no, [])
            if not (left := await _barred(connection, dues, terms)):
                continue
            await store.take_off(connection, list_no, [each.due.key for each in left])
            await planned.drop(connection, [each for each in left if each.why.is_final], at=clock.now())
            is_over = not await store.is_left(connection, list_no) and await _end(connection, list_no, clock.now())
        (told.ended if is_over else told.changed).append(list_no)
        struck += [(list_no, each) for each in left]
    await set_going(told)
    return struck


async def _barred(connection: AsyncConnection, dues: Sequence[Due], terms: Terms) -> list[Left]:
    """Tell whom of some lists nobody is to call, and why."""
    people = await planned.barred(connection, dues, rehearsal=None, processes=list(STORIES)) if dues else {}
    today = clocks.house_date(clock.now(), house=terms.house)
    left = visits.settle_again(dues, people=people, on=today, terms=terms) if people else []
    return [each for each in left if each.why in (LeftOut.OPTED_OUT, LeftOut.OPEN_CASE)]


async def _end_before(connection: AsyncConnection, on: date, *, rehearsal: str | None, at: datetime) -> list[str]:
    await store.one_at_a_time(connection)
    lists_before = await store.open_before(connection, on, rehearsal=rehearsal)
    return [list_no for list_no in lists_before if await _end(connection, list_no, at)]


async def _look_again(
    connection: AsyncConnection, on: date, *, rehearsal: str | None, at: datetime, terms: Terms
) -> tuple[list[str], list[Left]]:
    """
    Look at what waits for a list as if it were drawn up now, and drop what is over (FUP-11).

    Answers what is to be listed, and what is not, or not now.
    """
    waiting = await planned.waiting(connection, rehearsal=rehearsal, on=on)
    people = await planned.barred(connection, waiting, rehearsal=rehearsal, processes=list(STORIES))
    left = visits.settle_again(waiting, people=people, on=on, terms=terms)
    if over := [each for each in left if each.why.is_final]:
        await planned.drop(connection, over, at=at)
    gone = {each.due.key for each in left}
    return [each.key for each in waiting if each.key not in gone], left


async def _by_agent(
    connection: AsyncConnection, on: date, keys: Sequence[str], *, terms: Terms
) -> dict[str, list[int]]:
    """What is to stand on a list of a day, by agent: the visits of those who are away are given to others."""
    rows = await store.waiting(connection, keys)
    away = await outbox.absences(connection, on)
    there = {owner: visits.agents(owner, away=away, terms=terms) for owner in {row["owner"] for row in rows}}
    loads: dict[str, int] = {}
    orphaned = []
    for row in rows:
        if row["agent"] in there[row["owner"]]:
            loads[row["agent"]] = loads.get(row["agent"], 0) + 1
        else:
            orphaned.append((row["id"], row["owner"]))
    given = lists.hand_over(orphaned, loads=loads, there=there)
    if given:
        await store.give(connection, given)
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(given.get(row["id"], row["agent"]), []).append(row["id"])
    return dict(sorted(found.items()))


async def _open(
    connection: AsyncConnection,
    agent: str,
    count: int,
    *,
    on: date,
    rehearsal: str | None,
    at: datetime,
    terms: Terms,
) -> str:
    promised = terms.promised("visit")
    terms_hash = rulebook.fingerprint(terms)
    await cases.keep_terms(connection, terms_hash, rulebook.dump(terms), at)
    list_no = await cases.next_number(connection, prefix="HL-X" if rehearsal else "HL", on=on)
    await cases.open_case(
        connection,
        case_no=list_no,
        process=Process.VISITS,
        order_no="",
        channel="",
        stage=Stage.OPENED.value,
        owner=promised.owner,
        opened_at=at,
        operator=agent,
        terms_hash=terms_hash,
        rehearsal=rehearsal,
        facts={"on": on.isoformat()},
    )
    await journal.add(
        connection,
        list_no,
        "begun",
        kind="listed",
        at=at,
        actor="system",
        data={"agent": agent, "on": on.isoformat(), "visits": count},
        rule=promised.rule,
    )
    return list_no


async def _end(connection: AsyncConnection, list_no: str, at: datetime) -> bool:
    """
    End a list whose day is over: what is left waits for the next one, and its run ends when it is told (FUP-10).

    Answers whether it had not been ended before.
    """
    await cases.lock(connection, list_no)
    case, terms = await outside.found(connection, list_no)
    known = (await journal.read(connection, list_no)).values()
    if case.closed_at is not None or any(entry.data.get("ended") for entry in known):
        return False
    entry = _round_after(known)
    promise = await cases.open_gate(connection, list_no, "visit")
    if promise is not None:
        await heard.let_go(connection, list_no, promise, terms, at=at)
    moved = await store.take_off(connection, list_no)
    await journal.add(
        connection,
        list_no,
        entry,
        kind="decision",
        at=at,
        actor="system",
        data={"ended": True, "moved": moved, "via": gates.LAPSE},
        due_at=promise["due_at"] if promise else None,
        rule=terms.promised("visit").rule,
    )
    await cases.end_promise(connection, list_no, None, at)
    if promise is not None and moved:
        # the window of what is left goes on there
        await cases.carry_on(connection, promise["id"], entry)
    return True


def _round_after(entries: Iterable[Entry]) -> str:
    return f"visit-{sum(each.kind == 'decision' for each in entries)}"


# --- the story's steps ----------------------------------------------------------------------------------------------


async def begin() -> str | None:
    """Find the list that this run tells; None, and a page that says so, for a run that somebody started by hand."""
    return await opening.begin(Process.VISITS, _BY_HAND)


async def is_left(case: str) -> bool:
    """Whether somebody is still to be called: as it was when this round was asked for, else as it is now."""
    leg = await legs.here()
    number = leg.round("left")
    before, entry = leg.entries.get(f"visit-{number - 1}"), f"visit-{number}"
    if before is not None and before.data.get("ended"):
        return False
    if entry in leg.entries or f"{entry}.asked" in leg.entries:
        return True
    async with transaction() as connection:
        # a command may have recorded the last one while this leg was being told
        decided = await journal.find(connection, case, entry)
        return decided is not None or await store.is_left(connection, case)


async def close(case: str) -> str:
    """End a list; what was added to it in its last moment stands on the next one."""
    leg = await legs.here()

    async def settle(connection: AsyncConnection) -> None:
        await store.take_off(connection, case)

    return await opening.end(leg, Stage.CLOSED, settle)


# --- commands -------------------------------------------------------------------------------------------------------


async def decide(
    case_no: str, gate: str, *, operator: str, answer: Mapping[str, Any], via: str = outside.COMMAND
) -> Entry:
    """
    Decide at a gate of any case as `outside.decide` does; a list has as many gates as visits, each is recorded.

    Raises Unable as `outside.decide` and `record` do.
    """
    is_list = gate == Stage.VISIT
    if is_list:
        async with transaction() as connection:
            is_list = (await outside.found(connection, case_no))[0].process == Process.VISITS
    if not is_list:
        return await outside.decide(case_no, gate, operator=operator, answer=answer, via=via)
    if via != outside.COMMAND and (known := await outside.decided_before(case_no, Stage.VISIT.value, via)):
        return known
    told = forms.read(forms.VisitForm, {**answer, "gate": "-", "operator": operator})
    said = {name: value for name, value in answer.items() if name != "visit"}
    _, entry = await record(int(told.visit), operator=operator, answer=said, via=via, list_no=case_no)
    return entry


async def record(
    visit_id: int, *, operator: str, answer: Mapping[str, Any], via: str = outside.COMMAND, list_no: str = ""
) -> tuple[Visit, Entry]:
    """
    Record what came of a visit from outside the UI: the next round of its list, held to the same as the form.

    Answers the visit as it stands now. Raises Unable: no such visit, misfilled, not allowed (the journal keeps the
    refusal), or somebody was first; with `list_no` also when it does not stand on that list.
    """
    try:
        return await _record(visit_id, operator, answer, via, list_no)
    except gates.Refused as error:
        if stands_on := (await read(visit_id)).list_no:
            await outside.keep_refusal(stands_on, "visit", operator, str(error))
        raise


async def _record(
    visit_id: int, operator: str, answer: Mapping[str, Any], via: str, list_no: str
) -> tuple[Visit, Entry]:
    async with transaction() as connection:
        visit = await store.read(connection, visit_id)
        if visit is None:
            raise _unknown(visit_id)
        if visit.list_no is None or visit.list_no != (list_no or visit.list_no):
            last = list_no or (visit.calls[-1]["list_no"] if visit.calls else "")
            _check(visit, operator, answer, opening.current_terms())
            raise heard.NotLeft(heard.not_left(visit_id, visit, last, opening.current_terms()))
        case, terms = await outside.found(connection, visit.list_no)
        await cases.lock(connection, case.case_no)
        leg = Leg(driver=None)  # type: ignore[arg-type]  # nobody tells the story here
        await leg.load(connection, case.case_no, terms)
        decided = [each for each in leg.history if each.kind == "decision"]
        if any(each.data.get("ended") for each in decided) or "closed" in leg.entries:
            now = await store.read(connection, visit_id)
            _check(visit, operator, answer, terms)
            raise heard.NotLeft(heard.not_left(visit_id, now, case.case_no, terms))
        entry = _round_after(leg.history)
        if f"{entry}.asked" not in leg.entries:
            # its form is not drawn yet: the leg that comes to draw it finds the call written down
            await promises.open_gate(connection, leg, "visit", entry)
        promise = await cases.promise_of(connection, case.case_no, entry)
        if terms.staff().get(operator) is None:
            raise gates.Refused(f"经办人“{operator}”不在员工名单中，请用员工编号，如 C07。")
        filled = {**answer, "visit": str(visit_id), "gate": promise["gate"]["ref"], "operator": operator}
        values, _ = gates.read_form("visit", filled, promise, options={})
        written = await gates.accept(
            connection,
            case=case,
            terms=terms,
            promise=promise,
            answer=values,
            operator=operator,
            via=via,
            at=clock.now(case),
        )
        now = await store.read(connection, visit_id)
    assert now is not None, "a visit stays"
    return now, written


def _check(visit: Visit, operator: str, answer: Mapping[str, Any], terms: Terms) -> None:
    """
    Tell what is wrong with an answer itself before who was first: else the wrong word is typed again another day.

    Raises gates.Refused and forms.Misfilled.
    """
    department = terms.house.departments.get(visit.owner)
    no = authority.objection(
        operator=terms.staff().get(operator),
        named=operator,
        right=authority.RIGHTS["visit"],
        department=visit.owner,
        department_name=department.name if department else visit.owner,
    )
    if no:
        raise gates.Refused(no)
    forms.read(forms.VisitForm, {**answer, "visit": str(visit.id), "gate": "-", "operator": operator})


async def read(visit_id: int) -> Visit:
    """A visit by number. Raises Unable."""
    async with transaction() as connection:
        visit = await store.read(connection, visit_id)
    if visit is None:
        raise _unknown(visit_id)
    return visit


def _unknown(visit_id: int) -> Unable:
    return outside.UnableToFind(heard.not_left(visit_id, None, "", opening.current_terms()))


async def said(visit: Visit) -> list[Entry]:
    """What was said in each call of a visit, in order."""
    async with transaction() as connection:
        found = [await journal.find(connection, call["list_no"], call["entry"]) for call in visit.calls]
    return [entry for entry in found if entry is not None]


async def open_visits(agent: str = "") -> list[Visit]:
    """What agents have to do now, of one of them or of all. Raises Unable for nobody's number."""
    if agent and agent not in opening.current_terms().staff():
        raise Unable(f"员工名单中没有“{agent}”，请填写员工编号，如 C07（名单在 config/staff.yaml）。")
    async with transaction() as connection:
        return await store.open_visits(connection, agent=agent)


async def feedback(*, since: date, until: date) -> Sequence[Mapping[str, Any]]:
    """The feedback log of a period, both days included (FUP-13)."""
    first, end = clocks.span(since, until, house=opening.current_terms().house)
    async with transaction() as connection:
        return await store.feedback(connection, since=first, until=end)


async def counted(connection: AsyncConnection, *, since: date, until: date) -> list[tuple[str, date, Kept]]:
    """Count what became of the visits that were first due in a period, by agent and day; no rehearsals (KPI-40)."""
    house = opening.current_terms().house
    today = clocks.house_date(clock.now(), house=house)
    return [
        (row.pop("agent") or "", row["due_on"], counting.kept(**row, today=today))
        for row in map(dict, await store.kept(connection, since=since, until=until, zone=house.timezone))
    ]


async def figures(*, since: date, until: date, by: str = counting.BY_AGENT) -> list[tuple[str, Kept]]:
    """Add up what became of the visits that were first due in a period, by agent or team, the total last (KPI-40)."""
    async with transaction() as connection:
        found = await counted(connection, since=since, until=until)
    all_ = counting.gathered(found, (), since=since, until=until, staff=opening.current_terms().staff())
    lines = all_.teams if by == counting.BY_TEAM else all_.agents
    return [(line.name, line.kept) for line in (*lines, *([all_.total] if lines else []))]
