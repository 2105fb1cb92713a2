"""The figures of follow-up: read at one moment, and the page that tells them at the desk (KPI-09, KPI-40, KPI-41, KPI-44)."""

from __future__ import annotations

from datetime import date

from prefect.client.orchestration import PrefectClient
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk import links, runs
from aftersales.rules import clocks
from aftersales.rules import figures as rules
from aftersales.rules.figures import Figures
from aftersales.store import installation
from aftersales.store.engine import transaction
from tasks import desks, surveys, visits
from tasks.cases import current_terms


async def followup(*, since: date | None = None, until: date | None = None) -> Figures:
    """The figures of a period, both days included; of the last weeks unless it is named."""
    async with transaction() as connection:
        return await _read(connection, since, until)


async def refresh(client: PrefectClient, *, anew: bool = False) -> bool:
    """Bring the page of the last weeks up to date, if it says something new, or `anew` in any case; True when written."""
    async with transaction() as connection:
        # before anything is read, so that who writes later has read later
        await installation.lock(connection, f"page:{links.FIGURES}")
        page = rules.page(await _read(connection, None, None), plot=links.plot())
        text = rules.dated(page, at=clock.now(), reader=desks.reader(current_terms()))
        return await runs.renew(connection, client, links.FIGURES, says=page, text=text, anew=anew)


async def refresh_from_outside() -> bool:
    """Bring the page up to date from a command; True when it was written. Raises Unable without Prefect."""
    async with runs.from_outside() as client:
        return await refresh(client)


async def _read(connection: AsyncConnection, since: date | None, until: date | None) -> Figures:
    terms = current_terms()
    first, today = rules.last_weeks(clocks.house_date(clock.now(), house=terms.house))
    period = {"since": since or first, "until": until or today}
    visited = await visits.counted(connection, **period)
    surveyed = await surveys.counted(connection, **period)
    return rules.gathered(visited, surveyed, **period, staff=terms.staff())
