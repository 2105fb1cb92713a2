"""
Work that is killed right before and right after the first, the second … of its writes, until one comes to its end.

A test hands `killed` a script for a Python of its own (a fork of pytest would inherit its threads and connections);
the script describes the work and gives it to `until_one_ends`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from sqlalchemy import event

from aftersales.store import engine

MOMENTS = ("before_cursor_execute", "after_cursor_execute")
WRITES = ("insert", "update", "delete", "with")
# is told how many turns there were before
Work = Callable[[int], Coroutine[Any, Any, object]]


async def killed(script: str, *arguments: str) -> int:
    """Run a script that ends in `until_one_ends`; its `sys.argv[1]` is our database. Answers how often it died."""
    url = engine.engine().url.render_as_string(hide_password=False)
    left = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, url, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert left.returncode == 0, left.stderr
    return int(left.stdout)


def until_one_ends(work: Work, *, before: Work | None = None, after: Work | None = None) -> None:
    """Kill `work` at each moment in turn and print how often; `before` and `after` are done whole around each."""
    deaths, turn, left = 0, 0, 1
    while left:
        for moment in MOMENTS:
            assert before is None or _alone(before, turn) == 0
            left = _alone(work, turn, 1 + turn // 2, moment)
            assert left in (0, signal.SIGKILL), left
            deaths += left != 0
            assert after is None or _alone(after, turn) == 0
            turn += 1
    print(deaths)


def _alone(work: Work, turn: int, nth: int = 0, moment: str = MOMENTS[0]) -> int:
    """Do something in a process of its own, which kills itself at its n-th write; answers how it ended."""
    if child := os.fork():
        return os.waitpid(child, 0)[1]
    seen = 0

    def count(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        nonlocal seen
        if statement.lstrip().split(None, 1)[0].lower() in WRITES:
            seen += 1
            if seen == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    async def act() -> None:
        engine.connect(sys.argv[1])
        event.listen(engine.engine().sync_engine, moment, count)
        await work(turn)
        await engine.disconnect()

    try:
        asyncio.run(act())
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)
