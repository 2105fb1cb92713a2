"""
When a promise ends, and why (GEN-01 to GEN-05, GEN-08, AMB-10, AMB-11, AMB-57).

Minutes and hours run on the wall clock, working days on the calendar, service hours inside the opening hours;
no unit is ever converted into another (GEN-03).
A due time is exclusive: at the due instant the promise is already late.
A holiday lengthens a working-day limit by not counting; nothing is added on top for it (AMB-57).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from aftersales.terms import Calendar, House, opening_hours
from aftersales.words import Due, Limit, SkippedDay, Unable, Unit

DAY = timedelta(days=1)
# by which the last moment before an exclusive end is told from it
A_MOMENT = timedelta(microseconds=1)
# a new last day lies within a year: whoever writes 9999 has slipped
LONGEST_EXTENSION = timedelta(days=366)
NOTHING = timedelta()
WEEKDAYS = "一二三四五六日"
WEEKEND = "周末"
ENGLISH_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ENGLISH_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which a promise does not run, such as a question to the customer. One still open ends now."""

    from_at: datetime
    until_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Extension:
    """A new last day, with the reason the customer is told: force majeure, factory repair (GEN-08, AMB-51, AMB-57)."""

    until_on: date
    reason: str


# --- the house's zone -----------------------------------------------------------------------------------------------


def in_house(at: datetime, *, house: House) -> datetime:
    """Show an instant in house time (GEN-01). Raises ValueError for a time without zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no zone; an instant is needed.")
    return at.astimezone(ZoneInfo(house.timezone))


def house_date(at: datetime, *, house: House) -> date:
    """Tell the date of an instant in the house's zone."""
    return in_house(at, house=house).date()


def house_time(wall: datetime, *, house: House, is_second: bool = False) -> datetime:
    """
    Take a time without zone as house time.

    Of a time that happens twice, when the clock is put back, the first is meant unless the second is asked for; one
    that is jumped over, when the clock is put forward, is moved on by the jump.
    """
    return (
        wall.replace(tzinfo=ZoneInfo(house.timezone), fold=int(is_second))
        .astimezone(UTC)
        .astimezone(ZoneInfo(house.timezone))
    )


def end_of_day(on: date, *, house: House) -> datetime:
    """Tell the end of a day, 24:00, as the exclusive first instant of the next one (GEN-04)."""
    return house_time(datetime.combine(on + DAY, time()), house=house)


def start_of_day(on: date, *, house: House) -> datetime:
    """Tell the first instant of a day: the end of the one before, as the same rule tells it (GEN-04)."""
    return end_of_day(on - DAY, house=house)


def span(since: date, until: date, *, house: House) -> tuple[datetime, datetime]:
    """
    Tell the first instant of a day, and the first one after the last; both days are included (GEN-01, P-01).

    A single day is 23 to 25 hours long.
    """
    return start_of_day(since, house=house), end_of_day(until, house=house)


# --- due ------------------------------------------------------------------------------------------------------------


def due(*, start_at: datetime, limit: Limit, calendars: Mapping[int, Calendar], house: House) -> Due:
    """
    Tell when a limit ends that starts at an instant, which days did not count, and which calendars were missing.

    Days in a year without calendar are counted Monday to Friday, which makes the due time provisional.
    """
    start_at = in_house(start_at, house=house)
    almanac = _Almanac(limit.unit, start_at, calendars, house)
    if limit.unit in (Unit.WORKING_DAY, Unit.DAY):
        due_at = almanac.nth_end(limit.amount, after=start_at)
    else:
        minutes = limit.amount if limit.unit is Unit.MINUTE else limit.amount * 60
        due_at = almanac.run(start_at, timedelta(minutes=minutes))
    return Due(start_at, limit, due_at, almanac.skipped(due_at), almanac.missing(due_at))


def paused(*, due: Due, pauses: Iterable[Pause], calendars: Mapping[int, Calendar], house: House) -> Due:
    """
    Move a due time by the pauses of its promise (P-06, P-07, P-08).

    A `min`, `h` or `sh` promise moves by the pause's length on its own clock, a `wd` or `d` promise by the number of
    its days whose end fell inside the pause.
    While a pause is open, pass it as ending now: its promise is then never overdue.
    After a change of limit, count `due` anew from the same start and pause it again: what was used stays used.
    """
    for pause in _apart(pauses):
        due = _moved(due, pause, _Almanac(due.limit.unit, due.start_at, calendars, house))
    return due


