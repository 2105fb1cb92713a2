"""Boards and tags on the desk: written when there is something new, and never in the way of a leg (ESC-04, ESC-05)."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter
from prefect.client.schemas.objects import Artifact
from sqlalchemy import text

from aftersales import clock
from aftersales.desk import links, runs
from aftersales.desk.locks import held
from aftersales.store import boards as store
from aftersales.store import installation
from aftersales.store.engine import transaction
from aftersales.words import Event
from tasks import boards, escalation, extensions, rounds
from tests import builders
from tests.traps.conftest import EXTENSION, RETURNS, Desk, Run
from tests.traps.test_entries import extension
from tests.traps.test_escalation_round import late_review

BOARD = links.board("customer_service")


async def versions(desk: Desk, key: str = BOARD) -> list[Artifact]:
    """Every version of a page that Prefect keeps."""
    return await desk.client.read_artifacts(artifact_filter=ArtifactFilter.model_validate({"key": {"any_": [key]}}))


async def board(desk: Desk, key: str = BOARD) -> str:
    """What a board says."""
    (found,) = await versions(desk, key)
    return str(found.data)


async def tags(run: Run) -> list[str]:
    """A run's tags."""
    return (await run.seen()).tags


async def moved(**columns: str) -> None:
    """Move the open promises of a review."""
    sets = ", ".join(f"{name} = {value}" for name, value in columns.items())
    async with transaction() as connection:
        await connection.execute(text(f"update promises set {sets} where stage = 'review' and ended_at is null"))


def in_nine_days() -> date:
    """A new last day."""
    return builders.today() + timedelta(days=9)


# --- boards ---------------------------------------------------------------------------------------------------------


async def test_a_board_is_written_when_it_says_something_new_and_only_then(staffed: Desk):
    run = await late_review(staffed)
    number = await run.case_no()

    first = await boards.refresh(staffed.client)
    (was,) = await versions(staffed)
    unchanged = [await boards.refresh(staffed.client), await boards.refresh(staffed.client, is_sure=True)]
    (still,) = await versions(staffed)
    await rounds.escalate()  # the breach, and with it the next rung
    (now,) = await versions(staffed)

    assert first == 6, "five departments and the house"
    assert f"[{number}](/v2/runs/flow-run/{run.run_id}) | 待审核" in str(was.data)
    assert unchanged == [0, 0] and still == was
    assert now.id == was.id and now.data != was.data and "C01" in str(now.data)
    assert number not in await board(staffed, links.board("logistics"))
    assert f"{number}](/v2/runs/flow-run/{run.run_id}) | 客户服务部 | 待审核" in await board(staffed, links.board(""))
    assert now.description == "客户服务部看板"


async def test_a_look_at_a_shop_where_nothing_was_written_reads_no_board(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    counts = [[1, 2]]
    read: list[int] = []
    groups = store.groups

    async def writes(connection: Any) -> list[int]:
        return counts[0]

    async def counted(connection: Any, **at: Any) -> Any:
        read.append(len(read))
        return await groups(connection, **at)

    monkeypatch.setattr(store, "writes", writes)
    monkeypatch.setattr(store, "groups", counted)
    looks = []
    for change in ("", "", "writes", "", "time", ""):
        if change == "writes":
            counts[0] = [1, 3]
        if change == "time":
            async with transaction() as connection:
                last = dict(await installation.lock(connection, boards.LOOK) or {})
                last["at"] = (clock.now() - boards.BELIEVED).isoformat()
                await installation.keep(connection, boards.LOOK, last)
        await boards.refresh(desk.client)
        looks.append(len(read))

    assert looks == [1, 1, 2, 2, 3, 3], "the first look, after a writing, and after ten minutes in any case"


async def test_older_versions_of_a_board_are_deleted(desk: Desk):
    """Those of a database that was lost, or of a round that was killed before it remembered what it had written."""
    await boards.refresh(desk.client)
    (old,) = await versions(desk)
    async with transaction() as connection:
        await connection.execute(text("delete from settings"))

    written = await boards.refresh(desk.client)

    (new,) = await versions(desk)
    assert written == 6 and new.id != old.id
    for key in ("logistics", ""):
        assert len(await versions(desk, links.board(key))) == 1


async def test_a_board_that_somebody_deleted_comes_back_when_it_changes_or_is_wanted(staffed: Desk):
    await boards.refresh(staffed.client)
    (old,) = await versions(staffed)
    await staffed.client.request("DELETE", "/artifacts/{id}", path_params={"id": str(old.id)})

    assert await boards.refresh(staffed.client, is_sure=True) == 0
    assert await versions(staffed) == []
    assert await boards.refresh(staffed.client, anew=True) == 6
    (back,) = await versions(staffed)
    await staffed.client.request("DELETE", "/artifacts/{id}", path_params={"id": str(back.id)})
    run = await late_review(staffed)
    await boards.refresh(staffed.client, is_sure=True)

    assert await run.case_no() in await board(staffed)


async def test_rounds_at_once_write_one_board(staffed: Desk):
    run = await late_review(staffed)

    await asyncio.gather(*(boards.refresh(staffed.client, is_sure=True) for _ in range(4)))

    assert await run.case_no() in await board(staffed)


async def test_rehearsed_cases_are_on_no_board(staffed: Desk):
    run = await late_review(staffed)
    async with transaction() as connection:
        await connection.execute(text("insert into rehearsals (id, now_at) values ('X1', now())"))
        await connection.execute(text("update cases set rehearsal = 'X1'"))

    await boards.refresh(staffed.client, is_sure=True)

    for key in (BOARD, links.board("")):
        assert await run.case_no() not in await board(staffed, key)
        assert "现在没有未办完的售后单" in await board(staffed, key)


# --- tags -----------------------------------------------------------------------------------------------------------


async def test_esc05_a_run_is_tagged_from_the_reminder_on_until_it_is_decided(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    plain = await tags(run)
    await moved(
        rung_at="now() - interval '1 minute'",
        started_at="started_at - interval '20 hours'",
        due_at="due_at - interval '20 hours'",
    )

    await rounds.escalate()
    soon = await tags(run)
    await moved(
        due_at="now() - interval '1 second'",
        rung_at="now() - interval '1 second'",
        started_at="started_at - interval '4 hours'",
    )
    await rounds.escalate()
    late = await tags(run)
    again = await boards.tag(staffed.client)
    listed = await staffed.client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"tags": {"all_": ["超时", "客户服务部"]}})
    )
    await run.fill("review-0")
    await run.at("pickup-0-1")

    assert plain[0] == "退货" and soon == ["即将超时", *plain] and late == ["超时", *plain]
    assert again == [] and [found.id for found in listed] == [run.run_id]
    assert not {"超时", "即将超时"} & set(await tags(run))


