"""
A return as the shop's people live it: in Prefect's UI, with their own eyes and hands (RET-01 to RET-13).

The whole stack is running as `make run` starts it; the scan alone comes by command, as a scanner's does.
What a page shows is asserted as text that people read, what was kept is read from our database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from tests.browser import ui
from tests.browser.person import Desk

pytestmark = [pytest.mark.browser, pytest.mark.stack]

# the sample shop's first order: three T-shirts at 89.99, received three days ago, paid by Alipay
ORDER, SKU = "D100001", "FZ-TX-01"
OURS = re.compile(r"customer_service|no_reason|sellable|book-pickup|NTC-|\\[*_|#]|None|undefined")  # codes, escapes


@contextmanager
def looking(url: str) -> Iterator[Any]:
    """Look into our database."""
    with psycopg.connect(url, row_factory=namedtuple_row) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()


async def test_a_return_from_the_clerks_form_to_one_refund(browser, stack, album):
    at = stack.stack
    desk = await Desk.open(browser, ui_url=at.ui_url, api_url=at.api_url, album=album)

    # --- a clerk applies: 退货 → Run (RET-01)
    run = await desk.apply(
        {
            "操作人": "C07 王小明",
            "订单号": ORDER,
            "退货商品": [{"商品编码": SKU, "数量": 3}],
            "退货原因": "七天无理由",
            "寄回方式": "上门取件",
        },
        picture="application",
    )
    name = await desk.until(run, "待审核")
    case = re.fullmatch(r"退货 (RT-[0-9]{8}-[0-9]{4}) 待审核", name)[1]

    # --- the department's link lists the case, the others' do not
    assert await desk.listed("客户服务部", picture="runs") == [name]
    assert await desk.listed("仓储部") == []

    # --- a reviewer reads the case: customer masked, items, quote, due time (GEN-10, RET-02)
    form = await desk.form(run)
    page = await desk.summary(form)
    assert f"{case} 待审核（客户服务部）" in page
    assert re.search(r"请在 \d+月\d+日（周.）\d\d:\d\d 前处理", page)
    assert re.search(r"客户\s+\S\*+ 102\*{4}\d{4}", page)
    assert re.search(r"FZ-TX-01\s+纯棉圆领短袖T恤（S，藏青）\s+3\s+3", page)
    assert re.search(r"商品款 纯棉圆领短袖T恤 ×3\s+MON-14\s+269\.97", page)
    assert re.search(r"上门取件运费\s+MON-02\s+-12\.00", page)
    assert re.search(r"合计\s+257\.97", page)
    assert "C07 王小明 提交申请" in page
    assert not OURS.search(page), page

    # --- a rejection without a reason is refused, the form stays open (trap 5); then it is approved
    assert await ui.choices(desk.page, form, "审核结果") == ["通过", "驳回", "请客户补充"]
    assert "驳回”时必填" in await (await ui.block(form, "驳回理由")).inner_text()
    await ui.fill(form, {"操作人": "C08 陈晓", "审核结果": "驳回"})
    refused = await ui.press_resume(desk.page)
    assert not refused.accepted
    assert await ui.shown(form, "审核结果") == "驳回"
    await ui.fill(form, {"审核结果": "通过"})
    await desk.picture("review", form)
    assert (await ui.press_resume(desk.page)).accepted

    # --- the case has gone from one department's list to the next one's
    name = await desk.until(run, "待取件")
    assert name == f"退货 {case} 待取件"
    assert await desk.listed("客户服务部") == []
    assert await desk.listed("物流与配送部") == [name]
    head = await desk.run_page(run, picture="run")
    assert name in head
    for tag in ("退货", "待取件", "物流与配送部"):
        assert f"\n{tag}\n" in head, f"{tag} is not shown among the tags"

    # --- logistics confirm the pick-up
    await desk.answer(run, {"操作人": "L02 孙磊", "承运商": "顺丰", "运单号": "SF100200300"}, picture="pickup")
    await desk.until(run, "待收货")

    # --- the warehouse's scanner tells that the parcel is there
    told = stack.command("signal", case, "parcel.received", f"items={SKU}:3", "tracking_no=SF100200300")
    assert told.returncode == 0, told.stderr
    name = await desk.until(run, "待验收")
    assert await desk.listed("仓储部") == [name]

    # --- the inspector finds two as new and one worn (RET-07)
    form = await desk.form(run)
    assert await ui.shown(form, "受理环节") == f"{case} inspection-0"
    line = f"第1行 {SKU} 纯棉圆领短袖T恤（S，藏青）"
    row = {"订单行": line, "实际原因": "七天无理由"}
    await ui.fill(
        form,
        {
            "操作人": "W03 冯雪",
            "验收明细": [{**row, "数量": 2, "等级": "可再销售"}, {**row, "数量": 1, "等级": "不可再销售"}],
            "验收结论": "通过",
            "备注": "一件领口有污渍",
        },
    )
    await desk.picture("inspection", form)
    assert (await ui.press_resume(desk.page)).accepted
    name = await desk.until(run, "待退款")

    # --- the cashier cannot pay what is no amount (trap 4, MON-16), and then pays
    assert await desk.listed("售后服务部") == [name]
    form = await desk.form(run)
    page = await desk.summary(form)
    assert "本次应退" in page
    assert re.search(r"合计\s+257\.97", page)
    assert "2 件可再销售" in page and "1 件不可再销售" in page
    assert not OURS.search(page), page
    assert await ui.shown(form, "退款金额") == "257.97"
    await ui.fill(form, {"操作人": "A02 许诺", "交易流水号": "ALI-2026-0001"})
    for wrong in ("-1", "1.234", "abc"):
        await ui.fill(form, {"退款金额": wrong})
        assert not (await ui.press_resume(desk.page)).accepted, wrong
        assert await ui.shown(form, "退款金额") == wrong
    await ui.fill(form, {"退款金额": "257.97"})
    await desk.picture("refund", form)
    assert (await ui.press_resume(desk.page)).accepted

    # --- the case is closed, and its pages tell the whole story
    name = await desk.until(run, "已完成")
    assert await desk.listed("售后服务部") == []
    assert f"{name}\n" in await desk.run_page(run, picture="closed")
    told = await desk.artifact(run, f"{case} 时间线", picture="timeline")
    for what in ("提交申请", "审核", "取件", "收货", "验收", "结算", "退款", "安排回访", "结案"):
        assert what in told, what
    for who in ("C07 王小明", "C08 陈晓", "L02 孙磊", "W03 冯雪", "A02 许诺", "承运商"):
        assert who in told, who
    assert re.search(r"提前 \d+", told)
    quote = await desk.artifact(run, f"{case} 退款测算", picture="quote")
    assert re.search(r"第 1 次收货的结算[\s\S]*合计\s+257\.97", quote)
    for text in (told, quote):
        assert not OURS.search(text.partition("Show Raw Data")[0].partition(case)[2]), text

    # --- and so does our database
    with looking(at.database_url) as find:
        assert [c.stage for c in find("select stage from cases where case_no = %s", case)] == ["closed"]
        refunds = find("select key, amount, state, reference from work where case_no = %s and kind = 'refund'", case)
        assert [tuple(map(str, row)) for row in refunds] == [(f"{case}/refund-0", "257.97", "done", "ALI-2026-0001")]
        decisions = find("select entry, actor from journal where case_no = %s and kind = 'decision' order by seq", case)
        assert [tuple(row) for row in decisions] == [
            ("review-0", "C08"),
            ("pickup-0", "L02"),
            ("receipt-0", "carrier"),
            ("inspection-0", "W03"),
            ("refund-0", "A02"),
        ]
        notices = find("select notice from outbox where case_no = %s", case)
        assert sorted(n.notice for n in notices) == ["NTC-01", "NTC-02", "NTC-04", "NTC-05", "NTC-07", "NTC-08"]
        inspected = find("select data from journal where case_no = %s and entry = 'inspection-0'", case)[0].data
        assert [(i["quantity"], i["grade"]) for i in inspected["items"]] == [(2, "sellable"), (1, "unsellable")]
        assert not find("select 1 from promises where case_no = %s and ended_at is null", case)
