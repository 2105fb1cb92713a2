"""
Follow-up: what visits are due, which of them are made on a day, and by whom (FUP-01 to FUP-11, AMB-39, P-01).

The round first plans what it finds, each visit once by its key, then draws up the day from what is planned.
It goes by the date of the house, not by the hour: a second or a late round of a day finds that nothing is left to do.
Rounds come one after the other, each part commits by itself, and what a part has done is not found again: a round
that is killed leaves the rest to the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any, TypeVar

from aftersales import clock
from aftersales.desk.deployments import STORIES
from aftersales.rules import clocks, masking, pages, visits
from aftersales.rules.clocks import DAY
from aftersales.rules.visits import Due, Left, Night
from aftersales.store import installation, orders, outbox, people
from aftersales.store import visits as store
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import LeftOut, Limit, Unable, VisitKind
from tasks import desks, regular
from tasks import visits as lists
from tasks.cases import current_terms
from tasks.regular import Month
from tasks.visits import Opened

log = logging.getLogger("aftersales.followup")

T = TypeVar("T")

# visits that are written with one commit, customers that one question names
AT_ONCE = 2000
# how many of those left out the page names
EXAMPLES = 3
# what each agent has on the day, what was drawn up before included
AGENTS = ("经办人", "当天共有", "其中")
UNDELIVERED = "订单还没有全部签收，签收后再排"
# what a night has done, by rehearsal
DRAWN = "followup"


@dataclass
class Round:
    """What one look has drawn up: the night, what is still on its way, and what each agent has on that day."""

    on: date
    day_off: str = ""
    night: Night = field(default_factory=Night)
    planned: int = 0
    undelivered: tuple[int, Sequence[str]] = (0, ())
    loads: Mapping[tuple[str, str], int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    lists: Opened = field(default_factory=Opened)
    month: Month = field(default_factory=lambda: Month(date.min))

    @property
    def said(self) -> str:
        """What it did, in a sentence."""
        if self.day_off:
            return f"{clocks.spoken_day(self.on)}是{self.day_off}，不排回访，顺延到下一个工作日"
        left = len(self.night.left) + self.undelivered[0]
        return f"{clocks.spoken_day(self.on)}新排 {len(self.night.drawn)} 次回访，{left} 次没有排{self.month.said}"

    def agents(self) -> list[tuple[str, str, str]]:
        """What each agent has on that day: who, how many, of which kinds."""
        reader = desks.reader(current_terms())
        told = []
        for agent, counts in groupby(sorted(self.loads.items()), key=lambda each: each[0][0]):
            kinds = {kind: count for (_, kind), count in counts}
            words = "、".join(f"{kind.label} {kinds[kind.value]}" for kind in VisitKind if kind.value in kinds)
            told.append((reader.who(agent), str(sum(kinds.values())), words))
        return told

    def left_out(self) -> list[tuple[str, str, str]]:
        """Who is left out: why, how many, and some of them."""
        told = []
        for why in LeftOut:
            left = [each for each in self.night.left if each.why is why]
            if left:
                told.append((why.label, str(len(left)), "、".join(self._named(each) for each in left[:EXAMPLES])))
        count, numbers = self.undelivered
        if count:
            more = "、".join(f"订单 {number}" for number in numbers[:EXAMPLES])
            told.append((UNDELIVERED, str(count), more))
        return told

    def each_left_out(self) -> list[tuple[str, str]]:
        """Who is left out, one by one, and why."""
        order = list(LeftOut)
        left = sorted(self.night.left, key=lambda each: (order.index(each.why), each.due.key))
        named = [(self._named(each), each.why.label) for each in left]
        return [*named, *((f"订单 {number}", UNDELIVERED) for number in self.undelivered[1])]

    def _named(self, left: Left) -> str:
        kind = VisitKind(left.due.kind).label
        about = f"售后单 {left.due.case_no}" if left.due.case_no else f"订单 {left.due.order_no}"
        if not (left.due.case_no or left.due.order_no):
            about = f"客户 {left.due.customer_id}"
        name = self.names.get(left.due.order_no, "")
        return f"{kind}（{about}{f'，{name}' if name else ''}）"

    @property
    def page(self) -> str:
        """What was drawn up and who was left out, as a page; names are masked (GEN-10)."""
        parts = [f"# {clocks.spoken_day(self.on)}的回访", f"{self.said}。"]
        if self.loads:
            parts += ["## 排给谁", _table(AGENTS, self.agents())]
        if told := self.left_out():
            parts += ["## 没有排的", _table(("原因", "次数", "例如"), told)]
        return "\n\n".join(parts)


async def look(
    *, rehearsal: str | None = None, at: datetime | None = None, on: date | None = None, dry_run: bool = False
) -> Round:
    """
    Draw up the day that begins: plan what is found, then make one visit of what is due for each person.

    `rehearsal` names the rehearsal whose orders and clock are meant, None the real ones; `at` is its time (now).
    `dry_run` writes nothing; only with it `on` may be another day than that of `at`. Raises Unable for a day that is past.
    """
    terms, at = current_terms(), at or clock.now()
    today = clocks.house_date(at, house=terms.house)
    on = on or today
    if on < today:
        raise Unable(f"{on} 已经过去，那天的回访在当天的回访巡检里看；请写 {today} 或以后的日期。")
    assert on == today or dry_run, "only the day that begins is drawn up"
    if reason := clocks.why_off(on, calendars=terms.calendars, house=terms.house):
        return Round(on, day_off=reason)
    over = Opened()
    if not dry_run:
        # nothing may become part of what is not made after all
        async with transaction() as connection:
            over = await lists.end_lists(connection, on, rehearsal=rehearsal, at=at)
    async with transaction() as keeper:
        # rounds come one after the other; whoever is killed lets go of it
        name = f"{DRAWN}:{rehearsal}" if rehearsal else DRAWN
        before = await installation.lock(keeper, name)
        kept = {name: date.fromisoformat(day) for name, day in before.items()} if before else {"first": on}
        world = _World(terms, rehearsal, on, at, drawn_until=kept.get("on"), first=kept.get("first"))
        found = await _found(world)
        if not dry_run:
            planned = await _plan(world, found)
            found = []
        else:
            planned = len(found)
        told = await _draw(world, found, is_future=on > today)
        if not dry_run:
            await _write(world, told.night)
            await regular.begin(keeper, on=on, last=world.drawn_until, rehearsal=rehearsal, terms=terms)
            kept["on"] = max(on, world.drawn_until or on)
            await installation.keep(keeper, name, {which: day.isoformat() for which, day in kept.items()})
        told.planned = planned
    if not dry_run:
        # what was drawn up now, and what is left of the days before
        async with transaction() as connection:
            told.lists = await lists.open_lists(connection, on, rehearsal=rehearsal, at=at)
        told.lists.ended += over.ended
        told.night.left += over.left + told.lists.left
        await lists.set_going(told.lists)
    told.month = await _month(world, told.night, dry_run=dry_run)
    await _finish(world, told, dry_run=dry_run)
    return told


@dataclass(frozen=True, slots=True)
class _World:
    """The day that is drawn up, of real cases or of a rehearsal, and up to which day that was done before."""

    terms: Terms
    rehearsal: str | None
    on: date
    at: datetime
    drawn_until: date | None
    # the day of the shop's first round; None when that was before it was kept
    first: date | None

    @property
    def oldest(self) -> date:
        """The first day whose visits are not too late on this one."""
        return visits.day_before(self.on, self.terms.followup.too_late, terms=self.terms)

    def span(self, first: date, last: date) -> store.Span:
        """From the first instant of one day to the last of another, of the house (P-01)."""
        return clocks.span(first, last, house=self.terms.house)

    def on_house(self, at: datetime) -> date:
        """The day of the house on which an instant falls."""
        return clocks.house_date(at, house=self.terms.house)


# --- what is due ----------------------------------------------------------------------------------------------------


async def _found(world: _World) -> list[Due]:
    """
    Find every visit that has come due and is not too late, whether it is planned already or not.

    What was due before the first round is due on its day: nobody could have called before (KPI-40, ESC-10).
    """
    found = [*await _purchases(world), *await _use(world), *await _cases(world)]
    if world.first is None:
        return found
    return [replace(each, due_on=max(each.due_on, world.first)) for each in found]


async def _purchases(world: _World) -> list[Due]:
    """Buyers to be visited for the first time (FUP-01, AMB-39)."""
    ordered, delivered = _bought(world), world.span(world.oldest, world.on)
    if ordered is None:
        return []
    async with transaction() as connection:
        rows = await store.purchases(connection, rehearsal=world.rehearsal, ordered=ordered, delivered=delivered)
    found = []
    for row in rows:
        due = visits.first_visit(
            ordered_on=world.on_house(row.ordered_at),
            delivered_on=world.on_house(row.delivered_at),
            channel=row.channel,
            terms=world.terms,
        )
        if due is not None and world.oldest <= due[0] <= world.on:
            on, kind = due
            found.append(
                Due(
                    visits.key(VisitKind.PURCHASE, row.order_no),
                    VisitKind.PURCHASE.value,
                    on,
                    kind.owner,
                    kind.rule,
                    people.person(customer_id=row.customer_id, phone=row.contact_phone, order_no=row.order_no),
                    customer_id=row.customer_id,
                    channel=row.channel,
                    order_no=row.order_no,
                )
            )
    return found


def _bought(world: _World) -> store.Span | None:
    """When an order was placed whose first visit may be due; None when no channel has any."""
    distances = world.terms.followup.distances(VisitKind.PURCHASE)
    if not distances:
        return None
    first = min(visits.day_before(world.oldest, each, terms=world.terms) for each in distances)
    promised = visits.last_promised(world.on, terms=world.terms)
    last = max(visits.last_start(promised, each) for each in distances)
    return world.span(first, last)


async def _use(world: _World) -> list[Due]:
    """Customers to be asked how it goes, month by month (FUP-02)."""
    months, since = world.terms.followup.months(), _since(world)
    days = {day for on in _days(since + DAY, world.on) for day in visits.delivery_days(on, months=months)}
    if not days:
        return []
    async with transaction() as connection:
        spans = [world.span(day, day) for day in sorted(days)]
        asked = world.span(since + DAY, world.on)
        customers = await store.users(connection, rehearsal=world.rehearsal, days=spans, asked=asked)
    found: list[Due] = []
    for some in _parts(customers):
        async with transaction() as connection:
            until = world.span(world.on, world.on)[1]
            rows = await store.goods(connection, some, rehearsal=world.rehearsal, until=until)
        of: dict[int, list[Mapping[str, Any]]] = {}
        for row in rows:
            of.setdefault(row["customer_id"], []).append(row)
        for customer_id, goods in of.items():
            found += _used(world, customer_id, goods, since)
    return found


def _used(world: _World, customer_id: int, goods: Sequence[Mapping[str, Any]], since: date) -> list[Due]:
    channel = goods[0]["channel"]
    due = visits.use_visits(
        goods=[(world.on_house(row["delivered_at"]), row["months"]) for row in goods],
        visits_until=goods[0]["visits_until"],
        channel=channel,
        since=since,
        until=world.on,
        terms=world.terms,
    )
    return [
        Due(
            visits.key(VisitKind.USE, customer_id, on),
            VisitKind.USE.value,
            visits.working_day_from(on, terms=world.terms),
            kind.owner,
            kind.rule,
            people.person(customer_id=customer_id, phone="", order_no=""),
            customer_id=customer_id,
            channel=channel,
        )
        for on, kind in due
    ]


def _since(world: _World) -> date:
    """After which day visits in use are still to be found: the last that was drawn up, else the last working day."""
    before = world.drawn_until or visits.working_day_before(world.on, terms=world.terms)
    return max(before, world.oldest - DAY)


async def _cases(world: _World) -> list[Due]:
    """What follows cases that have ended (FUP-05 to FUP-07)."""
    kinds = (VisitKind.COMPLAINT, VisitKind.SOLVED, VisitKind.UNSOLVED)
    distances: set[Limit] = set().union(*(world.terms.followup.distances(kind) for kind in kinds))
    if not distances:
        return []
    first = min(visits.day_before(world.oldest, each, terms=world.terms) for each in distances)
    processes = {name for kind in kinds for name in world.terms.followup.kinds[kind.value].processes}
    async with transaction() as connection:
        rows = await store.ended(
            connection,
            rehearsal=world.rehearsal,
            closed=world.span(first, world.on),
            processes=processes,
        )
    found = []
    for row in rows:
        due = visits.after_case(
            process=row.process,
            closed_on=world.on_house(row.closed_at),
            is_solved=row.is_solved,
            channel=row.channel,
            terms=world.terms,
        )
        if due is not None and world.oldest <= due[0] <= world.on:
            on, code, kind = due
            found.append(
                Due(
                    visits.key(code, row.case_no),
                    code.value,
                    on,
                    kind.owner,
                    kind.rule,
                    people.person(customer_id=row.customer_id, phone=row.contact_phone or "", order_no=row.order_no),
                    customer_id=row.customer_id,
                    channel=row.channel,
                    order_no=row.order_no,
                    case_no=row.case_no,
                    operator=row.operator,
                )
            )
    return found


# --- what is made of it ---------------------------------------------------------------------------------------------


async def _plan(world: _World, found: Sequence[Due]) -> int:
    """Plan what was found, each once."""
    planned = 0
    for some in _parts(found):
        async with transaction() as connection:
            planned += await store.plan_all(connection, some, rehearsal=world.rehearsal, at=world.at)
    return planned


async def _draw(world: _World, found: Sequence[Due], *, is_future: bool) -> Round:
    """Draw up the day from what is planned, and from what would be."""
    terms, on = world.terms, world.on
    async with transaction() as connection:
        planned = await store.due(connection, rehearsal=world.rehearsal, on=on)
        away = await outbox.absences(connection, on)
        loads = await store.loads(connection, on, rehearsal=world.rehearsal)
        keys = {each.key for each in planned}
        new = [each for each in found if each.key not in keys]
        new_keys = await store.planned_before(connection, [each.key for each in new])
    due = [*planned, *(each for each in new if each.key not in new_keys)]
    if is_future and visits.working_day_before(on, terms=terms) > (world.drawn_until or date.min):
        due = await _left_by_the_night_before(world, due)
    persons = await _persons(world, due, on)
    drawn: dict[str, int] = {}
    for (agent, _), count in loads.items():
        drawn[agent] = drawn.get(agent, 0) + count
    # thousands at once: the worker's other legs go on meanwhile
    night = await asyncio.to_thread(visits.draw, due, people=persons, drawn=drawn, away=away.keys(), on=on, terms=terms)
    return Round(on, night=night)


async def _left_by_the_night_before(world: _World, due: Sequence[Due]) -> list[Due]:
    """Tell what of this is still there on a day to come: the night before it takes what is due by then and nothing holds."""
    before = visits.working_day_before(world.on, terms=world.terms)
    early = [each for each in due if each.due_on <= before]
    async with transaction() as connection:
        away = await outbox.absences(connection, before)
    persons = await _persons(world, early, before)
    night = await asyncio.to_thread(
        visits.draw, early, people=persons, drawn={}, away=away.keys(), on=before, terms=world.terms
    )
    gone = {each.due.key for each in night.drawn} | {each.due.key for each in night.left if each.why.is_final}
    return [each for each in due if each.key not in gone]


async def _persons(world: _World, due: Sequence[Due], on: date) -> dict[str, visits.Person]:
    """What is known, on a day, of those for whom something is due."""
    persons: dict[str, visits.Person] = {}
    first = on.replace(day=1)
    for some in _people(due):
        async with transaction() as connection:
            persons |= await store.known(
                connection,
                some,
                rehearsal=world.rehearsal,
                processes=list(STORIES),
                day=world.span(on, on),
                month=world.span(first, visits.months_later(first, 1) - DAY),
            )
    return persons


async def _write(world: _World, night: Night) -> None:
    """Write the night down, all that concerns one person in one transaction."""
    drawn = {each.due.key: each for each in night.drawn}
    left = [each for each in night.left if each.why.is_final]
    by_person: dict[str, tuple[list[visits.Drawn], list[Left]]] = {}
    for one in drawn.values():
        by_person.setdefault(one.due.person, ([], []))[0].append(one)
    for each in left:
        by_person.setdefault(each.due.person, ([], []))[1].append(each)
    for some in _parts(sorted(by_person)):
        async with transaction() as connection:
            if now := [one for name in some for one in by_person[name][0]]:
                await store.draw_up(connection, now, on=world.on)
            if gone := [one for name in some for one in by_person[name][1]]:
                await store.drop(connection, gone, at=world.at)


async def _month(world: _World, night: Night, *, dry_run: bool) -> Month:
    """Draw whom the month's survey asks (SVY-04); what goes wrong there keeps nobody from being called."""
    before = visits.working_day_before(world.on, terms=world.terms)
    if before > clocks.house_date(world.at, house=world.terms.house) and before >= world.on.replace(day=1):
        return Month(world.on)  # a night to come leaves it to the one before
    try:
        return await regular.look(
            on=world.on,
            last=world.drawn_until,
            besides={each.due.person for each in night.drawn},
            rehearsal=world.rehearsal,
            at=world.at,
            terms=world.terms,
            dry_run=dry_run,
        )
    except Exception:
        log.exception("The survey of the month cannot be drawn")
        return Month(world.on, why_not="出错，下一个夜里再试")


async def _finish(world: _World, told: Round, *, dry_run: bool) -> None:
    """Gather what the page tells beside the night: what each has, what is on its way, the masked names."""
    ordered = _bought(world)
    most = None if dry_run else EXAMPLES
    named = {
        each.due.order_no
        for why in LeftOut
        for each in [one for one in told.night.left if one.why is why][:most]
        if each.due.order_no
    }
    async with transaction() as connection:
        loads = dict(await store.loads(connection, world.on, rehearsal=world.rehearsal))
        if ordered is not None:
            told.undelivered = await store.undelivered(
                connection, rehearsal=world.rehearsal, ordered=ordered, most=most
            )
        names = await orders.names(connection, named)
    if dry_run:
        for each in told.night.drawn:
            place = (each.agent, each.due.kind)
            loads[place] = loads.get(place, 0) + 1
    told.loads = loads
    told.names = {number: masking.masked_name(name) for number, name in names.items()}


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]


def _people(due: Sequence[Due]) -> Iterator[list[Due]]:
    """Parts of what is due that leave nobody's apart."""
    some: list[Due] = []
    for _, of in groupby(sorted(due, key=lambda each: each.person), key=lambda each: each.person):
        some += of
        if len(some) >= AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(map(pages.cell, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *lines])
