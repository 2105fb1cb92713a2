"""
How fast orders and returns of another system's file are taken in: made up, in the shape of the `online-retail` mapping.

The orders by the import of orders; then every return becomes a case that passes all its gates, by the code behind
`aftersales import returns … --settle`.
"""

from __future__ import annotations

import csv
import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from sqlmodel import SQLModel

from aftersales.imports import mapping as mappings
from aftersales.imports import reading, returns
from aftersales.imports.orders import survey
from aftersales.stack import postgres
from aftersales.store import engine, imports, tables  # noqa: F401 - the tables register themselves
from bench import common

LINES = int(os.environ.get("BENCH_ORDER_LINES", "20000"))
RETURNS = int(os.environ.get("BENCH_RETURNS", "1500"))
ZONE = ZoneInfo("Asia/Shanghai")
HEADER = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
FIRST = datetime(2026, 3, 2, 10, tzinfo=ZONE)


def make(path: Path) -> None:
    """Write invoices of one to nine lines, and returns of some of their lines a week later, two rows an invoice."""
    dice = Random(1)
    sold: list[tuple[int, str, int, str, str, datetime]] = []
    with path.open("w", encoding="utf-8", newline="") as opened:
        out = csv.writer(opened)
        out.writerow(HEADER)
        invoice = 0
        while len(sold) < LINES:
            invoice += 1
            customer, at = f"{10_000 + invoice % 900}.0", FIRST + timedelta(minutes=3 * invoice)
            for sku in dice.sample(range(3_000), min(dice.randrange(1, 10), LINES - len(sold))):
                line = (
                    500_000 + invoice,
                    f"S{sku:05d}",
                    dice.randrange(1, 25),
                    f"{1 + sku % 19}.{sku % 100:02d}",
                    customer,
                    at,
                )
                sold.append(line)
                out.writerow(
                    [line[0], line[1], f"GOODS {sku}", line[2], f"{at:%Y-%m-%d %H:%M}", line[3], customer, "UK"]
                )
        chosen = dice.sample(sold, min(RETURNS, len(sold)))
        for number, (_, sku, quantity, price, customer, at) in enumerate(sorted(chosen, key=lambda line: line[5])):
            back = at + timedelta(days=7)
            row = [
                f"C{600_000 + number // 2}",
                sku,
                "GOODS",
                -dice.randrange(1, quantity + 1),
                f"{back:%Y-%m-%d %H:%M}",
            ]
            out.writerow([*row, price, customer, "UK"])


async def run(path: Path) -> tuple[float, int, float, object]:
    """Import orders, then returns; answers the seconds of each, how many order lines, and what the returns became."""
    from flows.returns import returns as story
    from tasks import imported

    mapping, file = mappings.load("online-retail"), reading.look(path)
    began = time.perf_counter()
    async with engine.transaction() as connection:
        report = await imports.import_orders(
            connection, file, mapping, source="import:online-retail", zone=ZONE, currency="CNY"
        )
    of_orders = time.perf_counter() - began
    began = time.perf_counter()
    rows, bad = returns.read(
        file, mapping, zone=ZONE, currency="CNY", shift=survey(file, mapping, zone=ZONE).shift(file, to=None)
    )
    assert not bad
    told = await imported.take_in(
        rows, mapping, source="returns:online-retail", operator="C07", story=story.fn, settles=True
    )
    return of_orders, report.goods, time.perf_counter() - began, told


async def measure() -> common.Report:
    """Make the file and take it in."""
    with common.folder() as place, postgres.cluster(postgres.make_home(place / "db")).running() as server:
        path = place / "sales.csv"
        make(path)
        url = server.url("postgres")
        async with engine.connect(url).begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
        before = common.used(server.postmaster().pid)
        client = time.process_time()
        of_orders, lines, of_returns, told = await run(path)
        spent = common.used(server.postmaster().pid) - before
        client = time.process_time() - client
        await engine.disconnect()
    report = common.Report(
        "Import of returns",
        f"{lines:,} order lines and {RETURNS:,} rows of returns in one file; every case passes its gates and ends, on a "
        "PostgreSQL of its own as durable as in a shop.",
    )
    assert told.settled + sum(told.waiting.values()) == len(told.opened) and not told.refused
    report.tell("Orders, lines a second", f"{lines / of_orders:,.0f}")
    report.tell("Returns, rows a second", f"{RETURNS / of_returns:,.0f}")
    report.tell("Returns, cases a second", f"{len(told.opened) / of_returns:,.1f}")
    report.tell("Returns, CPU a case with PostgreSQL", f"{(spent + client) / max(1, len(told.opened)) * 1000:.0f} ms")
    report.tell("Rows filled / for a person", f"{told.plan.filled} / {len(told.plan.unplaced)}")
    report.tell("Cases ended / waiting", f"{told.settled} / {sum(told.waiting.values())}")
    return report


if __name__ == "__main__":
    common.main(measure)
