"""An answer on a real desk: the second revisit that it opens has its run at once, or a minute later (SVY-05)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aftersales import clock, links
from aftersales.gateways.channels import Channels
from aftersales.settings import settings
from aftersales.store import cases, surveys
from aftersales.store.engine import transaction
from aftersales.words import Stage
from tasks import reconcile, sending
from tasks import surveys as asking
from tests.traps.conftest import MAIN_WAY, Desk, Run
from tests.traps.test_personal_data import found_in_prefect


@pytest.fixture(autouse=True)
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where the key of links is kept; no channel leads to anybody."""
    monkeypatch.setenv("AFTERSALES_HOME", str(tmp_path))
    monkeypatch.setattr(sending, "_known", Channels())
    settings.cache_clear()
    yield
    settings.cache_clear()


async def asked(desk: Desk) -> str:
    """What the link of a survey holds, about a return that was completed on the desk."""
    run = await desk.apply()
    await run.along(*MAIN_WAY)
    await run.ends()
    await asking.look(at=clock.now() + timedelta(minutes=3))
    async with transaction() as connection:
        row = await surveys.of_case(connection, await run.case_no())
    assert row is not None and row["state"] == "sent"
    return links.sign("survey", str(row["id"]), clock.now() + timedelta(days=3))


async def run_of(desk: Desk, case_no: str) -> Run | None:
    """The run that tells a case."""
    async with transaction() as connection:
        run_id = await cases.run_of_case(connection, case_no)
    return Run(desk.client, run_id) if run_id else None


async def test_svy05_a_dissatisfied_answer_stands_on_the_desk_at_once(staffed: Desk):
    link = await asked(staffed)

    recorded = await asking.answer(link, {"overall": "1", "comment": "电话 13812345678 没人接，请找花园路的张三"})

    run = await run_of(staffed, recorded.revisit_no)
    assert run is not None, "it was begun with the answer"
    await run.at("revisit-0-1")
    found = await run.seen()
    assert found.name == f"二次回访 {recorded.revisit_no} 待二次回访"
    assert {"二次回访", "客户服务部"} <= set(found.tags)
    page = await run.page()
    assert found_in_prefect("花园路的张三"), "whoever is to call reads it above the form"
    assert "总体满意度：1 星" in page and "138\\*\\*\\*\\*5678" in page and "13812345678" not in page
    drawn = {name: field["default"] for name, field in (await run.form())["properties"].items() if "default" in field}
    await run.submit({**drawn, "operator": "C02 刘洋", "result": "客户满意", "note": "已致歉"})
    await run.ends()
    assert (await run.case()).stage is Stage.CLOSED
    assert found_in_prefect("花园路的张三") == [], "GEN-10: no longer than the form stands open"


async def test_svy05_an_answer_while_prefect_is_away_gets_its_run_from_the_round(
    staffed: Desk, monkeypatch: pytest.MonkeyPatch
):
    link = await asked(staffed)
    with monkeypatch.context() as away:
        away.delenv("PREFECT_API_URL")
        recorded = await asking.answer(link, {"overall": "1"})
    assert await run_of(staffed, recorded.revisit_no) is None

    await reconcile.look(staffed.client)

    run = await run_of(staffed, recorded.revisit_no)
    assert run is not None
    await run.at("revisit-0-1")
