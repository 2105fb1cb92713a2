"""
How long half a million order lines take: made up, packed, imported into a fresh PostgreSQL, imported again.

Run by `make bench`; says so and fails when the first import takes longer than a minute and a half.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from sqlmodel import SQLModel

from aftersales.imports import mapping as mappings
from aftersales.imports import reading
from aftersales.stack import postgres
from aftersales.store import engine, imports, tables  # noqa: F401 - the tables register themselves

LINES = int(os.environ.get("BENCH_LINES", "500000"))
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


async def run(url: str, path: Path) -> float:
    """Import the file twice; give the seconds of the first time."""
    async with engine.connect(url).begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    first = 0.0
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
        seconds = time.perf_counter() - started
        first = first or seconds
        print(f"{turn}: {report.rows} lines, {report.orders} new orders, {report.unchanged} unchanged: {seconds:.1f} s")
        assert report.bad == 0 and report.goods + report.unchanged == report.rows == LINES
    await engine.disconnect()
    return first


def main() -> int:
    """Measure; 1 when it was too slow."""
    folder = Path(tempfile.mkdtemp(prefix="aftersales-bench-"))
    path = folder / "orders.csv.gz"
    make(path)
    folder.chmod(0o711)  # PostgreSQL runs as another user when we are root
    try:
        with postgres.cluster(postgres.make_home(folder / "db")).running() as server:
            seconds = asyncio.run(run(server.url("postgres"), path))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if seconds > MOST_SECONDS:
        print(f"too slow: {seconds:.0f} s, at most {MOST_SECONDS} s")
    return seconds > MOST_SECONDS


if __name__ == "__main__":
    sys.exit(main())
