"""One command starts the shop, keeps it alive and takes it down: what a newcomer, and a broken machine, meet."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from aftersales.stack import up
from tests.conftest import Shop

pytestmark = [pytest.mark.stack(ends=True), pytest.mark.timeout(400)]

AUTH = "desk:s3cret"


@pytest.fixture(scope="module")
def shop(stack: Shop) -> Shop:
    """The stack, when everybody else is done with it; the tests follow each other through its end."""
    stack.was_calm()
    return stack


def test_it_tells_where_to_click_and_writes_where_it_runs(shop):
    said = shop.output.read_text()

    assert f"http://127.0.0.1:{shop.port}/v2/runs?tags=" in said
    assert "客户服务部的待办" in said and "新建：退货" in said
    assert said.index("数据库 PostgreSQL") < said.index("Prefect 服务") < said.index("工作进程")
    assert stat.S_IMODE((shop.home / "stack.json").stat().st_mode) == 0o600
    assert list(shop.stack.processes) == ["postgres", "server", "worker", "serve", "page"]


def test_each_process_has_its_own_session(shop):
    for process in shop.stack.processes.values():
        assert os.getsid(process.pid) == process.pid


def test_everything_listens_on_this_machine_only(shop):
    pids = {process.pid for process in shop.stack.processes.values()}
    heard = {c.laddr.ip for c in psutil.net_connections("tcp") if c.pid in pids and c.status == psutil.CONN_LISTEN}

    assert heard <= {"127.0.0.1"}


def test_trap_15_a_second_start_beside_the_first_is_one_sentence(shop):
    second = shop.command("up")

    assert second.returncode == 1
    assert second.stderr.startswith("这个目录里的服务已在运行") and second.stderr.count("\n") == 1
    assert shop.stack.is_ready


def test_a_taken_port_is_one_sentence(shop, shops):
    taken = shops().command("up", PORT=str(shop.port))

    assert taken.returncode == 1
    assert taken.stderr.startswith(f"端口 {shop.port} 已被占用，请换一个端口") and taken.stderr.count("\n") == 1


def test_gen10_what_prefect_could_not_store_stands_in_no_log(shop):
    api = shop.stack.api_url
    forms = up.ask(f"{api}/deployments/filter", body={})
    form = next(form for form in forms if form["name"] == "退货")
    asked = {
        "parameters": {"request": {"remark": "张三 13700001111\x00"}},
        "enforce_parameter_schema": False,
    }

    assert up.ask(f"{api}/deployments/{form['id']}/create_flow_run", body=asked) is None

    until = time.monotonic() + 30  # a log comes through its supervisor
    while "parameters hidden" not in (shop.home / "logs" / "server.log").read_text():
        assert time.monotonic() < until, "the error is not in the log"
        time.sleep(0.1)
    logs = {path.name: path.read_text() for path in (shop.home / "logs").iterdir()}
    assert not [name for name, text in logs.items() if "13700001111" in text]


def test_a_killed_worker_is_started_again(shop):
    killed = shop.stack.processes["worker"]
    os.kill(killed.pid, signal.SIGKILL)

    until = time.monotonic() + 60
    while (found := shop.stack.processes.get("worker")) in (None, killed):
        assert time.monotonic() < until
        time.sleep(0.1)
    while not up.is_online(shop.stack.api_url, "", found):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_trap_15_after_a_killed_supervisor_the_next_start_stops_what_is_left_and_keeps_the_data(shop):
    left = shop.stack.processes
    forms = up.ask(f"{shop.stack.api_url}/deployments/filter", body={})
    shop.process.kill()
    shop.process.wait()
    assert all(process.alive for process in left.values())

    shop.environment["AFTERSALES_AUTH"] = AUTH  # from now on everybody logs in
    shop.start()

    # Prefect's server ends by itself soon after nobody reads its log any more
    assert re.search(r"已停止遗留的进程：page、serve、worker、(server、)?postgres", shop.output.read_text())
    assert not any(process.alive for process in left.values())
    again = up.ask(f"{shop.stack.api_url}/deployments/filter", body={}, auth=AUTH)
    assert {form["id"] for form in again} == {form["id"] for form in forms}
    assert "没有变化" in (shop.home / "logs" / "deploy.log").read_text()
    assert "已装入示例数据" in (shop.home / "logs" / "prepare.log").read_text()
    assert (shop.home / "logs" / "prepare.log").read_text().count("已装入示例数据") == 1


def test_the_login_is_asked_of_everybody_and_known_to_server_worker_and_command(shop):
    api = shop.stack.api_url

    assert up.ask(f"{api}/work_pools/filter", body={}) is None
    assert [pool["name"] for pool in up.ask(f"{api}/work_pools/filter", body={}, auth=AUTH)] == ["aftersales"]
    # another shell need not know the password: it finds it in stack.json
    assert shop.command("deploy", "--if-changed", AFTERSALES_AUTH="").stdout.startswith("没有变化")


def test_trap_15_sigterm_stops_everything_within_ten_seconds(shop):
    assert shop.stop() < 10

    assert shop.process.returncode == 0
    assert "已全部停止" in shop.output.read_text()


def test_a_command_without_a_stack_starts_the_database_for_itself(shop):
    found = shop.command("orders", "show", "no-such-order")

    assert found.returncode == 1 and found.stderr.count("\n") == 1, found.stderr
    assert "no-such-order" in found.stderr
    log = (shop.home / "logs" / "postgres.log").read_text()
    assert not (shop.home / "pg" / "postmaster.pid").exists(), log
    assert log.endswith("database system is shut down\n"), log


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        pytest.param({"HOST": "0.0.0.0"}, "HOST=0.0.0.0 会让其他机器也能访问", id="an open host needs a login"),
        pytest.param({"PORT": "http"}, "环境变量 PORT 不是", id="a port is a number"),
        pytest.param({"AFTERSALES_AUTH": "secret"}, "环境变量 AFTERSALES_AUTH 的格式不对", id="a login has two parts"),
        pytest.param(
            {"AFTERSALES_DATABASE_URL": "mysql://x/y"}, "AFTERSALES_DATABASE_URL 不是 PostgreSQL", id="PostgreSQL only"
        ),
        pytest.param(
            {"AFTERSALES_DATABASE_URL": "postgresql://a:hidden@127.0.0.1:1/shop"},
            "连不上数据库 127.0.0.1:1/shop",
            id="an unreachable database",
        ),
        pytest.param({"AFTERSALES_HOME": "/proc/shop"}, "目录 /proc/shop 无法写入", id="a home that cannot be written"),
    ],
)
def test_what_stands_in_the_way_of_a_start_is_one_sentence(shops, environment, sentence):
    refused = shops().command("up", **environment)

    assert refused.returncode == 1
    assert sentence in refused.stderr and refused.stderr.count("\n") == 1
    assert "hidden" not in refused.stderr


def fake_python(folder: Path, *, version: str, has_venv: bool = True) -> Path:
    """A Python that only knows its version and whether it can make environments."""
    file = folder / "python-fake"
    supported = version in ("3.11", "3.12", "3.13")
    file.write_text(
        "#!/bin/sh\n"
        'case "$2" in\n'
        f"  *sys.exit*) exit {0 if supported else 1};;\n"
        f"  *ensurepip*) exit {0 if has_venv else 1};;\n"
        f"  *) echo {version};;\n"
        "esac\n"
    )
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("version", "has_venv", "sentence"),
    [
        pytest.param("3.10", True, "的版本是 3.10，只支持 Python 3.11 到 3.13", id="too old"),
        pytest.param("3.14", True, "的版本是 3.14，只支持 Python 3.11 到 3.13", id="too new"),
        pytest.param("3.11", False, "sudo apt-get install python3.11-venv", id="Debian without python3-venv"),
    ],
)
def test_a_python_that_will_not_do_is_told_before_anything_is_made(tmp_path, version, has_venv, sentence):
    python = fake_python(tmp_path, version=version, has_venv=has_venv)

    told = subprocess.run(["sh", ".ci/python", tmp_path / "venv", python], capture_output=True, text=True)

    assert told.returncode == 1
    assert sentence in told.stderr and told.stderr.count("\n") == 1
    assert not (tmp_path / "venv").exists()
