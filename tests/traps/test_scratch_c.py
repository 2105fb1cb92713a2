from __future__ import annotations
import asyncio
from datetime import timedelta
from typing import Any
import pytest
from prefect.states import Cancelled, Completed, Failed, Crashed, Scheduled
from sqlalchemy import text
from aftersales import clock
from aftersales.store import cases
from aftersales.store.engine import transaction
from tasks import reconcile, rounds
from tests.traps.conftest import MAIN_WAY, Desk, Run, RETURNS
from tests.traps.test_reconciliation import look, living, told


async def test_c1_deleted_twice(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()
    await staffed.client.delete_flow_run(run.run_id)
    print("LOOK1", await look(staffed))
    new = await living(staffed, number)
    await new.fill("review-0")
    await new.at("pickup-0")
    await staffed.client.delete_flow_run(new.run_id)
    print("LOOK2", await look(staffed))
    third = await living(staffed, number)
    await third.at("pickup-0")
    print("TOLD", await told(run), [r.entry for r in await run.rows("journal", "kind='reconciled'")])


async def test_c2_completed_while_open(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()
    await staffed.client.set_flow_run_state(run.run_id, Completed(), force=True)
    print("LOOK", await look(staffed))
    new = await living(staffed, number)
    print("SAME", new.run_id == run.run_id)
    await new.at("review-0")
    print("OK at review", (await new.seen()).state_name)


async def test_c3_failed_before_case(staffed: Desk, monkeypatch):
    from tasks import cases as tc
    async def broken(*a, **k):
        raise RuntimeError("a defect")
    monkeypatch.setattr(tc, "_open", broken)
    run = await staffed.apply()
    await asyncio.sleep(0)
    for _ in range(200):
        f = await run.seen()
        if f.state and f.state.is_final():
            break
        await asyncio.sleep(0.05)
    print("STATE", f.state_name)
    monkeypatch.undo()
    print("LOOK", await look(staffed))
    async with transaction() as c:
        print("CASES", await c.scalar(text("select count(*) from cases")), "OUTBOX", await c.scalar(text("select count(*) from outbox")), "REFUSALS", await c.scalar(text("select count(*) from refusals")))


async def test_c4_rehearsal_two_failures(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()
    async with transaction() as c:
        await c.execute(text("insert into rehearsals (id, now_at) values ('R1', now())"))
        await c.execute(text("update cases set rehearsal = 'R1' where case_no = :c"), {"c": number})
    await staffed.client.set_flow_run_state(run.run_id, Failed(), force=True)
    print("LOOK1", await look(staffed))
    await run.at("review-0-2")
    await staffed.client.set_flow_run_state(run.run_id, Failed(), force=True)
    now = clock.now
    import aftersales.clock as ck
    def later(case=None):
        return now(case) if case is not None and getattr(case, "rehearsal_at", None) else now(case) + timedelta(hours=5)
    from unittest import mock
    with mock.patch.object(clock, "now", later):
        print("LOOK2 five hours later", await look(staffed))


async def test_c5_prefect_gone_in_the_middle(staffed: Desk, monkeypatch):
    import httpx
    runs = [await staffed.apply(o) for o in ("D1", "D2", "D3")]
    for run in runs:
        await run.at("review-0-1")
        await staffed.client.delete_flow_run(run.run_id)
    begin = reconcile._begin_anew
    n = 0
    async def breaks(*a):
        nonlocal n
        n += 1
        if n > 1:
            raise httpx.ConnectError("down")
        await begin(*a)
    monkeypatch.setattr(reconcile, "_begin_anew", breaks)
    print("LOOK", await look(staffed))
    monkeypatch.undo()
    print("LOOK again", await look(staffed))
    for run in runs:
        await (await living(staffed, await run.case_no())).at("review-0")
    print("ALL AT REVIEW")


async def test_c6_rebuild_within_a_minute(staffed: Desk):
    run = await staffed.apply()
    await run.at("review-0-1")
    number = await run.case_no()
    await staffed.client.delete_flow_run(run.run_id)
    print("REBUILD1", await look(staffed, everything=True))
    new = await living(staffed, number)
    await new.at("review-0")
    await staffed.client.delete_flow_run(new.run_id)
    r = await reconcile.look(staffed.client, everything=True)
    print("REBUILD2", r.findings, "compared", r.compared)


async def test_c7_late_queue(desk: Desk):
    run = await desk.apply()
    async with desk.worker():
        await run.at("review-0-1")
    # nobody works for ten minutes while the answer waits
    st, _ = await run.submit()
    now = clock.now
    from unittest import mock
    with mock.patch.object(clock, "now", lambda case=None: now(case) + timedelta(minutes=10)):
        print("LOOK", await look(desk))
    print("TOLD", await told(run))


async def test_c8_extension_page(staffed: Desk):
    from tasks import extensions
    run = await staffed.apply()
    await run.at("review-0-1")
    before = await run.page()
    on = (clock.now() + timedelta(days=20)).date().isoformat()
    from aftersales.words import Right
    from tasks.cases import current_terms
    who = current_terms().who_may(Right.EXTEND)[0].id
    print(await extensions.extend(await run.case_no(), operator=who, until=on, reason="台风停运", key="k1"))
    from aftersales.desk import runs
    print("WOKEN", await runs.wake(staffed.client, await run.case_no()))
    print("PAGE UNCHANGED", before == await run.page())
