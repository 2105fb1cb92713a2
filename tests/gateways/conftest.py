"""Another side that answers over HTTP."""

from __future__ import annotations

import pytest

from tests.gateways.provider import Running
from tests.stories.conftest import shop  # noqa: F401


@pytest.fixture
def provider(other_side: Running) -> Running:
    """A payment provider and carrier in a process of its own."""
    return other_side
