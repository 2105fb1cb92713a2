"""
`aftersales up`: PostgreSQL, Prefect's server and our worker, one after the other, until told to stop (design §10).
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from aftersales.settings import Settings
from aftersales.stack import leftovers, postgres, prefect_settings, schema, state, supervise
from aftersales.words import Unable

POOL = "aftersales"
# never anything else: whoever must be reached from outside puts a proxy with TLS before it
SERVE_HOST = "127.0.0.1"


def run(settings: Settings, *, say: Callable[[str], None], welcome: Callable[[state.Stack], None]) -> None:
    """
    Run the stack until SIGINT or SIGTERM.
    `say` hears what happens, `welcome` the stack when everything is ready.
    Raises Unable with one sentence for whatever stands in the way.
    """
    _check_place(settings)
    prefect_settings.leave_others()
    home = postgres.make_home(settings.home)
    with state.hold(home):
        if found := leftovers.stop(home):
            say(f"上次没有正常结束，已停止遗留的进程：{'、'.join(found)}")
        _check_port(settings.host, settings.port, "PORT")
        _check_port(SERVE_HOST, settings.callbacks_port, "AFTERSALES_SERVE_PORT")
        _check_port(SERVE_HOST, settings.customers_port, "AFTERSALES_PAGE_PORT")
        try:
            _run(settings, home, say, welcome)
        except supervise.Failed as reason:
            raise Unable(str(reason)) from None
        finally:
            leftovers.stop(home)  # nothing, unless the supervisor itself broke


def _check_place(settings: Settings) -> None:
    for needed in ("prefect.yaml", "config", "migrations"):
        if not Path(needed).exists():
            raise Unable(f"这里不是项目目录（没有 {needed}），请先 cd 到项目根目录再运行。")
    if not settings.is_loopback and not settings.auth:
        raise Unable(
            f"HOST={settings.host} 会让其他机器也能访问，必须先设置登录（AFTERSALES_AUTH=用户名:密码）；"
            "只在本机使用请不要设置 HOST。"
        )


def _check_port(host: str, port: int, variable: str) -> None:
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise Unable(f"HOST={host} 不是这台机器的地址，请改为 127.0.0.1 或本机的一个地址。") from None
    with socket.socket(address[0], address[1]) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address[4])
        except PermissionError:
            raise Unable(f"没有权限使用端口 {port}，请换一个 1024 以上的端口，例如 {variable}=4200。") from None
        except OverflowError:
            raise Unable(f"{port} 不是端口号，请改为例如 {variable}=4200。") from None
        except OSError as error:
            if error.errno == 99:  # EADDRNOTAVAIL
                raise Unable(f"HOST={host} 不是这台机器的地址，请改为 127.0.0.1 或本机的一个地址。") from None
            raise Unable(
                f"端口 {port} 已被占用，请换一个端口（例如 {variable}={port + 1} make run），或先停止占用它的程序。"
            ) from None


def _run(settings: Settings, home: Path, say: Callable[[str], None], welcome: Callable[[state.Stack], None]) -> None:
    ours = Path(sys.executable).with_name("aftersales")
    ui = prefect_settings.ui_url(settings.host, settings.port)
    steps: list[supervise.Step] = []
    if settings.database_url:
        database = schema.plain(settings.database_url)
        schema.create(database)
    else:
        cluster = postgres.cluster(home)
        cluster.stop()  # a command that was killed may have left it running
        database = cluster.url()
        steps.append(
            supervise.Step(
                name="postgres",
                label="数据库 PostgreSQL",
                command=cluster.command(),
                environment={},
                is_ready=lambda _: cluster.is_ready(),
                stop_signal="INT",  # fast: open transactions are rolled back
                stop_seconds=8,  # a killed one leaves its lock behind, and the next start must wait for what lingers
                user=cluster.user or "",
                folder=Path("/"),
            )
        )
    prefect_database = schema.plain(settings.prefect_database_url or prefect_settings.prefect_url(database))
    client = prefect_settings.client(home=home, api_url=f"{ui}/api", auth=settings.auth)
    worker = {
        **client,
        "AFTERSALES_HOME": str(home),
        "AFTERSALES_DATABASE_URL": database,
        "AFTERSALES_SERVE_URL": settings.serve_address,
    }
    server = prefect_settings.server(
        home=home,
        host=settings.host,
        port=settings.port,
        database_url=prefect_database,
        is_loopback=settings.is_loopback,
        auth=settings.auth,
    )
    steps += [
        supervise.Step(
            name="prepare",
            label="数据库结构和示例数据",
            command=[str(ours), "prepare", *([] if settings.database_url else ["--sample"])],
            environment={**worker, "AFTERSALES_PREFECT_DATABASE_URL": prefect_database},
            patience=180,
        ),
        supervise.Step(
            name="server",
            label="Prefect 服务",
            command=[
                *(sys.executable, "-m", "aftersales.stack.prefect_server", "server", "start"),
                *("--host", settings.host, "--port", str(settings.port)),
            ],
            environment=server,
            is_ready=lambda _: ask(f"{ui}/api/health") is True,
            patience=180,
        ),
        supervise.Step(
            name="deploy",
            label="流程部署",
            command=[str(ours), "deploy", "--if-changed"],
            environment=worker,
            patience=180,
        ),
        supervise.Step(
            name="worker",
            label="工作进程",
            command=[str(ours), "worker"],
            environment=worker,
            is_ready=lambda process: is_online(f"{ui}/api", settings.auth, process),
            patience=90,
            stop_seconds=5,  # legs under way come to their gate; a killed one is healed by the next worker
        ),
        supervise.Step(
            name="serve",
            label="回调服务",
            command=[str(ours), "serve"],
            environment={**worker, "AFTERSALES_SERVE_PORT": str(settings.callbacks_port)},
            is_ready=lambda _: ask(f"http://{SERVE_HOST}:{settings.callbacks_port}/health") == {"status": "ok"},
            patience=90,
        ),
        supervise.Step(
            name="page",
            label="顾客自助页面",
            command=[str(ours), "page"],
            environment={**worker, "AFTERSALES_PAGE_PORT": str(settings.customers_port)},
            is_ready=lambda _: ask(f"http://{SERVE_HOST}:{settings.customers_port}/health") == {"status": "ok"},
            patience=90,
        ),
    ]
    supervisor = state.Process.of(os.getpid())
    assert supervisor
    stack = state.Stack(
        supervisor,
        ui_url=ui,
        api_url=f"{ui}/api",
        page_url=settings.page_address,
        serve_url=settings.serve_address,
        auth=settings.auth,
    )

    def changed(processes: dict[str, state.Process]) -> None:
        nonlocal stack
        stack = state.change(stack, processes=processes)
        state.write(home, stack)

    def done(label: str) -> None:
        nonlocal stack
        say(f"✓ {label}")
        if label.startswith("数据库结构"):
            stack = state.change(stack, database_url=database)
            state.write(home, stack)

    def ready() -> None:
        nonlocal stack
        stack = state.change(stack, is_ready=True)
        welcome(stack)
        # last: who waits for this finds the addresses printed already
        state.write(home, stack)

    state.write(home, stack)
    supervise.run(steps, home=home, changed=changed, done=done, ready=ready)


def is_online(api_url: str, auth: str, process: state.Process) -> bool:
    """True when the pool has heard from a worker since this process started."""
    workers = ask(f"{api_url}/work_pools/{POOL}/workers/filter", body={}, auth=auth)
    return isinstance(workers, list) and any(
        datetime.fromisoformat(worker["last_heartbeat_time"].replace("Z", "+00:00")).timestamp() >= process.started
        for worker in workers
        if worker.get("last_heartbeat_time")
    )


def ask(url: str, *, body: object = None, auth: str = "") -> object:
    """Ask the server once, briefly. None when it does not answer."""
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if auth:
        request.add_header("Authorization", "Basic " + base64.b64encode(auth.encode()).decode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a company's proxy
    try:
        with opener.open(request, timeout=2) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None
