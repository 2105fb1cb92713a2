"""Applications over a real Prefect: a run that nobody started at the desk, once, and seen by whoever asks (RET-01)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.filters import FlowRunFilter
from sqlalchemy import text

from aftersales.store import journal
from aftersales.store.engine import transaction
from aftersales.words import Applied, Stage
from tasks import intake, reconcile
from tests.gateways.test_intake import ARRIVED, INSPECTED, Shops
from tests.traps.conftest import PATIENCE, Desk, Run


def asked(order_no: str = "D1", **changes: Any) -> dict[str, Any]:
    """An application as the page or a shop system sends it."""
    return {
        "order_no": order_no,
        "items": [{"sku": "SKU-1", "quantity": 1}],
        "reason": "no_reason",
        "shipping": "pickup",
        **changes,
    }


async def ended(application_id: str) -> intake.Standing:
    """Wait until it is known what became of an application."""
    for _ in range(int(PATIENCE * 10)):
        told = await intake.standing(application_id)
        if told.state is not Applied.TAKING:
            return told
        await asyncio.sleep(0.1)
    pytest.fail("nobody has told the application's story")


async def run_of(desk: Desk, application_id: str) -> Run:
    """The run that an application was handed to."""
    async with transaction() as connection:
        run_id = await connection.scalar(text("select run_id from applications where id = :i"), {"i": application_id})
    return Run(desk.client, run_id)


async def test_the_page_hands_in_an_application_once(staffed: Desk):
    await staffed.order("D1")

    taken = await intake.apply(asked(), via="page", key="token-1")
    told = await ended(taken.id)
    again = await intake.apply(asked(), via="page", key="token-1")

    assert (told.state, taken.is_new, again) == (
        Applied.OPENED,
        True,
        intake.Application(taken.id, "C01", is_new=False),
    )
    run = await (await run_of(staffed, taken.id)).at("review-0")
    assert await run.case_no() == told.case_no
    async with transaction() as connection:
        opened = (await journal.read(connection, told.case_no))["opened"]
    assert (opened.actor, opened.data["operator"], opened.data["via"]) == ("customer", "C01", "page")
    found = await run.seen()
    assert found.name == f"退货 {told.case_no} 待审核" and "客户服务部" in found.tags


async def test_ten_at_the_same_instant_are_one_run(staffed: Desk):
    await staffed.order("D1")

    taken = await asyncio.gather(*(intake.apply(asked(), via="api", key="erp/1") for _ in range(10)))

    assert len({each.id for each in taken}) == 1
    told = await ended(taken[0].id)
    await (await run_of(staffed, taken[0].id)).at("review-0")
    runs = await staffed.client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"tags": {"all_": ["退货"]}}), limit=50
    )
    assert [run.name for run in runs] == [f"退货 {told.case_no} 待审核"]


async def test_one_that_cannot_be_opened_says_why(staffed: Desk):
    taken = await intake.apply(asked("D404"), via="page", key="token-1")

    told = await ended(taken.id)

    assert told == intake.Standing(Applied.REFUSED, sentence="没有订单 D404，请核对订单号。")


async def test_what_was_handed_over_while_nobody_worked_is_told_later(desk: Desk):
    await desk.order("D1")

    taken = await intake.apply(asked(), via="page", key="token-1")
    assert await intake.standing(taken.id) == intake.Standing(Applied.TAKING)
    async with desk.worker():
        told = await ended(taken.id)

    assert told.state is Applied.OPENED


async def test_a_run_that_was_lost_before_it_was_told_is_started_anew(desk: Desk):
    await desk.order("D1")
    taken = await intake.apply(asked(), via="page", key="token-1")
    await desk.client.delete_flow_run((await run_of(desk, taken.id)).run_id)

    again = await intake.apply(asked(), via="page", key="token-1")
    async with desk.worker():
        told = await ended(taken.id)

    assert again.id == taken.id and told.state is Applied.OPENED


async def test_a_run_that_was_deleted_is_found_by_the_round(desk: Desk):
    await desk.order("D1")
    taken = await intake.apply(asked(), via="page", key="token-1")
    await desk.client.delete_flow_run((await run_of(desk, taken.id)).run_id)
    early = await reconcile.look(desk.client)
    async with transaction() as connection:
        await connection.execute(text("update applications set created_at = created_at - interval '10 minutes'"))

    seen = await reconcile.look(desk.client, dry_run=True)
    mended = await reconcile.look(desk.client)
    after = await reconcile.look(desk.client)
    async with desk.worker():
        told = await ended(taken.id)

    assert (early.findings, after.findings) == ([], [])
    assert [(each.found, each.done) for each in (*seen.findings, *mended.findings)] == [
        ("申请的运行不见了，还没有售后单", "（仅查看，未处理）"),
        ("申请的运行不见了，还没有售后单", "已重新建立运行"),
    ]
    assert told.state is Applied.OPENED


@pytest.fixture
async def shops(database: str, prefect_api: str, tmp_path: Path) -> AsyncIterator[Shops]:
    """`aftersales serve` beside the desk."""
    running = Shops(database.replace("+psycopg", ""), tmp_path, PREFECT_API_URL=prefect_api)
    yield running
    running.stop()


async def test_a_whole_case_is_driven_by_shop_systems(staffed: Desk, shops: Shops):
    """From the application to the money back, each step by the key that may: every answer wakes the run by itself."""
    await staffed.order("D1")

    applied = await shops.post("/v1/applications", asked(), key="store", number="order-1")
    told = applied.json()
    if told["state"] == "taking":
        await ended(told["application_id"])
    told = (await shops.get(f"/v1/applications/{told['application_id']}", key="store")).json()
    case_no, run = told["case_no"], await run_of(staffed, told["application_id"])
    at = f"/v1/cases/{case_no}/decisions"

    assert (applied.status_code, told["state"]) == (202, "opened")
    assert (await shops.post("/v1/applications", asked(), key="store", number="order-1")).json() == applied.json()
    await run.at("review-0")
    assert (await shops.post(f"{at}/review", {"decision": "通过"})).status_code == 200
    await run.at("pickup-0")
    picked_up = {"event": "picked_up", "case_no": case_no, "carrier": "顺丰", "tracking_no": "SF100200300"}
    assert (await shops.post("/v1/scans", picked_up, key="logistics")).status_code == 200
    await run.at("receipt-0")
    assert (
        await shops.post("/v1/scans", {**ARRIVED, "tracking_no": "SF100200300"}, key="warehouse")
    ).status_code == 200
    await run.at("inspection-0")
    assert (await shops.post(f"{at}/inspection", INSPECTED, key="warehouse")).status_code == 200
    await run.at("refund-0")
    paid = {"amount": "188.00", "reference": "WX-1"}
    assert (await shops.post(f"{at}/refund", paid, key="cashier")).status_code == 200
    await run.ends()

    assert (await run.case()).stage is Stage.CLOSED
    assert (await run.journal())["opened"].actor == "shop"
    assert (await shops.get(f"/v1/cases/{case_no}", key="store")).json()["stage"] == "closed"
