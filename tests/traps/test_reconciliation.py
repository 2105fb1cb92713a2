"""What people and defects do to a run on the desk; the round sets it right (trap 11, design §10)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Completed, Crashed, Failed, Running, Scheduled
from sqlalchemy import text

from aftersales import clock
from aftersales.store import cases
from aftersales.store.engine import transaction
from aftersales.words import Stage
from tasks import cases as opening
from tasks import reconcile, rounds, tellers
from tests.traps.conftest import MAIN_WAY, PATIENCE, RETURNS, Desk, Run, pause_key
from tests.traps.hanging_worker import Paper

ROUND = "reconciliation/对账巡检"


async def look(desk: Desk, **how: Any) -> dict[str, str]:
    """One round by hand: case → what was done."""
    told = await reconcile.look(desk.client, **how)
    return {finding.case_no: finding.done or f"failed: {finding.failed}" for finding in told.findings}


async def living(desk: Desk, case_no: str) -> Run:
    """The run that tells a case now."""
    async with transaction() as connection:
        run_id = await cases.run_of_case(connection, case_no)
    assert run_id is not None
    return Run(desk.client, run_id)


async def told(run: Run) -> list[str]:
    """What departments were told about a case by the round."""
    return [row.body for row in await run.rows("outbox", "recipient like 'department:%' and entry like 'run.%'")]


async def test_trap_11_a_run_cancelled_in_the_ui_before_the_goods_came_ends_the_case(staffed: Desk):
    """Trap 11: Prefect runs no hook when a suspended run is cancelled; within one round the case is cancelled too."""
    run = await staffed.apply()
    await run.at("review-0-1")
    await staffed.client.set_flow_run_state(run.run_id, Cancelled())
    number = await run.case_no()

    assert await look(staffed) == {number: "售后单按取消办理"}

    await run.ends()
    assert (await run.case()).stage is Stage.CANCELLED
    assert not await run.rows("units", "state = 'held'")
    assert not await run.rows("promises", "ended_at is null")
    (notice,) = await run.rows("outbox", "notice = 'NTC-09'")
    assert "由店铺取消" in notice.body and "按您的要求" not in notice.body
    assert await told(run) == ["运行被取消：售后单按取消办理。请打开这张单看一看；售后单请勿使用 Cancel、Delete。"]
    assert await look(staffed) == {}


async def test_trap_11_a_run_cancelled_after_the_goods_came_lives_again(staffed: Desk, paper: Paper):
    """Trap 11: money is owed for goods that are here: the case goes on, and its department is told."""
    run = await staffed.apply()
    await run.along("review", "pickup", "receipt")
    await run.at("inspection-0-1")
    await staffed.client.set_flow_run_state(run.run_id, Cancelled())

    assert await look(staffed) == {await run.case_no(): "商品已收货或已确认丢失，不能取消，已恢复运行"}

    await run.along("inspection", "refund")
    await run.ends()
    assert (await run.case()).stage is Stage.CLOSED
    assert len(await told(run)) == 1
    assert paper.calls.count(f"{await run.case_no()}/refund-0") == 1


async def test_trap_11_a_run_that_somebody_put_off_for_years_is_told_now(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    later = Scheduled(scheduled_time=clock.now() + timedelta(days=1000))
    await staffed.client.set_flow_run_state(run.run_id, later, force=True)

    assert await look(staffed) == {await run.case_no(): "已恢复运行"}

    await run.at("review-0")
    await run.along("review")
    await run.at("pickup-0")


@pytest.mark.parametrize(
    "gate", [pytest.param("review", marks=pytest.mark.soak), pytest.param("receipt", marks=pytest.mark.soak), "refund"]
)
async def test_trap_11_a_deleted_run_is_replaced(staffed: Desk, paper: Paper, gate: str):
    """Trap 11: the new run stands at the gate where the old one stood, and nothing is asked or sent twice."""
    old = await staffed.apply()
    await old.along(*MAIN_WAY[: MAIN_WAY.index(gate)])
    await old.at(f"{gate}-0")
    number = await old.case_no()
    before = await state_of(old)
    await staffed.client.delete_flow_run(old.run_id)

    assert await look(staffed) == {number: "已重新建立运行"}

    new = await living(staffed, number)
    await new.at(f"{gate}-0-1")
    assert await state_of(new) == before
    seen = await new.seen()
    assert seen.name == f"退货 {number} {Stage(gate).label}" and number in seen.tags
    await new.along(*MAIN_WAY[MAIN_WAY.index(gate) :])
    await new.ends()
    assert paper.calls == [f"{number}/book-pickup-0", f"{number}/refund-0"]


async def deployed_anew(desk: Desk) -> None:
    """What somebody does who deletes the deployment in the UI, and then starts the house again."""
    old = await desk.client.read_deployment_by_name(RETURNS)
    told = old.model_dump(mode="json", exclude_none=True)
    await desk.client.delete_deployment(old.id)
    kept = DeploymentCreate.model_fields.keys() & told.keys()
    await desk.client.request("POST", "/deployments/", json={name: told[name] for name in kept})


@pytest.mark.parametrize(
    "ended",
    ["failed", pytest.param("waiting", marks=pytest.mark.soak), pytest.param("cancelled", marks=pytest.mark.soak)],
)
async def test_a_run_of_a_deployment_that_was_deleted_and_deployed_anew_is_replaced(
    desk: Desk, paper: Paper, ended: str
):
    """Scheduled once more it would fail once more: no worker finds its deployment."""
    async with desk.worker():
        old = await desk.apply()
        await old.along("review", "pickup", "receipt")
        number = await (await old.at("inspection-0-1")).case_no()
        await play_round(desk)
    await deployed_anew(desk)
    since = clock.now() - reconcile.LATE - timedelta(minutes=1)
    state: State = {
        "failed": Failed(),
        "waiting": Scheduled(name="Resuming", scheduled_time=since),
        "cancelled": Cancelled(),
    }[ended]
    await desk.client.set_flow_run_state(old.run_id, state, force=True)

    found = await look(desk)

    new = await living(desk, number)
    seen, left = await new.seen(), await old.seen()
    assert found == {
        number: "商品已收货或已确认丢失，不能取消，已恢复运行" if ended == "cancelled" else "已重新建立运行"
    }
    assert new.run_id != old.run_id
    assert seen.deployment_id == (await desk.client.read_deployment_by_name(RETURNS)).id
    assert left.state is not None and left.state.is_final(), "nobody takes it for one that waits"
    async with desk.worker():
        await new.at("inspection-0-1")
        assert await look(desk) == {}
        await new.along("inspection", "refund")
        await new.ends()
    assert paper.calls == [f"{number}/book-pickup-0", f"{number}/refund-0"]


async def state_of(run: Run) -> dict[str, list[str]]:
    """What a case has in our tables, the round's own rows aside."""
    mine = {
        "journal": "kind <> 'reconciled'",
        "outbox": "entry not like 'run.%'",
        "promises": "true",
        "units": "true",
        "work": "true",
    }
    return {
        table: sorted(str(row) for row in await run.rows(table, where) if table != "journal")
        or sorted(row.entry for row in await run.rows(table, where))
        for table, where in mine.items()
    }


