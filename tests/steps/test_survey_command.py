"""`aftersales survey`: shown, listed, recorded and counted, and what is no answer refused with one sentence (SVY-04, P-22)."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from aftersales import clock
from aftersales.gateways.channels import Channels
from tasks import sending
from tasks import surveys as asking
from tests import builders
from tests.stories.conftest import Shop, Telling
from tests.stories.test_returns import to_refund


@pytest.fixture
async def case(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Telling:
    """A completed return whose customer no channel reaches."""
    monkeypatch.setattr(sending, "_known", Channels())
    await shop.order()
    telling = await to_refund(await shop.tell(shop.application()))
    await telling.decide("refund", "A02", amount="188.00", reference="ALI-2026-0001")
    await asking.look(at=clock.now() + timedelta(minutes=3))
    return telling


async def test_show_tells_what_to_ask(aftersales: Any, case: Telling):
    shown = await aftersales("survey", "show", case.case_no)

    assert shown.code == 0
    for word in ("待客户评价", "电话", "交给客服", "overall", "总体满意度", "1、2、3、4、5", "是、否"):
        assert word in shown.out


async def test_record_then_show_list_and_figures(aftersales: Any, case: Telling):
    done = await aftersales(
        "survey", "record", case.case_no, "--as", "C02", "solved=否", "overall=2", "comment=打 13812345678 没人接"
    )
    shown = await aftersales("survey", "show", case.case_no, "--json")
    listed = await aftersales("survey", "list", "--dissatisfied", "--json")
    today = builders.today()
    days = ("--from", str(today - timedelta(days=1)), "--to", str(today + timedelta(days=1)))
    counted = await aftersales("survey", "figures", *days, "--by", "agent", "--format", "csv")

    assert done.code == 0 and "客户不满意：已建立二次回访 HF-" in done.out, done
    revisit_no = done.out.partition("已建立二次回访 ")[2].split("。")[0]
    revisit = await aftersales("case", "show", revisit_no, "--json")
    assert revisit.data["history"][0]["who"] == "C02 刘洋", "who wrote it down, not the customer"
    answers = {each["code"]: each["answer"] for each in shown.data["answers"]}
    assert (answers["solved"], answers["overall"], answers["speed"]) == ("否", "2 星", "")
    assert answers["comment"] == "打 138****5678 没人接"
    assert shown.data["recorded_by"] == "C02 刘洋" and shown.data["satisfied"] is False
    assert [each["case_no"] for each in listed.data] == [case.case_no]
    rows = list(csv.DictReader(io.StringIO(counted.out.removeprefix("\ufeff"))))
    assert [row["首问责任人"] for row in rows] == ["C07 王小明", "合计"]
    assert (rows[1]["送达"], rows[1]["其中电话"], rows[1]["平均分（5 分制）"], rows[1]["二次回访"]) == (
        "1",
        "1",
        "2.00",
        "1",
    )
    analysed = await aftersales("survey", "analysis", *days, "--format", "csv")
    assert [row.split(",", 2)[1] for row in analysed.out.splitlines()[1:]] == [
        "总体满意度",
        "问题解决得满意吗？",
        "还想说的",
    ]
    assert "服务后调查,总体满意度,1,2.00,0.00,1,100.0,2 星 1 次" in analysed.out
    assert "服务后调查,还想说的,1,,,,," in analysed.out and "没人接" not in analysed.out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(
            ("--as", "C07", "overall=4"), 1, "C07 王小明 办理过这次售后，不能登记自己的满意度", id="P-22 one's own case"
        ),
        pytest.param(("--as", "W03", "overall=4"), 1, "不属于客户服务部", id="another department"),
        pytest.param(("--as", "C99", "overall=4"), 1, "不在员工名单中", id="nobody"),
        pytest.param(("--as", "C02"), 1, "“总体满意度”还没有回答", id="nothing was said"),
        pytest.param(
            ("--as", "C02", "overall=很好"),
            1,
            "“总体满意度”的答案不在可选值中，请从 1、2、3、4、5 里选一个",
            id="in words",
        ),
        pytest.param(("--as", "C02", "overal=4"), 1, "没有“overal”这一题", id="no question"),
        pytest.param(("--as", "C02", "overall"), 2, "“overall”应写成 题的代码=答案", id="no answer"),
        pytest.param(("--as", "C02", "overall=4", "overall=5"), 2, "“overall”写了不止一次", id="two answers"),
        pytest.param(("overall=4",), 2, "缺少选项 --as", id="by whom"),
    ],
)
async def test_what_is_no_answer_is_one_sentence(
    aftersales: Any, case: Telling, words: tuple[str, ...], code: int, sentence: str
):
    left = await aftersales("survey", "record", case.case_no, *words)

    assert (left.code, left.out) == (code, "") and sentence in left.err and left.err.count("\n") == 0
    assert (await asking.show(case.case_no)).state == "sent"


async def test_p22_recorded_twice_is_told_and_changes_nothing(aftersales: Any, case: Telling):
    await aftersales("survey", "record", case.case_no, "--as", "C02", "overall=5")

    again = await aftersales("survey", "record", case.case_no, "--as", "C01", "overall=1")

    assert (again.code, again.err) == (
        1,
        f"{case.case_no} 已有评价，没有再登记；可用 aftersales survey show {case.case_no} 查看。",
    )


@pytest.mark.parametrize("command", ["show", "record"])
async def test_a_case_that_is_not_asked_about_says_why(aftersales: Any, shop: Shop, command: str):
    await shop.order()
    telling = await shop.tell(shop.application())
    words = ("--as", "C02", "overall=5") if command == "record" else ()

    left = await aftersales("survey", command, telling.case_no, *words)
    unknown = await aftersales("survey", command, "RT-1", *words)

    assert (left.code, left.err) == (1, f"{telling.case_no} 待审核，完成之后才调查满意度。")
    assert (unknown.code, unknown.err.startswith("没有售后单 RT-1")) == (1, True)


async def test_an_empty_shop_has_nothing_to_tell(aftersales: Any, database: str):
    listed = await aftersales("survey", "list")
    counted = await aftersales("survey", "figures", "--from", "2026-01-01", "--to", "2026-01-31")
    turned = await aftersales("survey", "figures", "--from", "2026-02-01", "--to", "2026-01-31")

    assert (listed.code, listed.out.strip()) == (0, "没有这样的满意度调查。")
    assert counted.code == 0 and "送达" in counted.out
    assert turned.code == 2 and "请对调" in turned.err
