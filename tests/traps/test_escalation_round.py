"""The escalation round on the desk: its page, and what it leaves alone while somebody's form is on its way (ESC-04)."""

from __future__ import annotations

from prefect.client.schemas.objects import FlowRun
from sqlalchemy import text

from aftersales.desk.links import ROUND
from aftersales.store.engine import transaction
from tasks import reconcile, rounds
from tests.traps.conftest import Desk, Run

NAME = "escalation/超时巡检"


async def late_review(desk: Desk) -> Run:
    """An application whose 24 hours are over."""
    run = await desk.apply()
    await run.at("review-0-1")
    async with transaction() as connection:
        await connection.execute(
            text(
                "update promises set started_at = now() - interval '1 day 1 minute', "
                "due_at = now() - interval '1 minute', rung_at = now() - interval '1 minute' where stage = 'review'"
            )
        )
    return run


async def play(desk: Desk) -> tuple[FlowRun, list[str]]:
    """Let the round come now; answers its run and pages."""
    deployment = await desk.client.read_deployment_by_name(NAME)
    started = await desk.client.create_flow_run_from_deployment(deployment.id)
    ended = await Run(desk.client, started.id).ends()
    told = await desk.client.request(
        "POST", "/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [str(ended.id)]}}}
    )
    return ended, [page["data"] for page in told.json()]


async def breaches(run: Run) -> list[str]:
    return [row.recipient for row in await run.rows("outbox", "notice = 'NTC-10'")]


async def test_esc04_the_round_tells_the_department_and_leaves_a_page_only_when_it_found_something(staffed: Desk):
    empty, nothing = await play(staffed)
    run = await late_review(staffed)

    found, (page,) = await play(staffed)
    again, still_nothing = await play(staffed)

    assert (nothing, still_nothing) == ([], [])
    assert (set(empty.tags), set(again.tags), set(found.tags)) == ({ROUND}, {ROUND}, {ROUND, rounds.FOUND})
    assert f"| {await run.case_no()} | 审核 |" in page and "客户服务部" in page
    assert await breaches(run) == ["department:customer_service"]


async def test_a_form_that_no_worker_has_read_yet_is_not_told_as_late(desk: Desk):
    async with desk.worker():
        run = await late_review(desk)
    number = await run.case_no()
    assert await reconcile.being_told(desk.client, {number, "RT-NONE"}) == set()

    status, reason = await run.submit()

    assert status == "ACCEPT", reason
    assert await reconcile.being_told(desk.client, {number}) == {number}
    assert await rounds.escalate() == "没有到期的提醒"
    async with desk.worker():
        await run.at("pickup-0-1")
    assert await breaches(run) == []
