"""
What we ask of the outside: a carrier that picks up parcels, a payment provider that sends money back.

Every call carries our idempotency key. An outcome is *done*, *refused* (with the reason) or *unknown*: after a time-out
nobody knows, so `ask` finds out what became of a key before anything is tried again (P-15, P-16).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

from aftersales.words import Unable


class Unknown(Unable):
    """Nobody knows whether a call was carried out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of a call to the outside.

    *done*: it is booked, or accepted and under way. *refused*: never, whatever is tried. *failed*: not booked, and may
    be sent again under the same key. *unknown*: nobody knows, so the other side is asked before anything is tried.
    """

    outcome: Literal["done", "refused", "failed", "unknown"]
    reference: str = ""
    reason: str = ""
    # the other side has done it already, and will not tell of it again
    is_final: bool = False
    # it has accepted it and will tell of it; when it does not, it is asked
    is_pending: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return asdict(self)


class Carrier(Protocol):
    """Picks up parcels at the customer's (RET-05)."""

    async def ask(self, key: str) -> Outcome | None:
        """What became of a key; None when it never arrived."""

    async def book(self, key: str, *, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]) -> Outcome:
        """Ask for a pick-up; `contact` is whom the courier comes to, and is kept nowhere."""

    async def send_back(
        self, key: str, *, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]
    ) -> Outcome:
        """Ask for goods to be brought back to the customer (MON-20)."""


class Payment(Protocol):
    """Sends money back (RET-09, MON-07)."""

    async def ask(self, key: str) -> Outcome | None:
        """What became of a key; None when it never arrived."""

    async def refund(self, key: str, *, case_no: str, order_no: str, amount: Decimal, route: str) -> Outcome:
        """Ask for a refund."""