def _moved(due: Due, pause: Pause, almanac: _Almanac) -> Due:
    """Move a due time by one pause: what was left when it began is what is left when it ends."""
    from_at = max(pause.from_at, due.start_at)
    if from_at >= due.due_at or pause.until_at <= from_at:
        return due
    lost: list[SkippedDay] = []
    if due.limit.unit in (Unit.WORKING_DAY, Unit.DAY):
        days_left = len(almanac.ends(after=from_at, until=due.due_at))
        due_at = almanac.nth_end(days_left, after=pause.until_at) if days_left else due.due_at
        lost = [SkippedDay(day, f"暂停（{pause.reason}）") for day in almanac.ends(after=from_at, until=pause.until_at)]
    else:
        time_left = almanac.open_time(from_at, due.due_at)
        due_at = almanac.run(pause.until_at, time_left) if time_left else due.due_at
    if due_at <= pause.until_at:
        # only after an extension: its last day holds none of the promise's own time, and passed during the pause
        due_at = end_of_day(house_date(pause.until_at, house=almanac.house), house=almanac.house)
    if _utc(due_at) == _utc(due.due_at):
        return due
    days = {day.on: day for day in (*almanac.skipped(due_at), *lost, *due.skipped)}
    missing = almanac.missing(due_at, since=due.due_at)
    return replace(
        due,
        due_at=in_house(due_at, house=almanac.house),
        skipped=tuple(days[on] for on in sorted(days)),
        missing=tuple(sorted({*due.missing, *missing})),
    )


def extended(*, due: Due, extension: Extension, house: House, at: datetime) -> Due:
    """
    Move a due time to the end of a new last day (GEN-08, AMB-57); it is a date given by a person, never provisional.

    Raises Unable when that is no later than what was promised, past at `at`, or more than a year later.
    """
    latest = house_date(due.due_at, house=house) + LONGEST_EXTENSION
    if extension.until_on > latest:
        raise Unable(f"延期到 {extension.until_on} 太远，最晚可以延到 {latest}，请填较近的日期。")
    due_at = end_of_day(extension.until_on, house=house)
    if _utc(due_at) <= _utc(at):
        raise Unable(f"延期到 {extension.until_on} 已经过去，请填今天或以后的日期。")
    if _utc(due_at) <= _utc(due.due_at):
        raise Unable(
            f"延期到 {extension.until_on} 不晚于现在的截止时间 {spoken(due.due_at, house=house)}，请填更晚的日期。"
        )
    return replace(due, due_at=due_at, missing=())


def used_time(
    *,
    start_at: datetime,
    until_at: datetime,
    unit: Unit,
    calendars: Mapping[int, Calendar],
    house: House,
    pauses: Iterable[Pause] = (),
) -> timedelta:
    """Tell how much of a `min`, `h` or `sh` promise was used: its own clock's time outside the pauses (P-07)."""
    almanac = _Almanac(unit, in_house(start_at, house=house), calendars, house)
    used, cursor = NOTHING, start_at
    for pause in _apart(pauses):
        if pause.from_at >= until_at:
            break
        used += almanac.open_time(cursor, pause.from_at)
        cursor = max(cursor, pause.until_at)
    return used + almanac.open_time(cursor, until_at)


def used_days(
    *,
    start_at: datetime,
    until_at: datetime,
    unit: Unit,
    calendars: Mapping[int, Calendar],
    house: House,
    pauses: Iterable[Pause] = (),
) -> int:
    """Tell how many days of a `wd` or `d` promise were used: those whose end fell outside the pauses."""
    almanac = _Almanac(unit, in_house(start_at, house=house), calendars, house)
    ended = set(almanac.ends(after=start_at, until=until_at))
    for pause in _apart(pauses):
        ended -= set(almanac.ends(after=pause.from_at, until=pause.until_at))
    return len(ended)


