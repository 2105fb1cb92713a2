"""
A whole shop loses its Prefect server, its PostgreSQL, Prefect's database; is deployed to again; is stormed.

The tests follow each other through its life, each with cases of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled
from sqlalchemy import text

from aftersales.stack import postgres, prefect_settings, up
from aftersales.store import engine
from aftersales.store.engine import transaction
from tasks.rounds import ROUND
from tests.conftest import Shop
from tests.gateways.receivers import Receiver
from tests.traps.conftest import RETURNS, Desk, Run
from tests.traps.faults import test_long_waits as long_waits
from tests.traps.faults.conftest import (
    LAMPS,
    WANTED,
    Log,
    People,
    apply,
    breaks_of,
    faults_of,
    left_by,
    living,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

# where the cases of a test stand when the fault comes
GATES = ("review-0", "inspection-0", "receipt-1")
MORE_GATES = (*GATES, "pickup-0", "refund-0")
# within seconds, on a machine that has other work too; test_outages.py measures it to the second
SECONDS = 20.0


@pytest.fixture(scope="module")
def shop(stack: Shop) -> Shop:
    """The stack, when everybody who wants it calm is done with it."""
    stack.was_calm()
    return stack


@pytest.fixture
async def desk(shop: Shop) -> AsyncIterator[Desk]:
    """The desk of that shop."""
    async with desk_of(shop) as found:
        yield found


@asynccontextmanager
async def desk_of(shop: Shop) -> AsyncIterator[Desk]:
    """Sit down at a shop's desk: its database and its Prefect; to be done anew when either has moved."""
    engine.connect(shop.stack.database_url)
    limits = httpx.Limits(max_connections=50)
    try:
        async with PrefectClient(shop.stack.api_url, httpx_settings={"limits": limits, "timeout": 120}) as client:
            yield Desk(client)
    finally:
        await engine.disconnect()


async def waiting_at_gates(desk: Desk, prefix: str, gates: tuple[str, ...] = GATES) -> dict[str, People]:
    """Cases that stand at different gates, and the people who brought them there."""
    people = {gate: People(await apply(desk, f"{prefix}-{gate}")) for gate in gates}
    await asyncio.gather(*(each.finish(until=gate) for gate, each in people.items()))
    return people


async def all_finish(people: list[People], reference: dict[str, list[str]] | None = None) -> None:
    """Let every case be finished; nothing is doubled, nothing lost."""
    await asyncio.gather(*(each.finish() for each in people))
    for each in people:
        refunds = [row.key for row in await each.run.rows("work", "kind = 'refund'")]
        assert await faults_of(each.run, each, refunds, reference, of_all_runs=False) == []


async def until(true: Callable[[], Any], what: str, *, seconds: float = 300) -> float:
    """Wait for something that is not at our desk to be true; answers the seconds it took."""
    began = time.monotonic()
    while not await asyncio.to_thread(true):
        assert time.monotonic() - began < seconds, what
        await asyncio.sleep(0.1)
    return time.monotonic() - began


@pytest.fixture(scope="module")
async def reference(shop: Shop) -> dict[str, list[str]]:
    """What a case leaves that no fault has touched."""
    async with desk_of(shop) as desk:
        people = People(await apply(desk, "CALM"))
        await all_finish([people])
        return await left_by(people.run)


async def under_way(run: Run, entry: str) -> None:
    """Wait until a leg has taken an answer, and is on its way to the next gate."""
    async with asyncio.timeout(60):
        while True:
            if entry in await run.journal():
                return
            await asyncio.sleep(0.01)


# --- deployed again (traps 12, 15) ----------------------------------------------------------------------------------


async def what_is_set_up(desk: Desk) -> dict[str, Any]:
    """Everything that a set-up could make twice."""
    deployments = await desk.client.read_deployments()
    return {
        "deployments": sorted((found.name, found.id) for found in deployments),
        "schedules": sorted(
            (found.name, schedule.id, str(schedule.schedule)) for found in deployments for schedule in found.schedules
        ),
        "pools": sorted((pool.name, pool.id) for pool in await desk.client.read_work_pools()),
        "automations": sorted((found.name, found.id) for found in await desk.client.read_automations()),
        "variables": len((await desk.client.request("POST", "/variables/filter", json={})).json()),
    }


async def falls_due(run: Run, gate: str, seconds: float) -> None:
    """Let the window of a gate pass in so many seconds; its reminder is behind."""
    async with transaction() as connection:
        await connection.execute(
            text(
                "update promises set started_at = now() - interval '24 hours' + :wait * interval '1 second',"
                " due_at = now() + :wait * interval '1 second', rungs = 1, told = '[\"reminder\"]',"
                " rung_at = now() + :wait * interval '1 second' where case_no = :case and entry = :gate"
            ),
            {"wait": seconds, "case": await run.case_no(), "gate": gate},
        )


