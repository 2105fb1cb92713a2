"""
Connections to our PostgreSQL: one async engine per process, psycopg 3 underneath.

`transaction()` is the only way in: it commits at the end of its block and rolls back on any exception.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from aftersales.settings import settings

_engine: AsyncEngine | None = None
# a connection that answered so lately is not asked whether it lives: a leg takes one twenty times
FRESH_SECONDS = 1.0


def address(url: str) -> URL:
    """Our driver's form of a PostgreSQL URL, whichever driver the writer had in mind."""
    return make_url(url).set(drivername="postgresql+psycopg")


def connect(url: str, *, size: int = 10) -> AsyncEngine:
    """Make this process talk to the database at `url`; a second call with another URL replaces the engine."""
    global _engine
    _engine = create_async_engine(
        address(url),
        pool_size=size,
        max_overflow=size,
        # what is bound may name people, and an exception is logged and shown (GEN-10)
        hide_parameters=True,
    )
    event.listen(_engine.sync_engine, "checkin", _note_the_time)
    event.listen(_engine.sync_engine, "checkout", _ask_whether_it_lives)
    return _engine


def _note_the_time(connection: Any, record: Any) -> None:
    record.info["answered"] = time.monotonic()


def _ask_whether_it_lives(connection: Any, record: Any, proxy: Any) -> None:
    """Find out before a transaction begins that PostgreSQL was restarted, so that the pool connects anew."""
    answered = record.info.get("answered")
    if answered is None or time.monotonic() - answered < FRESH_SECONDS:
        return
    dialect = engine().sync_engine.dialect
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        if dialect.is_disconnect(error, connection, None):
            raise exc.InvalidatePoolError from error
        raise


def connect_from_settings() -> AsyncEngine:
    """Make this process talk to the database named in the environment, unless it already talks to one."""
    return _engine or connect(settings().database_url)


async def disconnect() -> None:
    """Close every connection."""
    global _engine
    if _engine is not None:
        await _engine.dispose()
        _engine = None


def engine() -> AsyncEngine:
    """The engine of this process. Raises RuntimeError before `connect`."""
    if _engine is None:
        raise RuntimeError("No database yet: call store.engine.connect(url) first.")
    return _engine


@asynccontextmanager
async def transaction() -> AsyncIterator[AsyncConnection]:
    """One transaction: committed at the end of the block, rolled back on any exception."""
    async with engine().begin() as connection:
        yield connection
