"""
Where a command finds the database and Prefect: the running stack, the environment, or a PostgreSQL of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from aftersales.settings import settings
from aftersales.stack import state
from aftersales.words import Unable


@asynccontextmanager
async def connected() -> AsyncIterator[str]:
    """
    Connect this process's engine for the time of the block; gives the database's URL.
    Looks for AFTERSALES_DATABASE_URL, then for the running stack; else starts the embedded PostgreSQL for itself,
    alone in this home. When a stack runs, Prefect's client in this process is pointed to it.
    Raises Unable when there is no database, or one of another version.
    """
    from aftersales.stack import postgres, prefect_settings, schema
    from aftersales.store import engine

    # before Prefect is imported; what somebody set to find a fault stays
    os.environ.update(prefect_settings.command() | dict(os.environ))
    with ExitStack() as alone:
        stack = running()
        url = settings().database_url or (stack.database_url if stack else "")
        if not url:
            schema.newest()  # outside of the project nothing is begun
            home = postgres.make_home(settings().home)
            try:
                alone.enter_context(state.hold(home))
                server = alone.enter_context(postgres.cluster(home).running())
                url = server.url()
                schema.create(url)
                schema.upgrade(url)
            except state.Running:
                # a stack was started while we waited for the lock: its database will do
                stack = running()
                url = stack.database_url if stack else ""
        if not url:
            raise Unable("服务刚刚停止，请再运行一次这个命令。")
        if stack:
            _point_prefect_to(stack)
        schema.require(url)
        engine.connect(url)
        try:
            yield url
        finally:
            await engine.disconnect()


def running(*, patience: float = 90.0) -> state.Stack | None:
    """Find the running stack; while it is starting, wait until its database can be used. None when there is none."""
    until = time.monotonic() + patience
    while stack := state.read(settings().home):
        if stack.database_url:
            return stack
        if time.monotonic() > until:
            raise Unable("服务正在启动，数据库还没有就绪，请稍后再试。")
        time.sleep(0.2)
    return None


def located() -> state.Stack:
    """
    Find the desk, and point Prefect's client in this process to it: the running stack,
    or, on another machine, AFTERSALES_DATABASE_URL and PREFECT_API_URL. Raises Unable when there is neither.
    """
    if stack := running():
        _point_prefect_to(stack)
        return stack
    database, api = settings().database_url, os.environ.get("PREFECT_API_URL", "")
    if not (database and api):
        raise Unable("服务没有运行，请先在另一个终端运行 make run。")
    found = state.Stack(
        state.Process(0, 0.0),
        ui_url=api.removesuffix("/api"),
        api_url=api,
        database_url=database,
        auth=settings().auth,
    )
    _point_prefect_to(found)
    return found


def _point_prefect_to(stack: state.Stack) -> None:
    """Prefect reads its settings when it is first imported, so this comes before."""
    from aftersales.stack import prefect_settings

    prefect_settings.leave_others()
    os.environ.update(prefect_settings.client(home=settings().home, api_url=stack.api_url, auth=stack.auth))
    # another shell need not know on which ports the stack was started
    if stack.serve_url:
        os.environ["AFTERSALES_SERVE_URL"] = stack.serve_url
    if stack.page_url and not settings().page_url:
        os.environ["AFTERSALES_PAGE_URL"] = stack.page_url
    settings.cache_clear()
