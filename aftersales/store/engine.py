"""
Connections to our PostgreSQL: one async engine per process, psycopg 3 underneath.

`transaction()` is the only way in: it commits at the end of its block and rolls back on any exception.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from aftersales.settings import settings

_engine: AsyncEngine | None = None


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
        pool_pre_ping=True,
        # what is bound may name people, and an exception is logged and shown (GEN-10)
        hide_parameters=True,
    )
    return _engine


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
