"""
A late case as its department finds it: on the board that `make run` prints, and in the run list by its tag (ESC-04).

The stack's own round tells it, within the minute; nothing is done here but to let the window pass.
"""

from __future__ import annotations

import asyncio
import re
import time

import httpx
import psycopg
import pytest

from tests.browser.person import Desk

pytestmark = [pytest.mark.browser, pytest.mark.stack]

# a round comes every minute
PATIENCE = 100.0
ORDER, SKU = "D100005", "XB-SB-03"


def printed(stack, label: str) -> str:
    """The address that `make run` prints below a label."""
    found = re.search(rf"(?m)^\s*{label}\s*\n\s*(http\S+)", stack.output.read_text())
    assert found, f"make run prints no {label}"
    return found[1]


async def reads(desk: Desk, address: str, wanted: str) -> str:
    """Look at a board, and again whenever it was written anew, until it says something."""
    until = time.monotonic() + PATIENCE
    async with httpx.AsyncClient(base_url=desk.api) as prefect:

        async def written() -> str:
            return (await prefect.get(f"/artifacts/{address.rpartition('/')[2]}")).raise_for_status().json()["data"]

        while True:
            before = await written()
            await desk.page.goto(address)
            await desk.page.locator(".prose h1").first.wait_for()
            told = await desk.page.locator(".prose").first.inner_text()
            if re.search(wanted, told):
                return told
            while await written() == before:
                assert time.monotonic() < until, f"no {wanted} in\n{told}"
                await asyncio.sleep(0.5)


async def look_now(desk: Desk) -> None:
    """Let a round come before its minute, as somebody does who presses Run."""
    async with httpx.AsyncClient(base_url=desk.api) as prefect:
        found = (await prefect.get("/deployments/name/escalation/超时巡检")).raise_for_status().json()
        (await prefect.post(f"/deployments/{found['id']}/create_flow_run", json={})).raise_for_status()


async def test_esc04_a_late_case_is_first_on_its_departments_board_and_found_by_its_tag(browser, stack, album):
    at = stack.stack
    desk = await Desk.open(browser, ui_url=at.ui_url, api_url=at.api_url, album=album)
    run = await desk.apply(
        {
            "操作人": "C07 王小明",
            "订单号": ORDER,
            "退货商品": [{"商品编码": SKU, "数量": 1}],
            "退货原因": "七天无理由",
            "寄回方式": "上门取件",
        }
    )
    name = await desk.until(run, "待审核")
    case = name.split()[1]
    with psycopg.connect(at.database_url) as connection:
        connection.execute(
            "update promises set started_at = now() - interval '1 day 1 minute', due_at = now() - interval '1 minute', "
            "rung_at = now() - interval '1 minute' where case_no = %s",
            (case,),
        )

    # --- the department's board: how much, what, by when, who is told next
    board = await reads(desk, printed(stack, "客户服务部看板"), rf"\n超时\n[\s\S]*{case}")
    await desk.picture("board", height=900)
    assert board.startswith("客户服务部看板")
    assert re.search(r"待审核\s+1\s+1\s+0", board)
    assert re.search(rf"{case}\s+待审核\s+\d+月\d+日（周.）\d\d:\d\d\s+\d+月\d+日（周.）24:00 C01 ", board)

    # --- from the board to the case: its run carries the tag, first of all
    await desk.page.get_by_role("link", name=case).click()
    await desk.page.get_by_role("tab", name="Artifacts").wait_for()
    head = await desk.page.locator("body").inner_text()
    assert name in head and "\n超时\n" in head
    await desk.picture("late", height=560)
    assert await desk.listed("超时", picture="overdue") == [name]

    # --- another department's board does not have it, the house's does
    assert case not in await reads(desk, printed(stack, "物流与配送部看板"), "物流与配送部看板")
    house = await reads(desk, printed(stack, "全部门看板"), case)
    await desk.picture("house-board", height=900)
    assert re.search(rf"{case}\s+客户服务部\s+待审核", house)

    # --- when the matter is done, nobody finds it any more
    told = stack.command("signal", case, "case.cancelled", "--as", "C07", "reason=客户不退了")
    assert told.returncode == 0, told.stderr
    await desk.until(run, "已取消")
    assert await desk.listed("超时") == []
    await look_now(desk)
    await reads(desk, printed(stack, "客户服务部看板"), "现在没有未办完的售后单")