@pytest.mark.parametrize("state", [Failed(message="a defect"), Crashed(message="lost")], ids=["failed", "crashed"])
async def test_a_run_that_ended_badly_is_told_again_and_its_department_once(
    staffed: Desk, state: Any, monkeypatch: pytest.MonkeyPatch
):
    """The first time at once, then with growing distance; the department is told once."""
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()

    await staffed.client.set_flow_run_state(run.run_id, state, force=True)
    assert await look(staffed) == {number: "已恢复运行"}
    await run.at("review-0-2")
    await staffed.client.set_flow_run_state(run.run_id, state, force=True)
    assert await look(staffed) == {}, "it rests for a minute"
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda case=None: now(case) + timedelta(seconds=61))
    assert await look(staffed) == {number: "已恢复运行"}
    monkeypatch.undo()

    await run.at("review-0-3")
    assert len(await told(run)) == 1
    await run.submit()
    await run.at("pickup-0-1")


async def test_a_rehearsed_case_is_told_again_though_its_clock_stands_still(
    staffed: Desk, monkeypatch: pytest.MonkeyPatch
):
    """The rest between two tries is measured on the wall: a rehearsal's time moves only when somebody moves it."""
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()
    async with transaction() as connection:
        await connection.execute(text("insert into rehearsals (id, now_at) values ('R1', now())"))
        await connection.execute(text("update cases set rehearsal = 'R1' where case_no = :c"), {"c": number})
    await staffed.client.set_flow_run_state(run.run_id, Failed(), force=True)
    await look(staffed)
    await run.at("review-0-2")

    await staffed.client.set_flow_run_state(run.run_id, Failed(), force=True)
    resting = await look(staffed)
    later(monkeypatch, timedelta(seconds=61))

    assert (resting, await look(staffed)) == ({}, {number: "已恢复运行"})
    monkeypatch.undo()
    await run.at("review-0-3")


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Put the clock on the wall forward, and no rehearsal's."""
    now = clock.now
    monkeypatch.setattr(
        clock, "now", lambda case=None: now(case) + (timedelta(0) if case and case.rehearsal_at else by)
    )


