"""The application itself: its pages, its style sheet, a health check, and one plain page for everything else."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
import sqlalchemy.exc
import uvicorn
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from aftersales import connections, links
from aftersales.page import applying, forms, guard, lookup, render, survey
from aftersales.page.session import Foreign
from aftersales.settings import settings
from aftersales.store import engine
from aftersales.store.engine import transaction
from aftersales.words import Unable
from tasks import selfservice
from tasks.cases import current_terms

log = logging.getLogger("aftersales.page")

# the pages; whoever adds one adds its router here
ROUTERS = (lookup.router, applying.router, survey.router)
# how many requests are answered at once; the next ones are told to come later
AT_ONCE = 200


def create() -> ASGIApp:
    """The application behind its guard."""
    limits = current_terms().selfservice.photos

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        engine.connect_from_settings()
        links.prepare(settings())
        try:
            yield
        finally:
            await engine.disconnect()

    # no pages about itself, and no address that is put right by what the request calls our host
    app = FastAPI(lifespan=connected, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for router in ROUTERS:
        app.include_router(router)

    @app.get("/health")
    async def health() -> JSONResponse:
        """Whether the page and its database can be used."""
        async with transaction() as connection:
            await connection.exec_driver_sql("select 1")
        return JSONResponse({"status": "ok"})

    @app.api_route("/page.css", methods=["GET", "HEAD"])
    async def style() -> Response:
        """How everything looks; the same for ever under the same address."""
        kept = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(render.CSS, media_type="text/css", headers=kept)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        answer = render.plain(request, error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Foreign)
    async def foreign(request: Request, _: Exception) -> Response:
        return render.plain(request, 403)

    @app.exception_handler(selfservice.TooOften)
    async def too_often(request: Request, error: selfservice.TooOften) -> Response:
        minutes = render.language(request).minutes(error.wait)
        answer = render.plain(request, 429, minutes=minutes)
        answer.headers["retry-after"] = str(max(1, int(error.wait.total_seconds())))
        return answer

    @app.exception_handler(Unable)
    async def unable(request: Request, error: Unable) -> Response:
        log.warning("%s", error)
        return render.plain(request, 503)

    @app.exception_handler(sqlalchemy.exc.OperationalError)
    @app.exception_handler(psycopg.OperationalError)
    @app.exception_handler(OSError)
    async def outage(request: Request, error: Exception) -> Response:
        log.warning("Something that the page needs cannot be reached (%s)", type(error).__name__)
        return render.plain(request, 503)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return render.plain(request, 500)

    def most_bytes(path: str) -> int:
        return applying.most_bytes(limits) if path == applying.PATH else forms.MOST_BYTES

    return guard.Guard(
        app, address=settings().page_address, at_once=AT_ONCE, most_bytes=most_bytes, refuse=render.plain
    )


def run(*, port: int, proxies: Sequence[str]) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    server(port=port, proxies=proxies).run()


def server(*, port: int, proxies: Sequence[str]) -> uvicorn.Server:
    """The server, not started yet; only `proxies` may say for whom they ask."""
    config = uvicorn.Config(
        create(),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        # an address of a visitor is nobody's business, and a link may stand in a path
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        # no `limit_concurrency`: it counts whoever is connected and asks for nothing; the guard counts requests
        timeout_keep_alive=15,
        http=connections.prompt(guard.headers(settings().page_address)),
        ws="none",
    )
    return uvicorn.Server(config)
