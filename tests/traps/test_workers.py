"""Workers that are killed, that are two, that are not ours: every leg is told once (trap 10, `prototype` 2.3 and 2.4)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from prefect.states import Cancelled, Pending, Running, Scheduled

from aftersales import clock
from aftersales.desk import worker as workers
from aftersales.desk.worker import CLAIM, POOL
from aftersales.store import engine
from aftersales.words import Stage
from tests.traps.conftest import RETURNS, Desk, Process, Run
from tests.traps.hanging_worker import Paper

KILLED = [
    pytest.param("before", "book-pickup-0", ("review",), id="after the intent of the pick-up", marks=pytest.mark.soak),
    pytest.param("after", "book-pickup-0", ("review",), id="after the call of the pick-up", marks=pytest.mark.soak),
    pytest.param(
        "before",
        "refund-0",
        ("review", "pickup", "receipt", "inspection"),
        id="after the intent to refund",
        marks=pytest.mark.soak,
    ),
    pytest.param(
        "after",
        "refund-0",
        ("review", "pickup", "receipt", "inspection"),
        id="after the refund's call",
        marks=pytest.mark.soak,
    ),
]


@pytest.mark.parametrize(("where", "step", "way"), KILLED)
async def test_trap_10_kill_9_in_the_middle_of_a_step(
    desk: Desk, paper: Paper, process: Callable[..., Process], where: str, step: str, way: tuple[str, ...]
):
    """Trap 10: the next worker heals the run at its start, and what was asked of the outside was asked once."""
    async with desk.worker():
        run = await desk.apply()
        await run.along(*way[:-1])
        await run.at(f"{way[-1]}-0-1")
    url = engine.engine().url.render_as_string(hide_password=False)
    victim = process("tests.traps.hanging_worker", where, step, str(paper.sheet), AFTERSALES_DATABASE_URL=url)
    await run.submit()
    await victim.says(where)
    victim.kill()
    key = f"{await run.case_no()}/{step}"
    assert (await run.states())[-1] == "Running"
    assert paper.calls.count(key) == (1 if where == "after" else 0)
    assert f"{step}.intent" in await run.journal()

    async with desk.worker():
        await run.at("pickup-0-1" if step == "book-pickup-0" else "refund-0-1")

    assert paper.calls.count(key) == 1
    assert f"{step}.outcome" in await run.journal()
    assert "Recovering" in await run.states()
    assert "Failed" not in await run.states()


@pytest.mark.parametrize("state", [pytest.param(Pending, id="claimed"), pytest.param(Running, id="begun")])
async def test_trap_10_a_run_that_a_dead_worker_had_claimed_is_taken_up(desk: Desk, state: Callable[[], object]):
    """Trap 10: killed between the claim and the first line, or just after it: the next worker starts it at once."""
    run = await desk.apply()
    await desk.client.set_flow_run_state(run.run_id, Pending(message=CLAIM))
    if state is not Pending:
        await desk.client.set_flow_run_state(run.run_id, state())  # type: ignore[arg-type]

    async with desk.worker():
        await run.at("review-0-1")

    assert len(await run.rows("units")) == 1


@pytest.mark.soak
async def test_two_workers_on_one_pool_tell_every_leg_once(desk: Desk, paper: Paper, caplog: pytest.LogCaptureFixture):
    """Ten cases, two workers, two gates each: each leg is one `Running`, each call is made once, nobody heals a live leg."""
    caplog.set_level(logging.INFO, "aftersales.worker")
    async with desk.worker("first") as first, desk.worker("second") as second:
        cases = [await desk.apply(f"D{number}") for number in range(10)]
        await asyncio.gather(*(run.along("review", "pickup") for run in cases), first.heal(), second.heal())
        await asyncio.gather(*(run.at("receipt-0-1") for run in cases))

    for run in cases:
        assert Counter(await run.states())["Running"] == 3, await run.states()
        assert "Failed" not in await run.states()
    assert len(paper.calls) == len(set(paper.calls)) == 10
    assert not [told for told in caplog.messages if told.startswith(("Healed", "A leg ended badly"))]


async def test_a_limit_that_somebody_set_on_the_deployment_is_kept(desk: Desk):
    """Prefect grants a limited deployment's places on the way to Pending: with one place, one leg at a time is told."""
    found = await desk.client.read_deployment_by_name(RETURNS)

    async def limit(places: int | None) -> None:
        await desk.client.request(
            "PATCH", "/deployments/{id}", path_params={"id": found.id}, json={"concurrency_limit": places}
        )

    await limit(1)
    try:
        async with desk.worker():
            first, second = await desk.apply("D1"), await desk.apply("D2")
            await asyncio.gather(first.at("review-0-1"), second.at("review-0-1"))
    finally:
        await limit(None)

    for run in (first, second):
        assert Counter(await run.states())["Pending"] == 1, await run.states()
    async with desk.worker():
        await first.along("review")
        await first.at("pickup-0-1")
    assert Counter(await first.states())["Pending"] == 1, "without a limit that state is left out"