@pytest.fixture(scope="module")
async def left_alone(shop: Shop) -> dict[str, People]:
    """Cases that wait for a round: one's window passes, one's run is deleted, one's is cancelled after the goods came."""
    async with desk_of(shop) as desk:
        people = await waiting_at_gates(desk, "ALONE", ("review-0", "inspection-0"))
        people["late"] = People(await apply(desk, "ALONE-late"))
        await people["late"].finish(until="review-0")
        await falls_due(people["late"].run, "review-0", 1)
        # before the goods have come, a cancelled run is a cancelled case
        await desk.client.delete_flow_run(people["review-0"].run.run_id)
        await desk.client.set_flow_run_state(people["inspection-0"].run.run_id, Cancelled())
    return people


async def test_esc04_a_breach_reaches_the_department_by_itself_once(
    desk: Desk, left_alone: dict[str, People], of_the_stack: Receiver
):
    """Nothing is called by the test: the round comes by its schedule, the worker sends what it wrote."""
    people = left_alone["late"]
    people.run = Run(desk.client, people.run.run_id)
    case_no = await people.run.case_no()

    def told() -> list[str]:
        return [text for text in of_the_stack.texts("customer_service") if case_no in text]

    await until(told, "the department is told", seconds=100)
    assert told()[0].startswith(f"已超时：{case_no} 审核") and f"/v2/runs/flow-run/{people.run.run_id}" in told()[0]
    await asyncio.to_thread(time.sleep, 3)  # another look of the worker
    assert len(told()) == 1
    await people.finish()


async def stands(desk: Desk, case_no: str) -> bool:
    """Whether a case's run waits at a gate."""
    try:
        run = await (await living(desk.client, case_no)).seen()
    except ObjectNotFound:
        return False
    return run.state_name == "Suspended"


async def test_trap_11_what_somebody_cancelled_or_deleted_lives_again_though_nobody_asks(
    desk: Desk, left_alone: dict[str, People]
):
    """The rounds come by their own schedule, on the shop as `make run` starts it."""
    people = {gate: left_alone[gate] for gate in ("review-0", "inspection-0")}

    for gate, each in people.items():
        number = await each.run.case_no()
        async with asyncio.timeout(200):
            while True:
                if await stands(desk, number):
                    break
                await asyncio.sleep(0.5)
        each.run = await living(desk.client, number)
        await each.run.at(gate)

    runs = await desk.client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(
            {"tags": {"all_": [ROUND]}, "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
        )
    )
    assert {run.state_type.value for run in runs if run.state_type} == {"COMPLETED"}
    came = {run.deployment_id for run in runs if run.auto_scheduled}
    names = {each.name for each in await desk.client.read_deployments() if each.id in came}
    assert names >= {"对账巡检", "超时巡检"}, "each of the rounds comes"
    await asyncio.gather(*(each.finish() for each in people.values()))
    for each in people.values():
        refunds = [row.key for row in await each.run.rows("work", "kind = 'refund'")]
        assert sorted(key.partition("/")[2] for key in refunds) == ["refund-0", "refund-1"]
        assert not await breaks_of(await each.run.case_no())


@pytest.mark.soak
async def test_trap_12_and_15_set_up_twice_with_open_cases_doubles_nothing(shop: Shop, desk: Desk):
    """Traps 12 and 15: two more deployments leave every id as it is, and the open cases finish."""
    people = await waiting_at_gates(desk, "T12")
    before = await what_is_set_up(desk)
    stood = {gate: await left_by(each.run) for gate, each in people.items()}

    for _ in range(2):
        done = await asyncio.to_thread(shop.command, "deploy")
        assert done.returncode == 0, done.stderr

    after = await what_is_set_up(desk)
    # the ids of schedules may change; what must not is how many there are, and when they come
    assert [(name, when) for name, _, when in after.pop("schedules")] == [
        (name, when) for name, _, when in before.pop("schedules")
    ]
    assert after == before
    assert [pool for pool, _ in after["pools"]] == [up.POOL]
    assert len({name for name, _ in after["deployments"]}) == len(after["deployments"])
    assert {gate: await left_by(each.run) for gate, each in people.items()} == stood
    await all_finish(list(people.values()))


async def test_trap_15_sigterm_ends_the_worker_within_seconds_and_the_next_goes_on(shop: Shop, desk: Desk):
    """Trap 15: told to stop with a leg under way, the worker is gone before it is killed; the case goes on."""
    people = People(await apply(desk, "T15"))
    await people.finish(until="review-0")
    told = shop.stack.processes["worker"]
    await people.answer()

    os.kill(told.pid, signal.SIGTERM)
    await until(lambda: told.alive is None, "the worker is still there", seconds=SECONDS)

    await all_finish([people])


