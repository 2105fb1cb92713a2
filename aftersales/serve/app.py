"""The service itself: two callbacks and a health check, nothing else (`docs/openapi/callbacks.yaml`)."""

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
from aftersales.serve import callbacks, signatures
from aftersales.store import engine
from aftersales.store.engine import transaction
from aftersales.words import Unable
from tasks import gates, outside

log = logging.getLogger("aftersales.serve")

MOST_BYTES = 64 * 1024
# each waking has a connection of its own to the database and to Prefect, for as long as the case is being told
WAKES_AT_ONCE = 4
PLAIN = {
    404: "没有这个地址，可用的是 POST /callbacks/payment 和 /callbacks/carrier。",
    405: "这个地址不接受这种请求方法，请用 POST。",
}


def create(*, keys: Mapping[str, Sequence[str]]) -> FastAPI:
    """The application; `keys` are the secrets that each sender may sign with, none when none was agreed on."""

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        engine.connect_from_settings()
        try:
            yield
        finally:
            await engine.disconnect()

    # no pages about itself: the contract is in docs/openapi
    app = FastAPI(lifespan=connected, docs_url=None, redoc_url=None, openapi_url=None)
    alarm = Alarm(_wake)

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
            return _refused(503, "还没有设置 AFTERSALES_CALLBACK_KEY，不能接收回调，请设置后重新启动。")
        body = await _body(request)
        if body is None:
            return _refused(413, "内容超过 64 KB，请按接口文档发送。")
        given = request.headers.get(signatures.HEADER, "")
        if no := signatures.objection(given, body, keys=keys[sender], at=clock.now()):
            return _refused(401, no)
        kind, take = callbacks.READERS[sender]
        told: callbacks.Told = await take(callbacks.read(kind, body))
        if told.wakes:
            # the answer does not wait for it: what is committed is found by the worker in any case
            alarm.ring(told.case_no)
        return JSONResponse({"case_no": told.case_no, "told": told.sentence})

    @app.exception_handler(Unable)
    async def unable(_: Request, error: Unable) -> JSONResponse:
        status = 404 if isinstance(error, outside.UnableToFind) else 409 if isinstance(error, gates.Refused) else 422
        return _refused(status, str(error))

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> JSONResponse:
        return _refused(error.status_code, PLAIN.get(error.status_code, "请求不对，请按接口文档发送。"))

    @app.exception_handler(sqlalchemy.exc.OperationalError)
    @app.exception_handler(psycopg.OperationalError)
    @app.exception_handler(OSError)
    async def outage(_: Request, error: Exception) -> JSONResponse:
        log.warning("The database cannot be reached (%s)", type(error).__name__)
        return _refused(503, "数据库暂时连不上，这条消息没有登记，请稍后重发。")

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


async def _body(request: Request) -> bytes | None:
    """The body; None when it is longer than any of ours."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return None
    return body


async def _wake(case_no: str) -> None:
    try:
        await runs.wake_from_outside(case_no)
    except Unable as error:
        log.info("%s", error)


def _refused(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status)


def run(*, keys: Mapping[str, Sequence[str]], port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvicorn.run(
        create(keys=keys), host="127.0.0.1", port=port, log_level="warning", access_log=False, server_header=False
    )
