"""The shop of the stories, for steps too; and the command line, as a shell sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aftersales.settings import settings
from aftersales.stack import prefect_settings
from aftersales.store import engine
from tests.calling import Left, call
from tests.stories.conftest import shop

__all__ = ["shop"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """What AFTERSALES_HOME is."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def aftersales(database: str, home: Path, monkeypatch) -> Callable[..., Any]:
    """Run `aftersales …` in a thread of this process; the command has a loop and an engine of its own."""
    monkeypatch.setenv("AFTERSALES_DATABASE_URL", database)
    monkeypatch.setenv("AFTERSALES_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "160")
    for name, value in prefect_settings.command().items():  # a command leaves them to its process, which is ours
        monkeypatch.setenv(name, value)
    settings.cache_clear()

    async def run(*args: str) -> Left:
        await engine.disconnect()
        try:
            left = await asyncio.to_thread(call, *args)
            return replace(left, err=left.err.strip())
        finally:
            engine.connect(database)

    yield run
    settings.cache_clear()
