"""
Figures of follow-up: how visits were kept, how satisfied customers are, who was won back (KPI-09, KPI-40, KPI-41, KPI-44).

Counted are days of the house; a week begins on Monday. What is added up here is read by commands, the page and the plot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from aftersales.rules.pages import Reader, cell
from aftersales.words import Outcome, Process, Staff

WEEK = timedelta(days=7)
# how many weeks the page and the plot show unless somebody asks for others, and the most that a plot shows
WEEKS, MOST_WEEKS = 12, 53
HUNDREDTH = Decimal("0.01")
TOTAL, NO_TEAM = "合计", "未分组"
BY_AGENT, BY_TEAM = "agent", "team"

TITLE = "回访和满意度"
# what a line tells, in order
HEADS = {
    "due": "应回访", "in_time": "按时完成", "late": "逾期完成", "overdue": "逾期未完成", "pending": "未到期",
    "completion": "完成率（%）", "sent": "调查送达", "answered": "已评价", "response_rate": "回复率（%）",
    "csat": "平均分（5 分制）", "good_share": "4–5 分（%）", "revisits": "二次回访", "revisits_ended": "其中已结束",
    "recovered": "客户满意", "recovery_rate": "挽回率（%）",
}  # fmt: skip
# in a narrow page of the desk all of them in one row break within words
TABLES = {
    "回访": ("due", "in_time", "late", "overdue", "pending", "completion"),
    "满意度": ("sent", "answered", "response_rate", "csat", "good_share"),
    "二次回访": ("revisits", "revisits_ended", "recovered", "recovery_rate"),
}


# --- what is added up -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of visits that were due, to be added up (KPI-40)."""

    due: int = 0
    in_time: int = 0
    late: int = 0
    overdue: int = 0  # not done, and their day is over
    pending: int = 0  # not done, and their day is not over
    not_reached: int = 0
    problems: int = 0

    def __add__(self, other: Kept) -> Kept:
        """Add up, field by field."""
        return Kept(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(Kept)})

    @property
    def completion(self) -> Decimal | None:
        """Per cent that were done by their due day, of those whose day is over or that are done; None when none is (KPI-40)."""
        return per_cent(self.in_time, self.due - self.pending)


def kept(*, due_on: date, done_on: date | None, outcome: str, today: date, count: int = 1) -> Kept:
    """
    Tell what became of some visits that were first due on a day: done by its end, later, or not yet (KPI-40).

    One that was moved to the next list stays due when it was. What is not done is held against nobody while its day lasts.
    """
    if done_on is None:
        return Kept(due=count, pending=count) if today <= due_on else Kept(due=count, overdue=count)
    is_in_time = done_on <= due_on
    return Kept(
        due=count,
        in_time=count * is_in_time,
        late=count * (not is_in_time),
        not_reached=count * (outcome == Outcome.NOT_REACHED),
        problems=count * (outcome == Outcome.PROBLEM),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of surveys and of second revisits, to be added up (KPI-09, KPI-41, KPI-44)."""

    sent: int = 0
    by_phone: int = 0  # of those sent: handed to staff, since the customer has no channel
    answered: int = 0
    points: Decimal = Decimal(0)
    good: int = 0
    dissatisfied: int = 0
    other_need: int = 0
    recommended: int = 0
    promoters: int = 0
    detractors: int = 0
    revisits: int = 0
    revisits_ended: int = 0
    recovered: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Add up, field by field."""
        return Tally(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(Tally)})

    @property
    def csat(self) -> Decimal | None:
        """The mean score of what was answered, on five; None when nothing was (KPI-09, SVY-07)."""
        return (self.points / self.answered).quantize(HUNDREDTH, ROUND_HALF_UP) if self.answered else None

    @property
    def good_share(self) -> Decimal | None:
        """Per cent of the answers that are 4 or 5 (KPI-09)."""
        return per_cent(self.good, self.answered)

    @property
    def response_rate(self) -> Decimal | None:
        """Per cent of the surveys sent that were answered; one that has expired was sent (KPI-44)."""
        return per_cent(self.answered, self.sent)

    @property
    def nps(self) -> Decimal | None:
        """Per cent of promoters less per cent of detractors; None when nobody was asked to recommend us (AMB-31)."""
        return per_cent(self.promoters - self.detractors, self.recommended)

    @property
    def recovery_rate(self) -> Decimal | None:
        """Per cent of the second revisits that have ended which ended satisfied (KPI-41)."""
        return per_cent(self.recovered, self.revisits_ended)


def per_cent(part: int, whole: int) -> Decimal | None:
    """Tell a share in per cent, to a tenth; None of nothing."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1"), ROUND_HALF_UP) if whole else None


# --- periods --------------------------------------------------------------------------------------------------------


def week(on: date) -> date:
    """Tell the Monday of a day's week."""
    return on - timedelta(days=on.weekday())


