"""The page of follow-up's figures on the desk: what commands say, with a link to the plot, written when it says something new."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from aftersales import clock
from aftersales.desk import links
from aftersales.rules.figures import HEADS
from aftersales.store.engine import transaction
from tasks import figures, rounds
from tests.steps.conftest import aftersales, home
from tests.steps.test_figures import a_survey, settle
from tests.traps.conftest import Desk
from tests.traps.test_boards import versions
from tests.visiting import a_visit, sell

__all__ = ["aftersales", "home"]


async def a_past() -> int:
    """A week ago two visits were due, one of which was made; a survey was answered. Answers the number of the other."""
    ago = clock.now() - timedelta(days=7)
    made, left = await a_visit("O1"), await a_visit("O2", customer="U2", agent="C02")
    for number, done in ((made, ago), (left, None)):
        await settle(number, promised=ago.date() + timedelta(days=1), done=done)
    await sell("D1", ordered="2025-03-01", delivered="2025-03-04")
    await a_survey("RT-1", sent=ago, score=4)
    return left


def tables(page: str) -> dict[str, list[list[str]]]:
    """What the tables below each heading say of a row, one beside the other, without their own heads."""
    found: dict[str, list[list[str]]] = {}
    for part in page.split("\n## ")[1:]:
        said: dict[str, list[str]] = {}
        for table in part.split("\n### ")[1:]:
            for line in [line for line in table.splitlines() if line.startswith("|")][2:]:
                name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
                said.setdefault(name, [name]).extend(cells)
        found[part.partition("\n")[0]] = list(said.values())
    return found


async def test_the_page_says_what_the_command_says_and_leads_to_the_plot(desk: Desk, aftersales: Any):
    await a_past()

    await rounds.follow_up()

    (page,) = await versions(desk, links.FIGURES)
    assert page.description == "回访和满意度"
    assert f"[看图]({links.plot()})" in str(page.data) and links.plot().endswith("/figures/followup.svg")
    shown = tables(str(page.data))
    for heading, by in (("按周（从周一起）", "week"), ("按小组", "team"), ("按客服", "agent")):
        words = () if by == "week" else ("--by", by)
        told = await aftersales("figures", "followup", *words, "--format", "json")
        assert shown[heading] == [[row[name] for name in (by, *HEADS)] for row in told.data]
    assert shown["按客服"][-1][1:7] == ["2", "1", "0", "1", "0", "50.0"]


async def test_the_page_is_written_when_it_says_something_new_and_only_then(desk: Desk):
    left = await a_past()

    written = [await figures.refresh(desk.client), await figures.refresh(desk.client)]
    (was,) = await versions(desk, links.FIGURES)
    await rounds.follow_up()
    (still,) = await versions(desk, links.FIGURES)
    await settle(left, promised=(clock.now() - timedelta(days=7)).date(), done=clock.now())
    changed = await figures.refresh(desk.client)
    (now,) = await versions(desk, links.FIGURES)

    assert written == [True, False] and still == was and changed
    assert now.id == was.id and now.data != was.data


async def test_the_page_comes_back_when_it_is_wanted(desk: Desk):
    await figures.refresh(desk.client)
    (old,) = await versions(desk, links.FIGURES)
    await desk.client.request("DELETE", "/artifacts/{id}", path_params={"id": str(old.id)})

    assert await figures.refresh(desk.client) is False
    assert await figures.refresh(desk.client, anew=True)
    assert len(await versions(desk, links.FIGURES)) == 1


async def test_rounds_and_commands_at_once_write_one_page(desk: Desk):
    async with transaction() as connection:
        await connection.execute(text("delete from settings where name = 'page:figures-followup'"))

    written = await asyncio.gather(*(figures.refresh(desk.client) for _ in range(4)))

    assert sorted(written) == [False, False, False, True]
    assert len(await versions(desk, links.FIGURES)) == 1
