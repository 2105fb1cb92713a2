"""A story is told from its first line at every resume: nothing happens twice, and no answer is lost (traps 1 to 3)."""

from __future__ import annotations

from aftersales.words import Stage
from tests.traps.conftest import MAIN_WAY


async def test_trap_1_replay_is_free(staffed, paper):
    """Six tellings of one case: each call to the outside once, each notice once, two task runs in all."""
    run = await staffed.apply()
    await run.along(*MAIN_WAY)
    await run.ends()

    assert await run.legs() == 1 + len(MAIN_WAY)
    case_no = await run.case_no()
    assert paper.calls == [f"{case_no}/book-pickup-0", f"{case_no}/refund-0"]
    assert await run.tasks() == ["发起退款", "预约取件"]
    assert sorted(row.notice for row in await run.rows("outbox")) == [
        "NTC-01",
        "NTC-02",
        "NTC-04",
        "NTC-05",
        "NTC-07",
        "NTC-08",
    ]
    assert (await run.case()).stage is Stage.CLOSED
