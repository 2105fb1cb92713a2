"""
The one place that asks what time it is.

A rehearsed case lives on its rehearsal's clock (design §5); everything else on the wall clock.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

import pendulum


class Rehearsed(Protocol):
    """Anything that may live on a rehearsal's clock."""

    @property
    def rehearsal_at(self) -> datetime | None: ...


def now(case: Rehearsed | None = None) -> datetime:
    """Tell the time, in UTC: the rehearsal's for a rehearsed case, else the wall clock's."""
    if case is not None and case.rehearsal_at is not None:
        return case.rehearsal_at
    # plain, since arithmetic on pendulum's own type answers without a zone now and then
    return datetime.fromtimestamp(pendulum.now("UTC").timestamp(), UTC)