async def test_a_run_deleted_again_is_heard_again(staffed: Desk):
    """A case that got on in between has its department told anew, and every new run is written down."""
    run = await staffed.apply()
    number = await (await run.at("review-0-1")).case_no()

    for gate in ("review", "pickup"):
        seen = await (await living(staffed, number)).at(f"{gate}-0")
        await seen.fill(f"{gate}-0")
        await seen.until(lambda found, gate=gate: f"{gate}-0" not in pause_key(found) and is_asleep(found), "the next")
        await staffed.client.delete_flow_run(seen.run_id)
        assert await look(staffed) == {number: "已重新建立运行"}

    assert [row.entry for row in await run.rows("journal", "kind = 'reconciled'")] == ["run.1/gone", "run.2/gone"]
    assert len(await told(run)) == 2


def is_asleep(found: FlowRun) -> bool:
    return bool(found.state and found.state.is_paused())


async def test_who_asks_by_hand_waits_for_no_rest(staffed: Desk):
    """`aftersales desk rebuild` a moment after a round has made a run that is lost again."""
    run = await staffed.apply()
    number = await (await run.at("review-0-1")).case_no()
    await staffed.client.delete_flow_run(run.run_id)
    await look(staffed)
    lost = await (await living(staffed, number)).at("review-0-1")
    await staffed.client.delete_flow_run(lost.run_id)

    by_itself, by_hand = await look(staffed), await look(staffed, everything=True)

    assert (by_itself, by_hand) == ({}, {number: "已重新建立运行"})
    await (await living(staffed, number)).at("review-0-1")


async def test_what_waits_for_a_worker_is_not_late_but_what_was_overtaken_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """A weekend without a worker is nobody's fault: only what younger runs have passed by is stuck."""
    async with desk.worker():
        run = await desk.apply()
        number = await (await run.at("review-0-1")).case_no()
        await play_round(desk)
    await run.submit()

    later(monkeypatch, timedelta(days=2))
    waiting = await look(desk)
    monkeypatch.undo()
    since = clock.now() - reconcile.LATE - timedelta(minutes=1)
    await desk.client.set_flow_run_state(run.run_id, Scheduled(name="Resuming", scheduled_time=since), force=True)
    stuck = await look(desk)

    assert (waiting, stuck) == ({}, {number: "已恢复运行"})
    async with desk.worker():
        await run.at("pickup-0-1")


