"""
Many at once: applications sent in together, then the reviews of all of them.

The first figure is the time until every case stands at its review, the second until every case waits for its pick-up.
"""

from __future__ import annotations

import asyncio
import os
import time

from bench import common

CASES = int(os.environ.get("BENCH_BURST", "300"))
# as many calls under way as a browser's worth of clerks would have; the server queues them all the same
AT_ONCE = 50
PATIENCE = 600.0


async def measure() -> common.Report:
    """Send everything at once, twice."""
    room = asyncio.Semaphore(AT_ONCE)
    with common.stack() as running:
        async with common.clerk(running) as clerk:
            numbers = await clerk.sell(CASES)
            warm = await clerk.apply((await clerk.sell(1))[0])
            await clerk.at("review", [warm])

            async def apply(number: str):
                async with room:
                    return await clerk.apply(number)

            async def submit(run):
                async with room:
                    await clerk.send(run, answers[run])

            began, before = time.perf_counter(), running.cpu()
            runs = await asyncio.gather(*(apply(number) for number in numbers))
            sent = time.perf_counter() - began
            opened = await clerk.at("review", runs, every=0.2, patience=PATIENCE) - began
            opening = common.since(before, running.cpu())
            common.say(f"{CASES} applications at their review after {opened:.1f} s")

            answers = {run: await clerk.answer(run) for run in runs}
            began, before = time.perf_counter(), running.cpu()
            await asyncio.gather(*(submit(run) for run in runs))
            decided_sent = time.perf_counter() - began
            decided = await clerk.at("pickup", runs, every=0.2, patience=PATIENCE) - began
            deciding = common.since(before, running.cpu())
    report = common.Report(
        f"A burst of {CASES}",
        f"{CASES} applications sent by the API, {AT_ONCE} calls under way at a time, then {CASES} reviews by Resume form. "
        "All came to their gate: none lost, none failed.",
    )
    for what, seconds, calls, spent in (
        ("applications → all at review", opened, sent, opening),
        ("reviews → all at pick-up", decided, decided_sent, deciding),
    ):
        report.tell(f"{CASES} {what}", f"{seconds:.1f} s (sent within {calls:.1f} s)")
        report.tell("… cases a second", f"{CASES / seconds:.1f}")
        report.tell("… CPU a leg, all processes", f"{spent['all'] / CASES:.3f} s")
    return report


if __name__ == "__main__":
    common.main(measure)