def reminded(*, due: Due, share: int, minute: int, calendars: Mapping[int, Calendar], house: House) -> datetime | None:
    """
    Tell when to remind of something before it is due (ESC-05); None when that would be before it has begun.

    A window of time is reminded of when only what is left after `share` per cent of it remains, a window of days at a
    minute of its last working day (`d`: of its last day).
    """
    almanac = _Almanac(due.limit.unit, in_house(due.start_at, house=house), calendars, house)
    if due.limit.unit in (Unit.WORKING_DAY, Unit.DAY):
        on = almanac._last(due.due_at)
        while almanac.why_off(on):  # after an extension the last day may be any
            on -= DAY
        at = house_time(datetime.combine(on, time()) + timedelta(minutes=minute), house=house)
    else:
        length = timedelta(minutes=due.limit.amount * (1 if due.limit.unit is Unit.MINUTE else 60))
        before = almanac.open_time(due.start_at, due.due_at) - length * (100 - share) / 100
        at = almanac.run(almanac.start_at, max(before, NOTHING))
    return at if _utc(due.start_at) < _utc(at) < _utc(due.due_at) else None


def later(
    due_at: datetime,
    limit: Limit,
    *,
    calendars: Mapping[int, Calendar],
    house: House,
    pauses: Iterable[Pause] = (),
) -> Due:
    """
    Count a limit that begins when another one has passed, `pauses` after that left out.

    A day that ends at 24:00 was the last of the one, so that the first of the other is the day after it.
    """
    start_at = due_at - A_MOMENT if limit.unit in (Unit.WORKING_DAY, Unit.DAY) else due_at
    ends = due(start_at=start_at, limit=limit, calendars=calendars, house=house)
    ends = paused(due=ends, pauses=pauses, calendars=calendars, house=house)
    if limit.unit is Unit.WORKING_DAY and house.wd_deadline == "same_time":
        # such a day ends at the time of its start, which was put a moment before the other limit had passed
        ends = replace(ends, due_at=in_house(_utc(ends.due_at) + A_MOMENT, house=house))
    return ends


def is_overdue(*, due_at: datetime, at: datetime) -> bool:
    """Tell whether a promise is late: the due time is exclusive, at that instant it already is (P-28)."""
    return _utc(at) >= _utc(due_at)


def why_off(on: date, *, calendars: Mapping[int, Calendar], house: House) -> str:
    """Say why a date is no working day: the day off's name, else 周末; empty when it is one (GEN-02, AMB-11)."""
    calendar = calendars.get(on.year)
    if calendar and on in calendar.days_off:
        return calendar.days_off[on]
    if calendar and on in calendar.makeup_workdays and house.makeup_days_count:
        return ""
    return WEEKEND if on.weekday() >= 5 else ""


def calendar_version(due: Due, calendars: Mapping[int, Calendar], *, until: datetime | None = None) -> str:
    """
    Name the calendars that a due time was counted with: `2025:1f0c9ab2 2026:-`; `-` is a year without data.

    `until` is the last moment that was counted from the due time. What names a year without data is counted again when
    that year is known, never when a known one is corrected: people were told those dates.
    Empty where no calendar was read.
    """
    last = due.due_at if until is None else until.astimezone(due.due_at.tzinfo)
    if due.limit.unit in (Unit.MINUTE, Unit.HOUR, Unit.DAY) and last == due.due_at:
        return ""
    years = range(due.start_at.year, (last - A_MOMENT).year + 1)
    return " ".join(f"{year}:{_digest(calendars[year]) if year in calendars else '-'}" for year in years)


def years_missing(version: str) -> list[int]:
    """Read which years the calendars of a due time lacked, from the name of their version."""
    return [int(year) for year in re.findall(r"([0-9]{4}):-", version)]


