"""
The nightly round: what a night costs with many orders, and whether that follows what is due or what there is.

On a PostgreSQL of its own, as durable as in a shop: 20,000 visits fall due on one Wednesday among 1,000,000 orders of
200,000 customers, and as many among 100,000 orders of 20,000; nearly every order had its first visit before.
Four in ten are first visits, four in ten visits in use, two in ten follow complaints; a tenth of the customers does not
want to be called or has a case open.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import psutil
from sqlalchemy import text

from aftersales.gateways.channels import Channels
from aftersales.gateways.http import HttpMessages
from aftersales.rules import clocks
from aftersales.store import engine
from aftersales.terms import load
from bench import common
from bench.notices import database

ORDERS = [int(n) for n in os.environ.get("BENCH_ORDERS", "100000,1000000").split(",")]
DUE = int(os.environ.get("BENCH_DUE", "20000"))
NIGHTS = int(os.environ.get("BENCH_NIGHTS", "3"))
PROJECTED = 5_000_000
AN_ORDER_IN = 5  # orders a customer
MOST_RATIO, MOST_PROJECTED = 1.5, 60.0

ON = date(2025, 3, 12)
DAYS = timedelta(days=2)


def house_noon(on: date) -> datetime:
    """Noon of a day of the house."""
    return clocks.house_time(datetime.combine(on, datetime.min.time()) + timedelta(hours=12), house=load().house)


# each customer's orders lie a hundred days apart, the newest at least eight days back; a thirtieth of what was delivered
# lies on a day that would make a visit in use due tonight, but is not the newest, so that it costs and makes nothing due
_FILL = (
    "insert into customers (channel, customer_no, name, phone, email, language, opted_out)"
    " select '官方网站', 'U' || n, '李小红', '10212345678', '', 'zh', n % 20 = 7 from generate_series(1, :customers) n",
    "insert into orders (order_no, channel, customer_id, currency, contact_name, contact_phone, ordered_at, paid, freight,"
    " insured_freight, payment_route, source)"
    " select 'B' || n, '官方网站', 1 + (n - 1) % :customers, 'CNY', '李小红', '10212345678',"
    " cast(:noon as timestamptz)"
    " - interval '1 day' * (8 + (:each - 1 - (n - 1) / :customers) * 100 + (n * 31) % 100), 200, 0, 0, '支付宝', 'bench'"
    " from generate_series(1, :orders) n",
    "insert into order_lines (order_id, line_no, sku, name, category, quantity, paid, delivered_at, warranty_months)"
    " select o.id, 1, 'SKU-1', '台灯', '家居', 1, 200, o.ordered_at + case when o.id > :orders - :customers"
    " and extract(day from o.ordered_at at time zone 'Asia/Shanghai') = :day then interval '1 day' else interval '0' end,"
    " 36 from orders o",
    "insert into terms (hash, document, stored_at) values ('bench', '{}', now())",
)

# four in ten bought last Wednesday, four in ten got their newest goods two months ago, two in ten had a complaint
_TONIGHT = (
    "update orders set ordered_at = cast(:noon as timestamptz) - interval '7 days'"
    " where id > :orders - :customers and customer_id <= :first",
    "update order_lines l set delivered_at = cast(:noon as timestamptz) - interval '5 days' from orders o"
    " where o.id = l.order_id and o.id > :orders - :customers and o.customer_id <= :first",
    "update order_lines l set delivered_at = cast(:used as timestamptz) from orders o"
    " where o.id = l.order_id and o.id > :orders - :customers and o.customer_id > :first and o.customer_id <= :second",
    "insert into cases (case_no, process, order_no, channel, stage, owner, opened_at, closed_at, operator, terms_hash,"
    " facts, seq) select 'CP-' || id, 'complaint', order_no, '', 'closed', 'customer_service',"
    " cast(:noon as timestamptz) - interval '9 days', cast(:noon as timestamptz) - interval '3 days', 'C07', 'bench',"
    " '{}', 0 from orders where id > :orders - :customers and customer_id > :second and customer_id <= :third",
    "insert into cases (case_no, process, order_no, channel, stage, owner, opened_at, operator, terms_hash, facts, seq)"
    " select 'RT-' || id, 'returns', order_no, '', 'review', 'customer_service', now(), 'C07', 'bench', '{}', 0"
    " from orders where id <= :customers and customer_id <= :third and customer_id % 20 = 3",
    # whom somebody has called before
    "insert into visits (key, kind, due_on, owner, rule, agent, order_no, customer_id, state, outcome, created_at)"
    " select 'purchase:' || order_no, 'purchase', (ordered_at + interval '7 days')::date, 'customer_service', 'FUP-01',"
    " (array['C02', 'C07', 'C08'])[1 + id % 3], order_no, customer_id, 'done', 'reached', ordered_at"
    " from orders where ordered_at <= cast(:noon as timestamptz) - interval '8 days'",
)


async def fill(count: int) -> None:
    """Write so many orders, of which DUE make something due tonight."""
    values = {
        "orders": count,
        "customers": count // AN_ORDER_IN,
        "each": AN_ORDER_IN,
        "day": ON.day,
        "noon": house_noon(ON),
        "used": house_noon(date(2025, 1, 12)),
        "first": DUE * 4 // 10,
        "second": DUE * 8 // 10,
        "third": DUE,
    }
    async with engine.transaction() as connection:
        for statement in (*_FILL, *_TONIGHT):
            asked = text(statement)
            await connection.execute(asked, {name: values[name] for name in asked._bindparams})
    async with engine.engine().connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("vacuum analyze"))


async def begin_again() -> None:
    """Take the night back."""
    async with engine.transaction() as connection:
        await connection.execute(text("delete from visits where created_at > :noon"), {"noon": house_noon(ON) - DAYS})
        await connection.execute(text("delete from settings where name = 'followup'"))
    async with engine.engine().connect() as connection:
        tidy = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in ("vacuum analyze visits", "checkpoint"):
            await tidy.execute(text(statement))


class Memory:
    """The most memory that a process had while something went on, looked at twenty times a second."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.before = self.most = process.memory_info().rss

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the block."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                self.most = max(self.most, self.process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


