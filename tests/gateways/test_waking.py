"""A storm of callbacks does not become a storm of connections."""

from __future__ import annotations

import asyncio

from aftersales.serve.app import WAKES_AT_ONCE, Alarm


async def test_many_callbacks_wake_few_cases_at_once_and_each_after_its_last():
    told, at_once, most, woken = 0, 0, 0, dict[str, int]()

    async def wake(case_no: str) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        seen = told
        await asyncio.sleep(0.01)
        at_once -= 1
        woken[case_no] = seen

    alarm = Alarm(wake)
    for number in range(120):
        told = number + 1
        alarm.ring(f"RT-{number % 30}")
        await asyncio.sleep(0)
    await asyncio.wait_for(_idle(alarm), 30)

    assert most == WAKES_AT_ONCE
    assert len(woken) == 30
    assert all(seen > 90 + int(case_no[3:]) for case_no, seen in woken.items()), "told after its waking had begun"


async def test_a_case_that_waits_to_be_woken_is_woken_once():
    woken: list[str] = []

    async def wake(case_no: str) -> None:
        woken.append(case_no)

    alarm = Alarm(wake)
    for _ in range(120):
        alarm.ring("RT-1")
    await asyncio.wait_for(_idle(alarm), 30)

    assert woken == ["RT-1"]


async def _idle(alarm: Alarm) -> None:
    await asyncio.gather(*alarm._tasks)
