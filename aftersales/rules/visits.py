"""
Which visits are due on a day, who is left out and why, and whose they are (FUP-01 to FUP-11, AMB-39).

A visit has a day, never an hour: the night's round draws up what the coming morning is to do, on working days only.
What is promised within a time is drawn up on its last working day; what else comes on a day off, or was held, on the
next working day that finds it.
"""

from __future__ import annotations

import calendar
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from aftersales.rules import assignment, clocks
from aftersales.rules.clocks import DAY
from aftersales.terms import Terms
from aftersales.terms.followup import Kind
from aftersales.words import LeftOut, Limit, Right, Unit, VisitKind

# how far back a delivery may lie whose buyer is still visited every month
LONGEST_USE = 120
# of several due at once the first kind leads
_RANK = {kind.value: place for place, kind in enumerate(VisitKind)}
# whoever knows the matter asks; otherwise whoever knows the customer (FUP-05, FUP-06)
_NAMED = (VisitKind.UNSOLVED.value, VisitKind.SOLVED.value)


@dataclass(frozen=True, slots=True)
class Due:
    """
    A visit that has been found: the key makes it one, however often it is found.

    `person` is whom it is for: a customer, or a guest by what guests are known by. `operator` opened its case.
    `is_returned`: what was bought has gone back meanwhile. `takes_unsolved`: what is not solved has become part of it.
    """

    key: str
    kind: str
    due_on: date
    owner: str
    rule: str
    person: str
    customer_id: int | None = None
    channel: str = ""
    order_no: str = ""
    case_no: str | None = None
    operator: str = ""
    is_returned: bool = False
    takes_unsolved: bool = False

    @property
    def is_unsolved(self) -> bool:
        """True while it asks about something that is not solved (FUP-06)."""
        return self.takes_unsolved or self.kind == VisitKind.UNSOLVED


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of whom a visit is for: what may forbid it, who called last, and how often this month."""

    opted_out: bool = False
    open_case: str = ""
    open_visit: str = ""
    contacts: int = 0
    is_seen: bool = False
    last_agent: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A visit that is made, and by whom."""

    due: Due
    agent: str


@dataclass(frozen=True, slots=True)
class Left:
    """A visit that is not made, or not now, and why; `into` is the key of the visit that it became part of."""

    due: Due
    why: LeftOut
    into: str = ""


@dataclass(slots=True)
class Night:
    """What a night draws up, and what it leaves out."""

    drawn: list[Drawn] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


# --- days -----------------------------------------------------------------------------------------------------------


def is_working(on: date, *, terms: Terms) -> bool:
    """Tell whether visits are made on a day."""
    return not clocks.why_off(on, calendars=terms.calendars, house=terms.house)


def working_day_before(on: date, *, terms: Terms) -> date:
    """Tell the last day before a day on which visits were made."""
    on -= DAY
    while not is_working(on, terms=terms):
        on -= DAY
    return on


def working_day_from(on: date, *, terms: Terms) -> date:
    """Tell the day itself, or the next on which visits are made."""
    while not is_working(on, terms=terms):
        on += DAY
    return on


def within(on: date, *, earliest: date, terms: Terms) -> date:
    """Tell by when something is made that is promised within a time: on its last working day (FUP-01, FUP-03)."""
    last = on if is_working(on, terms=terms) else working_day_before(on, terms=terms)
    return working_day_from(max(last, earliest), terms=terms)


def last_promised(on: date, *, terms: Terms) -> date:
    """Tell the last day whose promises within a time are made on a day: those of the days off after it too."""
    return working_day_from(on + DAY, terms=terms) - DAY


def months_later(on: date, months: int) -> date:
    """Tell the same day so many months later, the month's last day where it is shorter: the 31st is the 30th in June."""
    year, month = divmod(on.year * 12 + on.month - 1 + months, 12)
    return date(year, month + 1, min(on.day, calendar.monthrange(year, month + 1)[1]))