Costs = tuple[list[float], list[float], list[float], list[float], list[float]]


async def month() -> float:
    """Draw and write down whom the survey of the month asks; answers the seconds."""
    from tasks import regular, sending

    sending._known = Channels(sms=HttpMessages("http://127.0.0.1:9", "key"))  # customers are reached by text
    terms, began = load(), time.perf_counter()
    on = date(2025, 3, 3)
    at = clocks.house_time(datetime(2025, 3, 3, 2), house=terms.house)  # noqa: DTZ001 - it is house time
    async with engine.transaction() as connection:
        buyers = await regular.drawn(connection, on, set(), rehearsal=None, terms=terms)
        await regular.plan(connection, buyers, on=on, rehearsal=None, at=at, terms=terms)
    assert len(buyers) == terms.survey.regular.customers
    return time.perf_counter() - began


async def nights() -> tuple[dict[int, Costs], dict[int, float]]:
    """
    Seconds of wall, our CPU, PostgreSQL's, those of a second round, and MiB, by how many orders there are.

    And the seconds of the month's survey.
    """
    from tasks import followup

    found: dict[int, Costs] = {}
    asked: dict[int, float] = {}
    mine = psutil.Process()
    at = clocks.house_time(datetime(2025, 3, 12, 2), house=load().house)  # noqa: DTZ001 - it is house time
    for count in ORDERS:
        walls, ours, theirs, seconds, megabytes = found[count] = ([], [], [], [], [])
        async with database() as server:
            await fill(count)
            for _ in range(NIGHTS):
                await begin_again()
                memory = Memory(mine)
                began, before = time.perf_counter(), (sum(mine.cpu_times()[:2]), common.used(server))
                with memory.watched():
                    told = await followup.look(at=at)
                walls.append(time.perf_counter() - began)
                ours.append(sum(mine.cpu_times()[:2]) - before[0])
                theirs.append(common.used(server) - before[1])
                megabytes.append((memory.most - memory.before) / 2**20)
                assert told.planned == DUE, f"{told.planned} were due"
                assert len(told.night.drawn) + len(told.night.left) == DUE
                assert len(told.night.drawn) >= DUE * 0.85, "a tenth is left out"
                began = time.perf_counter()
                again = await followup.look(at=at)
                seconds.append(time.perf_counter() - began)
                assert not again.night.drawn, "a second round changes nothing"
            await begin_again()  # whoever is to be called is not written to
            asked[count] = await month()
            common.say(f"{DUE:,} due of {count:,}: {common.spread(walls)} wall, ours {common.spread(ours)} CPU")
    return found, asked


async def measure() -> common.Report:
    """A night among few orders, and among many."""
    found, asked = await nights()
    few, many = ORDERS[0], ORDERS[-1]
    report = common.Report(
        "Nightly round of visits",
        f"{DUE:,} visits fall due on one day among {few:,} orders and among {many:,}, {AN_ORDER_IN} orders a customer: one "
        f"round, medians of {NIGHTS}, CPU of ours and of PostgreSQL apart, memory beyond what the process had before. "
        f"What {PROJECTED:,} orders would cost is reckoned from the slope between the two.",
    )
    middles = {count: [common.median(each) for each in costs] for count, costs in found.items()}
    for count, (walls, ours, theirs, seconds, megabytes) in found.items():
        report.tell(f"{DUE:,} due of {count:,}: wall", common.spread(walls))
        report.tell(f"{DUE:,} due of {count:,}: CPU, ours", common.spread(ours))
        report.tell(f"{DUE:,} due of {count:,}: CPU, PostgreSQL", common.spread(theirs))
        report.tell(f"{DUE:,} due of {count:,}: memory", common.spread(megabytes, "MiB", 0))
        report.tell(f"{count:,} orders, a second round that finds nothing: wall", common.spread(seconds))
        report.tell(f"{count:,} orders, the month's survey drawn and written: wall", common.spread([asked[count]]))
    cpu = {count: middle[1] + middle[2] for count, middle in middles.items()}
    for what, costs_ in (("wall", {count: middle[0] for count, middle in middles.items()}), ("CPU", cpu)):
        ratio = costs_[many] / costs_[few]
        slope = (costs_[many] - costs_[few]) / max(many - few, 1)
        projected = costs_[many] + max(slope, 0.0) * (PROJECTED - many)
        report.tell(f"{many:,} to {few:,} orders, {what}", f"{ratio:.2f} ×", f"≤ {MOST_RATIO} ×", ratio <= MOST_RATIO)
        report.tell(
            f"{DUE:,} due of {PROJECTED:,} (reckoned), {what}", f"{projected:.1f} s",
            f"≤ {MOST_PROJECTED:.0f} s", projected <= MOST_PROJECTED,
        )  # fmt: skip
    return report


if __name__ == "__main__":
    common.main(measure)
