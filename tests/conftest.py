"""
One real PostgreSQL for the whole test run, and, for tests that ask, a real Prefect server and the whole stack.

Everything is started by the same code that `aftersales up` uses, on free ports and in a folder of its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets, and which the user of PostgreSQL can enter."""
    folder = Path(tempfile.mkdtemp(prefix="aftersales-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(short_folder: Path) -> Iterator[str]:
    """The URL of a running embedded PostgreSQL (database `postgres`)."""
    from aftersales.stack import postgres

    home = postgres.make_home(short_folder / "db")
    with postgres.cluster(home, quick=True).running(**postgres.QUICK) as server:
        yield server.url("postgres")


@contextmanager
def _copy_of(postgres: str, template: str) -> Iterator[str]:
    import psycopg
    from sqlalchemy.engine import make_url

    name = "t_" + uuid4().hex[:12]
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f'create database "{name}" template "{template}"')
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """A fresh database without any table."""
    with _copy_of(postgres, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def migrated(postgres: str) -> str:
    """The name of a template database, migrated once."""
    from sqlalchemy.engine import make_url

    from aftersales.stack import schema

    url = make_url(postgres).set(database="migrated").render_as_string(hide_password=False)
    schema.create(url)
    schema.upgrade(url)
    return "migrated"


@pytest.fixture
async def database(postgres: str, migrated: str) -> AsyncIterator[str]:
    """A fresh database with all tables; the process's engine is connected to it."""
    from aftersales.store import engine

    with _copy_of(postgres, migrated) as url:
        engine.connect(url)
        try:
            yield engine.address(url).render_as_string(hide_password=False)
        finally:
            await engine.disconnect()