def weeks(since: date, until: date) -> list[date]:
    """Name every week of a period by its Monday: one in which nothing happened too."""
    first = week(since)
    return [first + number * WEEK for number in range((week(until) - first) // WEEK + 1)]


def last_weeks(today: date) -> tuple[date, date]:
    """Tell the period that the page and the plot show by themselves: this week and those before it."""
    return week(today) - (WEEKS - 1) * WEEK, today


# --- by week, team and agent ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of a week, a team, an agent, or of all."""

    name: str
    kept: Kept = field(default_factory=Kept)
    tally: Tally = field(default_factory=Tally)

    @property
    def cells(self) -> dict[str, str]:
        """What the line tells, by column; empty where nothing can be told."""
        values = {name: getattr(self.kept if hasattr(self.kept, name) else self.tally, name) for name in HEADS}
        return {name: "" if value is None else str(value) for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a period."""

    since: date
    until: date
    weeks: Sequence[Line]
    teams: Sequence[Line]
    agents: Sequence[Line]
    total: Line


Visited = Iterable[tuple[str, date, Kept]]
Surveyed = Iterable[tuple[str, date, Tally]]


def group(who: str, by: str, *, staff: Mapping[str, Staff]) -> str:
    """
    Name the group that somebody's figures belong to: themselves, their team as it is today, or all.

    What follows from the month's survey is nobody's (SVY-04).
    """
    person = staff.get(who)
    match by:
        case "agent":
            return person.choice if person else who or Process.SURVEY.label
        case "team":
            return (person.team if person else "") or (NO_TEAM if who else Process.SURVEY.label)
    return TOTAL


def gathered(visited: Visited, surveyed: Surveyed, *, since: date, until: date, staff: Mapping[str, Staff]) -> Figures:
    """Add up what was counted by person and day: by week, by team, by agent and in all."""
    visited, surveyed = list(visited), list(surveyed)
    days: dict[str, Line] = {monday.isoformat(): Line(monday.isoformat()) for monday in weeks(since, until)}
    teams: dict[str, Line] = {}
    agents: dict[str, Line] = {}
    total = Line(TOTAL)
    parts: list[tuple[str, date, Kept, Tally]] = [
        *((who, on, kept, Tally()) for who, on, kept in visited),
        *((who, on, Kept(), tally) for who, on, tally in surveyed),
    ]
    for who, on, visits, tally in parts:
        for lines, name in (
            (days, week(on).isoformat()),
            (teams, group(who, BY_TEAM, staff=staff)),
            (agents, group(who, BY_AGENT, staff=staff)),
        ):
            before = lines.get(name, Line(name))
            lines[name] = Line(name, before.kept + visits, before.tally + tally)
        total = Line(TOTAL, total.kept + visits, total.tally + tally)

    def ordered(lines: Mapping[str, Line]) -> list[Line]:
        return [lines[name] for name in sorted(lines)]

    return Figures(since, until, ordered(days), ordered(teams), ordered(agents), total)


# --- the page -------------------------------------------------------------------------------------------------------


def page(figures: Figures, *, plot: str) -> str:
    """Write the page of the last weeks, with a link to the plot."""
    parts = [
        f"# {TITLE}",
        f"最近 {WEEKS} 周，从 {figures.since} 起；演练不计。[看图]({plot})",
    ]
    groups = (
        ("按周（从周一起）", "周", figures.weeks),
        ("按小组", "小组", figures.teams),
        ("按客服", "客服", figures.agents),
    )
    for title, head, lines in groups:
        parts.append(f"## {title}")
        if not lines:
            parts.append("还没有数据。")
            continue
        for about, names in TABLES.items():
            parts += [f"### {about}", _table(head, names, lines, figures.total)]
    parts.append(
        "完成率 = 按时完成 ÷（应回访 − 未到期）。回访按最初排定的那天，满意度按送达客户的日期，二次回访按建立的日期；"
        "没有评价的只计入回复率。别的日期用 aftersales figures followup 查看。"
    )
    return "\n\n".join(parts) + "\n"


def dated(text: str, *, at: datetime, reader: Reader) -> str:
    """The page with the time at which it was written, which is no part of what it says."""
    title, _, rest = text.partition("\n\n")
    return f"{title}\n\n更新于 {reader.time(at)}；每天凌晨核对一次，有变化才更新。\n\n{rest}"


def _table(head: str, names: Sequence[str], lines: Sequence[Line], total: Line) -> str:
    rows = [[cell(line.name), *(line.cells[name] for name in names)] for line in (*lines, total)]
    return "\n".join(
        [
            f"| {' | '.join([head, *(HEADS[name] for name in names)])} |",
            f"| --- |{' ---: |' * len(names)}",
            *(f"| {' | '.join(row)} |" for row in rows),
        ]
    )
