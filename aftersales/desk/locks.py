"""
The case's lock: at most one leg of a case anywhere, and nobody wakes a case that is being told (design §3).

A PostgreSQL session advisory lock dies with the process that holds it.
So whoever gets it knows that nobody is telling the story: no heartbeat, no time-out.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

from aftersales.store import engine
from aftersales.words import Unable

_TRY = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
_WAIT = "select pg_advisory_lock(hashtextextended(%s, 0))"
_FREE = "select pg_advisory_unlock(hashtextextended(%s, 0))"


class LockLost(Unable):
    """The connection that held the locks is gone: somebody else may tell our cases now, so we must stop."""


class Locks:
    """
    The locks of one worker, on one connection of its own (never a pooled one).

    The lock of PostgreSQL is re-entrant for a session, so a lock per case inside the process stands before it.
    """

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection
        self._inside: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @classmethod
    async def open(cls) -> Locks:
        """Connect to the database the store is connected to."""
        return cls(await _connect())

    async def close(self) -> None:
        """Let go of every lock, before this returns: a session that only hangs up keeps them for some moments more."""
        with suppress(psycopg.Error):
            await self._connection.execute("select pg_advisory_unlock_all()")
        await self._connection.close()

    async def check(self) -> None:
        """Make sure the locks are still held. Raises LockLost."""
        try:
            await self._connection.execute("select 1")
        except psycopg.Error as error:
            raise LockLost("数据库连接中断，正在处理的售后单已放手；工作进程会自动重启并继续。") from error

    async def take(self, key: str) -> bool:
        """Take a lock if nobody has it."""
        inside = self._inside[key]
        if inside.locked():
            return False
        await inside.acquire()
        try:
            cursor = await self._connection.execute(_TRY, (key,))
            row = await cursor.fetchone()
        except BaseException:
            self._forget(key)
            raise
        if row is not None and row[0]:
            return True
        self._forget(key)
        return False

    async def free(self, key: str) -> None:
        """Let go of a lock."""
        try:
            await self._connection.execute(_FREE, (key,))
        finally:
            self._forget(key)

    def _forget(self, key: str) -> None:
        inside = self._inside.pop(key, None)
        if inside is not None and inside.locked():
            inside.release()


@asynccontextmanager
async def held(key: str, *, wait_seconds: int = 30) -> AsyncIterator[None]:
    """
    Wait for a case's lock on a connection of our own and hold it for the block.

    Raises Unable when the case is still being told after `wait_seconds`.
    """
    connection = await _connect()
    try:
        await connection.execute(f"set lock_timeout = '{wait_seconds}s'")
        try:
            await connection.execute(_WAIT, (key,))
        except psycopg.errors.LockNotAvailable as error:
            raise Unable(f"{key} 正在处理中，等了 {wait_seconds} 秒仍未结束，请稍后再试。") from error
        yield
    finally:
        await connection.close()


async def _connect() -> psycopg.AsyncConnection:
    url = engine.engine().url.set(drivername="postgresql").render_as_string(hide_password=False)
    return await psycopg.AsyncConnection.connect(url, autocommit=True)
