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
from aftersales.store import cases, journal, surveys
from aftersales.store.surveys import Buyer
from aftersales.terms import Terms
from aftersales.words import Process, Stage, Surveyed
from tasks import sending
from tasks.surveys import NO_CHANNEL

RULE = "SVY-04"


@dataclass(frozen=True, slots=True)
class Month:
    """Whom a night asks about the month before; `why_not` says why nobody is asked on a day on which somebody would be."""

    buyers: Sequence[Buyer] = ()
    why_not: str = ""

    @property
    def said(self) -> str:
        """What it did, as the end of a sentence; empty when there was nothing to do."""
        if self.why_not:
            return f"；本月不做{Process.SURVEY.label}：{self.why_not}"
        return f"；{Process.SURVEY.label}请 {len(self.buyers)} 位客户评价" if self.buyers else ""


async def drawn(
    connection: AsyncConnection,
    *,
    on: date,
    last: date | None,
    besides: Collection[str],
    rehearsal: str | None,
    at: datetime,
    terms: Terms,
) -> Month:
    """
    Draw by lot whom the night of `on` asks; `last` is the day of the round before it, None before the first.

    `besides` are those whom it has others call: nobody hears of us twice a day (FUP-11).
    """
    regular = terms.survey.regular
    if not regular.is_on or not rules.is_asked_this_month(on, last=last, terms=terms):
        return Month()
    if rehearsal is None and not sending.known_channels().reach_customers:
        return Month(why_not=NO_CHANNEL)
    first = on.replace(day=1)
    month = visits.months_later(first, -1)
    buyers = await surveys.buyers(
        connection,
        delivered=clocks.span(month, first - clocks.DAY, house=terms.house),
        asked_since=rules.locked_since(at, terms=terms),
        processes=list(STORIES),
        besides=besides,
        lot=f"{first:%Y-%m}",
        rehearsal=rehearsal,
        limit=regular.customers,
    )
    return Month(buyers)


async def plan(
    connection: AsyncConnection, month: Month, *, on: date, rehearsal: str | None, at: datetime, terms: Terms
) -> None:
    """Write down that those who were drawn are asked, each with a case; the caller sees to it that it does so once a month."""
    if not month.buyers:
        return
    terms_hash, kept = rulebook.fingerprint(terms), terms.survey.kept_of_the_month()
    await cases.keep_terms(connection, terms_hash, rulebook.dump(terms), at)
    for buyer in month.buyers:
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
