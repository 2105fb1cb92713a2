"""
How long half a million order lines take: made up, packed, imported into a fresh PostgreSQL, imported again.

The first import has a bound: a minute and a half.
"""

from __future__ import annotations

import csv
import gzip
import os
import time
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from sqlmodel import SQLModel

from aftersales.imports import mapping as mappings
from aftersales.imports import reading
from aftersales.stack import postgres
from aftersales.store import engine, imports, tables  # noqa: F401 - the tables register themselves
from bench import common

ALL_LINES = 500_000
LINES = int(os.environ.get("BENCH_LINES", str(ALL_LINES)))
MOST_SECONDS = 90


def make(path: Path) -> None:
    """Write a standard file whose orders have one to nine lines, with discounts on every third."""
    dice = Random(1)
    header = list(mappings.load("standard").columns.values())
    written = number = 0
    with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1) as opened:
        out = csv.writer(opened)
        out.writerow(header)
        while written < LINES:
            number += 1
            day = f"2026-{number % 12 + 1:02d}-{number % 27 + 1:02d}"
            off, customer = ("3.33" if number % 3 == 0 else ""), number % 90_000
            lines = min(dice.randrange(1, 10), LINES - written)
            for line in range(1, lines + 1):
                sku = dice.randrange(4_000)
                price = f"{5 + sku % 900}.{sku % 100:02d}"
                of_the_order = (
                    f"N{number:08d}",
                    line,
                    "官方网站",
                    f"U{customer}",
                    "王小明",
                    f"102{customer:08d}",
                    "",
                    "上海市",
                )
                goods = (f"{day} 10:{number % 60:02d}", f"{day} 23:00", f"S{sku}", f"商品 {sku}", "家居")
                out.writerow((*of_the_order, *goods, dice.randrange(1, 4), price, "", off, "8.00", "", "支付宝"))
            written += lines


async def run(url: str, path: Path) -> list[float]:
    """Import the file twice; give the seconds of each time."""
    async with engine.connect(url).begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    took = []
    for turn in ("first import", "second import"):
        started = time.perf_counter()
        async with engine.transaction() as connection:
            report = await imports.import_orders(
                connection,
                reading.look(path),
                mappings.load("standard"),
                source="bench",
                zone=ZoneInfo("Asia/Shanghai"),
                currency="CNY",
            )
        took.append(time.perf_counter() - started)
        common.say(f"{turn}: {report.rows} lines, {report.orders} new, {report.unchanged} unchanged: {took[-1]:.1f} s")
        assert report.bad == 0 and report.goods + report.unchanged == report.rows == LINES
    await engine.disconnect()
    return took


async def measure() -> common.Report:
    """Make the file and import it twice."""
    with common.folder() as place:
        path = place / "orders.csv.gz"
        make(path)
        with postgres.cluster(postgres.make_home(place / "db")).running() as server:
            first, second = await run(server.url("postgres"), path)
    report = common.Report(
        "Import of orders",
        f"A packed file of {LINES:,} made-up order lines into a fresh PostgreSQL, then the same file once more.",
    )
    bound = f"≤ {MOST_SECONDS} s" if LINES == ALL_LINES else ""
    report.tell(
        "First import",
        f"{first:.1f} s, {LINES / first:,.0f} lines a second",
        bound,
        first <= MOST_SECONDS if bound else None,
    )
    report.tell("Second import, nothing new", f"{second:.1f} s, {LINES / second:,.0f} lines a second")
    return report


if __name__ == "__main__":
    common.main(measure)
