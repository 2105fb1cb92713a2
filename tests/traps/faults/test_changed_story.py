"""A story that has changed is told over cases that the old one began (trap 12): nothing is done or asked twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from prefect.client.schemas.objects import DeploymentStatus

from aftersales.words import Stage
from tests.traps.conftest import MAIN_WAY, RETURNS, Desk
from tests.traps.hanging_worker import Paper

STORY = Path(__file__).parents[3] / "flows" / "returns.py"
# the old line, and what stands in its place in the changed story
CHANGES = {
    # a step and a gate that nobody was asked before
    '    inspection = await decided(case, "inspection")\n': (
        "    await weigh(case)\n"
        '    await gates.decide(case, "exception")\n'
        '    inspection = await decided(case, "inspection")\n'
    ),
    # the same step with another body under another name
    "await parcels.book_pickup(case)": "await arrange_pickup(case)",
}
NEW_STEPS = '''

@step("weigh", "称重", gate="inspection")
async def weigh(intent: Intent, case: str) -> Outcome:
    """Weigh what has arrived."""
    return await parcels.carrier(await legs.here()).book(intent.key, case_no=case, data={}, contact={})


@step("book-pickup", "另约取件", gate="pickup")
async def arrange_pickup(intent: Intent, case: str) -> Outcome:
    """Ask another carrier in other words."""
    return await parcels.carrier(await legs.here()).book(intent.key, case_no=case, data={"new": True}, contact={})
'''
IMPORTS = """from aftersales.desk import leg as legs
from aftersales.gateways import Outcome
from tasks.steps import Intent, step
"""


@pytest.fixture
async def changed(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The entry point of the changed story; at the end the deployment has its own again."""
    story = STORY.read_text()
    for old, new in CHANGES.items():
        assert story.count(old) == 1, "flows/returns.py no longer has the line that this test changes"
        story = story.replace(old, new)
    story = story.replace("from aftersales.words import Event\n", f"from aftersales.words import Event\n{IMPORTS}")
    (tmp_path / "changed_returns.py").write_text(story + NEW_STEPS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "changed_returns.returns"
    await deploy(desk, "flows.returns.returns")


async def deploy(desk: Desk, entrypoint: str) -> None:
    """Let the deployment point to a story."""
    found = await desk.client.read_deployment_by_name(RETURNS)
    await desk.client.request(
        "PATCH", "/deployments/{id}", path_params={"id": found.id}, json={"entrypoint": entrypoint}
    )
    seen = await desk.client.read_deployment(found.id)
    assert (seen.entrypoint, seen.status) != ("", DeploymentStatus.NOT_READY)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "gates",
    [
        # in the middle of what was told already
        pytest.param(("inspection",), id="one gate"),
        pytest.param(MAIN_WAY, id="every gate", marks=pytest.mark.soak),
    ],
)
async def test_trap_12_a_changed_story_is_told_over_cases_that_the_old_one_began(
    desk: Desk, paper: Paper, changed: str, gates: Sequence[str]
):
    """Trap 12: a gate and a step more, a step rewritten: cases at their gates finish, each call was made once."""
    async with desk.worker():
        cases = {gate: await desk.apply(f"D-{gate}") for gate in gates}
        await asyncio.gather(*(run.along(*MAIN_WAY[: MAIN_WAY.index(gate)]) for gate, run in cases.items()))
        await asyncio.gather(*(run.at(f"{gate}-0-1") for gate, run in cases.items()))
    asked = {gate: set(await run.journal()) for gate, run in cases.items()}
    await deploy(desk, changed)

    async with desk.worker():
        await asyncio.gather(*(finish(run, gate) for gate, run in cases.items()))

    calls = Counter(paper.calls)
    assert set(calls.values()) == {1}
    for gate, run in cases.items():
        number, journal = await run.case_no(), await run.journal()
        assert (await run.case()).stage is Stage.CLOSED
        assert asked[gate] <= set(journal)
        assert {name for name, entry in journal.items() if entry.kind == "decision"} == {
            f"{each}-0" for each in (*MAIN_WAY, "exception")
        }
        assert not [name for name in journal if ".late" in name or ".refused" in name]
        # who was inspected before the change is not weighed after it
        steps = {"book-pickup-0", "refund-0"} | (set() if gate == "refund" else {"weigh-0"})
        assert {call.partition("/")[2] for call in calls if call.startswith(number)} == steps
        notices = Counter((row.notice, row.entry) for row in await run.rows("outbox"))
        assert set(notices.values()) == {1}
        assert sorted(notice for notice, _ in notices) == ["NTC-01", "NTC-02", "NTC-04", "NTC-05", "NTC-07", "NTC-08"]
        assert "Failed" not in await run.states()


async def finish(run, gate: str) -> None:
    """Answer what is left, the new question in its turn."""
    left = MAIN_WAY[MAIN_WAY.index(gate) :]
    await run.fill(f"{left[0]}-0")
    if gate in ("inspection", "refund"):
        # the question that came in between is asked first; what was answered before it is taken after it
        await run.fill("exception-0")
    for each in left[1:]:
        if each == "inspection":
            await run.fill("exception-0")
        await run.fill(f"{each}-0")
    await run.ends()
