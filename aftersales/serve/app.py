"""
The service itself: two callbacks, the interface of shop systems, the plot of follow-up, and a health check.

The contracts are `docs/openapi/callbacks.yaml` and `docs/openapi/intake.yaml`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import psycopg
import sqlalchemy.exc
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from aftersales import clock
from aftersales.desk import runs
from aftersales.serve import callbacks, figures, intake, reading, signatures
from aftersales.serve.keys import Key
from aftersales.serve.reading import refused
from aftersales.store import engine
from aftersales.store.engine import transaction
from aftersales.words import Unable
from tasks import desks, gates, heard, outside
from tasks import intake as tasks_intake

log = logging.getLogger("aftersales.serve")

# each waking has a connection of its own to the database and to Prefect, for as long as the case is being told
WAKES_AT_ONCE = 4
PLAIN = {
    404: "没有这个地址，可用的是 POST /callbacks/payment、/callbacks/carrier，和 /v1 下的接口（见 docs/openapi）。",
    405: "这个地址不接受这种请求方法，请按接口文档改用 POST 或 GET。",
}


def create(*, keys: Mapping[str, Sequence[str]], shops: Mapping[str, Key] | None = None, auth: str = "") -> FastAPI:
    """
    The application.

    `keys` are the secrets that each sender of callbacks may sign with, `shops` the keys of shop systems, `auth` the
    login of staff; none when none was agreed on.
    """

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        engine.connect_from_settings()
        try:
            yield
        finally:
            await engine.disconnect()

    # no pages about itself: the contract is in docs/openapi; and no address that is put right by what the request
    # calls our host
    app = FastAPI(lifespan=connected, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    alarm, board = Alarm(_wake), Alarm(_show)
    app.include_router(intake.routes(keys=shops or {}, wake=alarm.ring, show_parcels=lambda: board.ring("parcel-list")))

    app.include_router(figures.routes(auth=auth))

    @app.get("/health")
    async def health() -> JSONResponse:
        """Whether the service and its database can be used."""
        async with transaction() as connection:
            await connection.exec_driver_sql("select 1")
        return JSONResponse({"status": "ok"})

    @app.post("/callbacks/{sender}")
    async def callback(sender: str, request: Request) -> JSONResponse:
        """Take what another system tells."""
        if sender not in callbacks.READERS:
            raise HTTPException(404)
        if not keys.get(sender):
            return refused(503, "还没有设置 AFTERSALES_CALLBACK_KEY，不能接收回调，请设置后重新启动。")
        body = await reading.body(request)
        given = request.headers.get(signatures.HEADER, "")
        if no := signatures.objection(given, body, keys=keys[sender], at=clock.now()):
            return refused(401, no)
        kind, take = callbacks.READERS[sender]
        told: callbacks.Told = await take(reading.read(kind, body))
        if told.wakes:
            # the answer does not wait for it: what is committed is found by the worker in any case
            alarm.ring(told.case_no)
        return JSONResponse({"case_no": told.case_no, "told": told.sentence})

    @app.exception_handler(Unable)
    async def unable(_: Request, error: Unable) -> JSONResponse:
        return refused(_status(error), str(error))

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> JSONResponse:
        return refused(error.status_code, PLAIN.get(error.status_code, "请求不对，请按接口文档发送。"))

    @app.exception_handler(Exception)
    async def defect(_: Request, error: Exception) -> JSONResponse:
        return refused(500, "服务出错了，这条消息没有登记，请稍后重发；再三这样，请把时间告诉维护人员。")

    @app.exception_handler(sqlalchemy.exc.OperationalError)
    @app.exception_handler(psycopg.OperationalError)
    @app.exception_handler(OSError)
    async def outage(_: Request, error: Exception) -> JSONResponse:
        log.warning("The database cannot be reached (%s)", type(error).__name__)
        return refused(503, "数据库暂时连不上，这条消息没有登记，请稍后重发。")

    return app


class Alarm:
    """Wakes cases behind the answers: few at once, and a case that is going to be woken anyway only once."""

    def __init__(self, wake: Callable[[str], Awaitable[None]]) -> None:
        self._wake = wake
        self._room = asyncio.Semaphore(WAKES_AT_ONCE)
        self._called: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def ring(self, case_no: str) -> None:
        """Have a case woken soon."""
        if case_no in self._called:
            return
        self._called.add(case_no)
        task = asyncio.create_task(self._go(case_no))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go(self, case_no: str) -> None:
        async with self._room:
            # whatever comes from here on may be too late for this waking, and gets one of its own
            self._called.discard(case_no)
            await self._wake(case_no)


async def _wake(case_no: str) -> None:
    try:
        await runs.wake_from_outside(case_no)
    except Unable as error:
        log.info("%s", error)


async def _show(_: str) -> None:
    try:
        await desks.publish_parcels_from_outside()
    except Unable as error:  # the next arrival brings it up to date, and so does `aftersales desk check`
        log.info("%s", error)


def _status(error: Unable) -> int:
    """HTTP's word for a sentence."""
    match error:
        case reading.TurnedAway():
            return error.status
        case outside.UnableToFind():
            return 404
        case gates.Refused() | gates.AlreadyDecided() | outside.NotYet() | heard.NotLeft():
            return 409
        case tasks_intake.Unavailable() | runs.Unreachable():
            return 503
    return 422


def run(*, keys: Mapping[str, Sequence[str]], shops: Mapping[str, Key], port: int, auth: str) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    import uvicorn

    from aftersales import connections

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvicorn.run(
        create(keys=keys, shops=shops, auth=auth),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        http=connections.Prompt,
        ws="none",
    )
