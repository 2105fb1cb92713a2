"""Connections to our database that PostgreSQL ends while they lie in the pool, as its restart does."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from aftersales.stack import schema
from aftersales.store import engine
from aftersales.store.engine import transaction


async def use() -> int:
    """Use a connection; answers the process behind it."""
    async with transaction() as connection:
        return int(await connection.scalar(text("select pg_backend_pid()")) or 0)


def cut_off(database: str, pid: int) -> bool:
    with psycopg.connect(schema.plain(database)) as other:
        return other.execute("select pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)


async def test_one_that_lay_still_is_replaced_before_a_transaction_begins(
    database: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "FRESH_SECONDS", 0.0)
    pid = await use()

    assert cut_off(database, pid)

    await use()


async def test_one_that_was_used_just_now_costs_one_transaction(database: str, monkeypatch: pytest.MonkeyPatch):
    """Asking each time would cost every leg twenty questions; a leg that this hits is told again (design §10)."""
    monkeypatch.setattr(engine, "FRESH_SECONDS", 3600.0)
    pid = await use()

    assert cut_off(database, pid)

    with pytest.raises(OperationalError):
        await use()
    await use()
