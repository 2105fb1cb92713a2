"""
How long somebody who presses Submit in a Resume form waits for the next form, and what waiting for them costs at rest.

One case at a time on a stack that has nothing else to do, its rounds included; from the sending of the call that the
UI makes until the run is suspended again with the schema of its next form.
"""

from __future__ import annotations

import asyncio
import os
import time

from aftersales.desk.worker import POLL_SECONDS
from bench import common

CASES = int(os.environ.get("BENCH_CASES", "10"))
REST_SECONDS = float(os.environ.get("BENCH_REST", "60"))
GATES = ("review", "pickup", "receipt", "inspection", "refund")
P50, P95 = 0.8, 1.5
LOOK = 0.01


async def submissions(clerk: common.Clerk, count: int) -> list[float]:
    """Take cases along, form by form; answers the seconds from each Submit to the next form."""
    waited = []
    for number in await clerk.sell(count):
        run = await clerk.apply(number)
        await clerk.at("review", [run])
        for gate in GATES[1:]:
            # whoever fills in a form takes longer than the server's last events of the leg before
            await asyncio.sleep(0.5)
            answer = await clerk.answer(run)
            began = time.perf_counter()
            await clerk.send(run, answer)
            waited.append(await clerk.at(gate, [run], every=LOOK) - began)
    return waited


async def at_rest(running: common.Stack, seconds: float) -> dict[str, float]:
    """The share of a core that each process takes while nobody does anything."""
    before, began = running.cpu(serve=running.pid("serve")), time.perf_counter()
    await asyncio.sleep(seconds)
    spent = common.since(before, running.cpu(serve=running.pid("serve")))
    return {name: each / (time.perf_counter() - began) for name, each in spent.items()}


async def measure() -> common.Report:
    """Submit, and rest."""
    with common.stack() as running:
        async with common.clerk(running) as clerk:
            await submissions(clerk, 1)  # what is loaded once
            waited = await submissions(clerk, CASES)
            common.say(f"{len(waited)} submissions: {common.spread(waited)}")
            rest = await at_rest(running, REST_SECONDS)
    middle, late = common.p50_p95(waited)
    report = common.Report(
        "From Submit to the next form",
        f"{len(waited)} Resume forms of {CASES} cases (review, pick-up, receipt, inspection), one at a time on a stack "
        f"with nothing else to do; the worker polls every {POLL_SECONDS} s. Then {REST_SECONDS:.0f} s of rest, with "
        "the reconciling round of each minute.",
    )
    report.tell("Submit → next form open, p50", f"{middle:.2f} s", f"≤ {P50} s", middle <= P50)
    report.tell("Submit → next form open, p95", f"{late:.2f} s", f"≤ {P95} s", late <= P95)
    report.tell("Least / most", f"{min(waited):.2f} s / {max(waited):.2f} s")
    for name, told in (("server", "Prefect's server"), ("worker", "our worker"), ("postgres", "PostgreSQL")):
        report.tell(f"At rest, {told}", f"{rest[name]:.1%} of a core")
    report.tell("At rest, the callback service", f"{rest['serve']:.1%} of a core")
    return report


if __name__ == "__main__":
    common.main(measure)
