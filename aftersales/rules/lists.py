"""
Lists of visits: what each visit is called, what a call makes of it, whose what is left is (FUP-10, FUP-12, ESC-10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from aftersales.rules import assignment, clocks, masking, visits
from aftersales.terms import Terms
from aftersales.terms.followup import Kind
from aftersales.words import Due, Effect, Limit, Outcome, Unit, Visited, VisitKind

# who was not reached is called on the next working day
NEXT = Limit(1, Unit.WORKING_DAY)
PLANNED, LISTED, DONE, DROPPED = (state.value for state in Visited)


@dataclass(frozen=True, slots=True)
class Visit:
    """
    A visit as a list shows it: whom it is for, since when, how often they were called in vain, what they said last.

    Name and phone are whole: whoever shows them masks them (GEN-10).
    """

    id: int
    key: str
    kind: str
    state: str
    outcome: str
    order_no: str
    case_no: str | None
    customer_id: int | None
    channel: str
    agent: str | None
    owner: str
    rule: str
    due_on: date
    promised_on: date | None
    done_at: datetime | None
    tries: int
    told: Sequence[str]
    list_no: str | None
    rehearsal: str | None
    also: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any]
    name: str
    phone: str
    # what was said when they were called last, in whatever visit
    said: str = ""

    @property
    def masked_name(self) -> str:
        """The name as people may read it."""
        return masking.masked_name(self.name)

    @property
    def masked_phone(self) -> str:
        """The phone as people may read it."""
        return masking.masked_phone(self.phone)

    @property
    def choice(self) -> str:
        """As drop-downs show it: `17 D1 李** 新购回访`."""
        return " ".join(filter(None, (str(self.id), self.order_no, self.masked_name, VisitKind(self.kind).label)))

    @property
    def label(self) -> str:
        """What is asked: `新购回访（一并：退换货回访 RT-…）`."""
        return VisitKind(self.kind).label + (f"（一并：{self.merged}）" if self.merged else "")

    @property
    def merged(self) -> str:
        """What is asked in the same call, each with what it is about: `新购回访 D2、退货回访 RT-…`; empty: nothing."""
        parts = (
            f"{VisitKind(each['kind']).label} {each.get('case_no') or each.get('order_no') or ''}".strip()
            for each in self.also
            if each.get("kind")
        )
        return "、".join(parts)

    @property
    def calls(self) -> Sequence[Mapping[str, Any]]:
        """Every call so far: `at`, `by`, `outcome`, and the list and entry that tell the rest."""
        return self.data.get("calls", ())


@dataclass(frozen=True, slots=True)
class Called:
    """What a call makes of a visit."""

    state: str
    outcome: str = ""
    tries: int = 0
    due_on: date | None = None


def called(visit: Visit, *, outcome: Outcome, on: date, terms: Terms) -> Called:
    """
    Say what a call on a day makes of a visit: it is done, or somebody who was not reached is called once more (FUP-12).

    After so many calls in vain it is done all the same, as not reached (NUM-211).
    """
    if outcome is not Outcome.NOT_REACHED:
        return Called(DONE, outcome.value, visit.tries)
    tries = visit.tries + 1
    if tries >= terms.followup.tries:
        return Called(DONE, outcome.value, tries)
    return Called(PLANNED, "", tries, visits.day_after(on, NEXT, terms=terms))


def follows(
    visit: Visit, *, outcome: Outcome, effect: str, on: date, terms: Terms
) -> list[tuple[Mapping[str, Any], date, Kind]]:
    """
    Tell the next visits about what is still not solved, its own and what became part of it (FUP-06).

    Each with its key, order and case, its day and its kind.
    """
    if outcome is not Outcome.REACHED or effect == Effect.SOLVED:
        return []
    own = {"key": visit.key, "kind": visit.kind, "order_no": visit.order_no, "case_no": visit.case_no}
    found: list[tuple[Mapping[str, Any], date, Kind]] = []
    for part in (own, *visit.also):
        if part["kind"] != VisitKind.UNSOLVED:
            continue
        if following := visits.next_visit(key=part["key"], visited_on=on, channel=visit.channel, terms=terms):
            key, due_on, kind = following
            found.append(({**part, "key": key}, due_on, kind))
    return found


def owed(left: Sequence[Visit], *, terms: Terms) -> tuple[Due, Sequence[str]] | None:
    """
    Tell by when a list owes something, and which rungs of that are behind (ESC-10).

    It is due at the end of the earliest due day of what is left.
    The window is that day: so the ladder has the same rungs whenever, and on whichever list, it is reckoned.
    """
    if not left:
        return None
    on = min(visit.due_on for visit in left)
    starts, ends = clocks.span(on, on, house=terms.house)
    due = Due(starts, terms.promised("visit").limit, ends)
    return due, told([visit for visit in left if visit.due_on == on])


def told(same_day: Sequence[Visit]) -> list[str]:
    """Name the rungs that are behind visits of one day: what was told for one of them is told for all."""
    return list(dict.fromkeys(name for visit in same_day for name in visit.told))


def due_day(due_at: datetime, *, terms: Terms) -> date:
    """Tell the day whose end is a due time."""
    return clocks.house_date(due_at - timedelta(microseconds=1), house=terms.house)


def hand_over(
    orphaned: Sequence[tuple[int, str]], *, loads: Mapping[str, int], there: Mapping[str, Sequence[str]]
) -> dict[int, str]:
    """
    Give the visits of those who are away to those who are there, each to whoever has the fewest (FUP-10).

    `orphaned` are visits with their departments, `loads` how many each agent has, `there` who is there of each
    department. Where nobody is, they stay whose they are.
    """
    has = dict(loads)
    given: dict[int, str] = {}
    for visit_id, owner in orphaned:
        if agents := there.get(owner, ()):
            agent = assignment.fewest(agents, has)
            given[visit_id] = agent
            has[agent] = has.get(agent, 0) + 1
    return given