async def test_an_application_whose_run_failed_before_it_was_a_case_is_told_again(
    staffed: Desk, monkeypatch: pytest.MonkeyPatch
):
    """Nobody would miss it: it has no number yet. Whoever takes applications in is told once."""

    async def broken(*_: Any) -> str:
        raise RuntimeError("a defect")

    monkeypatch.setattr(opening, "_open", broken)
    run = await staffed.apply("D1")
    await run.ends("Failed")
    name = f"未立案 {str(run.run_id)[:8]}"

    seen = await look(staffed, dry_run=True)
    first = await look(staffed)
    await run.ends("Failed")
    resting = await look(staffed)
    later(monkeypatch, timedelta(seconds=61))
    second = await look(staffed)
    await run.ends("Failed")
    monkeypatch.undo()

    assert seen == {name: "（仅查看，未处理）"}
    assert (first, resting, second) == ({name: "已重新运行"}, {}, {name: "已重新运行"})
    assert await look(staffed, everything=True) == {name: "已重新运行"}
    await run.at("review-0-1")
    assert await look(staffed) == {}
    async with transaction() as connection:
        notices = (await connection.execute(text("select recipient, body from outbox where case_no is null"))).all()
    assert len(notices) == 1 and "订单 D1 的退货申请运行出错" in notices[0].body


async def test_a_decision_that_no_leg_has_read_outlives_its_run(desk: Desk, paper: Paper):
    """Prefect said yes to a form and lost its database before a worker came to it: the decision counts, once."""
    async with desk.worker():
        old = await desk.apply()
        number = await (await old.at("review-0-1")).case_no()
    status, _ = await old.submit(decision="驳回", missing=["照片"], reason="请回电 13812345678")
    assert status == "ACCEPT"

    assert await look(desk) == {}
    (kept,) = await old.rows("inbox")
    await desk.client.delete_flow_run(old.run_id)
    assert await look(desk, everything=True) == {number: "已重新建立运行"}
    async with desk.worker():
        new = await (await living(desk, number)).at("correction-0-1")

    assert "13812345678" not in str(kept) and "138****5678" in str(kept)
    written = await new.journal()
    assert [name for name in written if name.startswith("review-0")] == ["review-0.asked", "review-0"]
    decided = written["review-0"]
    assert (decided.actor, decided.data["decision"], decided.data["reason"]) == ("C08", "reject", "请回电 138****5678")
    assert decided.data["via"] == f"form:{str(old.run_id)[:8]}/review-0-1"
    (read,) = await new.rows("inbox")
    assert read.taken_at is not None and "values" not in read.data


async def test_a_decision_that_was_copied_and_then_read_counts_once(desk: Desk, paper: Paper):
    async with desk.worker():
        run = await desk.apply()
        await run.at("review-0-1")
    await run.submit()
    for _ in range(2):
        assert await look(desk) == {}
    assert len(await run.rows("inbox", "taken_at is null")) == 1

    async with desk.worker():
        await run.at("pickup-0-1")
        await run.along("pickup")
        await run.at("receipt-0-1")

    assert len(await run.rows("inbox", "taken_at is not null")) == 1
    assert not await run.rows("journal", "kind in ('late', 'refused')")
    assert paper.calls == [f"{await run.case_no()}/book-pickup-0"]


async def test_what_is_well_is_left_alone_and_a_look_without_hands_changes_nothing(staffed: Desk):
    run, other = await staffed.apply("D1"), await staffed.apply("D2")
    await run.at("review-0-1")
    await other.at("review-0-1")
    await staffed.client.delete_flow_run(other.run_id)
    number = await other.case_no()

    assert await look(staffed, dry_run=True) == {number: "（仅查看，未处理）"}

    assert (await living(staffed, number)).run_id == other.run_id
    assert not await other.rows("journal", "kind = 'reconciled'")
    assert (await run.seen()).state_name == "Suspended"


async def test_two_rounds_at_once_make_one_run(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()
    await staffed.client.delete_flow_run(run.run_id)

    await asyncio.gather(*(look(staffed) for _ in range(4)))

    found = await staffed.client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"tags": {"all_": [number]}})
    )
    assert len(found) == 1
    assert len(await run.rows("runs")) == 2
    assert len(await told(run)) == 1


