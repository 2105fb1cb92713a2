"""
After a return has ended: asked, dissatisfied, heard by a senior agent, visited a week later; all seen in a browser.

The way of the demo, on a rehearsal's clock, on the running stack (SVY-01, SVY-05, FUP-03, FUP-04, FUP-10).
"""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.browser.afterwards import DUE_ON, walk

pytestmark = [pytest.mark.browser, pytest.mark.stack, pytest.mark.soak, pytest.mark.timeout(400)]

CODES = re.compile(r"customer_service|dissatisfied|not_reached|NTC-|\\[*_|#]|None|undefined")


async def test_svy05_fup10_from_the_survey_on_the_phone_to_the_visit_a_week_later(browser, stack, receiver, album):
    seen = await walk(browser, stack, receiver, album)

    # --- the customer: asked where they are told of rehearsals, in their language, and thanked
    assert seen.message.startswith(f"【演练】请评价我们的服务（{seen.case_no}）")
    assert stack.stack.page_url in seen.message
    assert "商品寄回途中" in seen.progress["zh"] and "on their way to us" in seen.progress["en"]
    assert "（周六）16:03 前完成" in seen.survey["zh"], seen.survey["zh"]
    assert "只能提交一次。评分 1 最差，5 最好。请在" in seen.survey["zh"], "no stray blanks between sentences"
    assert "问题解决得满意吗" in seen.survey["zh"] and "Overall satisfaction" in seen.survey["en"]
    assert "感谢您的反馈" in seen.thanks and seen.case_no in seen.thanks

    # --- the senior agent: by the tag, with what the customer has said, masked (GEN-10)
    assert f"二次回访 {seen.revisit_no} 待二次回访" in seen.revisit_tags
    assert seen.revisit_no.startswith("HF-X-20261125-")
    for what in (seen.case_no, "问题解决得满意吗：否", "总体满意度：2 星", "等了好几天才退款"):
        assert what in seen.revisit, seen.revisit
    assert "13800001234" not in seen.revisit
    assert seen.ended[seen.revisit_no] == f"二次回访 {seen.revisit_no} 已完成"

    # --- the night: this visit alone, a week after the end, for somebody who is there
    ((drawn, agent),) = [(each.due, each.agent) for each in seen.night.night.drawn]
    assert (drawn.key, drawn.due_on, drawn.rule) == (f"return:{seen.case_no}", DUE_ON, "FUP-03")
    assert seen.night.night.left == []
    assert "还有 1 位" in seen.visit and agent in seen.visit and seen.case_no in seen.visit
    assert re.search(r"\S\*+\s+102\*{4}\d{4}\s+退换货回访", seen.visit), seen.visit
    assert seen.ended[seen.list_no] == f"回访 {seen.list_no} 已完成"
    for page in (seen.revisit, seen.visit):
        assert not CODES.search(page), page

    # --- nothing of it counts (design §5)
    told = stack.command("survey", "list", "--dissatisfied")
    assert told.returncode == 0 and seen.case_no not in told.stdout
    with psycopg.connect(stack.stack.database_url) as connection:
        query = "select state, outcome from visits where case_no = %s"
        assert connection.execute(query, (seen.case_no,)).fetchall() == [("done", "reached")]
