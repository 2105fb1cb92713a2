"""
What 20,000 suspended cases cost while nobody does anything, against none; and how fast the run list finds a few.

One case is told to its review; then its rows are multiplied where they stand, in Prefect's database and in ours, so
that every copy is a whole suspended run with its form and a whole open case with its journal. Three rests of the same
length on one stack: no suspended runs; 20,000 runs that are nobody's case; the same runs as 20,000 open cases, so that
the worker's look for sleepers and the reconciling round of every minute have real work.
"""

from __future__ import annotations

import os
import time
from statistics import median
from uuid import UUID

import psycopg

from bench import common
from bench.latency import at_rest

COUNT = int(os.environ.get("BENCH_SUSPENDED", "20000"))
REST_SECONDS = float(os.environ.get("BENCH_REST", "60"))
MOST_SHARE, MOST_LIST = 0.10, 0.100
LOOKS = 20

_RUNS = """
create temp table copies as
  select n, gen_random_uuid() as run_id, gen_random_uuid() as state_id, 'RT-20200101-' || lpad(n::text, 5, '0') as case_no
  from generate_series(1, {count}) n;
insert into flow_run ({run_columns}, id, state_id, idempotency_key, name, tags)
  select {runs}, c.run_id, null, null, '退货 ' || c.case_no || ' 待审核', replace(r.tags::text, {case}, c.case_no)::jsonb
  from flow_run r cross join copies c where r.id = {run};
insert into flow_run_state ({state_columns}, id, flow_run_id)
  select {states}, c.state_id, c.run_id from flow_run_state s join flow_run r on r.state_id = s.id cross join copies c
  where r.id = {run};
update flow_run r set state_id = c.state_id from copies c where c.run_id = r.id;
insert into flow_run_input ({input_columns}, id, flow_run_id)
  select {inputs}, gen_random_uuid(), c.run_id from flow_run_input i cross join copies c where i.flow_run_id = {run};
"""

_CASES = """
insert into cases ({case_columns}, case_no) select {cases}, c.case_no from cases k cross join copies c where k.case_no = {case};
insert into journal ({journal_columns}, case_no)
  select {journals}, c.case_no from journal k cross join copies c where k.case_no = {case};
insert into promises ({promise_columns}, case_no)
  select {promises}, c.case_no from promises k cross join copies c where k.case_no = {case};
insert into runs (run_id, case_no, generation, artifacts) select c.run_id, c.case_no, 1, '{{}}' from copies c;
"""


def _columns(database: psycopg.Connection, table: str, *but: str) -> list[str]:
    rows = database.execute(
        "select column_name from information_schema.columns where table_name = %s and table_schema = 'public'"
        " and is_generated = 'NEVER' and identity_generation is null order by ordinal_position",
        [table],
    )
    return [f'"{name}"' for (name,) in rows if name not in but]


def _both(database: psycopg.Connection, table: str, alias: str, *but: str) -> tuple[str, str]:
    names = _columns(database, table, *but)
    return ", ".join(names), ", ".join(f"{alias}.{name}" for name in names)


def multiply_runs(url: str, run_id: UUID, case_no: str) -> list[tuple[UUID, str]]:
    """Write the suspended runs into Prefect's database; answers each with the case it would tell."""
    with psycopg.connect(url, autocommit=True) as database:
        state_columns, states = _both(database, "flow_run_state", "s", "id", "flow_run_id")
        run_columns, runs = _both(database, "flow_run", "r", "id", "state_id", "idempotency_key", "name", "tags")
        input_columns, inputs = _both(database, "flow_run_input", "i", "id", "flow_run_id")
        database.execute(
            _RUNS.format(
                count=COUNT,
                run=f"'{run_id}'",
                case=f"'{case_no}'",
                **{"state_columns": state_columns, "states": states, "run_columns": run_columns, "runs": runs},
                **{"input_columns": input_columns, "inputs": inputs},
            )
        )
        database.execute("analyze")
        return database.execute("select run_id, case_no from copies").fetchall()


def multiply_cases(url: str, copies: list[tuple[UUID, str]], case_no: str) -> None:
    """Write the open cases into our database, one for each run."""
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("create temp table copies (run_id uuid, case_no text)")
        with database.cursor().copy("copy copies from stdin") as rows:
            for copy in copies:
                rows.write_row(copy)
        case_columns, cases = _both(database, "cases", "k", "case_no")
        journal_columns, journals = _both(database, "journal", "k", "case_no")
        promise_columns, promises = _both(database, "promises", "k", "id", "case_no")
        database.execute(
            _CASES.format(
                case=f"'{case_no}'",
                **{"case_columns": case_columns, "cases": cases, "journal_columns": journal_columns},
                **{"journals": journals, "promise_columns": promise_columns, "promises": promises},
            )
        )
        database.execute("analyze")


async def listed(clerk: common.Clerk) -> float:
    """The seconds that the run list takes for a department's suspended cases, by the call that the UI makes."""
    body = {
        "flow_runs": {"tags": {"any_": ["客户服务部"]}, "state": {"type": {"any_": ["PAUSED"]}}},
        "sort": "START_TIME_DESC",
        "limit": 10,
        "page": 1,
    }
    took = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        response = await clerk.client.request("POST", "/flow_runs/paginate", json=body)
        took.append(time.perf_counter() - began)
        assert response.json()["results"], "the filter finds what stands in the list"
    return median(took)


async def measure() -> common.Report:
    """Rest three times, with more and more to look after."""
    rests: dict[str, dict[str, float]] = {}
    lists: dict[str, float] = {}
    with common.stack() as running:
        async with common.clerk(running) as clerk:
            run = await clerk.apply((await clerk.sell(1))[0])
            await clerk.at("review", [run])
            case_no = await clerk.case_of(run)

            async def rest(name: str) -> None:
                lists[name] = await listed(clerk)
                rests[name] = await at_rest(running, REST_SECONDS)
                common.say(f"{name}: {rests[name]}, list {lists[name] * 1000:.0f} ms")

            await rest("none")
            began = time.perf_counter()
            copies = multiply_runs(running.prefect_url, run, case_no)
            common.say(f"{COUNT} runs written in {time.perf_counter() - began:.1f} s")
            await rest("runs")
            multiply_cases(running.found.database_url, copies, case_no)
            await rest("cases")
    report = common.Report(
        f"{COUNT:,} suspended cases",
        f"Shares of a core over {REST_SECONDS:.0f} s in which nobody does anything, on one stack: no suspended runs, "
        f"{COUNT:,} suspended runs, and the same runs as {COUNT:,} open cases of ours, with the worker's polling, its "
        "look for sleepers every 20 s and the reconciling round of every minute.",
    )
    server = rests["cases"]["server"]
    report.tell("Prefect's server at rest", f"{server:.1%} of a core", f"< {MOST_SHARE:.0%}", server < MOST_SHARE)
    report.tell(
        "Run list by tag and state, median", f"{lists['cases'] * 1000:.0f} ms", f"< {MOST_LIST * 1000:.0f} ms",
        lists["cases"] < MOST_LIST,
    )  # fmt: skip
    words = {"none": "none", "runs": f"{COUNT:,} runs", "cases": f"{COUNT:,} open cases"}
    report.tables.append(
        common.table(
            ("At rest", *words.values()),
            [
                [told, *(f"{rests[name][part]:.1%}" for name in words)]
                for part, told in (("server", "Prefect's server"), ("worker", "our worker"), ("postgres", "PostgreSQL"))
            ]
            + [["run list", *(f"{lists[name] * 1000:.0f} ms" for name in words)]],
        )
    )
    return report


if __name__ == "__main__":
    common.main(measure)
