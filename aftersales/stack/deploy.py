"""
Bring `prefect.yaml` to the server, only when something in it, in the forms or among the staff has changed.

The fingerprint of what was deployed is kept beside the ids that the server gave:
a Prefect database that was lost or replaced does not know them, and is deployed to again.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from aftersales.stack import schema
from aftersales.stack.up import POOL, ask
from aftersales.words import Unable

SOURCES = ("prefect.yaml", "aftersales/forms/*.py", "flows/*.py", "config/*.yaml", "aftersales/desk/deployments.py")
RECORD = "deployed"


def fingerprint(root: Path = Path()) -> str:
    """Tell by content whether anything that a deployment shows has changed."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for file in sorted(root.glob(pattern)):
            digest.update(f"{file.relative_to(root)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


def is_needed(*, database_url: str, api_url: str, auth: str) -> bool:
    """True when the server does not have what the files say."""
    record = _record(database_url)
    return record.get("fingerprint") != fingerprint() or _deployments(api_url, auth) != record["deployments"]


def known(database_url: str) -> dict[str, str]:
    """The deployments by name, with the ids that the server gave them."""
    return _record(database_url).get("deployments", {})


def pages(database_url: str) -> dict[str, str]:
    """The published work lists by key, with the ids of their artifacts."""
    with schema.reach(database_url) as connection:
        rows = connection.execute("select name, value from settings where name like 'page:%'").fetchall()
    return {name.removeprefix("page:"): value["id"] for name, value in rows}


def run(
    *, database_url: str, api_url: str, auth: str, refine: Callable[[Any], Awaitable[object]] | None = None
) -> dict[str, str]:
    """
    Make the work pool, deploy everything in `prefect.yaml`, let `refine` finish the forms; remember what was done.
    Raises Unable when Prefect refuses.
    """
    asyncio.run(_pool())
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200"},
    )
    sys.stdout.write(done.stdout + done.stderr)
    # it ends with 0 also when a flow cannot be loaded and others can
    if done.returncode or "Traceback" in done.stderr:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Unable(
            f"Prefect 不接受 prefect.yaml 里的部署（{said[-1].strip() if said else '没有说明原因'}），请更正后重新运行。"
        )
    if refine is not None:
        asyncio.run(_refined(refine))
    deployed = _deployments(api_url, auth)
    with schema.reach(database_url) as connection:
        _remember(connection, deployed)
    return deployed


def _record(database_url: str) -> dict:
    with schema.reach(database_url) as connection:
        row = connection.execute("select value from settings where name = %s", [RECORD]).fetchone()
        return row[0] if row else {}


def _remember(connection: psycopg.Connection, deployed: dict[str, str]) -> None:
    connection.execute(
        "insert into settings (name, value) values (%s, %s) on conflict (name) do update set value = excluded.value",
        [RECORD, Jsonb({"fingerprint": fingerprint(), "deployments": deployed})],
    )


def _deployments(api_url: str, auth: str) -> dict[str, str]:
    """Every deployment of the server by name, with its id."""
    found = ask(f"{api_url}/deployments/filter", body={}, auth=auth)
    return {entry["name"]: entry["id"] for entry in found} if isinstance(found, list) else {}


async def _pool() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    # a stock worker would run each leg in a folder made for it, where there is no config/
    template["variables"]["properties"]["working_dir"]["default"] = "."
    async with get_client() as client:
        try:
            # of type process, so that the stock worker too can run every deployment (design §10)
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
        except ObjectAlreadyExists:
            pass


async def _refined(refine: Callable[[Any], Awaitable[object]]) -> None:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        await refine(client)
