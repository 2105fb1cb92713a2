"""
Prefect's settings that matter, in one place, each with its reason (prefect.md §3, design §10).

What an operator sets in the environment on top of these stays, except what would lead to another server.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine import make_url

ELSEWHERE = ("PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_API_URL", "PREFECT_UI_URL")


def quiet() -> dict[str, str]:
    """What keeps every Prefect process from talking to anybody outside, and from asking a terminal."""
    return {
        "DO_NOT_TRACK": "1",  # the client's usage statistics
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # the server's
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_LOGGING_COLORS": "false",  # logs are files
        "PYTHONUNBUFFERED": "1",  # and their last lines must not die with the process
    }


def client(*, home: Path, api_url: str, auth: str = "") -> dict[str, str]:
    """The environment of whoever talks to the server: the worker, the deploy, a command."""
    return {
        **quiet(),
        "PREFECT_HOME": str(home / "prefect"),  # profiles, memo store: never the user's own ~/.prefect
        "PREFECT_API_URL": api_url,
        **({"PREFECT_API_AUTH_STRING": auth} if auth else {}),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",  # no silent second server when ours does not answer
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),  # relative would be each process's own folder
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # a step told in bulk has no run to log to
        "PREFECT_WORKER_QUERY_SECONDS": "1",  # a clerk waits for what a form started; ten seconds by default
    }


def command() -> dict[str, str]:
    """What keeps Prefect's own lines out of a command's output: whoever typed it reads our sentences."""
    return {
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_ROOT_LEVEL": "ERROR",  # its queues log under names of their own, such as EventsWorker
    }


def server(*, home: Path, host: str, port: int, database_url: str, is_loopback: bool, auth: str = "") -> dict[str, str]:
    """The environment of the server."""
    ui = ui_url(host, port)
    return {
        **client(home=home, api_url=f"{ui}/api", auth=auth),
        **({"PREFECT_SERVER_API_AUTH_STRING": auth} if auth else {}),
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": asyncpg(database_url),
        # five and ten by default: a hundred cases that start together wait for each other
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "20",
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW": "20",
        # it reads every paused run every five seconds; our own promises hold the deadlines
        "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
        # 15 s by default: in a burst every waiting run would be written once more, only to be called late
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "180",
        # the journal is the history; Prefect keeps half a year of runs and a week of events
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(180 * 24 * 60 * 60),
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P7D",
        # a token per client and hour costs calls and protects a login; without one, the origin below protects
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false" if is_loopback else "true",
        # any web page may call the server by default, and so drive the desk from a clerk's browser
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{ui},http://localhost:{port}",
        "PREFECT_UI_API_URL": "/api",  # the page asks where it came from, under whatever name it was opened
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }


def leave_others() -> None:
    """Forget, in this process and its children, what would lead to another server or through a company's proxy."""
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "")
        os.environ[name] = ",".join(filter(None, [known, "127.0.0.1", "localhost", "::1"]))


def ui_url(host: str, port: int) -> str:
    """Where this machine's browser finds the desk."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def asyncpg(url: str) -> str:
    """The URL as Prefect's driver reads it; it knows `ssl` where libpq says `sslmode`."""
    address = make_url(url).set(drivername="postgresql+asyncpg")
    query = {("ssl" if name == "sslmode" else name): value for name, value in address.query.items()}
    return address.set(query=query).render_as_string(hide_password=False)


def prefect_url(url: str) -> str:
    """Prefect's database beside ours: `<name>_prefect` on the same server (design §10)."""
    address = make_url(url)
    return address.set(database=f"{address.database}_prefect").render_as_string(hide_password=False)
