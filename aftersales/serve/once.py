"""
A request under a key of its sender counts once, and gets the same answer however often it is sent.

Only what was done is kept. What was refused, or could not be done, may be sent again under its key: a gate that was not
open yet is open later. Should this process die in between, the rows that a request leaves behind bear its key too.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from aftersales import clock
from aftersales.serve.reading import TurnedAway
from aftersales.store import requests
from aftersales.store.engine import transaction

# how long a sender may wait before it tries again with an answer that is certain
KEPT = timedelta(days=30)
# a request without an answer for longer than this was in the hands of somebody who died
LONGEST = timedelta(minutes=2)
ANOTHER = "这个 Idempotency-Key 用过了，内容不同；另一件事请换一个新的，重发请用原来的内容。"
UNDER_WAY = "同一个 Idempotency-Key 的请求正在办理，请稍后用原来的内容重发。"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered, and whether that was said before."""

    status: int
    content: str
    is_repeated: bool = False


class Turns:
    """Lets those wait for each other that speak of the same thing."""

    def __init__(self) -> None:
        self._locks: dict[object, asyncio.Lock] = {}
        self._waiting: Counter[object] = Counter()

    @asynccontextmanager
    async def take(self, what: object) -> AsyncIterator[None]:
        """Wait for one's turn."""
        lock = self._locks.setdefault(what, asyncio.Lock())
        self._waiting[what] += 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[what] -= 1
            if not self._waiting[what]:
                del self._locks[what], self._waiting[what]


async def once(
    turns: Turns, *, client: str, key: str, said: bytes, do: Callable[[], Awaitable[tuple[int, str]]]
) -> Answer:
    """
    Do what is asked under a key, or answer what was answered before.

    `said` is everything that makes it this request. Raises TurnedAway when the key means something else, or another
    process has it in hand; and whatever `do` raises.
    """
    fingerprint = hashlib.sha256(said).hexdigest()
    which = {"client": client, "key": key}
    async with turns.take((client, key)):
        at = clock.now()
        async with transaction() as connection:
            await requests.forget(connection, at - KEPT)
            known = await requests.begin(connection, **which, fingerprint=fingerprint, at=at)
            if known is not None:
                if known.fingerprint != fingerprint:
                    raise TurnedAway(422, ANOTHER)
                if known.status is not None:
                    return Answer(known.status, known.answer, is_repeated=True)
                if known.begun_at > at - LONGEST:
                    raise TurnedAway(409, UNDER_WAY)
                await requests.begin_again(connection, **which, fingerprint=fingerprint, at=at)
        try:
            status, content = await do()
        except BaseException:
            async with transaction() as connection:
                await requests.drop(connection, **which)
            raise
        async with transaction() as connection:
            await requests.answer(connection, **which, status=status, answer=content)
        return Answer(status, content)
