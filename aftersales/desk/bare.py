"""
A leg without Prefect: the same story, told by a plain call (bulk, tests).

Gates raise `Waiting`; steps run with the same retries; nothing is shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn
from uuid import UUID, uuid4

import tenacity
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.leg import FormAnswer, Waiting


class Bare:
    """The driver of a leg outside any run; the caller sees to it that a case is told by one leg at a time."""

    def __init__(self, run_id: UUID | None = None, *, application: str = "") -> None:
        self.run_id = run_id or uuid4()
        self.case_no: str | None = None
        self.application = application

    async def secure(self, case_no: str) -> None:
        """Remember the case this leg has opened."""
        self.case_no = case_no

    async def check(self) -> None:
        """Nothing to check: the caller holds the case."""

    async def answers(self, entry: str) -> list[FormAnswer]:
        """There are no forms."""
        return []

    async def forget(self, answer: FormAnswer) -> None:
        """There are no forms."""

    async def forget_pages(self) -> None:
        """There are no forms."""

    async def show(self, *, name: str, tags: list[str], pages: Mapping[str, str]) -> None:
        """There is no run to show."""

    async def publish(self, key: str, write: Callable[[AsyncConnection], Awaitable[str]]) -> None:
        """There is no desk to show a page on."""

    async def hide(self, request: Any) -> None:
        """There is no run that keeps a request."""

    async def wake(self, case_no: str, *, anew: bool = False) -> None:
        """There is no run to wake."""

    async def wait(
        self, entry: str, schema: Mapping[str, Any], summary: str, answered: Callable[[], Awaitable[bool]]
    ) -> NoReturn:
        """Leave the story."""
        raise Waiting(self.case_no or "", entry)

    async def call(self, name: str, retries: int, delays: list[float], body: Callable[[], Awaitable[Any]]) -> Any:
        """Run a step's body with its retries."""
        waits = tenacity.wait_chain(*(tenacity.wait_fixed(delay) for delay in delays or [0]))
        retrying = tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(retries + 1), wait=waits, reraise=True)
        return await retrying(body)
