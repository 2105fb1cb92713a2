"""The shop of the stories, for steps too."""

from __future__ import annotations

from tests.stories.conftest import shop

__all__ = ["shop"]