async def test_gen08_an_extension_takes_the_tag_away(staffed: Desk):
    run = await late_review(staffed)
    await rounds.escalate()
    assert (await tags(run))[0] == "超时"

    moved = await staffed.start(EXTENSION, extension(await run.case_no(), until=in_nine_days()))
    await moved.ends()
    await run.at("review-0-2")
    by_its_leg = await tags(run)
    await rounds.escalate()

    assert "超时" not in by_its_leg and await tags(run) == by_its_leg
    async with transaction() as connection:
        assert await store.untagged(connection, limit=9) == []


async def test_gen08_an_extension_by_command_is_shown_by_the_next_round(desk: Desk):
    """Nobody woke the run: the worker was not there."""
    async with desk.worker():
        run = await late_review(desk)
    await rounds.escalate()
    until = in_nine_days().isoformat()
    await extensions.extend(await run.case_no(), operator="C01", until=until, reason="暴雨停运", key="k")
    before = await tags(run)

    await rounds.escalate()

    assert before[0] == "超时" and await tags(run) == before[1:]


async def test_whoever_is_told_right_now_is_tagged_by_the_next_round(desk: Desk):
    """A leg sets every tag of its run at once; a round that read them before would put back what stood there."""
    async with desk.worker():
        run = await late_review(desk)
        other = await desk.start(RETURNS, desk.request(await desk.order("D2")))
        await other.at("review-0-1")
    await moved(due_at="now() - interval '1 minute'", rung_at="now() - interval '1 minute'")

    async with held(await run.case_no()):
        await rounds.escalate()
        meanwhile = await tags(run)
        assert (await tags(other))[0] == "超时", "nobody else waits for it"
    status, reason = await other.submit()
    assert status == "ACCEPT", reason
    await rounds.escalate()

    assert "超时" not in meanwhile and (await tags(run))[0] == "超时"


async def test_a_run_that_waits_to_be_told_is_left_to_its_leg(desk: Desk):
    async with desk.worker():
        run = await late_review(desk)
    before = await tags(run)
    async with transaction() as connection:
        await connection.execute(text("update promises set rungs = 2, retags = true"))
    status, reason = await run.submit()
    assert status == "ACCEPT", reason

    assert await boards.tag(desk.client) == []

    assert await tags(run) == before
    async with desk.worker():
        await run.at("pickup-0-1")
    assert await boards.tag(desk.client) == [] and "超时" not in await tags(run)


async def test_one_run_that_cannot_be_tagged_stops_no_other(staffed: Desk, monkeypatch: pytest.MonkeyPatch):
    run = await late_review(staffed)
    other = await staffed.start(RETURNS, staffed.request(await staffed.order("D2")))
    gone = await staffed.start(RETURNS, staffed.request(await staffed.order("D3")))
    for each in (other, gone):
        await each.at("review-0-1")
    await moved(due_at="now() - interval '1 minute'", rung_at="now() - interval '1 minute'")
    await escalation.look()
    await staffed.client.delete_flow_run(gone.run_id)
    update = staffed.client.update_flow_run

    async def broken(run_id: UUID, **values: Any) -> Any:
        if run_id == other.run_id:
            raise RuntimeError("broken")
        return await update(run_id, **values)

    monkeypatch.setattr(staffed.client, "update_flow_run", broken)
    failed = await boards.tag(staffed.client)
    monkeypatch.setattr(staffed.client, "update_flow_run", update)

    assert failed == [f"{await other.case_no()}：broken"]
    assert (await tags(run))[0] == "超时" and "超时" not in await tags(other)
    assert await boards.tag(staffed.client) == []
    assert (await tags(other))[0] == "超时"


async def test_what_arrives_late_is_told_with_its_tags(staffed: Desk):
    """A leg that goes on to a gate of its own takes the urgency of the one before with it nowhere."""
    run = await staffed.apply()
    await run.along("review")
    await run.at("pickup-0-1")
    async with transaction() as connection:
        await connection.execute(
            text(
                "update promises set due_at = now(), rung_at = now(), started_at = now() - interval '9 days' where stage = 'pickup'"
            )
        )
    await rounds.escalate()
    late = await tags(run)

    await run.signal(Event.PARCEL_PICKED_UP)
    await run.at("receipt-0-1")

    assert late[0] == "超时" and "待取件" in late
    assert not {"超时", "即将超时"} & set(await tags(run))
    assert await runs.wake(staffed.client, await run.case_no()) is False