def day_after(on: date, distance: Limit, *, terms: Terms) -> date:
    """Tell the day that lies so many days or working days after a day."""
    if distance.unit is Unit.DAY:
        return on + distance.amount * DAY
    for _ in range(distance.amount):
        on += DAY
        while not is_working(on, terms=terms):
            on += DAY
    return on


def day_before(on: date, distance: Limit, *, terms: Terms) -> date:
    """Tell the first day from which so many days or working days lead to a day or beyond it."""
    if distance.unit is Unit.DAY:
        return on - distance.amount * DAY
    for _ in range(distance.amount):
        on = working_day_before(on, terms=terms)
    return on


def last_start(on: date, distance: Limit) -> date:
    """Tell a day after which nothing begins that so many days later has come by a day."""
    return on - distance.amount * DAY if distance.unit is Unit.DAY else on - DAY


# --- what is due ----------------------------------------------------------------------------------------------------


def first_visit(*, ordered_on: date, delivered_on: date, channel: str, terms: Terms) -> tuple[date, Kind] | None:
    """Tell when a buyer is visited first: so long after the purchase, not before all is delivered (FUP-01, AMB-39)."""
    kind = terms.followup.kind(VisitKind.PURCHASE, channel)
    if not kind.is_on or kind.after is None:
        return None
    return within(day_after(ordered_on, kind.after, terms=terms), earliest=delivered_on, terms=terms), kind


def use_visits(
    *,
    goods: Collection[tuple[date, int]],
    visits_until: date | None,
    channel: str,
    since: date,
    until: date,
    terms: Terms,
) -> list[tuple[date, Kind]]:
    """
    Tell the days after `since`, up to `until`, on which somebody is asked how it goes (FUP-02, AMB-39).

    Every month from the delivery of what came last and is still under warranty; `goods` are days of delivery with the
    months of their warranty. A customer's wish takes the place of the warranty: up to that day, whatever came last.
    """
    kind = terms.followup.kind(VisitKind.USE, channel)
    if not kind.is_on or kind.months is None:
        return []
    found = []
    for on in _days(since + DAY, until):
        if visits_until is not None:
            living = [delivered_on for delivered_on, _ in goods if delivered_on < on] if on <= visits_until else []
        else:
            living = [
                delivered_on
                for delivered_on, months in goods
                if delivered_on < on < _months_later(delivered_on, months)
            ]
        if living and _is_month_of(max(living), on, kind.months):
            found.append((on, kind))
    return found


def delivery_days(on: date, *, months: Collection[int]) -> list[date]:
    """Tell every day of delivery from which some visit in use falls on a day, month ends included (FUP-02)."""
    found: set[date] = set()
    last = calendar.monthrange(on.year, on.month)[1]
    for each in months:
        for back in range(each, LONGEST_USE + 1, each):
            year, month = divmod(on.year * 12 + on.month - 1 - back, 12)
            length = calendar.monthrange(year, month + 1)[1]
            days = range(on.day, length + 1) if on.day == last else range(on.day, min(on.day, length) + 1)
            found.update(date(year, month + 1, day) for day in days)
    return sorted(found)


def after_case(
    *, process: str, closed_on: date, is_solved: bool, channel: str, terms: Terms
) -> tuple[date, VisitKind, Kind] | None:
    """
    Tell what visit follows a case that has ended, and when (FUP-05 to FUP-07).

    A return plans its own, under the terms it was opened with (FUP-03).
    """
    for code in (VisitKind.COMPLAINT, VisitKind.SOLVED) if is_solved else (VisitKind.UNSOLVED,):
        kind = terms.followup.kind(code, channel)
        if kind.is_on and kind.after is not None and (not is_solved or process in kind.processes):
            return working_day_from(day_after(closed_on, kind.after, terms=terms), terms=terms), code, kind
    return None


