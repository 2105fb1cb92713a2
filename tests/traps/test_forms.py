"""What the server refuses before a run resumes, and what the gate refuses after (traps 4 to 6, the stale form)."""

from __future__ import annotations

from typing import Any

import pytest

from aftersales import forms
from tests.traps.conftest import Desk


async def test_trap_4_prefilled_money_stays_constrained(staffed: Desk):
    """Trap 4: wrong money never leaves the form, a wrong amount reopens it with the reason, the right one is exact."""
    run = await staffed.apply()
    await run.along("review", "pickup", "receipt", "inspection")
    await run.at("refund-0-1")
    assert (await run.form())["properties"]["amount"]["default"] == "188.00"

    for wrong in ("-1", "1.234", "abc", "", -1, 1.234, 188, None):
        status, reason = await run.submit(amount=wrong)
        assert status == "REJECT", f"{wrong!r} was not refused: {reason}"
        await run.at("refund-0-1")
    assert await run.legs() == 5  # not one of them woke the run

    assert (await run.submit(amount="19.99"))[0] == "ACCEPT"
    await run.at("refund-0-2")
    page = await run.page()
    assert "退款金额应为 188.00 元，填写的是 19.99 元" in page.split("\n##")[0]
    assert "refund-0" not in await run.journal()

    await run.submit(amount="188.00")
    await run.ends()
    assert (await run.journal())["refund-0"].data["amount"] == "188.00"


async def test_trap_5_a_rule_between_fields_is_kept_by_the_server(staffed: Desk):
    """Trap 5: a rejection without a reason is refused while the form stays open; then a valid one passes."""
    run = await staffed.apply()
    await run.at("review-0-1")

    for reason in ({}, {"reason": ""}, {"reason": "  "}):
        status, _ = await run.submit(decision="驳回", **reason)
        assert status == "REJECT", reason
    await run.at("review-0-1")
    assert await run.legs() == 1

    assert (await run.submit(decision="驳回", reason="照片不清楚"))[0] == "ACCEPT"
    await run.at("correction-0-1")


@pytest.mark.parametrize("name", ["review_1", "Review", "审核", "review ", "-review", ""])
def test_trap_6_a_bad_key_is_caught_at_import(name: str):
    """Trap 6: a gate whose name Prefect would refuse after suspending cannot even be written down."""
    with pytest.raises(ValueError, match="不能作节点名"):

        class Bad(forms.GateForm, name=name, title="坏"):
            """A form that must not come to be."""


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({}, id="nothing at all"),
        pytest.param({"operator": "C08 陈晓", "decision": "通过"}, id="no gate"),
        pytest.param({"gate": "review-0", "operator": "C08 陈晓", "decision": "通过"}, id="another gate"),
        pytest.param({"gate": None, "operator": "A02 许诺", "decision": "通过"}, id="an operator who may not"),
    ],
)
async def test_no_answer_counts_that_the_form_does_not_offer(staffed: Desk, answer: dict[str, Any]):
    """An empty Resume is no decision; the gate and the operator must be those of the form."""
    run = await staffed.apply()
    await run.at("review-0-1")
    if answer.get("gate", "") is None:
        answer["gate"] = (await run.answer())["gate"]

    status, _ = await run.submit(answer)

    assert status == "REJECT"
    await run.at("review-0-1")
    assert "review-0" not in await run.journal()


async def test_a_stale_form_is_refused_by_the_server(staffed: Desk):
    """The stale form: left open from the first review, sent in the second; only the field `gate` tells them apart."""
    run = await staffed.apply()
    await run.at("review-0-1")
    stale = await run.answer()
    await run.submit(decision="驳回", reason="请补照片")
    await run.fill("correction-0")
    await run.at("review-1-1")
    fresh = await run.answer()
    assert {name for name in fresh if fresh[name] != stale[name]} == {"gate"}

    status, _ = await run.submit(stale)

    assert status == "REJECT"
    await run.at("review-1-1")
    assert "review-1" not in await run.journal()
    assert (await run.submit(fresh))[0] == "ACCEPT"
    await run.at("pickup-0-1")