# --- a storm --------------------------------------------------------------------------------------------------------


async def storm(desk: Desk, size: int, prefix: str) -> dict[str, float]:
    """Create `size` applications at once through the API, then decide all of them at once; answers the seconds."""
    orders = [f"{prefix}-{number}" for number in range(size)]
    for order_no in orders:
        await desk.order(order_no, lines=LAMPS)
    asked = [desk.request(order_no, items=WANTED) for order_no in orders]

    began = time.monotonic()
    runs = await asyncio.gather(*(desk.start(RETURNS, request) for request in asked))
    created = time.monotonic()
    await everybody_at(orders, "review-0", size)
    reviewed = time.monotonic()
    await suspended(desk, runs, "review-0")
    answers = await asyncio.gather(*(run.answer() for run in runs))
    begun = time.monotonic()
    verdicts = await asyncio.gather(*(run.submit(answer) for run, answer in zip(runs, answers, strict=True)))
    await everybody_at(orders, "pickup-0", size)
    decided = time.monotonic()
    await suspended(desk, runs, "pickup-0")

    assert Counter(verdict for verdict, _ in verdicts) == {"ACCEPT": size}
    states = await states_of(runs)
    assert not {"Failed", "Crashed", "Cancelled"} & set(states), states
    assert states["Running"] == 2 * size, "each leg is told once"
    async with transaction() as connection:
        query = text(
            "select entry, count(*) from journal join cases using (case_no) "
            "where order_no = any(:orders) group by entry having count(*) <> :size"
        )
        odd = (await connection.execute(query, {"orders": orders, "size": size})).all()
        opened = await connection.scalar(
            text("select count(*) from cases where order_no = any(:orders)"), {"orders": orders}
        )
    assert (opened, odd) == (size, [])
    for run in runs:
        assert not await breaks_of(await run.case_no())
    return {
        "created": created - began,
        "all at review": reviewed - began,
        "all decided": decided - begun,
        "cases a second": size / (reviewed - began),
        "decisions a second": size / (decided - begun),
    }


async def everybody_at(orders: list[str], entry: str, size: int, *, seconds: float = 600) -> None:
    """Wait until every case of some orders has an open gate."""
    query = text(
        "select count(*) from promises join cases using (case_no) "
        "where order_no = any(:orders) and entry = :entry and promises.ended_at is null"
    )
    async with asyncio.timeout(seconds):
        while True:
            async with transaction() as connection:
                if await connection.scalar(query, {"orders": orders, "entry": entry}) == size:
                    return
            await asyncio.sleep(0.1)


async def suspended(desk: Desk, runs: list[Run], form: str) -> None:
    """Wait until every run shows its form."""
    await asyncio.gather(*(run.at(form) for run in runs))


async def states_of(runs: list[Run]) -> Counter[str]:
    """How often the runs went through each state."""
    return Counter(state for states in await asyncio.gather(*(run.states() for run in runs)) for state in states)


async def test_a_burst_of_forty_applications_and_forty_decisions_loses_none(desk: Desk):
    """40 at once, then 40 decisions at once, on the stack as it is: none lost, none Crashed or Failed."""
    told = await storm(desk, 40, "B40")

    print({name: round(seconds, 1) for name, seconds in told.items()})


@pytest.mark.soak
async def test_soak_a_burst_of_three_hundred_loses_none(desk: Desk, soak_log: Log):
    """300 at once, then 300 decisions at once."""
    told = await storm(desk, 300, "B300")

    soak_log.title("A burst of 300 applications, then 300 decisions")
    for name, seconds in told.items():
        soak_log.line(f"- {name}: {seconds:.1f}")


# --- outages --------------------------------------------------------------------------------------------------------


async def killed_server(shop: Shop) -> None:
    """Kill Prefect's server as a machine does that runs out of memory, and wait for the next."""
    os.kill(shop.stack.processes["server"].pid, signal.SIGKILL)
    await until(lambda: up.ask(f"{shop.stack.api_url}/health") is not True, "the server answers although it is dead")
    await until(lambda: up.ask(f"{shop.stack.api_url}/health") is True, "the server does not come back")


async def crashed_database(shop: Shop) -> None:
    """Shut PostgreSQL down as a crash does (no checkpoint, every connection cut), and wait for the next."""
    crashed = shop.stack.processes["postgres"]
    os.kill(crashed.pid, signal.SIGQUIT)
    await until(lambda: crashed.alive is None, "PostgreSQL goes on")
    await until(postgres.cluster(shop.home).is_ready, "PostgreSQL does not come back")
    await engine.engine().dispose()  # ours were cut too, and one that answered within a second is not asked again
    await until(lambda: up.ask(f"{shop.stack.api_url}/health") is True, "the server does not come back")


