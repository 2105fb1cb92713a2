"""
Escalation and notices: what a round costs with many open promises, how soon a breach is heard, how many go in a second.

The rounds run on a PostgreSQL of their own, as durable as in a shop: 1,000 promises fall due among 1,000,000 open ones,
and among 10,000, each climbing in a transaction of its own. The breaches are heard on a whole stack that has nothing
else to do: nobody calls a round, its schedule does. The receiver is an HTTP server on loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psutil
from sqlalchemy import text

from aftersales import clock
from aftersales.gateways import channels
from aftersales.settings import Settings
from aftersales.stack import postgres, schema
from aftersales.store import engine, outbox
from aftersales.terms import load
from bench import common
from tests.conftest import never_quiet
from tests.gateways.receivers import Receiver, receiving

DUE = int(os.environ.get("BENCH_DUE", "1000"))
OPEN = [int(n) for n in os.environ.get("BENCH_OPEN", "10000,1000000").split(",")]
BREACHES = int(os.environ.get("BENCH_BREACHES", "25"))
APART = float(os.environ.get("BENCH_APART", "8"))
NOTICES = int(os.environ.get("BENCH_NOTICES", "2000"))
ROUNDS = int(os.environ.get("BENCH_LOOKS", "3"))
MOST_RATIO, MOST_P95, MOST_EMPTY = 1.5, 65.0, 0.030


@asynccontextmanager
async def database() -> AsyncIterator[int]:
    """A migrated database of its own; gives the pid of its server."""
    with common.folder() as place:
        home = postgres.make_home(place / "db")
        with postgres.cluster(home).running() as server:
            url = server.url()
            schema.create(url)
            schema.upgrade(url)
            engine.connect(url)
            try:
                yield int((home / "pg" / "postmaster.pid").read_text().splitlines()[0])
            finally:
                await engine.disconnect()


async def fill(count: int) -> None:
    """Write so many open cases at their review, whose windows pass in a year; one is told, the others are its rows."""
    from tests.stories.conftest import Shop

    shop = Shop()
    await shop.order("B1")
    telling = await shop.tell(shop.application("B1"))
    async with engine.transaction() as connection:
        for table, keys in (("cases", ("case_no",)), ("promises", ("case_no", "id"))):
            columns = await connection.scalar(
                text(
                    "select string_agg(quote_ident(column_name), ', ' order by ordinal_position)"
                    " from information_schema.columns where table_name = :table and column_name <> all(:keys)"
                ),
                {"table": table, "keys": list(keys)},
            )
            await connection.execute(
                text(
                    f"insert into {table} (case_no, {columns}) select case_no || '-' || n, {columns}"
                    f" from {table}, generate_series(1, :count) n where case_no = :case_no"
                ),
                {"count": count - 1, "case_no": telling.case_no},
            )
        await connection.execute(
            text("update cases set seq = 0, last_hash = '' where case_no <> :c"), {"c": telling.case_no}
        )
        await connection.execute(
            text(
                "update promises set due_at = due_at + interval '1 year', rung_at = due_at + interval '1 year', rungs = 1"
            )
        )
    async with engine.engine().connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("vacuum analyze"))


async def fall_due(count: int) -> None:
    """Let the windows of so many pass now, spread over the whole table."""
    async with engine.transaction() as connection:
        await connection.execute(
            text(
                "update promises set started_at = now() - interval '25 hours', due_at = now() - interval '1 hour',"
                " rung_at = now() - interval '1 hour', rungs = 1, told = '[\"reminder\"]'"
                " where id in (select id from promises where rungs = 1"
                " and rung_at > now() order by md5(id::text) limit :count)"
            ),
            {"count": count},
        )


async def rounds() -> dict[int, tuple[list[float], list[float], list[float]]]:
    """Seconds of wall, CPU of the round with PostgreSQL, and CPU of an empty round, by how many are open."""
    from tasks import escalation

    found: dict[int, tuple[list[float], list[float], list[float]]] = {}
    mine = psutil.Process()
    for count in OPEN:
        walls, cpus, empties = found[count] = ([], [], [])
        async with database() as server:
            await fill(count)

            def used(server: int = server) -> float:
                return sum(mine.cpu_times()[:2]) + common.used(server)

            await fall_due(10)
            await escalation.look()  # what is loaded once
            for _ in range(ROUNDS):
                await fall_due(DUE)
                began, before = time.perf_counter(), used()
                told = await escalation.look()
                walls.append(time.perf_counter() - began)
                cpus.append(used() - before)
                assert len(told.told) == DUE and not told.failed, "each was told"
                before = used()
                for _ in range(20):
                    assert not (await escalation.look()).told
                empties.append((used() - before) / 20)
            common.say(f"{DUE} of {count:,}: {common.spread(walls)} wall, {common.spread(cpus)} CPU")
    return found


async def heard() -> list[float]:
    """Seconds from each breach to its message at the receiver, on a stack with nothing else to do."""
    with receiving() as receiver, common.folder() as place:
        urls = {code: [receiver.url(code)] for code in load().house.departments}
        at = never_quiet(place)
        with common.stack(at=at, AFTERSALES_CHANNELS=json.dumps({"departments": urls})) as running:
            async with common.clerk(running) as clerk:
                applied = [await clerk.apply(order_no) for order_no in await clerk.sell(BREACHES)]
                await clerk.at("review", applied)
                due = {}
                for place_, run in enumerate(applied):
                    due[await clerk.case_of(run)] = clock.now() + timedelta(seconds=20 + APART * place_)
                async with engine.transaction() as connection:
                    for case_no, due_at in due.items():
                        await connection.execute(
                            text(
                                "update promises set started_at = cast(:at as timestamptz) - interval '24 hours',"
                                " due_at = :at, rung_at = :at, rungs = 1, told = '[\"reminder\"]'"
                                " where case_no = :case and stage = 'review'"
                            ),
                            {"at": due_at, "case": case_no},
                        )
                await _all(receiver, BREACHES, patience=APART * BREACHES + 150)
    came: dict[str, float] = {}
    for each in receiver.received:
        if case_no := next((number for number in due if number in each.text), ""):
            assert case_no not in came, "each is told once"
            came[case_no] = each.at - due[case_no].timestamp()
    return list(came.values())


async def _all(receiver: Receiver, count: int, *, patience: float) -> None:
    until = time.monotonic() + patience
    while len(receiver.received) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(receiver.received)} of {count} messages came")
        await asyncio.sleep(0.2)


async def sent() -> tuple[float, float]:
    """Notices a second to one receiver, and CPU milliseconds of each with PostgreSQL and the receiver."""
    from tasks import sending

    terms = load()
    with receiving() as receiver:
        async with database() as server:
            people = list(terms.staff())
            document = {"staff": {person: [receiver.url(person)] for person in people}}
            known = channels.load(
                Settings(channels=json.dumps(document), home=Path("/nonexistent")),
                house=terms.house,
                staff=terms.staff(),
            )
            at = clock.now()
            async with engine.transaction() as connection:
                for number in range(NOTICES):
                    await outbox.put(
                        connection,
                        case_no=None,
                        entry=f"n{number}",
                        notice="DESK",
                        recipient=f"staff:{people[number % len(people)]}",
                        language="zh",
                        subject=f"提醒 {number}",
                        body="内容",
                        data={},
                        created_at=at,
                        expires_at=None,
                    )
            terms_ = terms.model_copy(
                update={"sending": terms.sending.model_copy(update={"digest_above": NOTICES, "quiet": {}})}
            )
            sending.current_terms = lambda: terms_  # type: ignore[assignment]
            mine = psutil.Process()
            began, before = time.perf_counter(), sum(mine.cpu_times()[:2]) + common.used(server)
            found = await sending.look(known)
            wall = time.perf_counter() - began
            spent = sum(mine.cpu_times()[:2]) + common.used(server) - before
    assert found.sent == NOTICES == len(receiver.received), "each arrived once"
    return NOTICES / wall, spent / NOTICES * 1000


async def measure() -> common.Report:
    """Rounds, then breaches, then many notices."""
    found = await rounds()
    rate, cost = await sent()
    common.say(f"{rate:.0f} notices a second")
    delays = await heard()
    common.say(f"breach → message: {', '.join(f'{each:.0f}' for each in delays)} s, in the order of the breaches")
    middle, late = common.p50_p95(delays)
    few, many = OPEN[0], OPEN[-1]
    ratios = [common.median(found[many][which]) / common.median(found[few][which]) for which in (0, 1)]
    empty = common.median(found[many][2])
    report = common.Report(
        "Escalation and notices",
        f"{DUE:,} promises fall due among {few:,} and among {many:,} open ones: one look of the escalation round, "
        f"medians of {ROUNDS}, CPU with PostgreSQL. {BREACHES} breaches, {APART} s apart, on a stack at rest: from the "
        f"breach to the message at a receiver on loopback. {NOTICES:,} notices for {len(load().staff())} people through "
        "Apprise to one receiver on loopback, in one process together with the receiver.",
    )
    for count in OPEN:
        walls, cpus, _ = found[count]
        report.tell(f"{DUE:,} due of {count:,}: wall", common.spread(walls))
        report.tell(f"{DUE:,} due of {count:,}: CPU", common.spread(cpus))
    for what, ratio in zip(("wall", "CPU"), ratios, strict=True):
        report.tell(f"{many:,} to {few:,} open, {what}", f"{ratio:.2f} ×", f"≤ {MOST_RATIO} ×", ratio <= MOST_RATIO)
    report.tell("Empty round, CPU of our own work", f"{empty * 1000:.1f} ms", "< 30 ms", empty < MOST_EMPTY)
    report.tell("Breach → message, p50", f"{middle:.1f} s")
    report.tell("Breach → message, p95", f"{late:.1f} s", f"≤ {MOST_P95:.0f} s", late <= MOST_P95)
    report.tell("Notices a second", f"{rate:.0f}")
    report.tell("CPU a notice", f"{cost:.1f} ms")
    return report


if __name__ == "__main__":
    common.main(measure)
