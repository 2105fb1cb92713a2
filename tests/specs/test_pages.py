"""What people read about a case: nothing breaks out of a table, early and late are said in words (GEN-10, AUD-01)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aftersales.rules import chain, pages
from aftersales.rules.standing import standing
from aftersales.words import Staff, Stage
from tests.builders import return_terms

DUE = datetime(2026, 11, 20, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("late_by", "words"),
    [
        pytest.param(timedelta(hours=-3), "提前 3 小时", id="three hours early"),
        pytest.param(timedelta(minutes=-1), "提前 1 分钟", id="a minute early"),
        pytest.param(timedelta(0), "超时 0 分钟", id="the due time is exclusive"),
        pytest.param(timedelta(hours=3, minutes=59), "超时 3 小时", id="hours are not rounded up"),
        pytest.param(timedelta(days=2), "超时 2 天", id="two days late"),
    ],
)
def test_spoken_difference(late_by: timedelta, words: str):
    assert pages.spoken_difference(DUE + late_by, DUE) == words


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        pytest.param(DUE, "2026-11-20 24:00", id="midnight ends the day before"),
        pytest.param(DUE + timedelta(minutes=1), "2026-11-21 00:01", id="a minute later is the next day"),
    ],
)
def test_gen04_a_due_time_is_shown_as_the_end_of_its_day(at: datetime, shown: str):
    reader = pages.Reader(returns=return_terms(), staff={}, departments={}, zone=ZoneInfo("Asia/Shanghai"))

    assert reader.due(at) == shown


@pytest.mark.parametrize(
    "text", ["a | b", "# head", "<script>alert(1)</script>", "[x](http://e)", "`x`", "line\nbreak", "*b*"]
)
def test_a_cell_keeps_its_text_inside_the_table(text: str):
    shown = pages.cell(text)

    assert "\n" not in shown
    assert "<" not in shown
    for character in "|#*`[":
        assert character not in shown.replace(f"\\{character}", "")


def test_the_hash_covers_the_row_and_the_one_before_it():
    row = {"case_no": "RT-1", "seq": 1, "at": DUE, "data": {"b": 1, "a": "中"}}

    first = chain.digest(prev_hash="", row=row)

    assert first == chain.digest(prev_hash="", row={**row, "data": {"a": "中", "b": 1}})
    assert first == chain.digest(prev_hash="", row={**row, "at": DUE.astimezone()})
    assert first != chain.digest(prev_hash="x", row=row)
    assert first != chain.digest(prev_hash="", row={**row, "seq": 2})


@dataclass(frozen=True)
class Told:
    """A journal row."""

    entry: str
    kind: str
    data: dict[str, Any]
    actor: str = "C07"
    at: datetime = DUE - timedelta(hours=3)
    due_at: datetime | None = None
    rule: str = ""


REQUEST = {
    "order_no": "SO-1",
    "reason": "no_reason",
    "shipping": "pickup",
    "items": [{"line_no": 1, "sku": "TS|01", "name": "纯棉*T恤", "quantity": 2, "units": [[0, 2]]}],
    "evidence": [],
    "quote": {
        "age_band": "A",
        "total": "188.00",
        "needs_person": [],
        "lines": [
            {"rule": "MON-14", "label": "商品款 纯棉*T恤 ×2", "amount": "200.00"},
            {"rule": "MON-02", "label": "上门取件运费", "amount": "-12.00"},
        ],
    },
}
HISTORY = [
    Told("opened", "opened", REQUEST),
    Told("opened.NTC-01", "notice", {"notice": "NTC-01", "subject": "退货申请已收到（RT-20261120-0001）"}, "system"),
    Told("review-0.gate", "gate", {"stage": "review", "owner": "customer_service"}, "system"),
    Told("review-0", "decision", {"decision": "approve"}, "C08", due_at=DUE),
    Told("book-pickup-0.intent", "intent", {"key": "k"}, "system"),
    Told("book-pickup-0.outcome", "outcome", {"outcome": "done"}, "system"),
]


def a_summary(**changes: Any) -> str:
    """The page above the form of somebody who is to pick the goods up."""
    facts: dict[str, Any] = {
        "case_no": "RT-20261120-0001",
        "order": {
            "order_no": "SO-1",
            "channel": "官方网站",
            "name": "徐**",
            "phone": "102****0000",
            "payment_route": "支付宝",
            "insured": "无",
        },
        "standing": standing(HISTORY),
        "stage": Stage.PICKUP,
        "owner": "物流与配送部",
        "due": "11月20日（周五）24:00 前",
        "trace": ["时限：3 个工作日（RET-05）"],
        "history": HISTORY,
        "refusal": "",
        "reader": READER,
    }
    return pages.summary(**facts | changes)


READER = pages.Reader(
    returns=return_terms(),
    staff={
        "C07": Staff("C07", "王小明", "customer_service", "客服专员"),
        "C08": Staff("C08", "陈晓", "customer_service", "客服专员"),
    },
    departments={"customer_service": "客户服务部"},
    zone=ZoneInfo("Asia/Shanghai"),
)


def test_gen13_the_page_above_a_form_says_what_by_when_about_whom_and_for_how_much():
    page = a_summary()

    assert page.startswith("## RT-20261120-0001 待取件（物流与配送部）\n\n**请在 11月20日（周五）24:00 前处理**")
    assert "| 订单 | SO-1（官方网站） |" in page
    assert r"| 客户 | 徐\*\* 102\*\*\*\*0000 |" in page
    assert "| 申请 | 七天无理由，上门取件 |" in page
    assert r"| 1 | TS\|01 | 纯棉\*T恤 | 2 | 2 |" in page
    assert "| 上门取件运费 | MON-02 | -12.00 |" in page
    assert "| **合计** |  | **188.00** |" in page


def test_a_customer_without_name_and_phone_is_said_to_have_none():
    order = {"order_no": "1", "channel": "x", "name": "", "phone": "", "payment_route": "支付宝", "insured": "无"}

    assert "| 客户 | 未留姓名和电话 |" in a_summary(order=order)


def test_a_refused_answer_stands_on_top_with_its_reason():
    page = a_summary(refusal="金额与结算不符")

    assert page.startswith("> ⚠️ **上次提交未被接受：金额与结算不符**\n\n## RT-")


def test_the_history_above_a_form_tells_what_was_done_and_by_whom_in_their_words():
    history = a_summary().partition("### 处理记录\n")[2]

    assert history.splitlines() == [
        r"- 2026-11-20 21:00 C07 王小明 提交申请：订单 SO-1，纯棉\*T恤 ×2，七天无理由",
        "- 2026-11-20 21:00 系统 通知客户：退货申请已收到",
        "- 2026-11-20 21:00 C08 陈晓 审核：通过（提前 3 小时）",
        "- 2026-11-20 21:00 系统 预约取件：已提交",
    ]


def test_a_step_that_never_came_back_stays_in_the_history_above_a_form():
    page = a_summary(history=HISTORY[:-1])

    assert page.endswith("系统 预约取件：开始")


def test_aud01_the_timeline_leaves_nothing_out():
    page = pages.timeline_page("RT-20261120-0001", HISTORY, READER)

    assert page.startswith("# RT-20261120-0001 时间线\n")
    assert len(page.splitlines()) == 4 + len(HISTORY)
    assert "| 进入待审核 | 由客户服务部处理 |" in page
    assert "| 审核 | 通过 | 2026-11-20 24:00（提前 3 小时） |" in page


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param("退货申请已收到（RT-20261120-0001）", id="Chinese"),
        pytest.param("退货申请已收到 (RT-20261120-0001)", id="English brackets"),
        pytest.param("退货申请已收到", id="without a number"),
    ],
)
def test_a_notice_is_told_by_its_subject_and_its_rule(subject: str):
    row = READER.told(Told("opened.NTC-01", "notice", {"notice": "NTC-01", "subject": subject}, "system"))

    assert (row.what, row.result, row.rule) == ("通知客户", "退货申请已收到", "NTC-01")


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        pytest.param("即将到期：RT-20261120-0001 退款", "“即将到期：退款”没有发送：已办理", id="of a ladder"),
        pytest.param(
            "退款延迟，向您致歉（RT-20261120-0001）", "“退款延迟，向您致歉”没有发送：已办理", id="of a customer"
        ),
        pytest.param("订单 SO-1 已超时：RT-X-20261120-0001", "“订单 SO-1 已超时：”没有发送：已办理", id="of an order"),
        pytest.param("", "没有发送：已办理", id="written before notices named it"),
    ],
)
def test_a_notice_that_was_not_sent_is_told_by_its_subject(subject: str, said: str):
    data = {"to": "department:aftersales", "subject": subject, "text": "没有发送：已办理"}

    assert READER.told(Told("refund-0.reminder.withdrawn", "delivery", data, "system")).result == said


def test_fup04_the_page_of_a_second_revisit_says_what_the_customer_answered():
    begun = Told("begun", "begun", {"about": "RT-1", "answers": [["问题解决得满意吗？", "否"], ["总体满意度", "2 星"]]})
    order = {"order_no": "SO-1", "channel": "官方网站", "name": "徐**", "phone": ""}

    page = pages.revisit_summary(
        case_no="HF-1",
        order=order,
        stage=Stage.REVISIT,
        owner="客户服务部",
        due="11月20日（周五）24:00 前",
        trace=[],
        history=[begun],
        refusal="",
        reader=READER,
    )

    assert "### 客户的评价\n- 问题解决得满意吗：否\n- 总体满意度：2 星" in page
