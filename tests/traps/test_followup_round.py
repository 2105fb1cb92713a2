"""The nightly round on the desk: when it comes, and the page it leaves (FUP-10, NUM-219, P-01)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aftersales.desk.deployments import NIGHTLY, nightly
from aftersales.desk.links import ROUND
from aftersales.terms import load
from tasks import followup, rounds
from tests.traps import test_escalation_round as escalation
from tests.traps.conftest import Desk
from tests.visiting import at, drawn, sell


async def test_num219_it_comes_at_its_hour_in_the_zone_of_the_house(desk: Desk):
    deployment = await desk.client.read_deployment_by_name(NIGHTLY)

    (laid_down,) = deployment.schedules
    assert (laid_down.schedule.cron, laid_down.schedule.timezone) == ("0 2 * * *", load().house.timezone)
    assert laid_down.schedule.model_dump() == nightly(load()).model_dump()


async def test_fup10_the_round_draws_up_the_day_and_leaves_a_page_once(staffed: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(escalation, "NAME", NIGHTLY)
    monkeypatch.setattr(followup, "clock", SimpleNamespace(now=lambda: at("2025-03-12 02:00")))
    await sell("O1", ordered="2025-03-05", delivered="2025-03-07")

    found, (page,) = await escalation.play(staffed)
    again, nothing = await escalation.play(staffed)

    assert await drawn("2025-03-12") == ["purchase:O1"]
    assert (set(found.tags), set(again.tags)) == ({ROUND, rounds.FOUND}, {ROUND}) and nothing == []
    assert page.startswith("# 3月12日（周三）的回访") and "| C02 刘洋 | 1 | 新购回访 1 |" in page
    assert "李小红" not in page and "10212345678" not in page
