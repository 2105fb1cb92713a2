"""
Steps: what touches the world, once.

A step asks the journal first. What is new gets an intent before the call and an outcome after it, two rows around the
gap that our idempotency key covers (design §4). An intent without an outcome is *unknown*: the other side is asked
what became of that key before anything is tried again.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec

from aftersales.desk import leg as legs
from aftersales.gateways import Outcome, Unknown
from aftersales.store.engine import transaction

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Intent:
    """What a step is about to do: its idempotency key, and whether an earlier try may have done it already."""

    key: str
    round: int
    is_old: bool


def step(
    name: str, title: str, *, retries: int = 3, retry_delays: tuple[float, ...] = (1, 5, 15)
) -> Callable[
    [Callable[Concatenate[Intent, str, P], Awaitable[Outcome]]], Callable[Concatenate[str, P], Awaitable[Outcome]]
]:
    """
    Make a step of a function `(intent, case, …)` that calls the outside and says what came of it.

    `name` goes into the idempotency key `{case}/{name}-{round}`, `title` is shown in the run's graph.
    Short faults (any exception, Unknown among them) are retried; when the retries are used up the last one is raised.
    """

    def wrap(
        body: Callable[Concatenate[Intent, str, P], Awaitable[Outcome]],
    ) -> Callable[Concatenate[str, P], Awaitable[Outcome]]:
        @functools.wraps(body)
        async def call(case: str, *args: P.args, **kwargs: P.kwargs) -> Outcome:
            leg = await legs.here()
            round_ = leg.round(f"step {name}")
            entry = f"{name}-{round_}"
            if done := leg.entries.get(f"{entry}.outcome"):
                return Outcome(**done.data)

            async def attempt() -> Outcome:
                intent = Intent(f"{case}/{entry}", round_, is_old=f"{entry}.intent" in leg.entries)
                if not intent.is_old:
                    async with transaction() as connection:
                        await leg.note(connection, f"{entry}.intent", kind="intent", data={"key": intent.key})
                await leg.driver.check()
                outcome = await body(intent, case, *args, **kwargs)
                if outcome.outcome == "unknown":
                    raise Unknown(f"{title}：对方没有回复结果（{intent.key}），稍后先查询再重试。")
                async with transaction() as connection:
                    await leg.note(connection, f"{entry}.outcome", kind="outcome", data=outcome.as_dict())
                return outcome

            return await leg.driver.call(title, retries, list(retry_delays), attempt)

        return call

    return wrap
