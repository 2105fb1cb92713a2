"""
Somebody at another machine: acts upon our database in a process of its own, each at the instant that the test gives.

`python -m tests.steps.rival` reads a line of JSON for each act: the database, the act, its arguments. It waits at a
door, a shared advisory lock that the test holds shut, and when that opens it acts, and tells in a line what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from aftersales.desk import leg
from aftersales.desk.bare import Bare
from aftersales.store import cases, engine
from aftersales.words import Unable
from flows.returns import returns
from tasks import outside

# the number of the door
DOOR = 20_261_122


async def main() -> None:
    """Act upon each line until there are no more."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        wanted = json.loads(line)
        engine.connect(wanted["url"])
        print(json.dumps(await at_the_door(ACTS[wanted["act"]], wanted["args"]), ensure_ascii=False), flush=True)
        await engine.disconnect()


async def at_the_door(act: Any, args: Mapping[str, Any]) -> dict[str, Any]:
    """Wait, act, tell."""
    async with engine.engine().connect() as connection:
        await connection.execute(text("select pg_advisory_xact_lock_shared(:door)"), {"door": DOOR})
        try:
            return await act(**args)
        except Unable as error:
            return {"refused": str(error)}


async def apply(request: Mapping[str, Any]) -> dict[str, Any]:
    """Tell a return's story from its application to its first gate."""
    run_id = uuid4()
    leg.begin(Bare(run_id))
    try:
        await returns.fn(request)
    except leg.Waiting:
        pass
    async with engine.transaction() as connection:
        case_no = await cases.case_of_run(connection, run_id)
        refusal = await cases.refusal_of_run(connection, run_id)
    return {"done": case_no} if case_no else {"refused": refusal}


async def decide(case_no: str, gate: str, operator: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Decide at a gate."""
    written = await outside.decide(case_no, gate, operator=operator, answer=answer)
    return {"done": written.entry}


ACTS = {"apply": apply, "decide": decide}

if __name__ == "__main__":
    asyncio.run(main())
