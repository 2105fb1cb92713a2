"""
The survey of the month: some of those who bought are asked about the shop as a whole (SVY-04).

Each has a case of its own, which ends as it begins, so that all that follows from a survey goes as after a return:
`tasks.surveys` sends it, reminds of it and ends it, and an answer opens a second revisit or a new case beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

import aftersales.terms as rulebook
from aftersales.desk.deployments import STORIES
from aftersales.rules import clocks, visits
from aftersales.rules import surveys as rules
from aftersales.store import cases, installation, journal, surveys
from aftersales.store.engine import transaction
from aftersales.store.surveys import Buyer
from aftersales.terms import Terms
from aftersales.words import Process, Stage, Surveyed
from tasks import sending
from tasks.surveys import NO_CHANNEL

RULE = "SVY-04"
# which month was asked last, by rehearsal
DRAWN = "regular-survey"


@dataclass(frozen=True, slots=True)
class Month:
    """
    Whom the night of `on` asks about the month before.

    `why_not` says why nobody is asked on a day on which somebody would be.
    """

    on: date
    buyers: Sequence[Buyer] = ()
    why_not: str = ""

    @property
    def said(self) -> str:
        """What it did, as the end of a sentence; empty when there was nothing to do."""
        if self.why_not:
            return f"；{self.on.month}月不做{Process.SURVEY.label}：{self.why_not}"
        return f"；{Process.SURVEY.label}请 {len(self.buyers)} 位客户评价" if self.buyers else ""


async def look(
    *,
    on: date,
    last: date | None,
    besides: Collection[str],
    rehearsal: str | None,
    at: datetime,
    terms: Terms,
    dry_run: bool = False,
) -> Month:
    """
    Ask whom the night of `on` draws by lot, once a month, all of them or nobody.

    `last` is the day of the round before it, None before the first; `besides` are those whom it has others call: nobody
    hears of us twice a day (FUP-11). `dry_run` writes nothing.
    """
    first = on.replace(day=1)
    async with transaction() as keeper:
        before = await installation.lock(keeper, _name(rehearsal))
        asked = date.fromisoformat(before["month"]) if before else None
        asked = asked or rules.month_before_the_first(on, last=last, terms=terms)
        if not rules.is_asked_this_month(on, asked=asked, terms=terms):
            return Month(on)
        month = Month(on)
        if terms.survey.regular.is_on:
            if rehearsal is None and not sending.known_channels().reach_customers:
                is_first = on == visits.working_day_from(first, terms=terms)
                return Month(on, why_not=NO_CHANNEL if is_first else "")
            month = Month(on, await drawn(keeper, on, besides, rehearsal=rehearsal, terms=terms))
        if not dry_run:
            await plan(keeper, month.buyers, on=on, rehearsal=rehearsal, at=at, terms=terms)
            await _keep(keeper, rehearsal, first)
        return month


async def begin(
    connection: AsyncConnection, *, on: date, last: date | None, rehearsal: str | None, terms: Terms
) -> None:
    """
    Write down, once, with which month a shop begins; in the transaction that keeps which night was done.

    Whatever happens to the night after that, a later one makes up for it.
    """
    if await installation.lock(connection, _name(rehearsal)) is None:
        await _keep(connection, rehearsal, rules.month_before_the_first(on, last=last, terms=terms))


def _name(rehearsal: str | None) -> str:
    return f"{DRAWN}:{rehearsal}" if rehearsal else DRAWN


async def _keep(connection: AsyncConnection, rehearsal: str | None, month: date) -> None:
    await installation.keep(connection, _name(rehearsal), {"month": month.isoformat()})


async def drawn(
    connection: AsyncConnection, on: date, besides: Collection[str], *, rehearsal: str | None, terms: Terms
) -> list[Buyer]:
    """Draw those whom the month's survey asks on a day; `besides` are left alone."""
    first = on.replace(day=1)
    known = sending.known_channels()
    return await surveys.buyers(
        connection,
        delivered=clocks.span(visits.months_later(first, -1), first - clocks.DAY, house=terms.house),
        day=clocks.span(on, on, house=terms.house),
        asked_since=rules.locked_since(on, terms=terms),
        # a complaint in work, too: who is angry is not asked how they like us
        processes=[*STORIES, Process.COMPLAINT],
        besides=besides,
        # a rehearsal's own receiver gets whatever is for whomever
        by_mail=bool(known.email) or rehearsal is not None,
        by_text=bool(known.sms) or rehearsal is not None,
        lot=f"{first:%Y-%m}",
        rehearsal=rehearsal,
        limit=terms.survey.regular.customers,
    )


async def plan(
    connection: AsyncConnection,
    buyers: Sequence[Buyer],
    *,
    on: date,
    rehearsal: str | None,
    at: datetime,
    terms: Terms,
) -> None:
    """Write down that they are asked, each with a case; the caller sees to it that it does so once a month."""
    terms_hash, kept = rulebook.fingerprint(terms), terms.survey.kept_of_the_month()
    await cases.keep_terms(connection, terms_hash, rulebook.dump(terms), at)
    for buyer in buyers:
        case_no = await cases.next_number(connection, prefix="DC-X" if rehearsal else "DC", on=on)
        await cases.open_case(
            connection,
            case_no=case_no,
            process=Process.SURVEY,
            order_no=buyer.order_no,
            channel=buyer.channel,
            stage=Stage.CLOSED.value,
            owner=terms.survey.owner,
            opened_at=at,
            closed_at=at,
            operator="",
            terms_hash=terms_hash,
            rehearsal=rehearsal,
            facts={"month": f"{on:%Y-%m}"},
        )
        await journal.add(
            connection,
            case_no,
            "begun",
            kind="drawn",
            at=at,
            actor="system",
            data={"order_no": buyer.order_no, "month": f"{on:%Y-%m}"},
            rule=RULE,
        )
        await journal.add(
            connection, case_no, "closed", kind="closed", at=at, actor="system", data={"stage": Stage.CLOSED.value}
        )
        await surveys.plan(
            connection,
            case_no=case_no,
            order_no=buyer.order_no,
            rehearsal=rehearsal,
            state=Surveyed.WAITING.value,
            terms=kept,
            ended_at=at,
            next_at=at,
        )
