"""`aftersales visit …`: what is left, a call, the feedback log, the figures (FUP-12, FUP-13, KPI-40)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.stories.test_escalation import time
from tests.stories.test_visits import TODAY, TOMORROW, opened, telling_of
from tests.visiting import a_visit, rows

__all__ = ["time"]


@pytest.fixture
async def listed(shop: Any, time: Any) -> list[int]:
    """Three visits: two on the list of C07, one on that of C08."""
    time(f"{TODAY} 02:00")
    numbers = [
        await a_visit("O1"),
        await a_visit("O2", customer="U2"),
        await a_visit("O3", customer="U3", agent="C08"),
    ]
    for list_no in (await opened()).opened:
        await telling_of(list_no)
    time(f"{TODAY} 10:00")
    return numbers


async def test_a_list_shows_whom_to_call_masked(aftersales, listed: list[int]):
    told = await aftersales("visit", "list", "--agent", "C07", "--json")

    assert [(each["id"], each["list_no"], each["due_on"]) for each in told.data] == [
        (listed[0], "HL-20250312-0001", TODAY), (listed[1], "HL-20250312-0001", TODAY),
    ]  # fmt: skip
    assert told.data[0]["customer"] == {"name": "李**", "phone": "102****5678"}
    shown = await aftersales("visit", "list")
    assert "C08 陈晓" in shown.out and "新购回访" in shown.out and "10212345678" not in shown.out


async def test_a_list_may_be_decided_by_its_number_as_often_as_it_has_visits(aftersales, listed: list[int]):
    said = ["--as", "C07", "outcome=已联系上", "note=好用"]

    done = [await aftersales("decide", "HL-20250312-0001", "回访", *said, f"visit={each}") for each in listed[:2]]
    again = await aftersales("decide", "HL-20250312-0001", "回访", *said, f"visit={listed[0]}")

    assert [each.code for each in done] == [0, 0], "nobody has told the list on between the two"
    assert (again.code, again.out) == (1, "")
    assert f"回访 {listed[0]} 已由 C07 王小明 于 2025-03-12 10:00 登记为“已联系上”" in again.err


async def test_fup12_a_call_is_recorded_once_and_the_second_is_told_who_was_first(aftersales, listed: list[int]):
    number = str(listed[0])

    done = await aftersales(
        "visit", "record", number, "--by", "C07", "--outcome", "已联系上", "--note", "好用", "--feedback", "表扬"
    )
    again = await aftersales("visit", "record", number, "--by", "C08", "--outcome", "未联系上")

    assert done.code == 0
    assert done.out.startswith(f"已登记：回访 {number}（O1） 已联系上；表扬；好用（C07 王小明，{TODAY} 10:00")
    assert "Prefect 服务没有运行" in done.err
    assert (again.code, again.out) == (1, "")
    assert (
        again.err == f"回访 {number} 已由 C07 王小明 于 {TODAY} 10:00 登记为“已联系上”，您的提交未被采用，无需再处理。"
    )
    shown = await aftersales("visit", "show", number)
    assert "已联系上；表扬；好用" in shown.out and "李**" in shown.out


async def test_fup12_who_was_not_reached_is_recorded_once_a_day_and_called_again(aftersales, listed: list[int]):
    said = ("visit", "record", str(listed[0]), "--by", "C07", "--outcome")
    await aftersales(*said, "未联系上")

    again = await aftersales(*said, "已联系上", "--note", "好用")

    assert (again.code, again.out) == (1, "")
    assert again.err == (
        f"回访 {listed[0]} 已由 C07 王小明 于 {TODAY} 10:00 登记为“未联系上”，一天只登记一次，您的提交未被采用；"
        "3月13日（周四）列入清单后再打，打完再登记。"
    )


@pytest.mark.parametrize(
    ("by", "outcome", "sentence"),
    [
        pytest.param("C07", "打不通", "回访结果：请选择：已联系上", id="no outcome"),
        pytest.param("W02", "未联系上", "经办人 W02 ", id="another department"),
        pytest.param("C99", "未联系上", "经办人“C99”不在员工名单中", id="nobody"),
    ],
)
async def test_what_is_wrong_itself_is_told_before_who_was_first(
    aftersales, listed: list[int], by: str, outcome: str, sentence: str
):
    number = str(listed[0])
    await aftersales("visit", "record", number, "--by", "C07", "--outcome", "未联系上")

    told = await aftersales("visit", "record", number, "--by", by, "--outcome", outcome)

    assert told.code == 1
    assert sentence in told.err and "已由" not in told.err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(("record", "99", "--by", "C07", "--outcome", "未联系上"), 1, "没有回访 99", id="no such visit"),
        pytest.param(("record", "1", "--by", "C07", "--outcome", "打了"), 1, "回访结果：请选择：已联系上", id="no outcome"),
        pytest.param(("record", "1", "--by", "C99", "--outcome", "未联系上"), 1, "经办人“C99”不在员工名单中", id="nobody"),
        pytest.param(("record", "1", "--outcome", "未联系上"), 2, "缺少选项 --by", id="by nobody"),
        pytest.param(("record", "x", "--by", "C07", "--outcome", "未联系上"), 2, "“x”应写成 1 到", id="no number"),
        pytest.param(("show", "99"), 1, "没有回访 99", id="shown: no such visit"),
        pytest.param(("list", "--agent", "C99"), 1, "员工名单中没有“C99”", id="the list of nobody"),
        pytest.param(("figures", "--from", "2025-03-02", "--to", "2025-03-01"), 2, "请对调", id="backwards"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_one_sentence(
    aftersales, listed: list[int], words: tuple[str, ...], code: int, sentence: str
):
    told = await aftersales("visit", *words)

    assert (told.code, told.out) == (code, "")
    assert sentence in told.err and "\n" not in told.err
    assert {row.state for row in await rows()} == {"listed"}


async def test_fup13_the_feedback_log_is_a_sheet(aftersales, listed: list[int], tmp_path):
    await aftersales(
        "visit", "record", str(listed[0]), "--by", "C07", "--outcome", "发现问题", "--note", "=坏了，电话 13812345678",
        "--feedback", "产品质量", "--measure", "换新", "--effect", "部分解决",
    )  # fmt: skip
    out = tmp_path / "feedback.csv"

    told = await aftersales("visit", "feedback", "--from", TODAY, "--to", TODAY, "--format", "csv", "--out", str(out))

    assert told.code == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text("utf-8-sig")))
    assert row == {
        "时间": f"{TODAY} 10:00", "清单": "HL-20250312-0001", "经办人": "C07 王小明", "回访编号": str(listed[0]),
        "回访类型": "新购回访", "订单": "O1", "回访结果": "发现问题", "反馈类型": "产品质量",
        "主要问题": "'=坏了，电话 138****5678", "处理措施": "换新", "效果评估": "部分解决",
    }  # fmt: skip
    empty = await aftersales("visit", "feedback", "--from", TOMORROW, "--to", TOMORROW)
    assert empty.out == "这段时间没有记录。\n"


async def test_kpi40_how_many_were_done_by_their_day(aftersales, listed: list[int], time: Any):
    await aftersales("visit", "record", str(listed[0]), "--by", "C07", "--outcome", "不再回访")
    await aftersales("visit", "record", str(listed[1]), "--by", "C07", "--outcome", "未联系上")
    time(f"{TOMORROW} 02:00")
    for list_no in (await opened(TOMORROW)).opened:
        await telling_of(list_no)
    await aftersales("visit", "record", str(listed[1]), "--by", "C07", "--outcome", "已联系上", "--note", "好")

    told = await aftersales("visit", "figures", "--from", TODAY, "--to", TODAY, "--format", "json")

    assert [(row["agent"], row["due"], row["in_time"], row["late"], row["overdue"], row["share"]) for row in told.data] == [
        ("C07 王小明", "2", "1", "1", "0", "50.0"), ("C08 陈晓", "1", "0", "0", "1", "0.0"), ("合计", "3", "1", "1", "1", "33.3"),
    ]  # fmt: skip