def next_visit(*, key: str, visited_on: date, channel: str, terms: Terms) -> tuple[str, date, Kind] | None:
    """Tell the next visit about something that is still not solved: its key and its day (FUP-06)."""
    kind = terms.followup.kind(VisitKind.UNSOLVED, channel)
    if not kind.is_on or kind.after is None:
        return None
    matter, _, count = key.partition("#")
    return f"{matter}#{int(count or 1) + 1}", day_after(visited_on, kind.after, terms=terms), kind


def key(kind: VisitKind, about: object, on: date | None = None) -> str:
    """Name a visit, so that it is one: by its order or case, or by its customer and month (`use:17:2026-11`)."""
    return f"{kind.value}:{about}" + (f":{on:%Y-%m}" if on else "")


# --- who is left out ------------------------------------------------------------------------------------------------


def settle(
    due: Sequence[Due], *, person: Person, on: date, terms: Terms
) -> tuple[Due | None, tuple[Due, ...], list[Left]]:
    """
    Make one visit of all that are due for one person: which one leads, what becomes part of it, what is left out.

    What is not solved is never too late and never too often (FUP-06). None leads while a case is open, on a day on which
    the person was called, or above the month's number (FUP-11, NUM-221).
    """
    left, living = [], []
    oldest = day_before(on, terms.followup.too_late, terms=terms)
    for each in sorted(due, key=lambda each: (_RANK[each.kind], each.due_on, each.key)):
        if person.opted_out:
            left.append(Left(each, LeftOut.OPTED_OUT))
        elif not (each.takes_unsolved or terms.followup.kind(VisitKind(each.kind), each.channel).is_on):
            left.append(Left(each, LeftOut.OFF))
        elif each.due_on < oldest and not each.is_unsolved:
            left.append(Left(each, LeftOut.TOO_LATE))
        else:
            living.append(each)
    if not living:
        return None, (), left
    if person.open_case:
        return None, (), [*left, *(Left(each, LeftOut.OPEN_CASE) for each in living)]
    left += [Left(each, LeftOut.RETURNED) for each in living if each.is_returned and not each.takes_unsolved]
    living = [each for each in living if not each.is_returned or each.takes_unsolved]
    if not living:
        return None, (), left
    if person.open_visit:
        return None, (), [*left, *(Left(each, LeftOut.MERGED, person.open_visit) for each in living)]
    is_often = person.contacts >= terms.followup.contacts_a_month
    if person.is_seen or (is_often and not any(each.is_unsolved for each in living)):
        why = LeftOut.SEEN_TODAY if person.is_seen else LeftOut.TOO_OFTEN
        return None, (), [*left, *(Left(each, why) for each in living)]
    lead, *also = living
    return lead, tuple(also), [*left, *(Left(each, LeftOut.MERGED, lead.key) for each in also)]


def settle_again(waiting: Sequence[Due], *, people: Mapping[str, Person], on: date, terms: Terms) -> list[Left]:
    """
    Tell which of those that have an agent already are not to be made on a day after all, and why (FUP-11).

    What forbids a visit forbids it however long ago it was drawn up; that it was given to somebody is no reason: of
    `people` it is known only what bars them.
    """
    by_person: dict[str, list[Due]] = {}
    for each in waiting:
        by_person.setdefault(each.person, []).append(each)
    left: list[Left] = []
    for name, dues in by_person.items():
        left += settle(dues, person=people.get(name, Person()), on=on, terms=terms)[2]
    return left


# --- whose it is ----------------------------------------------------------------------------------------------------


def agents(department: str, *, away: Collection[str], terms: Terms) -> list[str]:
    """Tell who of a department makes visits on a day: those who may and are there; its head when nobody else is."""
    head = terms.house.departments[department].head if department in terms.house.departments else ""
    there = [staff.id for staff in terms.who_may(Right.VISIT, department) if staff.id not in away]
    return there if there == [head] else sorted(each for each in there if each != head)


