"""
The gateways that need no outside system: pick-ups and refunds become work lists that staff confirm in the UI.

A refund here is *done* when it stands on the cashier's transfer list; that the money went is what the gate waits for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from aftersales.gateways import Outcome

Put = Callable[..., Awaitable[None]]
Find = Callable[[str], Awaitable[bool]]


class PickupList:
    """The lists of pick-ups, and of parcels for customers, that logistics arranges by hand."""

    def __init__(self, put: Put, find: Find) -> None:
        self._put, self._find = put, find

    async def ask(self, key: str) -> Outcome | None:
        """Whether the pick-up stands on the list."""
        return Outcome("done") if await self._find(key) else None

    async def book(self, key: str, *, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]) -> Outcome:
        """Put a pick-up on the list; the same key once. Whom to go to stands in the case, not on the list."""
        await self._put(key=key, kind="pickup", case_no=case_no, amount=None, route="", data=dict(data))
        return Outcome("done")

    async def send_back(
        self, key: str, *, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]
    ) -> Outcome:
        """Put a parcel for the customer on the list; the same key once."""
        await self._put(key=key, kind="sendback", case_no=case_no, amount=None, route="", data=dict(data))
        return Outcome("done")


class TransferList:
    """The list of refunds that the cashier transfers by hand."""

    def __init__(self, put: Put, find: Find) -> None:
        self._put, self._find = put, find

    async def ask(self, key: str) -> Outcome | None:
        """Whether the refund stands on the list."""
        return Outcome("done") if await self._find(key) else None

    async def refund(self, key: str, *, case_no: str, order_no: str, amount: Decimal, route: str) -> Outcome:
        """Put a refund on the list; the same key once."""
        await self._put(key=key, kind="refund", case_no=case_no, amount=amount, route=route, data={})
        return Outcome("done")
