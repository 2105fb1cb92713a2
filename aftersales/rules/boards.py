"""
Boards: what a department owes at a glance, the late first; one for each department, and one for the house.

A board names instants, never how long until or since them: it changes when something happens to a case, not each
minute, so that it is written only when there is something new to read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from urllib.parse import quote
from uuid import UUID

from aftersales.rules import clocks, ladders
from aftersales.rules.clocks import Pause
from aftersales.rules.pages import Reader, cell, linked, wide
from aftersales.terms import Terms
from aftersales.words import Due, Limit, Stage, Unit, Urgency

ANY_LIMIT = Limit(1, Unit.DAY)

# how the board of the whole house is called beside those of the departments
HOUSE = ""
# the most that a board lists; what lies behind is counted
MOST = 200

UNCOUNTED, IN_TIME, CUSTOMERS = "缺日历", "还有时间", "等客户"
_PLACES = [Urgency.LATE.label, Urgency.SOON.label, UNCOUNTED, IN_TIME, CUSTOMERS]
_STAGES = [*(stage.value for stage in Stage), "outer"]


@dataclass(frozen=True, slots=True)
class Owed:
    """An open promise of a case, and the run that tells it; `lapses_at` when the case waits for its customer."""

    case_no: str
    stage: str
    owner: str
    due_at: datetime
    lapses_at: datetime | None
    rungs: int
    rung_at: datetime | None
    run_id: UUID | None
    pauses: tuple[Pause, ...] = ()
    started_at: datetime | None = None
    # the years without calendar that make its due time provisional
    missing: tuple[int, ...] = ()
    # counted with a year that has no calendar, at its due time or after it
    is_uncounted: bool = False
    operator: str = ""

    @property
    def ends_at(self) -> datetime:
        """What it is sorted by: when it is due, or when the customer's silence is an answer."""
        return self.lapses_at or self.due_at


@dataclass(frozen=True, slots=True)
class Group:
    """Open promises of one owner and stage that are equally pressing, counted; one of them stands for all."""

    owner: str
    stage: str
    count: int
    due_at: datetime
    rungs: int
    rung_at: datetime | None


def boards(
    *, groups: Sequence[Group], owed: Sequence[Owed], terms: Terms, reader: Reader, at: datetime
) -> dict[str, str]:
    """
    Write every board: by department, and `HOUSE`.

    `owed` are the most pressing of each owner, at least `MOST` where there are so many.
    """
    hand = _Hand(terms, reader, at, {})
    written = {
        code: hand.board(
            department.name,
            [group for group in groups if group.owner == code],
            [each for each in owed if each.owner == code],
        )
        for code, department in terms.house.departments.items()
    }
    return {HOUSE: hand.board("", groups, owed), **written}


def dated(board: str, *, at: datetime, reader: Reader) -> str:
    """A board with the time at which it was written, which is no part of what it says."""
    title, _, rest = board.partition("\n\n")
    return f"{title}\n\n更新于 {reader.time(at)}；每分钟核对一次，有变化才更新。\n\n{rest}"


