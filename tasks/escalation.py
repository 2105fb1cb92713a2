"""
Escalation: promises whose next rung is reached, and who is told (ESC-04, ESC-05, ESC-08, ESC-09, GEN-14).

Each promise is a matter of its own, in one transaction: what was reached stands in the journal with its true time,
the notices stand in the outbox, and the promise stands at its next rung. Safe to call twice, late, or from two places.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk.leg import Leg
from aftersales.rules import clocks, ladders, lists, pages
from aftersales.rules.deliveries import CUSTOMER
from aftersales.rules.ladders import Rung
from aftersales.store import cases, rungs
from aftersales.store import lists as listed
from aftersales.store.cases import Case
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import Stage, matter
from tasks import desks, notices, outside, promises, recounts
from tasks.cases import current_terms
from tasks.recounts import Recounted

# promises that one question to the database names
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """What one recipient is told about a promise: the last rung for them, and all that were reached together."""

    to: str
    rung: Rung
    subject: str
    body: str
    short: str = ""
    withdrawn: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One promise that has climbed: what was reached, and what is told of it (`failed`: why nothing could be)."""

    case_no: str
    stage: str
    owner: str
    due_at: datetime | None = None
    provisional: bool = False
    reached: tuple[Rung, ...] = ()
    notices: tuple[Notice, ...] = ()
    failed: str = ""

    def by_rung(self, reader: pages.Reader, terms: Terms) -> list[str]:
        """What each rung that somebody is told of is, for when, and whom it tells: `超时 3月19日（周三）24:00：售后服务部`."""
        told: dict[tuple[datetime, str], list[str]] = {}
        for notice in self.notices:
            whom = reader.recipient(notice.to) + (f"（不发：{notice.withdrawn}）" if notice.withdrawn else "")
            told.setdefault((notice.rung.at, self._kind(notice.rung)), []).append(whom)
        return [
            f"{kind} {clocks.spoken(at, house=terms.house)}：{'、'.join(whom)}"
            for (at, kind), whom in sorted(told.items())
        ]

    def _kind(self, rung: Rung) -> str:
        if rung.name in (ladders.REMINDER, ladders.PROVISIONAL):
            return ladders.called(rung)
        return "升级" if self.due_at is not None and rung.at > self.due_at else "超时"

    def due_of(self, rung: Rung) -> datetime:
        """What a rung says has passed: what was promised here, or what the customer was told (AMB-13)."""
        assert self.due_at is not None
        return rung.at if rung.is_bound else self.due_at

    def data(self, notice: Notice, terms: Terms, at: datetime) -> dict[str, str]:
        """
        What the sender needs to name the delay anew, for it may send much later (P-10), and to make a digest of it.

        Nothing is late by a due time that is provisional.
        """
        due_at, found = self.due_of(notice.rung), dict[str, str]()
        if notice.to != CUSTOMER:
            found["due"] = clocks.marked(clocks.spoken(due_at, house=terms.house), self.provisional)
            if missed := _missed(self.reached, terms):
                found["missed"] = missed
        if notice.rung.name != ladders.PROVISIONAL and clocks.is_overdue(due_at=due_at, at=at):
            found |= {"late": pages.spoken_delay(due_at, at), "due_at": due_at.isoformat()}
        return found


@dataclass
class Round:
    """What one look has told, and before that has counted again."""

    told: list[Told] = field(default_factory=list)
    recounted: list[Recounted] = field(default_factory=list)

    @property
    def failed(self) -> list[Told]:
        """What could not be told, to be tried again by the next look."""
        return [each for each in self.told if each.failed]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """What people read of it: case, what is owed, by when, and who is told."""
        terms = current_terms()
        reader = desks.reader(terms)
        return [(each.case_no, matter(each.stage), each.due, each.said) for each in self.recounted] + [
            (each.case_no, "", "", f"出错：{each.failed}")
            if each.due_at is None
            else (
                each.case_no,
                matter(each.stage),
                clocks.marked(clocks.spoken(each.due_at, house=terms.house), each.provisional),
                "；".join(each.by_rung(reader, terms)),
            )
            for each in self.told
        ]

    @property
    def page(self) -> str:
        """What was told, as a page."""
        rows = [f"| {' | '.join(map(pages.cell, row))} |" for row in self.rows()]
        return "\n".join(["# 超时巡检", "", "| 售后单 | 环节 | 截止 | 通知 |", "| --- | --- | --- | --- |", *rows])


async def look(
    *,
    rehearsal: str | None = None,
    at: datetime | None = None,
    dry_run: bool = False,
    being_told: Callable[[Collection[str]], Awaitable[set[str]]] | None = None,
) -> Round:
    """
    Tell everybody who is to be told at `at` (now), each promise in a transaction of its own.

    `being_told` picks those cases whose story is being told right now: what somebody has just submitted may be what is
    waited for, so that the next look decides.

    `rehearsal` names the rehearsal whose cases and clock are meant, None the real ones; `dry_run` only says what would
    be told. One that fails is reported, stops nothing, and is tried again by the next look.

    What a calendar has come for is counted again first: who is to be told follows from it (P-05).
    """
    found = Round()
    at = at or clock.now()
    if not dry_run:
        for each in await recounts.look(rehearsal=rehearsal, at=at):
            if each.failed:
                found.told.append(Told(each.case_no, "", "", failed=each.failed))
            else:
                found.recounted.append(each)
    after: rungs.Place | None = None
    while True:
        async with transaction() as connection:
            reached = await rungs.reached(connection, at=at, rehearsal=rehearsal, after=after, limit=AT_ONCE)
        busy = await being_told({case_no for case_no, _ in reached}) if being_told and reached else set()
        for case_no, (_, promise_id) in reached:
            if case_no in busy:
                continue
            try:
                told = await _climb(case_no, promise_id, at, dry_run=dry_run)
            except Exception as error:  # one bad item stops nothing
                told = Told(case_no, "", "", failed=str(error) or type(error).__name__)
            if told is not None and (told.reached or told.failed):
                found.told.append(told)
        if len(reached) < AT_ONCE:
            return found
        after = reached[-1][1]


