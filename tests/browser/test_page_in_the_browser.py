"""
A customer's application from their phone to the desk: the page that `make run` starts hands it to the real Prefect.

What the page itself can do is held without a stack, in `tests/page/`.
"""

from __future__ import annotations

import asyncio
import re
import time

import psycopg
import pytest

from tests.browser.person import PATIENCE, Desk
from tests.browser.test_board_in_the_browser import printed

pytestmark = [pytest.mark.browser, pytest.mark.stack]

ORDER = "D100007"


async def test_slf03_an_application_from_a_phone_stands_on_the_desk_a_moment_later(browser, stack, album):
    at = stack.stack
    with psycopg.connect(at.database_url) as connection:
        (phone,) = connection.execute("select contact_phone from orders where order_no = %s", (ORDER,)).fetchone()
    context = await browser.new_context(
        viewport={"width": 390, "height": 844},
        is_mobile=True,
        has_touch=True,
        java_script_enabled=False,
        locale="zh-CN",
    )
    tab = await context.new_page()

    # --- the customer: from the address that `make run` prints to a case number
    await tab.goto(printed(stack, "顾客自助页面"))
    await tab.get_by_label("订单号").fill(ORDER)
    await tab.get_by_label("手机号").fill(phone)
    await tab.get_by_role("button", name="查询").tap()
    await tab.get_by_role("link", name="申请退货").tap()
    await tab.locator("select").first.select_option("1")
    await tab.get_by_label("七天无理由").check()
    await tab.get_by_label("上门取件").check()
    await tab.get_by_role("button", name="提交申请").tap()
    await tab.get_by_role("heading", name=f"订单 {ORDER}").wait_for()
    until = time.monotonic() + PATIENCE
    while not (found := re.search(r"售后单 (RT-\d+-\d+)", await tab.inner_text("main"))):
        assert time.monotonic() < until, await tab.inner_text("main")
        await asyncio.sleep(0.5)
        await tab.get_by_role("link", name="刷新进度").tap()
    case_no = found[1]
    assert "审核申请" in await tab.inner_text("[aria-current=step]")

    # --- the desk: it waits for customer service as any other
    desk = await Desk.open(browser, ui_url=at.ui_url, api_url=at.api_url, album=album)
    until = time.monotonic() + PATIENCE
    # its run gets name and tags when it comes to its gate, a moment after the number is known
    while case_no not in (names := " ".join(await desk.listed("客户服务部"))):
        assert time.monotonic() < until, names

    # --- and back: what the desk decides the customer sees
    told = stack.command("decide", case_no, "审核", "--as", "C08", "decision=通过")
    assert told.returncode == 0, told.stderr
    until = time.monotonic() + PATIENCE
    while "申请已通过审核" not in await tab.inner_text("main"):
        assert time.monotonic() < until, await tab.inner_text("main")
        await asyncio.sleep(0.5)
        await tab.get_by_role("link", name="刷新进度").tap()
    await context.close()

    # the stack is shared: nothing of this test waits on the next one's lists
    told = stack.command("signal", case_no, "case.cancelled", "--as", "C08", "reason=客户不退了")
    assert told.returncode == 0, told.stderr
    until = time.monotonic() + PATIENCE
    while case_no in (names := " ".join(await desk.listed("物流与配送部"))):
        assert time.monotonic() < until, names
