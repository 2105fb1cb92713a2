"""
Deliveries: to whom a notice goes when somebody is away, when it may leave, and when it is tried again (design §8).

Covers P-10 (quiet hours delay a message, not the breach) and P-11 (one address fails, somebody is away).
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from aftersales.rules import clocks, ladders
from aftersales.terms import Escalation, House, Sending, quiet_hours
from aftersales.words import Staff

CUSTOMER = "customer"
DONE = "已办理，不用再通知"
MOVED = "时限已改，不用再通知"
DOUBTFUL = "【可能重复】"
# a digest names so many; whoever wants all of them opens the board
NAMED = 50
LONGEST_LINE = 200


@dataclass(frozen=True, slots=True)
class Whom:
    """Who is meant now: a department or a member of staff (`department:…`, `staff:…`, `customer`), and why another."""

    recipient: str
    note: str = ""


def whom(
    recipient: str,
    *,
    away: Mapping[str, str],
    house: House,
    staff: Mapping[str, Staff],
    is_reached: Callable[[str], bool] = lambda _: True,
) -> Whom:
    """
    Tell who gets what is meant for a recipient while people are away (P-11).

    The stand-in; who is away too, or who has none, has the next level in their place. `away` names stand-ins by staff id.
    Whoever stands in has a channel (`is_reached`); whoever is there themselves is meant in any case.
    """
    if not recipient.startswith("staff:"):
        return Whom(recipient)
    first = recipient.removeprefix("staff:")
    for each in _in_order(first, away=away, house=house, staff=staff):
        if each in staff and each not in away and (each == first or is_reached(f"staff:{each}")):
            return Whom(f"staff:{each}", f"{_named(first, staff)}不在，由{_named(each, staff)}代收" * (each != first))
    owner = staff[first].department if first in staff else ""
    if owner not in house.departments:
        return Whom(recipient)
    return Whom(f"department:{owner}", f"{_named(first, staff)}不在，发给{house.departments[owner].name}")


def pointless(
    notice: str, entry: str, promise: Mapping[str, Any] | None, *, at: datetime, escalation: Escalation
) -> str:
    """
    Say why there is nothing to tell any more; empty when there is (P-12).

    `entry` names the promise that the notice is about, then the rung; `promise` is that promise as it stands now. Only
    what time tells can lose its point: that something was done stays true.
    """
    told_by_time = notice in escalation.notices
    if not told_by_time and not entry.partition(".")[2].startswith(ladders.REMINDER):
        return ""
    if promise is None or promise["ended_at"] is not None:
        return DONE
    if not told_by_time:
        return ""
    is_late = clocks.is_overdue(due_at=promise["due_at"], at=at)
    if notice == escalation.reminder.notice:
        return ladders.OVERTAKEN if is_late else ""
    return "" if is_late else MOVED


def _in_order(first: str, *, away: Mapping[str, str], house: House, staff: Mapping[str, Staff]) -> Iterator[str]:
    """Somebody and whoever stands in for them, then the same of each level above."""
    level, seen = first, set[str]()
    while level:
        each = level
        while each and each not in seen:
            seen.add(each)
            yield each
            each = away.get(each, "")
        level = _above(level, house=house, staff=staff)


def _above(staff_id: str, *, house: House, staff: Mapping[str, Staff]) -> str:
    """
    The next level above somebody: the head of the department, then the after-sales manager; empty above that.

    Above every head stands the manager, also where the heads of two departments work in each other's.
    """
    if staff_id == house.aftersales_manager:
        return ""
    is_head = staff_id in {department.head for department in house.departments.values()}
    department = house.departments.get(staff[staff_id].department) if staff_id in staff else None
    return house.aftersales_manager if is_head or department is None else department.head


def above(recipient: str, *, house: House, staff: Mapping[str, Staff], owner: str) -> str:
    """
    Tell who hears of it when nothing reaches a recipient; empty: nobody is left.

    `owner` is the department that speaks with customers.
    """
    if recipient == CUSTOMER:
        return f"department:{owner}"
    kind, _, code = recipient.partition(":")
    if kind == "department":
        return f"staff:{house.departments[code].head}" if code in house.departments else ""
    following = _above(code, house=house, staff=staff)
    return f"staff:{following}" if following else ""


def _named(staff_id: str, staff: Mapping[str, Staff]) -> str:
    return f"{staff_id} {staff[staff_id].name}" if staff_id in staff else staff_id


def quiet_until(
    recipient: str, at: datetime, *, house: House, sending: Sending, staff: Mapping[str, Staff], own: str = ""
) -> datetime | None:
    """
    Tell when the quiet hours end in which a moment lies, None outside of them (P-10). Their end is outside.

    A customer's `own` hours stand in the place of those of all customers.
    """
    kind, _, code = recipient.partition(":")
    if kind == "staff":
        code = staff[code].department if code in staff else ""
    hours = own or sending.quiet.get(code or kind)
    if not hours:
        return None
    begins, ends = quiet_hours(hours)
    local = clocks.in_house(at, house=house)
    minute = local.hour * 60 + local.minute
    is_quiet = begins <= minute < ends if begins < ends else minute >= begins or minute < ends
    if not is_quiet:
        return None
    on = local.date() + timedelta(days=1 if begins > ends and minute >= begins else 0)
    wall = datetime.combine(on, time(ends // 60, ends % 60))
    until = clocks.house_time(wall, house=house)
    # on the night the clock is put back the end comes twice, and the first may be over
    return until if until > at else clocks.house_time(wall, house=house, is_second=True)


def try_again_at(at: datetime, *, tries: int, first_at: datetime, sending: Sending) -> datetime | None:
    """Tell when to try again after so many failed tries, None when it is given up: each distance doubles."""
    given_up_at = first_at + sending.give_up_after.length
    if at >= given_up_at:
        return None
    wait = min(sending.retry_after.length * 2 ** min(tries - 1, 30), sending.retry_at_most.length)
    # the last try is at the end, not long before it
    return min(at + wait, given_up_at)


def rested_at(at: datetime, *, first_at: datetime, sending: Sending) -> datetime | None:
    """Tell when to look again at what a resting address keeps waiting, None when it is given up; ever less often."""
    given_up_at = first_at + sending.give_up_after.length
    if at >= given_up_at:
        return None
    wait = min(max(at - first_at, sending.retry_after.length), sending.retry_at_most.length)
    return min(at + wait, given_up_at)


@dataclass(frozen=True, slots=True)
class Item:
    """One of several matters in one message: what a ladder tells has a due time, of all else there is a `text`."""

    subject: str
    text: str = ""
    due: str = ""
    late: str = ""
    missed: str = ""
    link: str = ""

    @property
    def line(self) -> str:
        """What is told of it besides its subject, in one line."""
        line = " ".join(self.text.split())
        return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}……"


def digest(items: Sequence[Item]) -> tuple[str, str]:
    """Make one message of several: subject and plain text."""
    lines: list[str] = []
    for place, each in enumerate(items[:NAMED], 1):
        due = f"截止 {each.due}" if each.due else ""
        lines.append(f"{place}. {'，'.join(filter(None, (each.subject, due, each.late)))}")
        missed = f"此前没有及时发出的：{each.missed}" if each.missed else ""
        lines += [f"   {more}" for more in (each.line, missed, each.link) if more]
    return f"{len(items)} 项提醒", "\n".join([*lines, *_rest(items)])


def digest_page(items: Sequence[Item], *, above: str, below: str) -> str:
    """Put the same into a table, as HTML, between two lines of text; whatever people typed is no markup in it."""
    head = "".join(f"<th>{title}</th>" for title in ("", "事项", "截止", "延误", "此前没有及时发出的"))
    rows = []
    for place, each in enumerate(items[:NAMED], 1):
        subject, line, *others = map(html.escape, (each.subject, each.line, each.due, each.late, each.missed))
        named = f'<a href="{html.escape(each.link)}">{subject}</a>' if each.link else subject
        cells = [str(place), f"{named}<br>{line}" if line else named, *others]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    table = (
        f'<table border="1" cellpadding="4" style="border-collapse: collapse"><tr>{head}</tr>{"".join(rows)}</table>'
    )
    before, *after = (f"<p>{html.escape(line)}</p>" for line in (above, *_rest(items), below))
    return "\n".join([before, table, *after])


def _rest(items: Sequence[Item]) -> list[str]:
    """What is said of those that a digest does not name."""
    return [f"…… 另有 {len(items) - NAMED} 项，请在看板中查看。"] if len(items) > NAMED else []


def doubted(subject: str) -> str:
    """Mark what its reader may have had before, once."""
    return subject if subject.startswith(DOUBTFUL) else f"{DOUBTFUL}{subject}"


def fitted(text: str, most: int) -> str:
    """Shorten a text to so many bytes of UTF-8, at the end of a line where there is one."""
    if len(text.encode()) <= most:
        return text
    rest = "\n……（太长，其余请在系统中查看）"
    cut = text.encode()[: most - len(rest.encode())].decode(errors="ignore")
    kept, line, _ = cut.rpartition("\n")
    return (kept if line and len(kept) > len(cut) // 2 else cut) + rest
