"""Two who say that they have paid: nobody's word is lost, and whoever owns the money hears of it (P-15)."""

from __future__ import annotations

import pytest

from aftersales.words import Event, Stage, Unable
from tasks import outside
from tests.traps.conftest import Desk, Run


async def at_refund(desk: Desk) -> Run:
    """A case whose refund is owed, while no worker runs any more."""
    async with desk.worker():
        run = await desk.apply()
        await run.along("review", "pickup", "receipt", "inspection")
        await run.at("refund-0-1")
    return run


async def told(run: Run) -> list[tuple[str, str]]:
    """Whom the case's notices say that something was paid twice."""
    rows = await run.rows("outbox", "body like '%可能付了两次%'")
    return sorted((row.recipient, row.body) for row in rows)


async def test_p15_a_form_that_an_event_overtook_at_the_last_gate_is_kept_and_told(desk: Desk):
    """Both were sent before anybody told the case on; the event answers, and the case ends in that leg."""
    run = await at_refund(desk)
    status, reason = await run.submit(reference="FORM-PAID", remark="顾客电话 13700001111")
    assert status == "ACCEPT", reason
    data = {"reference": "EVENT-PAID"}
    await outside.signal(await run.case_no(), Event.REFUND_SENT, actor="", staff="A02", data=data)

    async with desk.worker():
        await run.ends()

    assert (await run.case()).stage is Stage.CLOSED
    (late,) = [entry for entry in (await run.journal()).values() if entry.kind == "late"]
    assert (late.actor, late.entry.partition(":")[0]) == ("A03", "refund-0.late")
    assert [recipient for recipient, _ in await told(run)] == ["department:aftersales", "staff:A03"]
    assert all("FORM-PAID" in body and "EVENT-PAID" in body for _, body in await told(run))
    inputs = await run.client.request(
        "POST", "/flow_runs/{id}/input/filter", path_params={"id": run.run_id}, json={"prefix": "suspended-refund"}
    )
    assert not [each for each in inputs.json() if each["key"].endswith("-response")]
    assert "13700001111" not in str(await run.journal())


async def test_p15_a_command_that_names_another_payment_is_kept_and_told(desk: Desk):
    run = await at_refund(desk)
    number = await run.case_no()
    answer = {"reference": "FIRST-PAID"}
    await outside.decide(number, "refund", operator="A02", answer={**answer, "amount": "188.00"})

    for _ in range(2):  # before the case is told on, and by somebody who presses twice
        with pytest.raises(Unable, match="可能付了两次"):
            await outside.decide(number, "refund", operator="A03", answer={"reference": "OTHER", "amount": "188.00"})
    with pytest.raises(Unable, match="无需再处理"):
        await outside.decide(number, "refund", operator="A03", answer={**answer, "amount": "188.00"})

    assert [recipient for recipient, _ in await told(run)] == ["department:aftersales", "staff:A03"]


async def test_ret17_a_form_that_a_cancellation_overtook_is_kept_and_its_operator_told(desk: Desk):
    async with desk.worker():
        run = await desk.apply()
        await run.at("review-0-1")
    status, reason = await run.submit()
    assert status == "ACCEPT", reason
    await outside.signal(await run.case_no(), Event.CASE_CANCELLED, actor="customer", data={"reason": "不退了"})

    async with desk.worker():
        await run.ends()

    assert (await run.case()).stage is Stage.CANCELLED
    (late,) = [entry for entry in (await run.journal()).values() if entry.kind == "late"]
    assert late.entry.startswith("review-0.late:form:") and "已取消" in late.data["reason"]
    assert [row.recipient for row in await run.rows("outbox", "notice = 'STAFF'")] == [f"staff:{late.actor}"]