OUTAGES = [
    pytest.param(killed_server, id="Prefect's server is killed"),
    pytest.param(crashed_database, id="PostgreSQL crashes"),
]


@pytest.mark.soak
@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_in_the_middle_of_a_leg_loses_nothing_and_doubles_nothing(
    shop: Shop, reference: dict[str, list[str]], desk: Desk, outage: Callable[[Shop], Any]
):
    """A leg is under way and other cases wait at their gates: all end, with one refund a receipt."""
    people = await waiting_at_gates(desk, outage.__name__)
    told = people["review-0"]
    await told.answer()
    await under_way(told.run, "review-0")

    await outage(shop)

    await all_finish(list(people.values()), reference)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("outage", OUTAGES)
async def test_soak_an_outage_in_every_leg(
    shop: Shop, reference: dict[str, list[str]], desk: Desk, outage: Callable[[Shop], Any], soak_log: Log
):
    """The same, once in each leg of one case."""
    people = People(await apply(desk, f"{outage.__name__}-soak"))
    soak_log.title(f"{outage.__name__} in every leg of a case")
    while await people.reaches_a_gate():
        answered = await people.answer()
        await under_way(people.run, answered)
        await outage(shop)
        soak_log.line(f"- while {answered} was told: the run is {(await people.run.seen()).state_name}")

    await all_finish([people], reference)
    soak_log.line("- nothing lost, nothing doubled")


async def killed_worker(shop: Shop) -> None:
    """Kill the worker, and wait for the next."""
    killed = shop.stack.processes["worker"]
    os.kill(killed.pid, signal.SIGKILL)
    await until(lambda: shop.stack.processes.get("worker", killed) != killed, "the worker does not come back")


@pytest.mark.soak
async def test_soak_p26_a_case_that_waits_31_days_outlives_worker_server_and_database(
    shop: Shop, desk: Desk, soak_log: Log
):
    """P-26 on a whole shop: each week something else is killed, and the case is finished on the 31st day."""
    rehearsal, run = await long_waits.rehearsed(desk, "P26")
    await run.fill("review-0")
    await run.at("pickup-0-1")
    await long_waits.give_time(run, rehearsal, days=40)

    for outage in (killed_worker, killed_server, crashed_database, killed_server):
        await long_waits.jump(rehearsal, long_waits.WAIT / 4)
        await outage(shop)
        await run.at("pickup-0-1")

    await run.along("pickup", "receipt", "inspection", "refund")
    await run.ends()
    case = await run.case()
    assert case.closed_at is not None and case.closed_at - case.opened_at >= long_waits.WAIT
    soak_log.title("P-26: 31 days of waiting, worker, server, database and server again killed in between")
    soak_log.line(f"- closed after {(case.closed_at - case.opened_at).days} days, {await run.legs()} legs")


@pytest.mark.soak
async def test_prefects_database_is_lost_and_the_desk_is_rebuilt(
    shop: Shop, reference: dict[str, list[str]], desk: Desk
):
    """Every open case stands at its gate again after `aftersales desk rebuild`; calls, notices and promises as before."""
    people = await waiting_at_gates(desk, "LOST", MORE_GATES)
    numbers = {gate: await each.run.case_no() for gate, each in people.items()}
    stood = {gate: await left_by(each.run) for gate, each in people.items()}
    await engine.disconnect()
    await asyncio.to_thread(shop.stop)
    drop_prefects_database(shop)

    await asyncio.to_thread(shop.start)
    rebuilt = await asyncio.to_thread(shop.command, "desk", "rebuild")

    assert rebuilt.returncode == 0, rebuilt.stderr
    async with desk_of(shop) as anew:
        for gate, each in people.items():
            each.run = await living(anew.client, numbers[gate])
            await each.run.at(gate)
            assert await left_by(each.run) == stood[gate]
        await all_finish(list(people.values()), reference)


def drop_prefects_database(shop: Shop) -> None:
    """Lose everything that Prefect knows."""
    with postgres.cluster(shop.home).running() as server:
        name = prefect_settings.prefect_url(server.url()).rpartition("/")[2].partition("?")[0]
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute(f'drop database "{name}"')


async def test_nothing_is_left_in_between(desk: Desk):
    """After all this no run of a case stands anywhere but at a gate or at its end."""
    odd = await desk.client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(
            {"state": {"type": {"any_": ["FAILED", "CRASHED", "CANCELLED", "RUNNING", "PENDING"]}}}
        )
    )

    assert [(run.name, run.state_name) for run in odd if run.name.startswith("退货")] == []