def _digest(calendar: Calendar) -> str:
    return sha256(json.dumps(calendar.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:8]


def _utc(at: datetime) -> datetime:
    # Python compares and subtracts two times of one zone by their clock faces, which is wrong across a change of clocks
    return at.astimezone(UTC)


def _apart(pauses: Iterable[Pause]) -> list[Pause]:
    """Order pauses and join those that overlap, so that no moment is given back twice."""
    apart: list[Pause] = []
    for pause in sorted(pauses, key=lambda p: p.from_at):
        pause = replace(pause, from_at=_utc(pause.from_at), until_at=_utc(pause.until_at))
        if apart and pause.from_at <= apart[-1].until_at:
            before = apart.pop()
            reason = before.reason if pause.reason == before.reason else f"{before.reason}；{pause.reason}"
            pause = Pause(before.from_at, max(before.until_at, pause.until_at), reason)
        apart.append(pause)
    return apart


@dataclass(frozen=True, slots=True)
class _Almanac:
    """The days and opening hours as one promise counts them."""

    unit: Unit
    start_at: datetime
    calendars: Mapping[int, Calendar]
    house: House

    @property
    def reads_calendar(self) -> bool:
        """True when it matters which days are worked."""
        return self.unit is Unit.WORKING_DAY or (
            self.unit is Unit.SERVICE_HOUR and opening_hours(self.house.service_hours) is not None
        )

    def why_off(self, on: date) -> str:
        """Why a day does not count; empty when it does."""
        return why_off(on, calendars=self.calendars, house=self.house) if self.reads_calendar else ""

    # days: `wd` and `d`

    def end(self, on: date) -> datetime:
        """When a day of the promise ends (GEN-04, AMB-10)."""
        if self.unit is Unit.WORKING_DAY and self.house.wd_deadline == "same_time":
            return house_time(datetime.combine(on, self.start_at.time()), house=self.house)
        return end_of_day(on, house=self.house)

    def days(self, after: datetime) -> Iterator[date]:
        """The promise's own days that end after an instant, first the earliest; the day of start is none of them."""
        # the day before may still be running: with same_time, days end at any hour
        on = max(self.start_at.date() + DAY, house_date(after, house=self.house) - DAY)
        while True:
            if not self.why_off(on) and _utc(self.end(on)) > _utc(after):
                yield on
            on += DAY

    def nth_end(self, n: int, *, after: datetime) -> datetime:
        """When the n-th of its days after an instant ends."""
        for place, on in enumerate(self.days(after), start=1):
            if place == n:
                return self.end(on)
        raise AssertionError("days never end")

    def ends(self, *, after: datetime, until: datetime) -> list[date]:
        """Its days whose end lies after one instant and not after another."""
        found = []
        for on in self.days(after):
            if _utc(self.end(on)) > _utc(until):
                break
            found.append(on)
        return found

    # time: `min`, `h` and `sh`

    def openings(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The spans in which the promise's clock runs, from an instant on, in UTC."""
        hours = opening_hours(self.house.service_hours) if self.unit is Unit.SERVICE_HOUR else None
        if hours is None:
            yield _utc(since), datetime.max.replace(tzinfo=UTC)
            return
        on = house_date(since, house=self.house)
        while True:
            if not self.why_off(on):
                for opens, closes in hours:
                    opens_at, closes_at = (
                        _utc(house_time(datetime.combine(on, time()) + timedelta(minutes=m), house=self.house))
                        for m in (opens, closes)
                    )
                    if closes_at > _utc(since):
                        yield max(opens_at, _utc(since)), closes_at
            on += DAY

    def run(self, start_at: datetime, length: timedelta) -> datetime:
        """Where the clock stands after it ran for a length from an instant on."""
        for opens_at, closes_at in self.openings(start_at):
            if length <= closes_at - opens_at:
                return in_house(opens_at + length, house=self.house)
            length -= closes_at - opens_at
        raise OverflowError("the limit ends after the last year that can be written")

    def open_time(self, from_at: datetime, until_at: datetime) -> timedelta:
        """How long the clock ran between two instants."""
        ran, end = NOTHING, _utc(until_at)
        for opens_at, closes_at in self.openings(from_at):
            if opens_at >= end:
                break
            ran += min(closes_at, end) - opens_at
        return ran

    # why

    def skipped(self, due_at: datetime) -> tuple[SkippedDay, ...]:
        """Every date after the day of start and before the due time that did not count."""
        days = _dates(self.start_at.date() + DAY, self._last(due_at)) if self.reads_calendar else ()
        return tuple(SkippedDay(on, reason) for on in days if (reason := self.why_off(on)))

    def missing(self, due_at: datetime, *, since: datetime | None = None) -> tuple[int, ...]:
        """The years without calendar that were needed; those after an earlier due time alone, when one is given."""
        if not self.reads_calendar:
            return ()
        first = self.start_at.date() if self.unit is Unit.SERVICE_HOUR else self.start_at.date() + DAY
        if since is not None:
            first = max(first, self._last(since))
        return tuple(year for year in range(first.year, self._last(due_at).year + 1) if year not in self.calendars)

    def _last(self, due_at: datetime) -> date:
        """The last day before an exclusive end."""
        return house_date(due_at - A_MOMENT, house=self.house)


def _dates(first: date, last: date) -> Iterator[date]:
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(ordinal)


# --- words for people -----------------------------------------------------------------------------------------------


def spoken_day(on: date, *, beside: date | None = None) -> str:
    """Write a date as people read it, `3月12日（周三）`; with the year when it is another than of the date beside it."""
    year = f"{on.year}年" if beside is not None and beside.year != on.year else ""
    return f"{year}{on.month}月{on.day}日（周{WEEKDAYS[on.weekday()]}）"


def spoken(at: datetime, *, house: House, beside: date | None = None) -> str:
    """Write the end of something as people read it: midnight is 24:00 of the day before, `3月12日（周三）24:00`."""
    return _spoken_end(in_house(at, house=house), beside)


def spoken_due(due: Due) -> str:
    """Write a due time for people: `3月12日（周三）24:00 前`, with `（暂定）` when a calendar was missing."""
    return _spoken_due(due.due_at, due.start_at.date(), due.provisional)


def english_day(on: date) -> str:
    """Write a date as people read it in English: `Wednesday 12 March 2025`."""
    return f"{ENGLISH_WEEKDAYS[on.weekday()]} {on.day} {ENGLISH_MONTHS[on.month - 1]} {on.year}"


def spoken_in_english(at: datetime, *, house: House) -> str:
    """Write the end of something as people read it in English: `24:00 on Wednesday 12 March 2025`."""
    on, hour = _end(in_house(at, house=house))
    return f"{hour} on {english_day(on)}"


def _spoken_end(at: datetime, beside: date | None) -> str:
    on, hour = _end(at)
    return f"{spoken_day(on, beside=beside)}{hour}"


def _end(at: datetime) -> tuple[date, str]:
    """The day and the hour of an exclusive end: midnight is 24:00 of the day before."""
    return (at.date() - DAY, "24:00") if at.time() == time() else (at.date(), f"{at:%H:%M}")


def _spoken_due(at: datetime, beside: date, provisional: bool) -> str:
    return marked(f"{_spoken_end(at, beside)} 前", provisional)


def marked(text: str, provisional: bool) -> str:
    """Mark a due time in words as provisional, where it is (P-05)."""
    return f"{text}（暂定）" if provisional else text


def noted(due: Due) -> dict[str, bool]:
    """Say in a journal row that its due time is provisional, where it is."""
    return {"provisional": True} if due.provisional else {}


def trace(
    due: Due,
    rule: str,
    *,
    pauses: Sequence[Pause] = (),
    extensions: Sequence[Extension] = (),
    original: Due | None = None,
) -> dict[str, Any]:
    """
    Put down why a due time is what it is, as JSON for the promise's row (design §5).

    `original` is the due time before any pause or extension; it stays visible (GEN-08).
    """
    return {
        "start": due.start_at.isoformat(),
        "limit": str(due.limit),
        "rule": rule,
        "due_at": due.due_at.isoformat(),
        "original_due_at": (original or due).due_at.isoformat(),
        "provisional": due.provisional,
        "skipped": [{"date": day.on.isoformat(), "reason": day.reason} for day in due.skipped],
        "missing": list(due.missing),
        "pauses": [
            {
                "from": p.from_at.astimezone(due.start_at.tzinfo).isoformat(),
                "until": p.until_at.astimezone(due.start_at.tzinfo).isoformat(),
                "reason": p.reason,
            }
            for p in pauses
        ],
        "extensions": [{"until": e.until_on.isoformat(), "reason": e.reason} for e in extensions],
    }


def told(trace: Mapping[str, Any], *, house: House) -> Due:
    """Read a due time back from its trace, as it stands after its pauses and extensions."""
    skipped = tuple(SkippedDay(date.fromisoformat(day["date"]), day["reason"]) for day in trace["skipped"])
    start_at, due_at = (in_house(datetime.fromisoformat(trace[name]), house=house) for name in ("start", "due_at"))
    # a date that a person gave is never provisional
    missing = tuple(trace["missing"]) if trace["provisional"] else ()
    return Due(start_at, Limit.parse(trace["limit"]), due_at, skipped, missing)


def pauses_of(trace: Mapping[str, Any]) -> list[Pause]:
    """Read the pauses of a trace."""
    return [
        Pause(datetime.fromisoformat(each["from"]), datetime.fromisoformat(each["until"]), each["reason"])
        for each in trace["pauses"]
    ]


def with_pause(told_before: Mapping[str, Any], due: Due, pause: Pause) -> dict[str, Any]:
    """Put a pause into a trace, with the due time it leads to; what was promised first stays visible (GEN-08)."""
    paused_too = trace(due, told_before["rule"], pauses=[*pauses_of(told_before), pause])
    kept = ("original_due_at", "extensions", "recounted")
    return {**paused_too, **{name: told_before[name] for name in kept if name in told_before}}


def recounted(told_before: Mapping[str, Any], *, calendars: Mapping[int, Calendar], house: House) -> dict[str, Any]:
    """
    Count a provisional due time again from its start, limit, pauses and extensions, and put down what it was (P-05).

    A trace that is not provisional stays as it is, and so does one whose years are still missing.
    """
    known = [year for year in told_before["missing"] if year in calendars]
    if not told_before["provisional"] or not known:
        return dict(told_before)
    start_at = in_house(datetime.fromisoformat(told_before["start"]), house=house)
    first = due(start_at=start_at, limit=Limit.parse(told_before["limit"]), calendars=calendars, house=house)
    found, pauses = first, pauses_of(told_before)
    if told_before["extensions"]:
        # the date that a person gave stays; what was asked after that has moved it
        last = told_before["extensions"][-1]
        given_at = datetime.fromisoformat(last.get("at", told_before["start"]))
        found = replace(first, due_at=end_of_day(date.fromisoformat(last["until"]), house=house), missing=())
        pauses = [pause for pause in pauses if pause.from_at >= given_at]
    found = paused(due=found, pauses=pauses, calendars=calendars, house=house)
    counted = trace(found, told_before["rule"], pauses=pauses_of(told_before), original=first)
    was = {"was": told_before["due_at"], "years": known}
    return {
        **counted,
        "extensions": told_before["extensions"],
        "recounted": [*told_before.get("recounted", ()), was],
    }


def explain(trace: Mapping[str, Any]) -> list[str]:
    """Tell a trace in Chinese, a line each: start, limit, days that did not count, pauses, extensions, due time."""
    start, due_at, original = (datetime.fromisoformat(trace[k]) for k in ("start", "due_at", "original_due_at"))
    beside = start.date()
    rule = f"（{trace['rule']}）" if trace["rule"] else ""
    lines = [f"起算：{start.year}年{_moment(start)}", f"时限：{Limit.parse(trace['limit']).words}{rule}"]
    if trace["skipped"]:
        lines.append(f"不计：{'、'.join(_stretches(trace['skipped'], beside))}")
    for pause in trace["pauses"]:
        from_at, until_at = datetime.fromisoformat(pause["from"]), datetime.fromisoformat(pause["until"])
        lines.append(f"暂停：{_moment(from_at, beside)} 至 {_moment(until_at, beside)}，{pause['reason']}")
    for extension in trace["extensions"]:
        until_on = date.fromisoformat(extension["until"])
        lines.append(f"延期：至 {spoken_day(until_on, beside=beside)}，{extension['reason']}")
    for recount in trace.get("recounted", ()):
        was = _spoken_due(datetime.fromisoformat(recount["was"]), beside, True)
        lines.append(f"重算：{spoken_years(recount['years'])} 年的日历已有，重算前是{was}")
    if original != due_at:
        lines.append(f"原截止：{_spoken_due(original, beside, False)}")
    lines.append(f"截止：{_spoken_due(due_at, beside, trace['provisional'])}")
    if trace["provisional"]:
        lines.append(f"暂定：没有 {spoken_years(trace['missing'])} 年的日历，按周一至周五计算")
    return lines


def spoken_years(years: Iterable[int]) -> str:
    """Write years, runs of them joined: `2027`, `2027、2029–2031`."""
    runs = [list(run) for _, run in groupby(enumerate(sorted(years)), key=lambda pair: pair[1] - pair[0])]
    return "、".join(f"{run[0][1]}–{run[-1][1]}" if len(run) > 1 else f"{run[0][1]}" for run in runs)


def _moment(at: datetime, beside: date | None = None) -> str:
    return f"{spoken_day(at.date(), beside=beside)}{at:%H:%M}"


def _stretches(skipped: Sequence[Mapping[str, str]], beside: date) -> Iterator[str]:
    """Join neighboring days that have one reason: `3月8日（周六）至 3月9日（周日）周末`."""
    days = [(date.fromisoformat(day["date"]), day["reason"]) for day in skipped]
    runs = groupby(enumerate(days), key=lambda pair: (pair[1][0].toordinal() - pair[0], pair[1][1]))
    for (_, reason), run in runs:
        ons = [day for _, (day, _) in run]
        last = f"至 {spoken_day(ons[-1], beside=beside)}" if len(ons) > 1 else ""
        yield f"{spoken_day(ons[0], beside=beside)}{last}{reason}"
