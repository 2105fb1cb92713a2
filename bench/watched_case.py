"""
What a watched case costs: CPU seconds of worker, Prefect's server and PostgreSQL, ours against Prefect's stock worker.

Both tell the same deployment on the same stack, one after the other in turns: application, review, one scan (the
parcel has arrived, so it was picked up), inspection, confirmation of the refund. Five legs, the last form the third.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from aftersales.stack import up
from aftersales.stack.state import Process
from bench import common
from bench.wire import Wire, wire

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
OURS, STOCK = int(os.environ.get("BENCH_OURS", "10")), int(os.environ.get("BENCH_STOCK", "2"))
LEGS = ("application → review", "review → pick-up", "scan → inspection", "inspection → refund", "refund → end")
MOST_PER_LEG, LEAST_RATIO = 0.2, 15.0
# the pool's calls of a worker that has nothing to do: they are told apart, since they come with time and not with legs
POLLING = (
    "/flow_runs/count",
    "/work_pools/aftersales/get_scheduled_flow_runs",
    "/work_pools/aftersales/workers/heartbeat",
)

Used = dict[str, float]


@asynccontextmanager
async def contender(running: common.Stack, command: list[str], api_url: str) -> AsyncIterator[int]:
    """Another worker on the pool of the stack, ready."""
    log = running.shop.home.with_name("contender.log")
    process = _start(command, running.environment(api_url=api_url), log)
    try:
        found = Process.of(process.pid)
        assert found is not None
        await common.until(lambda: up.is_online(running.found.api_url, "", found), process, log)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen:
    with open(log, "ab") as out:
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


async def play(clerk: common.Clerk, pid: int, count: int, passing: Wire) -> tuple[list[Used], list[Counter[str]]]:
    """Let cases go their whole way side by side; answers what each leg has used, per case, and its calls."""
    running = clerk.running
    numbers = await clerk.sell(count)
    used: list[Used] = []
    calls: list[Counter[str]] = []
    runs = []
    for leg, gate in enumerate(("review", "pickup", "inspection", "refund", "")):
        passing.take()
        before = running.cpu(worker=pid)
        if leg == 0:
            runs = await asyncio.gather(*(clerk.apply(number) for number in numbers))
        elif leg == 2:
            for run in runs:
                await clerk.scan(run)
        else:
            await asyncio.gather(*(clerk.submit(run) for run in runs))
        await clerk.at(gate, runs)
        # what follows the suspension (the run's last events, a subprocess that ends) belongs to the leg
        await common.settled(pid)
        spent = common.since(before, running.cpu(worker=pid))
        used.append({name: seconds / count for name, seconds in spent.items()})
        calls.append(passing.take())
        common.say(
            f"{count} cases: {LEGS[leg]}: {used[-1]['all']:.2f} CPU s a case, {calls[-1].total() / count:.0f} calls"
        )
    return used, calls


async def measure() -> common.Report:
    """Let both tell cases in turns."""
    commands = {
        "ours": ([str(Path(sys.executable).with_name("aftersales")), "worker"], OURS),
        "stock": ([sys.executable, "-m", "prefect", "worker", "start", "--pool", up.POOL, "--type", "process"], STOCK),
    }
    told: dict[str, list[list[Used]]] = {name: [] for name in commands}
    called: dict[str, list[Counter[str]]] = {name: [Counter() for _ in LEGS] for name in commands}
    with common.stack() as running:
        port = running.shop.port
        async with common.clerk(running) as clerk, wire("127.0.0.1", port) as passing:
            await clerk.hush()
            with running.resting_worker():
                for turn in range(ROUNDS):
                    for name, (command, count) in commands.items():
                        async with contender(running, command, passing.url) as pid:
                            common.say(f"round {turn + 1}: {name}")
                            if turn == 0 and name == "ours":
                                await play(clerk, pid, 2, passing)  # what is loaded once belongs to no case
                            used, calls = await play(clerk, pid, count, passing)
                        told[name].append(used)
                        called[name] = [seen + new for seen, new in zip(called[name], calls, strict=True)]
    return report(told, called)


def report(told: dict[str, list[list[Used]]], called: dict[str, list[Counter[str]]]) -> common.Report:
    """Put it into tables."""
    cases = {"ours": ROUNDS * OURS, "stock": ROUNDS * STOCK}
    per_case = {name: [sum(leg["all"] for leg in used) for used in rounds] for name, rounds in told.items()}
    ours, stock = median(per_case["ours"]), median(per_case["stock"])
    out = common.Report(
        "A watched case",
        f"Application, two decisions by Resume form, one scan, the refund's confirmation: {len(LEGS)} legs through "
        f"Prefect, on one stack, in {ROUNDS} rounds by turns: {OURS} cases at once by our worker, {STOCK} at once by "
        "Prefect's process worker as it comes. CPU is user and system time of the worker with its children, of "
        "Prefect's server and of PostgreSQL, polling while the cases ran included; medians of the rounds.",
    )
    out.tell(
        "CPU a leg, ours",
        common.spread([each / len(LEGS) for each in per_case["ours"]], "s", 3),
        f"≤ {MOST_PER_LEG} s",
        ours / len(LEGS) <= MOST_PER_LEG,
    )
    out.tell("CPU a leg, stock process worker", common.spread([each / len(LEGS) for each in per_case["stock"]], "s"))
    out.tell("Stock to ours", f"{stock / ours:.1f} ×", f"≥ {LEAST_RATIO:.0f} ×", stock / ours >= LEAST_RATIO)
    out.tell("CPU a case, ours / stock", f"{ours:.2f} s / {stock:.1f} s")
    for name in told:
        parts = [
            (part, median(sum(leg[part] for leg in used) for used in told[name]))
            for part in ("worker", "server", "postgres")
        ]
        out.tell(
            f"… of which worker / server / PostgreSQL, {name}",
            " / ".join(f"{seconds:.2f} s" for _, seconds in parts),
        )
    lines: list[list[object]] = []
    for number, leg in enumerate(LEGS):
        ours, stock = (median(used[number]["all"] for used in told[name]) for name in ("ours", "stock"))
        calls = [f"{_legwork(called[name][number]).total() / cases[name]:.1f}" for name in ("ours", "stock")]
        lines.append([leg, f"{ours:.3f}", f"{stock:.2f}", f"{stock / ours:.0f} ×", *calls])
    out.tables.append("Each leg (CPU seconds; API calls without the pool's polling):")
    out.tables.append(common.table(("Leg", "ours", "stock", "ratio", "calls, ours", "calls, stock"), lines))
    out.tables.append("API calls a case, by the wire before the server:")
    sums = {name: sum(called[name], Counter()) for name in called}
    kinds = sorted(set(sums["ours"]) | set(sums["stock"]), key=lambda kind: (-sums["ours"][kind], kind))
    out.tables.append(
        common.table(
            ("Call", "ours", "stock"),
            [
                [f"`{kind}`", *(f"{sums[name][kind] / cases[name]:.1f}" for name in ("ours", "stock"))]
                for kind in kinds
                if not _is_polling(kind)
            ],
        )
    )
    return out


def _is_polling(kind: str) -> bool:
    return kind.endswith(POLLING)


def _legwork(calls: Counter[str]) -> Counter[str]:
    return Counter({kind: count for kind, count in calls.items() if not _is_polling(kind)})


if __name__ == "__main__":
    common.main(measure)