async def test_killed_between_the_new_run_and_its_row_the_next_round_finds_the_same_run(
    staffed: Desk, monkeypatch: pytest.MonkeyPatch
):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()
    await staffed.client.delete_flow_run(run.run_id)

    async def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cases, "link_run", killed)
    with pytest.raises(KeyboardInterrupt):
        await look(staffed)
    monkeypatch.undo()
    await look(staffed)

    found = await staffed.client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"tags": {"all_": [number]}})
    )
    assert len(found) == 1
    # the round, or the leg that the worker was telling meanwhile, writes the row
    async with asyncio.timeout(PATIENCE):
        while (again := await living(staffed, number)).run_id == run.run_id:  # noqa: ASYNC110 - a row, in no process of ours
            await asyncio.sleep(0.05)
    await again.at("review-0")


async def test_one_bad_case_stops_nothing(staffed: Desk, monkeypatch: pytest.MonkeyPatch):
    runs = [await staffed.apply(order) for order in ("D1", "D2", "D3")]
    for run in runs:
        await run.at("review-0-1")
        await staffed.client.delete_flow_run(run.run_id)
    numbers = sorted([await run.case_no() for run in runs])
    begin = tellers.begin

    async def breaks(client: Any, case: Any, **rest: Any) -> None:
        if case.case_no == numbers[1]:
            raise RuntimeError("a defect")
        await begin(client, case, **rest)

    monkeypatch.setattr(tellers, "begin", breaks)

    assert await look(staffed) == {
        numbers[0]: "已重新建立运行",
        numbers[1]: "failed: a defect",
        numbers[2]: "已重新建立运行",
    }


async def test_holds_of_an_ended_case_are_released(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()
    async with transaction() as connection:
        await connection.execute(text("update cases set closed_at = now() where case_no = :c"), {"c": number})

    assert await look(staffed) == {number: "已释放"}

    assert not await run.rows("units", "state = 'held'")


async def test_the_scheduled_round_runs_in_our_worker_and_leaves_a_page_only_when_it_found_something(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()

    empty = await play_round(staffed)
    await staffed.client.delete_flow_run(run.run_id)
    found = await play_round(staffed)

    assert empty.name == found.name == "对账巡检", "what people read in the list of runs"
    assert empty.tags == [rounds.ROUND] and await pages(staffed, empty) == []
    assert set(found.tags) == {rounds.ROUND, rounds.FOUND}
    (page,) = await pages(staffed, found)
    assert f"| {number} | 运行不见了 | 已重新建立运行 |" in page


async def play_round(desk: Desk) -> FlowRun:
    deployment = await desk.client.read_deployment_by_name(ROUND)
    started = await desk.client.create_flow_run_from_deployment(deployment.id)
    return await Run(desk.client, started.id).ends()


async def pages(desk: Desk, run: FlowRun) -> list[Any]:
    response = await desk.client.request(
        "POST", "/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [str(run.id)]}}}
    )
    return [page["data"] for page in response.json()]


async def test_runs_of_empty_rounds_are_deleted_a_day_later(staffed: Desk, monkeypatch: pytest.MonkeyPatch):
    first = await play_round(staffed)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda case=None: now(case) + timedelta(days=1, minutes=1))
    async with get_client() as client:
        await rounds._sweep(client)
        left = await client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [first.id]}}))
    assert left == []


async def test_runs_of_empty_rounds_are_deleted_however_many_are_kept_around_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    oldest = await a_round_of_then(desk)
    kept = [await a_round_of_then(desk, rounds.FOUND) for _ in range(60)]
    newest = await a_round_of_then(desk)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda case=None: now(case) + timedelta(days=1, minutes=1))
    left = []

    for _ in range(2):
        await rounds._sweep(desk.client)
        asked = FlowRunFilter.model_validate({"id": {"any_": [oldest, *kept, newest]}})
        left.append({run.id for run in await desk.client.read_flow_runs(flow_run_filter=asked)})

    assert left == [{*kept, newest}, set(kept)]


async def a_round_of_then(desk: Desk, *tags: str) -> UUID:
    """A run of a round that has ended; its number."""
    run = await desk.client.create_flow_run(an_empty_flow, tags=[rounds.ROUND, *tags], state=Running())
    await desk.client.set_flow_run_state(run.id, Completed(), force=True)
    return run.id


@flow
def an_empty_flow() -> None:
    """Stands for a round."""
