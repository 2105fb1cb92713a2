"""A story is told from its first line at every resume: nothing happens twice, and no answer is lost (traps 1 to 3, 7)."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.states import Scheduled

from aftersales.words import Stage
from tests.traps.conftest import MAIN_WAY, Desk
from tests.traps.hanging_worker import Paper

# how a failed run comes back: the UI's Retry forces it, an automation does not (and Prefect then forgets its keys)
RETRIES = [pytest.param(True, id="retried in the UI"), pytest.param(False, id="scheduled without force")]


async def test_trap_1_replay_is_free(staffed: Desk, paper: Paper):
    """Trap 1: six tellings of a case make each call to the outside and each notice once, and two task runs in all."""
    run = await staffed.apply()
    await run.along(*MAIN_WAY)
    await run.ends()

    assert await run.legs() == 1 + len(MAIN_WAY)
    case_no = await run.case_no()
    assert paper.calls == [f"{case_no}/book-pickup-0", f"{case_no}/refund-0"]
    assert await run.tasks() == ["发起退款", "预约取件"]
    told = sorted(row.notice for row in await run.rows("outbox"))
    assert told == ["NTC-01", "NTC-02", "NTC-04", "NTC-05", "NTC-07", "NTC-08"]
    assert (await run.case()).stage is Stage.CLOSED


@pytest.mark.parametrize("force", RETRIES)
@pytest.mark.parametrize(
    "breaks",
    [
        pytest.param("open_return", id="before the answer was read"),
        pytest.param("confirm", id="after the answer was taken"),
    ],
)
async def test_traps_2_and_3_a_failed_run_goes_on_past_its_answered_question(
    staffed: Desk, paper: Paper, monkeypatch: pytest.MonkeyPatch, breaks: str, force: bool
):
    """Traps 2 and 3: a defect after a question was answered costs neither the answer nor the run."""
    run = await staffed.apply()
    await run.at("review-0-1")
    broken = break_once(monkeypatch, breaks)
    await run.submit()
    await run.ends("Failed")

    await staffed.client.set_flow_run_state(run.run_id, Scheduled(name="AwaitingRetry"), force=force)

    await run.at("pickup-0-1")
    assert broken == [breaks]
    journal = await run.journal()
    assert (journal["review-0"].actor, journal["review-0"].data["decision"]) == ("C08", "approve")
    assert not [name for name in journal if ".late" in name or ".refused" in name]
    assert not [key for key in await run.inputs() if key.endswith("-response")]
    assert paper.calls == [f"{await run.case_no()}/book-pickup-0"]
    assert [row.notice for row in await run.rows("outbox")].count("NTC-02") == 1


async def test_trap_3_a_step_that_fails_is_made_up_for_by_the_retry(
    staffed: Desk, paper: Paper, monkeypatch: pytest.MonkeyPatch
):
    """Trap 3: retried from the UI after the last call of a step was lost, the step asks first and calls once."""
    run = await staffed.apply()
    await run.along("review", "pickup", "receipt")
    await run.at("inspection-0-1")
    break_once(monkeypatch, "tell_refunded", module="money")
    await run.fill("inspection-0")
    await run.fill("refund-0")
    await run.ends("Failed")

    await staffed.client.set_flow_run_state(run.run_id, Scheduled(name="AwaitingRetry"), force=True)

    await run.ends()
    assert paper.calls == [f"{await run.case_no()}/{step}-0" for step in ("book-pickup", "refund")]
    assert [row.notice for row in await run.rows("outbox")].count("NTC-07") == 1


async def test_trap_7_a_question_that_came_in_between_never_receives_the_other_ones_answer(
    staffed: Desk, monkeypatch: pytest.MonkeyPatch
):
    """Trap 7: the branch before a question changes while its form is open; both get their own answer."""
    from flows import returns

    run = await staffed.apply()
    await run.at("review-0-1")
    before = returns.accepted

    async def accepted(case: str) -> bool:
        """Ask the manager first, which nobody did when the case was opened."""
        from tasks import gates

        await gates.decide(case, "exception")
        return await before(case)

    monkeypatch.setattr(returns, "accepted", accepted)
    await run.submit()

    await run.at("exception-0-1")
    journal = await run.journal()
    assert "exception-0" not in journal
    assert not [name for name in journal if name.startswith("exception-0.refused")]
    await run.submit()
    await run.at("pickup-0-1")
    journal = await run.journal()
    assert (journal["exception-0"].actor, journal["review-0"].actor) == ("A01", "C08")


def break_once(monkeypatch: pytest.MonkeyPatch, name: str, module: str = "cases") -> list[str]:
    """Let a function of `tasks` raise the next time it is called, and work again after that."""
    import importlib

    room = importlib.import_module(f"tasks.{module}")
    real = getattr(room, name)
    raised: list[str] = []

    async def breaks(*args: Any, **kwargs: Any) -> Any:
        if not raised:
            raised.append(name)
            raise RuntimeError("a defect")
        return await real(*args, **kwargs)

    monkeypatch.setattr(room, name, breaks)
    return raised
