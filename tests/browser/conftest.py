"""The browser: skipped where Debian's Chromium is missing, unless the run insists on it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser import ui

MISSING = f"{ui.CHROMIUM} is missing: apt-get install chromium fonts-noto-cjk"


@pytest.fixture(scope="session")
def chromium_is_here() -> None:
    """Skip without a browser; fail instead where `AFTERSALES_REQUIRE_BROWSER=1` says that there must be one."""
    if Path(ui.CHROMIUM).exists():
        return
    if os.environ.get("AFTERSALES_REQUIRE_BROWSER") == "1":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@pytest.fixture
def album() -> Path | None:
    """Where to keep pictures, when `AFTERSALES_SCREENSHOTS` names a folder."""
    folder = os.environ.get("AFTERSALES_SCREENSHOTS")
    return Path(folder) if folder else None


@pytest.fixture
async def browser(chromium_is_here: None, album: Path | None) -> AsyncIterator[Browser]:
    """Debian's Chromium, running for one test: a page that is left open goes on drawing and asking."""
    async with ui.chromium(for_pictures=album is not None) as running:
        yield running