@dataclass(frozen=True, slots=True)
class _Hand:
    """What writes the boards of one moment: many promises fall due together, and whom they tell is reckoned once."""

    terms: Terms
    reader: Reader
    at: datetime
    known: dict[tuple[str, str, datetime | None, datetime, datetime, tuple[Pause, ...], tuple[int, ...], str], str]

    def board(self, department: str, groups: Sequence[Group], owed: Sequence[Owed]) -> str:
        """Write one board; the house's has no department, and a column that names it."""
        is_house = not department
        parts = [f"# {department or '全部门'}看板", self._head(department)]
        if not groups:
            return "\n\n".join([*parts, "现在没有未办完的售后单。"])
        parts.append(self._counted(groups, is_house=is_house))
        places = {each: _PLACES.index(self._place(each)) for each in owed}
        nearest = sorted(owed, key=lambda each: (places[each], each.ends_at, each.case_no, each.stage))[:MOST]
        for title, part in groupby(nearest, key=self._place):
            rows = [self._row(each, is_house) for each in part]
            parts += [f"## {title}", "\n".join([*_columns(is_house), *rows])]
        total = sum(group.count for group in groups)
        if total > len(nearest):
            parts.append(f"共 {total} 项，只列出最急的 {len(nearest)} 项，办完一项就补上一项。")
        return "\n\n".join(parts)

    def _place(self, owed: Owed) -> str:
        """Under which heading it stands."""
        urgency = self._urgency(owed)
        if urgency is not None:
            return urgency.label
        if owed.lapses_at is not None:
            return CUSTOMERS
        return UNCOUNTED if self._waits_for_calendar(owed) else IN_TIME

    def _waits_for_calendar(self, owed: Owed) -> bool:
        """Whether the manager was told that its ladder cannot go on before a year's calendar has come (P-05)."""
        return owed.is_uncounted and owed.rung_at is None and clocks.is_overdue(due_at=owed.due_at, at=self.at)

    def _head(self, department: str) -> str:
        links = [_list(department, "本部门的待办")] if department else []
        links += [_list(each.label, f"{each.label}的单") for each in (Urgency.LATE, Urgency.SOON)]
        return f"点售后单号，在打开的页面上用 ⋮ → Resume 填表单。另见：{'、'.join(links)}。"

    def _counted(self, groups: Sequence[Group], *, is_house: bool) -> str:
        """How much there is at each stage."""
        counts: dict[tuple[str, str], dict[Urgency | None, int]] = {}
        for group in groups:
            told = counts.setdefault((group.owner, group.stage), {})
            urgency = self._urgency(group)
            told[urgency] = told.get(urgency, 0) + group.count
        order = list(self.reader.departments)
        places = sorted(
            counts,
            key=lambda place: (
                order.index(place[0]) if place[0] in order else len(order),
                place[0],
                _STAGES.index(place[1]),
            ),
        )
        lines = [
            f"| {f'{cell(self._department(owner))} | ' if is_house else ''}{_stage(stage)} | {_numbers(counts[owner, stage])} |"
            for owner, stage in places
        ]
        total: dict[Urgency | None, int] = {}
        for told in counts.values():
            for urgency, count in told.items():
                total[urgency] = total.get(urgency, 0) + count
        lines.append(f"| {'| ' if is_house else ''}**合计** | {_numbers(total)} |")
        numbers = "未办完 | 超时 | 即将超时 |"
        head = [
            f"| {'部门 | ' if is_house else ''}环节 | {numbers}",
            f"| {'--- | ' * (1 + is_house)}---: | ---: | ---: |",
        ]
        return "\n".join([*head, *lines])

    def _row(self, owed: Owed, is_house: bool) -> str:
        cells = [
            linked(owed.case_no, owed.run_id),
            *([cell(self._department(owed.owner))] if is_house else []),
            _stage(owed.stage),
            clocks.marked(self._spoken(owed.ends_at), bool(owed.missing)),
            self._next(owed),
        ]
        return f"| {' | '.join(cells)} |"

    def _next(self, owed: Owed) -> str:
        """Say when the next rung is reached, and whom it tells."""
        if owed.lapses_at is not None:
            return "到时自动结案"
        if self._waits_for_calendar(owed):
            return "缺日历，已通知售后经理"
        if owed.rung_at is None:
            return "已到最后一级" if owed.rungs else "不催办"
        # the customer's own bound is counted from the start, all else from the due time
        is_bound = any(step.at for step in self.terms.escalation.ladder(owed.stage) or ())
        started_at = owed.started_at if is_bound else None
        which = (started_at, owed.due_at, owed.rung_at, owed.pauses, owed.missing)
        place = (owed.owner, owed.stage, *which, self._agent(owed))
        if place not in self.known:
            self.known[place] = f"{self._spoken(owed.rung_at)} {self._told(owed, owed.rung_at)}".strip()
        return self.known[place]

    def _told(self, owed: Owed, rung_at: datetime) -> str:
        house = self.terms.house
        if owed.owner not in house.departments:  # it was dissolved
            return ""
        roles = ladders.told_at(
            rung_at,
            stage=owed.stage,
            # whom a rung tells does not hang on how long the window was
            due=Due(owed.started_at or owed.due_at, ANY_LIMIT, owed.due_at, missing=owed.missing),
            refund_bound=self.terms.returns.refund_bound,
            escalation=self.terms.escalation,
            calendars=self.terms.calendars,
            house=house,
            pauses=owed.pauses,
        )
        agent = self._agent(owed)
        to = [ladders.recipient(role, owner=owed.owner, agent=agent, house=house) for role in roles]
        to = [self.reader.recipient(each) for each in to]
        return cell("、".join(dict.fromkeys(to)))

    def _agent(self, owed: Owed) -> str:
        return ladders.assignee(owed.stage, owed.operator)

    def _urgency(self, promise: Owed | Group) -> Urgency | None:
        return ladders.urgency(due_at=promise.due_at, rungs=promise.rungs, rung_at=promise.rung_at, at=self.at)

    def _department(self, owner: str) -> str:
        return self.reader.departments.get(owner, owner)

    def _spoken(self, at: datetime) -> str:
        return clocks.spoken(at, house=self.terms.house)


def _columns(is_house: bool) -> list[str]:
    # Prefect gives a page half of the window: what is short must not break
    columns = [("售后单", 26), *([("部门", 14)] if is_house else []), ("环节", 10), ("截止", 8), ("下一级", 0)]
    return [f"| {' | '.join(wide(*column) for column in columns)} |", f"| {' | '.join('---' for _ in columns)} |"]


def _stage(stage: str) -> str:
    """A stage as its tag names it; the limit of the whole case is no stage."""
    return "整单时限" if stage == "outer" else Stage(stage).label


def _numbers(counts: Mapping[Urgency | None, int]) -> str:
    return " | ".join(map(str, (sum(counts.values()), counts.get(Urgency.LATE, 0), counts.get(Urgency.SOON, 0))))


def _list(tag: str, text: str) -> str:
    return f"[{text}](/v2/runs?tags={quote(tag, safe='')})"