async def test_a_run_that_was_cancelled_after_it_was_listed_stays_cancelled(desk: Desk):
    async with workers.hired(name="late") as late:
        run = await desk.apply()
        (listed,) = await late._client.get_scheduled_flow_runs_for_work_pool(POOL)
        await desk.client.set_flow_run_state(run.run_id, Cancelled())

        await late._tell(listed.flow_run)

    assert await run.states() == ["Scheduled", "Cancelled"]
    assert await run.case_no() == ""


async def test_a_worker_that_comes_late_with_its_list_leaves_the_form_that_is_open(desk: Desk):
    async with workers.hired(name="late") as late:
        run = await desk.apply()
        (listed,) = await late._client.get_scheduled_flow_runs_for_work_pool(POOL)
        async with desk.worker():
            await run.at("review-0-1")

        await late._tell(listed.flow_run)

    await run.at("review-0-1")
    assert Counter(await run.states())["Running"] == 1


async def test_a_run_whose_deployment_was_deleted_says_so(desk: Desk):
    """Somebody deletes 退货 in the UI while cases are open: what is resumed ends with one sentence, not in silence."""
    found = await desk.client.read_deployment_by_name(RETURNS)
    another = await desk.client.create_deployment(
        found.flow_id, "gone", entrypoint=found.entrypoint, work_pool_name=POOL, work_queue_name="default"
    )
    await desk.order("D1")
    made = await desk.client.create_flow_run_from_deployment(another, parameters={"request": desk.request("D1")})
    async with desk.worker():
        run = await Run(desk.client, made.id).at("review-0-1")
    await desk.client.delete_deployment(another)

    async with desk.worker():
        await run.submit()
        ended = await run.ends("Failed")

    assert ended.state is not None
    assert ended.state.message == "它的部署已被删除，请重新运行 make run；未办完的售后单由对账巡检重新建立运行。"


async def test_a_run_of_tomorrow_is_left_until_tomorrow(desk: Desk):
    """A run scheduled for later (*Run later*, tonight's round) takes up no room and no claim now."""
    await desk.order("D1")
    found = await desk.client.read_deployment_by_name(RETURNS)
    later = await desk.client.create_flow_run_from_deployment(
        found.id,
        parameters={"request": desk.request("D1")},
        state=Scheduled(scheduled_time=clock.now() + timedelta(hours=1)),
    )

    async with desk.worker():
        now = await desk.apply("D2")
        await now.at("review-0-1")

    assert (await desk.client.read_flow_run(later.id)).state_name == "Scheduled"


@pytest.mark.soak
async def test_the_stock_process_worker_tells_the_same_story(desk: Desk):
    """Prefect's own engine, in a process of its own, takes the answer of a form and stops at the next gate."""
    async with desk.worker():
        run = await desk.apply()
        await run.at("review-0-1")
    await run.submit()
    url = engine.engine().url.render_as_string(hide_password=False)

    told, said = await stock(
        *("prefect", "worker", "start", "--pool", POOL, "--type", "process", "--run-once"), AFTERSALES_DATABASE_URL=url
    )

    await run.at("pickup-0-1")
    assert told == 0, said
    assert (await run.journal())["review-0"].actor == "C08"
    assert (await run.case()).stage is Stage.PICKUP
    assert [row.key for row in await run.rows("work")] == [f"{await run.case_no()}/book-pickup-0"]
    assert await run.tasks() == ["预约取件"]
    async with desk.worker():
        await run.fill("pickup-0")
        await run.at("receipt-0-1")


async def stock(*command: str, **environment: str) -> tuple[int, str]:
    """Run `python -m …` to its end; answers its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *command,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(90):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")[-3000:]
