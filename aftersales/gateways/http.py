"""The gateways over HTTP: none can be connected yet."""

from __future__ import annotations

from aftersales.gateways import Carrier, Payment
from aftersales.settings import Settings


def payment_from(settings: Settings) -> Payment | None:
    """The connected payment provider; None when there is none."""
    return None


def carrier_from(settings: Settings) -> Carrier | None:
    """The connected carrier; None when there is none."""
    return None
