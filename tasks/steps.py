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
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk import leg as legs
from aftersales.desk.leg import Leg
from aftersales.gateways import Outcome, Unknown
from aftersales.store import cases, journal, parks
from aftersales.store.engine import transaction
from aftersales.store.journal import Entry
from aftersales.words import Event
from tasks import late, notices

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Intent:
    """What a step is about to do: its idempotency key, and whether an earlier try may have done it already."""

    key: str
    round: int
    is_old: bool


SETTLED = Outcome("done", reason="已由人工登记")
FIRST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(hours=1)
# what was accepted is asked about when nobody has told of it for so long
LONGEST_SILENCE = timedelta(days=1)

Follow = Callable[[Intent], Awaitable[Outcome | None]]


def step(
    name: str,
    title: str,
    *,
    gate: str,
    news: Event | None = None,
    follow: Follow | None = None,
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
    under the same key (P-16). `follow` asks what became of what it had accepted and never told of again.
    Short faults (any exception, Unknown among them) are retried, unless another case waits for the same already.
    When the other side still has not answered, the step is parked and answers *unknown*; any other exception is raised.
    """

    def wrap(
        body: Callable[Concatenate[Intent, str, P], Awaitable[Outcome]],
    ) -> Callable[Concatenate[str, P], Awaitable[Outcome]]:
        @functools.wraps(body)
        async def call(case: str, *args: P.args, **kwargs: P.kwargs) -> Outcome:
            leg = await legs.here()
            round_ = leg.round(f"step {name}")
            entry = f"{name}-{round_}"
            settled = f"{gate}-{round_}"
            is_settled = settled in leg.entries
            if news is not None and not is_settled and (reason := await _hear(leg, entry, gate, news)):
                return await _park(leg, entry, gate, title, reason, _failures(leg, entry) - 1)
            if follow is not None and not is_settled:
                await _ask_about(leg, Intent(f"{case}/{entry}", round_, is_old=True), entry, gate, title, follow)
            outcome_entry = _outcome_entry(leg, entry)
            if done := leg.entries.get(outcome_entry):
                return Outcome(**done.data)
            if is_settled:
                return SETTLED
            async with transaction() as connection:
                parked = await parks.find(connection, case, entry)
                # one case has found out that the other side is silent: the next ones need not wait as long for it
                is_silent = parked or await parks.is_resting(connection, name, leg.now(), LONGEST_REST)
            if parked is not None and parked["retry_at"] > leg.now():
                leg.parked.append(parked["reason"])
                return Outcome("unknown", reason=parked["reason"])

            async def attempt() -> Outcome:
                intent = Intent(f"{case}/{entry}", round_, is_old=f"{entry}.intent" in leg.entries)
                async with transaction() as connection:
                    if await journal.find(connection, case, settled) is not None:
                        return SETTLED  # by somebody who was faster than this try
                    if not intent.is_old:
                        await leg.note(connection, f"{entry}.intent", kind="intent", data={"key": intent.key})
                await leg.driver.check()
                outcome = await body(intent, case, *args, **kwargs)
                if outcome.outcome not in ("done", "refused"):
                    raise Unknown(outcome.reason or f"{title}：对方没有回复结果")
                async with transaction() as connection:
                    await leg.note(connection, outcome_entry, kind="outcome", data=outcome.as_dict())
                    await parks.end(connection, case, entry, leg.now())
                    if follow is not None and outcome.is_pending:
                        await _await_news(connection, leg, entry, gate, tries=0, rest=LONGEST_SILENCE)
                    if decided := await journal.find(connection, case, settled):
                        await _both(connection, leg, gate, decided, title, intent, outcome)
                return outcome

            try:
                return await leg.driver.call(title, 0 if is_silent else retries, list(retry_delays), attempt)
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
        before = sum(1 for name in leg.entries if name.startswith(f"{entry}.parked-"))
        await leg.note(connection, f"{entry}.parked-{before}", kind="parked", data=data)
        # what has failed in another way, or once more after it had been accepted, is news
        failure = f"{_failures(leg, entry)}-{hashlib.sha256(reason.encode()).hexdigest()[:8]}"
        await notices.tell_department(
            connection,
            leg,
            f"{entry}.parked:{failure}",
            owner,
            f"{title}：{reason}。系统会自动重试，也可在表单中人工登记结果。",
        )
    leg.parked.append(reason)
    return Outcome("unknown", reason=reason)


async def _hear(leg: Leg, entry: str, gate: str, news: Event) -> str:
    """Take in that what the other side was to do has failed after all: one row for each time it said so."""
    assert leg.case is not None
    heard = ""
    while f"{entry}.intent" in leg.entries:
        async with transaction() as connection:
            row = await cases.waiting(connection, leg.case.case_no, [news.value])
            if row is None:
                break
            await cases.take(connection, row["id"], leg.now())
            key = f"{leg.case.case_no}/{entry}"
            reason = row["data"].get("reason") or "对方没有说明原因"
            about = row["data"].get("key") or key
            if about == key:
                name = f"{entry}.failed:{row['key']}"
                await leg.note(connection, name, kind="failed", actor=row["actor"], data={"reason": reason})
                heard = f"对方通知失败：{reason}"
                continue
            await late.keep(
                connection,
                leg,
                entry=about.partition("/")[2],
                gate=gate,
                key=row["key"],
                actor=row["actor"],
                reason=f"收到 {about} 的失败通知（{reason}），现在办理的是 {key}，请核对。",
                told=row["data"],
            )
    return heard


async def _ask_about(leg: Leg, intent: Intent, entry: str, gate: str, title: str, follow: Follow) -> None:
    """
    Ask what became of what was accepted long ago; what has failed since is written down, and so tried again.

    What the other side says it never got is not sent again: it had said that it has it.
    """
    assert leg.case is not None
    assert leg.terms is not None
    done = leg.entries.get(_outcome_entry(leg, entry))
    parked = await _parked(leg, entry) if done is not None and done.data.get("is_pending") else None
    if parked is None or parked["retry_at"] > leg.now():
        return
    known = await follow(intent)
    async with transaction() as connection:
        if known is not None and known.outcome in ("failed", "refused"):
            name = f"{entry}.failed:asked-{_failures(leg, entry)}"
            await leg.note(connection, name, kind="failed", data={"reason": known.reason})
            return
        if known is not None and known.is_final:
            await parks.end(connection, leg.case.case_no, entry, leg.now())
            return
        is_silent = known is not None and known.outcome == "unknown"
        rest = LONGEST_REST if is_silent else LONGEST_SILENCE
        await _await_news(connection, leg, entry, gate, tries=parked["tries"], rest=rest)
        if known is None or not is_silent:
            what = "对方已受理，但一直没有通知结果" if known else "对方受理过，现在却说没有收到过这一笔，系统没有重发"
            text = f"{title}（{intent.key}）：{what}，请向对方核对。"
            name = f"{entry}.{'silent' if known else 'forgotten'}"
            await notices.tell_department(connection, leg, name, leg.terms.returns.stages[gate].owner, text)


async def _await_news(
    connection: AsyncConnection, leg: Leg, entry: str, gate: str, *, tries: int, rest: timedelta
) -> None:
    """Have a step asked about when its news has not come by then; nobody waits for it in the meantime."""
    assert leg.case is not None
    assert leg.terms is not None
    await parks.park(
        connection,
        leg.case.case_no,
        entry,
        owner=leg.terms.returns.stages[gate].owner,
        tries=tries + 1,
        reason="对方已受理，还没有通知结果",
        at=leg.now(),
        retry_at=leg.now() + rest,
    )


async def _both(
    connection: AsyncConnection, leg: Leg, gate: str, decided: Entry, title: str, intent: Intent, outcome: Outcome
) -> None:
    """Somebody has settled by hand what was under way: when the other side has taken it too, people must know."""
    assert leg.case is not None
    await parks.end(connection, leg.case.case_no, intent.key.partition("/")[2], leg.now())
    await late.sweep(connection, leg, gate, decided)
    if outcome.outcome == "done" and not outcome.is_final:
        await late.keep(
            connection,
            leg,
            entry=decided.entry,
            gate=gate,
            key=f"{intent.key}/accepted",
            actor="system",
            reason=f"{title}：人工登记的同时，对方也受理了（流水号 {outcome.reference or '无'}），请核对，避免办两次。",
            told={"reference": outcome.reference},
            staff=decided.actor,
        )


def _failures(leg: Leg, entry: str) -> int:
    return sum(1 for told in leg.entries.values() if told.kind == "failed" and told.entry.startswith(f"{entry}."))


def _outcome_entry(leg: Leg, entry: str) -> str:
    """The name of the outcome that counts: one for each time the other side took it back."""
    failures = _failures(leg, entry)
    return f"{entry}.outcome" if not failures else f"{entry}.outcome-{failures}"