def draw(
    due: Sequence[Due],
    *,
    people: Mapping[str, Person],
    drawn: Mapping[str, int],
    away: Collection[str],
    on: date,
    terms: Terms,
) -> Night:
    """
    Draw up a day: one visit a person, evenly among those who are there (FUP-10, FUP-11).

    Whoever called a customer last calls again, and whoever opened a case asks whether it is solved, up to a fair share;
    `drawn` is how many each already has. The order of what is due changes nothing.
    """
    night = Night()
    leads: list[_Lead] = []
    by_person: dict[str, list[Due]] = {}
    for each in due:
        by_person.setdefault(each.person, []).append(each)
    for name in sorted(by_person):
        person = people.get(name, Person())
        lead, also, left = settle(by_person[name], person=person, on=on, terms=terms)
        if lead is None:
            night.left += left
        else:
            leads.append((lead, also, left, person))
    hands = {
        owner: _Hands(owner, leads, drawn=drawn, away=away, terms=terms) for owner in {lead.owner for lead, *_ in leads}
    }
    # whoever knows the matter first, then whoever knows the customer, so that nobody else takes their place
    for lead, also, left, person in sorted(leads, key=lambda each: hands[each[0].owner].turn(each[0], each[3])):
        hand = hands[lead.owner]
        if not hand.there:
            night.left += [Left(each, LeftOut.NOBODY) for each in (lead, *also)]
            night.left += [one for one in left if one.why is not LeftOut.MERGED]
            continue
        night.drawn.append(Drawn(lead, hand.give(lead, person)))
        night.left += left
    return night


# which leads, what becomes part of it, what is left out, and whom it is for
_Lead = tuple[Due, tuple[Due, ...], list[Left], Person]


class _Hands:
    """Who of a department is there on a day, and how many visits each has: nobody ends with two more than another."""

    def __init__(
        self,
        owner: str,
        leads: Sequence[_Lead],
        *,
        drawn: Mapping[str, int],
        away: Collection[str],
        terms: Terms,
    ) -> None:
        self.there = agents(owner, away=away, terms=terms)
        self.loads = {each: drawn.get(each, 0) for each in self.there}
        total = sum(self.loads.values()) + sum(lead.owner == owner for lead, *_ in leads)
        self.fair, self.more = divmod(total, len(self.there)) if self.there else (0, 0)

    def known(self, lead: Due, person: Person) -> list[str]:
        """Those who know the matter or the customer, the better first."""
        known = (lead.operator, person.last_agent) if lead.kind in _NAMED else (person.last_agent, lead.operator)
        return [each for each in known if each in self.loads]

    def turn(self, lead: Due, person: Person) -> int:
        """Tell when it is a visit's turn to be given to somebody."""
        known = self.known(lead, person)
        return 2 if not known else 0 if lead.kind in _NAMED and lead.operator in known else 1

    def give(self, lead: Due, person: Person) -> str:
        """Give a visit to whoever knows best and has room, else to whoever has the fewest."""
        room = [each for each in self.known(lead, person) if self._has_room(each)]
        agent = room[0] if room else assignment.fewest(self.there, self.loads)
        self.loads[agent] += 1
        return agent

    def _has_room(self, agent: str) -> bool:
        if self.loads[agent] != self.fair:
            return self.loads[agent] < self.fair
        return sum(load > self.fair for load in self.loads.values()) < self.more


# --- months ---------------------------------------------------------------------------------------------------------

# thousands of customers share a few days
_months_later = lru_cache(maxsize=4096)(months_later)


@lru_cache(maxsize=4096)
def _is_month_of(anchor: date, on: date, months: int) -> bool:
    """Tell whether a day is a whole number of distances after another; counted from the first, so that none drifts."""
    apart = (on.year - anchor.year) * 12 + on.month - anchor.month
    return apart > 0 and apart % months == 0 and months_later(anchor, apart) == on


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY
