"""The escalation round on the desk: its page, and what it leaves alone while somebody's form is on its way (ESC-04)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url

from aftersales import clock
from aftersales.desk import deployments, links
from aftersales.desk.links import ROUND
from aftersales.stack import deploy
from aftersales.store.engine import transaction
from tasks import reconcile, rounds, sending
from tests.gateways.receivers import Receiver
from tests.stories.notifying import known
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


async def test_a_form_that_no_worker_has_read_yet_is_not_told_as_late(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Neither by the round nor by the command."""
    monkeypatch.setenv("PREFECT_API_URL", str(desk.client.api_url))
    async with desk.worker():
        run = await late_review(desk)
    number = await run.case_no()
    assert await reconcile.being_told(desk.client, {number, "RT-NONE"}) == set()

    status, reason = await run.submit()

    assert status == "ACCEPT", reason
    assert await reconcile.being_told(desk.client, {number}) == {number}
    assert await rounds.escalate() == "没有到期的提醒，也没有超时"
    assert (await rounds.escalate_from_outside())[0].told == []
    async with desk.worker():
        await run.at("pickup-0-1")
    assert await breaches(run) == []


async def test_the_command_tags_the_run_and_brings_the_board_up_to_date_as_the_round_does(
    staffed: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PREFECT_API_URL", str(staffed.client.api_url))
    late = await late_review(staffed)

    told, untagged = await rounds.escalate_from_outside()

    assert ([each.case_no for each in told.told], untagged) == ([await late.case_no()], [])
    assert "超时" in (await late.seen()).tags
    (board,) = await staffed.client.read_artifacts(
        artifact_filter=ArtifactFilter.model_validate({"key": {"any_": [links.board("customer_service")]}})
    )
    assert f"{await late.case_no()}](/v2/runs/flow-run/{late.run_id}) | 待审核" in str(board.data)


async def test_p05_what_was_counted_again_shows_on_the_form_that_stands_open(staffed: Desk):
    """As if this year's calendar had been missing when the application came."""
    run = await staffed.apply()
    await run.at("review-0-1")
    year = clock.now().year
    async with transaction() as connection:
        await connection.execute(
            text(
                "update promises set provisional = true, calendars = :version, trace = trace || :missing "
                "where stage = 'review'"
            ).bindparams(bindparam("missing", {"provisional": True, "missing": [year]}, JSONB)),
            {"version": f"{year}:-"},
        )

    _, (page,) = await play(staffed)
    await run.at("review-0-2")

    assert f"{year} 年的日历已有，重算" in page and "（暂定） → " in page
    assert f"重算：{year} 年的日历已有" in await run.page()
    assert (await run.submit())[0] == "ACCEPT"
    await run.at("pickup-0-1")


async def test_trap_14_after_an_outage_of_eight_hours_a_round_comes_once_not_480_times(desk: Desk):
    """Prefect's scheduler went on without a worker; what it has laid down is left to the latest of them."""
    deployment = await desk.client.read_deployment_by_name(NAME)
    laid_down = [
        await desk.client.create_flow_run_from_deployment(
            deployment.id, state=Scheduled(scheduled_time=clock.now() - timedelta(minutes=minutes))
        )
        for minutes in (480, 479, 240, 30, 3, 2)
    ]

    async with desk.worker():
        latest = await Run(desk.client, laid_down[-1].id).ends()
        for earlier in laid_down[:-1]:
            async with asyncio.timeout(30):
                while await is_there(desk, earlier.id):  # noqa: ASYNC110 - nothing tells us when it is deleted
                    await asyncio.sleep(0.1)

    assert latest.state is not None and latest.state.is_completed()


async def test_trap_15_set_up_twice_a_stage_timeout_yields_one_message(
    staffed: Desk,
    database: str,
    prefect_api: str,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sending, "_known", known(departments={"customer_service": [receiver.url("desk")]}))
    monkeypatch.setattr(sending.deliveries, "quiet_until", lambda *whom, **when: None)
    before = await set_up(staffed)
    url = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    for _ in range(2):
        await asyncio.to_thread(deploy.run, database_url=url, api_url=prefect_api, auth="", refine=deployments.refine)
    run = await late_review(staffed)

    for _ in range(2):
        await play(staffed)
        await sending.send_what_is_due()

    assert await set_up(staffed) == before
    assert [said.splitlines()[0] for said in receiver.texts()] == [f"已超时：{await run.case_no()} 审核"]
    assert [row.state for row in await run.rows("outbox", "notice = 'NTC-10'")] == ["sent"]


async def set_up(desk: Desk) -> tuple[list[str], list[str], list[str]]:
    """What the set-up leaves in Prefect, by name: deployments with their schedules, pools, automations."""
    return (
        sorted(f"{each.name} {len(each.schedules)}" for each in await desk.client.read_deployments()),
        sorted(each.name for each in await desk.client.read_work_pools()),
        sorted(each.name for each in await desk.client.read_automations()),
    )


async def test_a_round_that_is_late_alone_still_comes(desk: Desk):
    deployment = await desk.client.read_deployment_by_name(NAME)
    at = clock.now() - timedelta(hours=8)
    late = await desk.client.create_flow_run_from_deployment(deployment.id, state=Scheduled(scheduled_time=at))

    async with desk.worker():
        ended = await Run(desk.client, late.id).ends()

    assert ended.state is not None and ended.state.is_completed()


async def is_there(desk: Desk, run_id: UUID) -> bool:
    """Whether Prefect still knows a run."""
    try:
        await desk.client.read_flow_run(run_id)
    except ObjectNotFound:
        return False
    return True
