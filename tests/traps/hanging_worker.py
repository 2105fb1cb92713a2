"""
A worker that stops in the middle of a step and waits to be killed, and the outside world as a sheet of paper.

`python -m tests.traps.hanging_worker before book-pickup-0 SHEET` says `"before"` and hangs when the step
`book-pickup-0` has written its intent and is about to call; `after` hangs when the call has landed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from aftersales.gateways import Outcome


class Paper:
    """
    Carrier and payment provider in one; every call that lands is a line on a sheet, the same key as often as told.

    `comes` hears of each call `before` it lands and `after`, with its key.
    """

    def __init__(self, sheet: Path, comes: Callable[[str, str], Awaitable[None]] | None = None) -> None:
        self.sheet, self._comes = sheet, comes

    @property
    def calls(self) -> list[str]:
        """The keys of the calls that landed, in order."""
        return self.sheet.read_text().splitlines() if self.sheet.exists() else []

    async def ask(self, key: str) -> Outcome | None:
        """Look on the sheet."""
        return Outcome("done") if key in self.calls else None

    async def book(self, key: str, *, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]) -> Outcome:
        """Take a pick-up."""
        return await self._land(key)

    async def send_back(
        self, key: str, *, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]
    ) -> Outcome:
        """Take a parcel for the customer."""
        return await self._land(key)

    async def refund(self, key: str, *, case_no: str, order_no: str, amount: Decimal, route: str) -> Outcome:
        """Take a refund."""
        return await self._land(key)

    async def _land(self, key: str) -> Outcome:
        if self._comes:
            await self._comes("before", key)
        with self.sheet.open("a") as sheet:
            sheet.write(f"{key}\n")
        if self._comes:
            await self._comes("after", key)
        return Outcome("done")


def main() -> None:
    """Work, with paper for gateways, until killed."""
    from aftersales.desk import worker
    from tasks import money, parcels

    where, step, sheet = sys.argv[1:]

    async def hang(at: str, key: str) -> None:
        if at == where and key.endswith(step):
            print(json.dumps(where), flush=True)
            await asyncio.Event().wait()

    paper = Paper(Path(sheet), hang)
    parcels.carrier = lambda leg: paper
    money.cashier = lambda: paper
    worker.run()


if __name__ == "__main__":
    main()
