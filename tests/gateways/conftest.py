"""Another side that answers over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateways.provider import Running
from tests.stories.conftest import shop  # noqa: F401


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Running]:
    """A payment provider and carrier in a process of its own."""
    running = Running(tmp_path)
    yield running
    running.stop()
