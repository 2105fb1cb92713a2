"""A question to the customer at the desk: asked and answered in the forms of one suspended run (NUM-223)."""

from __future__ import annotations

from aftersales.desk import runs
from tasks import records
from tests.traps.conftest import Desk


async def test_num223_a_question_is_asked_and_answered_in_the_forms_of_the_run(staffed: Desk):
    run = await staffed.apply()
    await run.fill("review-0", decision="请客户补充", question="请补拍吊牌照片")
    await run.at("question-0-1")

    seen = await run.seen()
    assert seen.name.endswith("待客户答复") and {"待客户答复", "客户服务部"} <= set(seen.tags)
    assert "等待客户答复，审核暂停计时：请补拍吊牌照片" in await run.page()

    sent = await run.answer(answer="照片已发", evidence=["https://p.example/tag.jpg"])
    assert (await run.submit(sent))[0] == "ACCEPT"
    await run.at("review-1-1")

    page = await run.page()
    assert "- 暂停：" in page and "等待客户答复：请补拍吊牌照片" in page and "> ⏸" not in page
    assert "客户答复：照片已发" in page and "https://p.example/tag.jpg" in page.replace("\\", "")
    await run.fill("review-1")
    await run.at("pickup-0-1")


async def test_num223_evidence_wakes_the_run_that_waits_for_an_answer(staffed: Desk):
    """As `aftersales evidence add` does."""
    run = await staffed.apply()
    await run.fill("review-0", decision="请客户补充", question="请补拍吊牌照片")
    await run.at("question-0-1")

    kept = await records.add_text(await run.case_no(), "https://p.example/tag.jpg", operator="C07")

    assert kept.answers and await runs.wake(run.client, await run.case_no())
    await run.at("review-1-1")


async def test_num223_an_inspector_asks_with_the_rows_as_they_were_drawn(staffed: Desk):
    """The form sends its prefilled rows along with a question; they are no inspection."""
    run = await staffed.apply()
    await run.along("review", "pickup", "receipt")
    await run.fill("inspection-0", result="请客户补充", question="划痕是收到时就有的吗")
    await run.fill("question-0")
    await run.fill("inspection-1")

    await run.at("refund-0-1")
