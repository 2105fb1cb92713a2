"""
The customer's page: how many looks at an order's progress it answers in a second, and how long the slowest take.

The page is a process of its own on loopback, PostgreSQL another, as durable as in a shop; the visitors are a third. The
cases were told by their story up to the warehouse and are then multiplied, journal and promises with them.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

import httpx
from sqlalchemy import text

from aftersales.store import engine
from bench import common
from bench.notices import database
from tests.conftest import free_port

CASES = int(os.environ.get("BENCH_CASES", "100000"))
LOOKS = int(os.environ.get("BENCH_LOOKS_AT_PAGE", "4000"))
AT_ONCE = [int(n) for n in os.environ.get("BENCH_VISITORS", "1,16").split(",")]
SEARCHES = int(os.environ.get("BENCH_SEARCHES", "300"))
MOST_P99 = 0.5
PHONE = "10212345678"


async def fill(count: int) -> None:
    """Write so many orders with a case each that waits for its parcel; one is told, the others are its rows."""
    from tests.stories.conftest import Shop

    shop = Shop()
    await shop.order("B1")
    telling = await shop.tell(shop.application("B1"))
    await telling.decide("review", "C08", decision="approve")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    # the columns that tell the copies apart; the others are copied
    own = {
        "orders": {"order_no": "order_no || '-' || n"},
        "order_lines": {"order_id": "order_id + n"},
        "cases": {"case_no": "case_no || '-' || n", "order_no": "order_no || '-' || n"},
        "journal": {"case_no": "case_no || '-' || n"},
        "promises": {"case_no": "case_no || '-' || n"},
    }
    async with engine.transaction() as connection:
        for table, changed in own.items():
            columns = (
                await connection.scalars(
                    text(
                        "select quote_ident(column_name) from information_schema.columns where table_name = :table"
                        " and column_name <> 'id' order by ordinal_position"
                    ),
                    {"table": table},
                )
            ).all()
            chosen = ", ".join(changed.get(column, column) for column in columns)
            await connection.execute(
                text(
                    f"insert into {table} ({', '.join(columns)}) select {chosen} from {table}, generate_series(1, :count) n"
                    " order by n"
                ),
                {"count": count - 1},
            )
    async with engine.engine().connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("vacuum analyze"))


@asynccontextmanager
async def page(place: Path) -> AsyncIterator[tuple[str, int]]:
    """`aftersales page` on the database of this process; gives its address and pid."""
    port, log = free_port(), place / "page.log"
    url = engine.engine().url.render_as_string(hide_password=False)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "AFTERSALES_"))}
    ours = {
        "AFTERSALES_DATABASE_URL": common.plain(url),
        "AFTERSALES_HOME": str(place),
        "AFTERSALES_PAGE_PORT": str(port),
        # the visitors of the searches come from many addresses
        "AFTERSALES_PAGE_PROXIES": "127.0.0.1",
    }
    process = _start(clean | ours, log)
    address = f"http://127.0.0.1:{port}"
    try:
        await common.until(lambda: _answers(address), process, log)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(10)


def _start(environment: dict[str, str], log: Path) -> subprocess.Popen:
    with log.open("wb") as out:
        ours = Path(sys.executable).with_name("aftersales")
        return subprocess.Popen([ours, "page"], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def visitors(address: str, count: int) -> list[httpx.AsyncClient]:
    """So many who have found their orders, spread over the whole table."""
    found = []
    for number in range(count):
        client = httpx.AsyncClient(
            base_url=address, trust_env=False, headers={"x-forwarded-for": f"10.0.{number // 250}.{number % 250}"}
        )
        await search(client, f"B1-{1 + number * (CASES - 2) // count}")
        found.append(client)
    return found


async def search(client: httpx.AsyncClient, order_no: str) -> float:
    """Find an order; answers the seconds that the search itself took."""
    form = (await client.get("/")).text
    token = re.search(r'name="token" value="([^"]+)"', form)
    assert token is not None
    began = time.perf_counter()
    answer = await client.post("/", data={"token": token[1], "order_no": order_no, "phone": PHONE})
    assert answer.status_code == 303, answer.text
    return time.perf_counter() - began


async def looked(clients: list[httpx.AsyncClient], looks: int) -> tuple[float, list[float]]:
    """Looks a second, and how long each took."""
    times: list[float] = []

    async def look(client: httpx.AsyncClient) -> None:
        for _ in range(looks // len(clients)):
            began = time.perf_counter()
            answer = await client.get("/order")
            times.append(time.perf_counter() - began)
            assert answer.status_code == 200 and "SF100200300" in answer.text, "each shows its case"

    began = time.perf_counter()
    await asyncio.gather(*(look(client) for client in clients))
    return len(times) / (time.perf_counter() - began), times


async def measure() -> common.Report:
    """Fill the tables, then look and search."""
    found: dict[int, tuple[float, list[float], float]] = {}
    with common.folder() as place:
        async with database() as server:
            await fill(CASES)
            common.say(f"{CASES:,} cases are there")
            async with page(place) as (address, pid):
                for count in AT_ONCE:
                    clients = await visitors(address, count)
                    await looked(clients, 20 * count)  # what is loaded once
                    before = common.used(pid) + common.used(server)
                    rate, times = await looked(clients, LOOKS)
                    spent = (common.used(pid) + common.used(server) - before) / len(times)
                    found[count] = rate, times, spent
                    common.say(f"{count} at once: {rate:.0f} a second")
                    for client in clients:
                        await client.aclose()
                searches = []
                for number in range(SEARCHES):
                    client = httpx.AsyncClient(
                        base_url=address,
                        trust_env=False,
                        headers={"x-forwarded-for": f"10.1.{number // 250}.{number % 250}"},
                    )
                    searches.append(await search(client, f"B1-{1 + number}"))
                    await client.aclose()
    report = common.Report(
        "The customer's page",
        f"Progress of an order among {CASES:,} cases, each of an order of its own: GET /order, {LOOKS:,} looks, by "
        f"{' and by '.join(map(str, AT_ONCE))} visitors at once, who share the cores with the page and PostgreSQL; then "
        f"{SEARCHES} searches by number and phone, one after the other.",
    )
    for count, (rate, times, spent) in found.items():
        late = quantiles(times, n=100, method="inclusive")[-1]
        report.tell(f"{count} at once, looks a second", f"{rate:.0f}")
        report.tell(f"{count} at once, p50", f"{common.median(times) * 1000:.1f} ms")
        met = late <= MOST_P99
        report.tell(f"{count} at once, p99", f"{late * 1000:.1f} ms", f"≤ {MOST_P99 * 1000:.0f} ms", met)
        report.tell(f"{count} at once, CPU a look with PostgreSQL", f"{spent * 1000:.1f} ms")
    middle, late = common.p50_p95(searches)
    report.tell("A search, p50", f"{middle * 1000:.1f} ms")
    report.tell("A search, p95", f"{late * 1000:.1f} ms")
    return report


if __name__ == "__main__":
    common.main(measure)
