"""
Steps: what touches the world, once.

A step asks the journal first. What is new gets an intent before the call and an outcome after it, two rows around the
gap that our idempotency key covers (design §4). An intent without an outcome is *unknown*: the other side is asked
what became of that key before anything is tried again.

When the other side does not answer at all, the step is parked: the story goes on to its gate, where people can settle
the matter by hand, and the step is tried again with growing distance.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec

from aftersales.desk import leg as legs
from aftersales.desk.leg import Leg
from aftersales.gateways import Outcome, Unknown
from aftersales.store import cases, parks
from aftersales.store.engine import transaction
from aftersales.words import Event
from tasks import notices

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Intent:
    """What a step is about to do: its idempotency key, and whether an earlier try may have done it already."""

    key: str
    round: int
    is_old: bool


FIRST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(hours=1)


def step(
    name: str,
    title: str,
    *,
    gate: str,
    news: Event | None = None,
    retries: int = 3,
    retry_delays: tuple[float, ...] = (1, 5, 15),
) -> Callable[
    [Callable[Concatenate[Intent, str, P], Awaitable[Outcome]]], Callable[Concatenate[str, P], Awaitable[Outcome]]
]:
    """
    Make a step of a function `(intent, case, …)` that calls the outside and says what came of it.

    `name` goes into the idempotency key `{case}/{name}-{round}`, `title` is shown in the run's graph.
    `gate` is the gate that waits for what the step began: once it is answered, the step is not tried any more.
    `news` is the event by which the other side says that what it had accepted has failed; it is then tried again
    under the same key (P-16).
    Short faults (any exception, Unknown among them) are retried. When the other side still has not answered, the step
    is parked and answers *unknown*; any other exception is raised.
    """

    def wrap(
        body: Callable[Concatenate[Intent, str, P], Awaitable[Outcome]],
    ) -> Callable[Concatenate[str, P], Awaitable[Outcome]]:
        @functools.wraps(body)
        async def call(case: str, *args: P.args, **kwargs: P.kwargs) -> Outcome:
            leg = await legs.here()
            round_ = leg.round(f"step {name}")
            entry = f"{name}-{round_}"
            is_settled = f"{gate}-{round_}" in leg.entries
            if news is not None and not is_settled and (reason := await _hear(leg, entry, news)):
                return await _park(leg, entry, gate, title, reason, _failures(leg, entry) - 1)
            outcome_entry = _outcome_entry(leg, entry)
            if done := leg.entries.get(outcome_entry):
                return Outcome(**done.data)
            if is_settled:
                return Outcome("done", reason="已由人工登记")
            parked = await _parked(leg, entry)
            if parked is not None and parked["retry_at"] > leg.now():
                leg.parked.append(parked["reason"])
                return Outcome("unknown", reason=parked["reason"])

            async def attempt() -> Outcome:
                intent = Intent(f"{case}/{entry}", round_, is_old=f"{entry}.intent" in leg.entries)
                if not intent.is_old:
                    async with transaction() as connection:
                        await leg.note(connection, f"{entry}.intent", kind="intent", data={"key": intent.key})
                await leg.driver.check()
                outcome = await body(intent, case, *args, **kwargs)
                if outcome.outcome not in ("done", "refused"):
                    raise Unknown(outcome.reason or f"{title}：对方没有回复结果")
                async with transaction() as connection:
                    await leg.note(connection, outcome_entry, kind="outcome", data=outcome.as_dict())
                    await parks.end(connection, case, entry, leg.now())
                return outcome

            try:
                return await leg.driver.call(title, 0 if parked else retries, list(retry_delays), attempt)
            except Unknown as error:
                return await _park(leg, entry, gate, title, str(error), parked["tries"] if parked else 0)

        return call

    return wrap


async def _parked(leg: Leg, entry: str) -> Mapping[str, Any] | None:
    assert leg.case is not None
    async with transaction() as connection:
        return await parks.find(connection, leg.case.case_no, entry)


async def _park(leg: Leg, entry: str, gate: str, title: str, reason: str, tries: int) -> Outcome:
    """Put a step aside until the other side may be asked again; its owner is told once."""
    assert leg.case is not None
    assert leg.terms is not None
    reason = reason.rstrip("。")
    now, owner = leg.now(), leg.terms.returns.stages[gate].owner
    rest = min(LONGEST_REST, FIRST_REST * 2 ** min(tries, 10))
    async with transaction() as connection:
        await parks.park(
            connection,
            leg.case.case_no,
            entry,
            owner=owner,
            tries=tries + 1,
            reason=reason,
            at=now,
            retry_at=now + rest,
        )
        data = {"reason": reason, "step": title, "minutes": int(rest.total_seconds() // 60)}
        await leg.note(connection, f"{entry}.parked-{tries}", kind="parked", data=data)
        await notices.tell_department(
            connection, leg, f"{entry}.parked", owner, f"{title}：{reason}。系统会自动重试，也可在表单中人工登记结果。"
        )
    leg.parked.append(reason)
    return Outcome("unknown", reason=reason)


async def _hear(leg: Leg, entry: str, news: Event) -> str:
    """Take in that what the other side had accepted has failed after all: one row for each time it said so."""
    assert leg.case is not None
    heard = ""
    while f"{entry}.intent" in leg.entries:
        async with transaction() as connection:
            row = await cases.waiting(connection, leg.case.case_no, [news.value])
            if row is None:
                break
            await cases.take(connection, row["id"], leg.now())
            key = f"{leg.case.case_no}/{entry}"
            is_ours = row["data"].get("key", key) == key and _outcome_entry(leg, entry) in leg.entries
            kind = "failed" if is_ours else "late"
            reason = row["data"].get("reason") or "对方没有说明原因"
            await leg.note(
                connection, f"{entry}.{kind}:{row['key']}", kind=kind, actor=row["actor"], data={"reason": reason}
            )
            heard = f"对方通知失败：{reason}" if is_ours else heard
    return heard


def _failures(leg: Leg, entry: str) -> int:
    return sum(1 for told in leg.entries.values() if told.kind == "failed" and told.entry.startswith(f"{entry}."))


def _outcome_entry(leg: Leg, entry: str) -> str:
    """The name of the outcome that counts: one for each time the other side took it back."""
    failures = _failures(leg, entry)
    return f"{entry}.outcome" if not failures else f"{entry}.outcome-{failures}"