async def _climb(case_no: str, promise_id: int, at: datetime, *, dry_run: bool) -> Told | None:
    """Let one promise climb to where it stands at `at`; None when it ended or climbed meanwhile."""
    async with transaction() as connection:
        case, terms = await outside.found(connection, case_no)
        if not dry_run:
            await cases.lock(connection, case_no)
        promise = await rungs.find(connection, promise_id, at=at)
        if promise is None:
            return None
        due = promises.owed(promise, house=terms.house)
        pauses = clocks.pauses_of(promise["trace"])
        ladder = promises.rungs(terms, stage=promise["stage"], due=due, lapses_at=promise["lapses_at"], pauses=pauses)
        left = ladders.left(ladder, told=promise["told"])
        reached = tuple(rung for rung in left if rung.at <= at)
        told = Told(case_no, promise["stage"], promise["owner"], due.due_at, due.provisional, reached)
        if reached:
            told = _tell(told, case, terms, at)
        if not dry_run:
            await _write(connection, Leg(driver=None, case=case, terms=terms), promise, told, at)  # type: ignore[arg-type]
            behind = [*promise["told"], *(rung.name for rung in reached)]
            ahead = left[len(reached) :]
            await rungs.climb(
                connection,
                promise_id,
                told=behind,
                rung_at=ahead[0].at if ahead else None,
                calendars=promises.counted_with(terms, due, ladder, lapses_at=promise["lapses_at"]),
                # what follows the breach makes it no later than late
                retags=any(rung.at <= due.due_at and rung.name != ladders.PROVISIONAL for rung in reached),
            )
            if promise["stage"] == Stage.VISIT:
                on = lists.due_day(promise["due_at"], terms=terms)
                await listed.climbed(connection, case_no, due_on=on, told=behind)
        return told


def _tell(told: Told, case: Case, terms: Terms, at: datetime) -> Told:
    """Say what each recipient is told: one message each, about the last rung that concerns them."""
    assert told.due_at is not None
    house, is_late = terms.house, clocks.is_overdue(due_at=told.due_at, at=at)
    agent = ladders.assignee(told.stage, case.operator)
    last: dict[tuple[str, str], Rung] = {}
    for rung in told.reached:
        for role in rung.tell:
            withdrawn = ladders.OVERTAKEN if rung.name == ladders.REMINDER and is_late else ""
            last[ladders.recipient(role, owner=told.owner, agent=agent, house=house), withdrawn] = rung
    values = {
        "case_no": case.case_no,
        # a list of visits is about many orders
        "order_no": case.order_no or ("见清单" if house.language == "zh" else "see the list"),
        "stage": matter(told.stage),
        "owner": desks.reader(terms).recipient(f"department:{told.owner}"),
        "missed": f"（此前应已通知、没有及时发出的：{missed}）" if (missed := _missed(told.reached, terms)) else "",
        "years": clocks.spoken_years({year for rung in told.reached for year in rung.missing}),
    }

    def notice(to: str, rung: Rung, withdrawn: str) -> Notice:
        due_at, words = told.due_of(rung), terms.notices[rung.notice]
        said = values | {
            "due": clocks.marked(clocks.spoken(due_at, house=house), told.provisional),
            "late": pages.spoken_delay(due_at, at),
        }
        return Notice(to, rung, *words.render(said), words.render_short(said), withdrawn)

    return replace(told, notices=tuple(notice(to, rung, withdrawn) for (to, withdrawn), rung in last.items()))


def _missed(reached: Sequence[Rung], terms: Terms) -> str:
    """Name the rungs behind the last one that were reached together with it, because nobody looked in time."""
    return "、".join(
        f"{clocks.spoken(rung.at, house=terms.house)} {ladders.called(rung)}"
        for rung in reached
        if rung.at < reached[-1].at and rung.name != ladders.REMINDER
    )


async def _write(connection: AsyncConnection, leg: Leg, promise: Mapping[str, Any], told: Told, at: datetime) -> None:
    """Put what was reached into the journal, and what is told of it into the outbox."""
    assert leg.case is not None
    assert leg.terms is not None
    # whoever got more time climbs a ladder of its own
    again = promises.again(promise["trace"])
    for rung in told.reached:
        await leg.note(
            connection,
            f"{promise['entry']}.{rung.name}{again}",
            kind="rung",
            at=at,
            due_at=rung.at,
            rule=rung.rule,
            data={
                "stage": told.stage,
                "rung": rung.name,
                "reached": clocks.spoken(rung.at, house=leg.terms.house),
                "told": [each.to for each in told.notices if each.rung is rung and not each.withdrawn],
                **({"provisional": True} if rung.missing else {}),
            },
        )
        if rung.name != ladders.REMINDER:
            await notices.withdraw(
                connection,
                leg.case.case_no,
                promise["entry"],
                rung=f"{ladders.REMINDER}{again}",
                notices=leg.terms.escalation.notices,
                reason=ladders.OVERTAKEN,
                at=at,
            )
    for each in told.notices:
        await notices.put(
            connection,
            leg,
            each.rung.notice,
            f"{promise['entry']}.{each.rung.name}{again}",
            to=each.to,
            subject=each.subject,
            body=each.body,
            data={**told.data(each, leg.terms, at), **({"short": each.short} if each.short else {})},
            withdrawn=each.withdrawn,
        )
