"""`aftersales escalate`, and what the history shows of it (ESC-04)."""

from __future__ import annotations

from typing import Any

import pytest

from tasks import escalation, rounds
from tests.stories.conftest import Shop
from tests.stories.test_escalation import at_refund, outbox, reached, time

__all__ = ["time"]


async def test_the_timeline_tells_who_was_told(shop: Shop, time: Any, aftersales: Any):
    telling = await at_refund(shop, time)
    await escalation.look(at=time("2025-03-20 00:00"))

    shown = await aftersales("audit", "case", telling.case_no)

    assert "退款超时" in shown.out and "通知售后服务部" in shown.out
    assert "RET-09" in shown.out


async def test_escalate_dry_run_says_who_would_be_told_and_writes_nothing(shop: Shop, time: Any, aftersales: Any):
    telling = await at_refund(shop, time)

    shown = await aftersales("escalate", "--dry-run", "--at", "2025-03-21 00:00")

    assert shown.code == 0 and "将通知 1 项" in shown.out
    for word in (telling.case_no, "退款", "3月19日（周三）24:00", "售后服务部", "A01 何静", "客户"):
        assert word in shown.out
    assert await outbox(telling) == [] and await reached(telling) == []


async def test_each_rung_says_what_it_is_and_for_when(shop: Shop, time: Any):
    await at_refund(shop, time)
    soon, late = [
        (await escalation.look(at=time(at), dry_run=True)).rows()[0][3]
        for at in ("2025-03-19 10:00", "2025-03-22 00:00")
    ]

    assert soon == "到期前提醒 3月19日（周三）09:00：售后服务部"
    assert late == (
        "到期前提醒 3月19日（周三）09:00：售后服务部（不发：到点前已超时，由超时通知代替）；"
        "超时 3月19日（周三）24:00：售后服务部；升级 3月20日（周四）24:00：客户；升级 3月21日（周五）24:00：A01 何静"
    )


async def test_escalate_tells_now(shop: Shop, time: Any, aftersales: Any, monkeypatch: pytest.MonkeyPatch):
    """What it asks Prefect, and tells it, stands in `tests/traps/test_escalation_round.py`."""
    telling = await at_refund(shop, time)
    time("2025-03-20 00:00")

    async def look() -> tuple[escalation.Round, list[str]]:
        told = await escalation.look()
        return told, ["RT-1：没有这个运行"] if told.told else []

    monkeypatch.setattr(rounds, "escalate_from_outside", look)

    told = await aftersales("escalate")
    again = await aftersales("escalate")

    assert told.out.endswith("已写入待发 1 项。\n1 张单的标签没有更新，下一分钟再试，例如 RT-1：没有这个运行。\n")
    assert again.out == "没有到期的提醒，也没有超时。\n"
    assert len(await outbox(telling)) == 1


async def test_escalate_says_that_prefect_does_not_run_and_tells_nobody(
    shop: Shop, time: Any, aftersales: Any, monkeypatch: pytest.MonkeyPatch
):
    """Whether somebody has submitted a form just now is known there alone."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    telling = await at_refund(shop, time)
    time("2025-03-20 00:00")

    left = await aftersales("escalate")

    assert (left.code, left.out, left.err) == (1, "", "Prefect 服务没有运行，请先在另一个终端运行 make run。")
    assert await outbox(telling) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(["--at", "2026-01-01"], "--at 只能和 --dry-run 一起用", id="a time without a dry run"),
        pytest.param(["--dry-run", "--at", "明天"], "“明天”不是时刻", id="a time that is none"),
        pytest.param(["--dry-run", "--at", "9999-13-01"], "“9999-13-01”不是时刻", id="a month that is none"),
    ],
)
async def test_escalate_is_told_wrongly(aftersales: Any, words: list[str], sentence: str):
    left = await aftersales("escalate", *words)

    assert left.code == 2 and left.err.startswith(sentence) and left.err.count("\n") == 0
