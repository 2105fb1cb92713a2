"""How many quotes and due times the pure rules reckon in a second, in one process without database or Prefect."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from aftersales import terms
from aftersales.rules import clocks, money
from aftersales.words import Limit, Shipping
from bench import common
from tests import builders

ROUNDS, SECONDS = 5, 0.6
# a quote with two lines, freight and a partial return; a limit of each kind
LIMITS = ("30 min", "24 h", "3 wd", "7 d", "4 sh")


def rate(call: Callable[[], Any]) -> float:
    """Calls a second: the median of some rounds."""
    rates = []
    for _ in range(ROUNDS):
        done, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < SECONDS:
            for _ in range(50):
                call()
            done += 50
        rates.append(done / took)
    return median(rates)


def measure() -> common.Report:
    """Call the rules as their callers do."""
    live = terms.load()
    zone = ZoneInfo(live.house.timezone)
    order = builders.an_order(
        builders.a_line("199.90", line_no=1, quantity=3), builders.a_line("58.00", line_no=2, sku="TS-02"), freight=10
    )
    application = {
        "order": order,
        "wanted": builders.some_of((1, 2), (2, 1)),
        "reason": "no_reason",
        "asked_on": builders.DELIVERED_ON + timedelta(days=9),
        "shipping": Shipping.PICKUP,
        "terms": live.returns,
        "zone": zone,
    }
    starts = cycle([datetime(2026, 1, 5, 1, tzinfo=UTC) + timedelta(hours=7 * n) for n in range(1000)])
    report = common.Report(
        "Rules", f"In one process, with the shop's own terms; medians of {ROUNDS} rounds of {SECONDS} s."
    )
    assert money.quote(**application).total > 0
    report.tell("`quote`, two lines, band B", f"{rate(lambda: money.quote(**application)):,.0f} a second")
    for text in LIMITS:
        limit = Limit.parse(text)

        def due(limit: Limit = limit) -> object:
            return clocks.due(start_at=next(starts), limit=limit, calendars=live.calendars, house=live.house)

        report.tell(f"`due`, {text}", f"{rate(due):,.0f} a second")
    return report


if __name__ == "__main__":
    common.main(measure)
