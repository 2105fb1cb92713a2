"""
Workers that die at a moment of our choice: just before or just after one of their writes.

A write is a commit of ours that changed something, a call that changes something at Prefect, or a call to the outside.
`python -m tests.traps.faults.mortal_worker` is the nursery: it has everything loaded, reads an order a line, and lets a
child of its own work until it dies, so that a death costs no second start of Python.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import event

BEFORE, AFTER = "before", "after"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# one statement may write into two tables: the journal's rows are written beside the case's own
_DML = re.compile(r'\b(?:insert into|(?<!for )(?<!do )update|delete from) "?(\w+)', re.IGNORECASE)
# what changes nothing of a case, and comes by the clock
_QUIET = re.compile(r"/(filter|get_scheduled_flow_runs|count|paginate|heartbeat|csrf-token|logs)$")


class Moments:
    """Numbers every write, tells a file of it, and kills this process at the one that was ordered."""

    def __init__(self, told: Path, *, name: str = "", nth: int = 0, where: str = "") -> None:
        self._told, self._name, self._nth, self._where = told, name, nth, where
        told.parent.mkdir(exist_ok=True)
        self._seen: Counter[str] = Counter()
        self._number = 0

    def before(self, name: str, kinds: list[str]) -> Callable[[], None]:
        """A write is about to be made; answers what to call when it is done."""
        self._number += 1
        self._seen[name] += 1
        number, nth = self._number, self._seen[name]
        self._tell({"number": number, "name": name, "nth": nth, "kinds": kinds})
        self._die(BEFORE, name, nth)
        return lambda: self._die(AFTER, name, nth)

    def _die(self, where: str, name: str, nth: int) -> None:
        if (where, name, nth) == (self._where, self._name, self._nth):
            self._tell({"died": where, "name": name, "nth": nth})
            os.kill(os.getpid(), signal.SIGKILL)

    def _tell(self, line: dict[str, Any]) -> None:
        with self._told.open("a") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def watch_commits(engine: Any, moments: Moments) -> None:
    """Let every commit that changed rows be a moment, named after the tables and the journal's entries."""
    sync, dialect = engine.sync_engine, engine.sync_engine.dialect
    written: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)

    @event.listens_for(sync, "after_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if cursor.rowcount <= 0:
            return
        bound = context.compiled_parameters[0] if context.compiled_parameters else {}
        for table in _DML.findall(statement):
            name = kind = table
            if table == "journal":
                row = _inserted(statement, bound)
                name, kind = f"journal({_plain(row['entry'])})", f"journal {row['kind']}"
            written[id(connection.connection.dbapi_connection)].append((name, kind))

    commit, rollback = dialect.do_commit, dialect.do_rollback

    def watched(connection: Any) -> None:
        changed = written.pop(id(connection.dbapi_connection), [])
        if not changed:
            commit(connection)
            return
        names, kinds = (list(dict.fromkeys(words)) for words in zip(*changed, strict=True))
        # terms are kept by whichever case comes first under them, in the transaction that opens it
        named = " + ".join(name for name in names if name != "terms")
        after = moments.before(f"commit {named}", [f"commit {kind}" for kind in kinds])
        commit(connection)
        after()

    def undone(connection: Any) -> None:
        written.pop(id(connection.dbapi_connection), None)
        rollback(connection)

    dialect.do_commit, dialect.do_rollback = watched, undone


def watch_prefect(client: type[httpx.AsyncClient], moments: Moments) -> None:
    """Let every call that changes something at Prefect be a moment."""
    send = client.send

    async def watched(self: httpx.AsyncClient, request: httpx.Request, *args: Any, **kwargs: Any) -> httpx.Response:
        path = request.url.path.rstrip("/")
        if request.method == "GET" or _QUIET.search(path):
            return await send(self, request, *args, **kwargs)
        name, kind = _call(request.method, path, json.loads(request.content or b"{}"))
        after = moments.before(f"prefect {name}", [f"prefect {kind}"])
        response = await send(self, request, *args, **kwargs)
        after()
        return response

    client.send = watched  # type: ignore[assignment, method-assign]


def _call(method: str, path: str, body: dict[str, Any]) -> tuple[str, str]:
    """The name and the kind of a call."""
    if path.endswith("/set_state"):
        return f"state {body['state']['name']}", f"state {body['state']['name']}"
    if "/input" in path:
        key = body.get("key") or path.rpartition("/")[2]
        verb = "save" if method == "POST" else "delete"
        # the attempt is left out: a form that is shown again after a death is the same moment
        return f"{verb} {re.sub(r'-[0-9]+-(?=[a-z]+$)', '-', key)}", f"{verb} {key.rpartition('-')[2]}"
    if path.endswith("/artifacts"):
        return f"new page {_plain(body['key'])}", "new page"
    plain = f"{method} {_ID.sub('…', path).removeprefix('/api')}"
    return plain, plain


def _inserted(statement: str, bound: dict[str, Any]) -> dict[str, Any]:
    """The journal's row that a statement inserts, by column."""
    found = re.search(r"journal \(([\w, ]+)\) SELECT (.+?)WHERE NOT", statement, re.DOTALL)
    assert found, "the journal is written in another way now: its moments would be missed"
    return dict(zip(found[1].split(", "), (bound[name] for name in re.findall(r"%\((\w+)\)s", found[2])), strict=True))


def _plain(name: str) -> str:
    """A name without the number of its case, so that every case has the same moments."""
    return re.sub(r"(?i)rt-[0-9]{8}-[0-9]{4}", "RT", name)


async def work(order: dict[str, Any]) -> None:
    """Work until the moment comes."""
    from prefect.client.base import PrefectHttpxAsyncClient

    from aftersales.desk import worker
    from aftersales.store import engine
    from tasks import money
    from tests.traps.hanging_worker import Paper

    moments = Moments(Path(order["told"]), name=order["name"], nth=order["nth"], where=order["where"])

    async def comes(where: str, key: str) -> None:
        if where == BEFORE:
            landing.append(moments.before(f"outside {key.partition('/')[2]}", ["outside"]))
        else:
            landing.pop()()

    landing: list[Callable[[], None]] = []
    paper = Paper(Path(order["sheet"]), comes)
    money.cashier = lambda: paper  # type: ignore[assignment, return-value]
    watch_commits(engine.connect(order["database"]), moments)
    watch_prefect(PrefectHttpxAsyncClient, moments)
    await worker.work(poll_seconds=0.1)


def main() -> None:
    """Raise one child an order: `{"database", "sheet", "told", "name", "nth", "where"}`."""
    # everything a worker needs, once
    import flows.returns  # noqa: F401
    from aftersales.desk import worker

    worker.outlive_the_reader()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.stdin.close()
            asyncio.run(work(json.loads(line)))
            os._exit(0)
        print(json.dumps({"born": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"ended": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
