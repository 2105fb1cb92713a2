"""
A list of visits as an agent works it: in Prefect's UI, one customer after the other (FUP-10, FUP-12, NTC-21).

The list is opened as the nightly round does; everything else happens on the running stack.
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import date

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from aftersales.rules import visits as calendar
from aftersales.store import engine
from aftersales.terms import load
from tasks import visits
from tests import builders
from tests.browser import ui
from tests.browser.person import PATIENCE, Desk

# what an agent does with a list is seen by the walk of following up too
pytestmark = [pytest.mark.browser, pytest.mark.stack, pytest.mark.soak]

# three orders of the sample shop
ORDERS = ("D100010", "D100011", "D100012")
CODES = re.compile(r"customer_service|not_reached|purchase|NTC-|\\[*_|#]|None|undefined")


def working_day() -> date:
    """The next day on which visits are made."""
    terms = load()
    today = builders.today()
    return (
        today if calendar.is_working(today, terms=terms) else calendar.day_after(today, visits.lists.NEXT, terms=terms)
    )


async def open_list(database_url: str, on: date) -> str:
    """Plan a visit of each order for C07 and open the list, as the nightly round does."""
    with psycopg.connect(database_url) as connection:
        for order_no in ORDERS:
            connection.execute(
                "insert into visits (key, kind, order_no, customer_id, owner, agent, due_on, rule, created_at)"
                " select 'purchase:' || order_no, 'purchase', order_no, customer_id, 'customer_service', 'C07', %s,"
                " 'FUP-01', now() from orders where order_no = %s",
                (on, order_no),
            )
    engine.connect(database_url)
    try:
        async with engine.transaction() as connection:
            told = await visits.open_lists(connection, on)
        await visits.set_going(told)
    finally:
        await engine.disconnect()
    (list_no,) = told.opened
    return list_no


async def run_of(database_url: str, list_no: str) -> str:
    """The run that tells a list, begun at once or by the reconciling round."""
    until = time.monotonic() + 3 * PATIENCE
    while time.monotonic() < until:
        with psycopg.connect(database_url, row_factory=namedtuple_row) as connection:
            found = connection.execute("select run_id from runs where case_no = %s", (list_no,)).fetchone()
        if found is not None:
            return str(found.run_id)
        await asyncio.sleep(0.5)
    raise AssertionError(f"{list_no} has no run")


async def test_an_agent_works_a_list_of_visits(browser, stack, album, monkeypatch):
    at = stack.stack
    monkeypatch.setenv("PREFECT_API_URL", at.api_url)
    list_no = await open_list(at.database_url, working_day())
    run = await run_of(at.database_url, list_no)
    desk = await Desk.open(browser, ui_url=at.ui_url, api_url=at.api_url, album=album)
    assert await desk.until(run, "待回访") == f"回访 {list_no} 待回访"

    # --- the list stands above the form, masked; nobody and nothing is chosen yet (GEN-10)
    form = await desk.form(run)
    page = await desk.summary(form)
    assert f"{list_no} 待回访（C07 王小明）" in page
    assert "还有 3 位" in page
    for order_no in ORDERS:
        assert re.search(rf"{order_no}\s+\S\*+\s+102\*{{4}}\d{{4}}\s+新购回访", page), page
    assert not CODES.search(page), page
    offered = await ui.choices(desk.page, form, "回访对象")
    assert [choice.split()[1] for choice in offered] == list(ORDERS)
    assert await ui.choices(desk.page, form, "回访结果") == ["已联系上", "未联系上", "发现问题", "不再回访"]
    assert await ui.shown(form, "回访结果") == "Select"

    # --- a problem without its kind is refused, the form stays open; then it is recorded
    await ui.fill(
        form, {"操作人": "C07 王小明", "回访对象": offered[0], "回访结果": "发现问题", "主要问题": "袖口开线"}
    )
    assert not (await ui.press_resume(desk.page)).accepted
    await ui.fill(form, {"反馈类型": "产品质量", "处理措施": "答应换新"})
    await desk.picture("visit", form)
    assert (await ui.press_resume(desk.page)).accepted
    await desk.until(run, "待回访")

    # --- a colleague records another one by command; what is being filled in about the third stays good
    form = await until_left(desk, run, 2)
    await ui.fill(form, {"操作人": "C08 陈晓", "回访对象": offered[2], "回访结果": "未联系上"})
    told = stack.command(
        "visit", "record", offered[1].split()[0], "--by", "C07", "--outcome", "已联系上", "--note", "满意"
    )
    assert told.returncode == 0, told.stderr
    await until_recorded(at.database_url, list_no, 2)
    await desk.until(run, "待回访")
    assert (await ui.press_resume(desk.page)).accepted

    # --- nobody is left: the list has ended, and its page tells what came of it
    assert await desk.until(run, "已完成") == f"回访 {list_no} 已完成"
    timeline = await desk.artifact(run, f"{list_no} 时间线", picture="visits-timeline")
    for what in (
        "列出回访清单",
        "发现问题；产品质量；袖口开线",
        "转为投诉 CP-",
        "已联系上；满意",
        "未联系上；第 1 次",
        "结案",
    ):
        assert what in timeline, what
    with psycopg.connect(at.database_url) as connection:
        found = connection.execute(
            "select state, outcome from visits where list_no = %s or tries > 0 order by id", (list_no,)
        )
        assert found.fetchall() == [("done", "problem"), ("done", "reached"), ("planned", "")]


async def until_left(desk: Desk, run: str, left: int):
    """Open the form once it offers so many."""
    until = time.monotonic() + PATIENCE
    while True:
        form = await desk.form(run)
        if f"还有 {left} 位" in await desk.summary(form):
            return form
        assert time.monotonic() < until
        await asyncio.sleep(0.5)


async def until_recorded(database_url: str, list_no: str, number: int) -> None:
    """Wait until the run has drawn the form that follows so many calls."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with psycopg.connect(database_url) as connection:
            query = "select 1 from journal where case_no = %s and entry = %s"
            if connection.execute(query, (list_no, f"visit-{number}.asked")).fetchone():
                return
        await asyncio.sleep(0.2)
    raise AssertionError(f"visit-{number} was not asked")
