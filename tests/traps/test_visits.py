"""Lists of visits on a real desk: one run a list, a form for each call, and the end of a day (FUP-10, FUP-12, ESC-10)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from aftersales.rules import visits as calendar
from aftersales.rules.lists import NEXT
from aftersales.store.engine import transaction
from aftersales.terms import load
from aftersales.words import Stage
from tasks import reconcile, records, visits
from tests import builders
from tests.traps.conftest import Desk, Run
from tests.visiting import a_case, a_visit, rows

TERMS = load()


@pytest.fixture
def days() -> tuple[date, date]:
    """A working day, today or later, and the next one."""
    today = builders.today()
    first = calendar.day_after(today - timedelta(days=1), NEXT, terms=TERMS)
    return first, calendar.day_after(first, NEXT, terms=TERMS)


async def opened(desk: Desk, on: date) -> tuple[visits.Opened, list[Run]]:
    """Open lists as the nightly round does; answers their runs too."""
    async with transaction() as connection:
        told = await visits.open_lists(connection, on)
    await visits.set_going(told)
    async with transaction() as connection:
        query = text("select run_id from runs where case_no = any(:lists) order by case_no")
        found = await connection.scalars(query, {"lists": told.opened})
        return told, [Run(desk.client, run_id) for run_id in found]


def filled(form: dict[str, Any], choice: str) -> dict[str, Any]:
    """What somebody fills into a list's form who did not reach a customer."""
    drawn = {name: field["default"] for name, field in form["properties"].items() if "default" in field}
    (visit,) = [each for each in form["properties"]["visit"]["enum"] if choice in each]
    return {**drawn, "operator": "C07 王小明", "visit": visit, "outcome": "未联系上"}


async def test_fup10_one_run_a_list_each_call_a_form_and_the_days_end_completes_it(
    staffed: Desk, days: tuple[date, date]
):
    today, tomorrow = days
    long_ago = (today - timedelta(days=5)).isoformat()
    await a_visit("O1", due=long_ago)
    await a_visit("O2", due=today.isoformat(), customer="U2")
    await a_visit("O3", due=today.isoformat(), customer="U3")
    told, (run,) = await opened(staffed, today)

    # --- the overdue customer first, the run tagged as late and by its agent (ESC-04, ESC-10)
    await run.at("visit-0-1")
    (list_no,) = told.opened
    seen = await run.seen()
    assert seen.name == f"回访 {list_no} 待回访"
    assert {"超时", "C07 王小明", "回访", "待回访", "客户服务部", list_no} == set(seen.tags or [])
    page = await run.page()
    assert page.index("O1") < page.index("O2")
    assert "10212345678" not in page

    # --- a call in vain; the run goes on with its next form, no longer late
    status, reason = await run.submit(filled(await run.form(), "O1"))
    assert status == "ACCEPT", reason
    await run.at("visit-1-1")
    assert "超时" not in ((await run.seen()).tags or [])
    assert [each.split()[1] for each in (await run.form())["properties"]["visit"]["enum"]] == ["O2", "O3"]

    # --- a run that somebody cancels comes back: nothing of a list is taken back
    await staffed.client.request("POST", "/flow_runs/{id}/set_state", path_params={"id": run.run_id}, json={
        "state": {"type": "CANCELLED"}, "force": True,
    })  # fmt: skip
    found = await reconcile.look(staffed.client)
    assert [finding.done for finding in found.findings] == ["这种单不能取消，已恢复运行"]
    await run.at("visit-1")

    # --- the day is over: the run ends, what is left stands on the next list, in its run
    told, (following,) = await opened(staffed, tomorrow)
    assert told.ended == [list_no]
    await run.ends()
    assert (await run.case()).stage is Stage.CLOSED
    await following.at("visit-0-1")
    assert [row.list_no for row in await rows("order_no in ('O2', 'O3')")] == [await following.case_no()] * 2


async def test_a_list_that_prefect_did_not_hear_of_gets_its_run_from_the_round(staffed: Desk, days: tuple[date, date]):
    await a_visit("O1", due=days[0].isoformat())
    async with transaction() as connection:
        told = await visits.open_lists(connection, days[0])

    found = await reconcile.look(staffed.client)

    assert found.findings == []
    async with transaction() as connection:
        query = text("select run_id from runs where case_no = :c")
        run = Run(staffed.client, await connection.scalar(query, {"c": told.opened[0]}))
    await run.at("visit-0-1")


async def test_fup11_who_is_not_to_be_called_any_more_leaves_the_form_that_stands_open(
    staffed: Desk, days: tuple[date, date], monkeypatch: pytest.MonkeyPatch
):
    """A case that is opened by the minute's round, a wish at once; the last one's list ends."""
    monkeypatch.setenv("PREFECT_API_URL", str(staffed.client.api_url))
    await a_visit("O1", due=days[0].isoformat())
    await a_visit("O2", due=days[0].isoformat(), customer="U2")
    _, (run,) = await opened(staffed, days[0])
    await run.at("visit-0-1")

    await a_case("RT-1", "O1")
    found = await reconcile.look(staffed.client)
    assert [(each.found, each.done) for each in found.findings if each.case_no == await run.case_no()] == [
        ("O1：有未办完的售后单，办完后再排", "已移出清单")
    ]
    await run.at("visit-0-2")
    assert [each.split()[1] for each in (await run.form())["properties"]["visit"]["enum"]] == ["O2"]
    assert "O1" not in await run.page()

    await records.calls("O2", operator="C08", is_out=True)
    await run.ends()
    assert (await run.case()).stage is Stage.CLOSED
