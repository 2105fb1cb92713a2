"""The parts of the stack that need no stack: whose processes we stop, what Prefect is told, when forms are deployed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Timer

import psutil
import pytest
from ruamel.yaml import YAML

from aftersales import settings
from aftersales.desk import links
from aftersales.stack import deploy, leftovers, postgres, prefect_settings, schema, state
from aftersales.terms import House
from aftersales.words import Unable

DEPLOYMENT_KEYS = {"name", "entrypoint", "description", "tags", "work_pool", "schedules", "concurrency_limit"}


@pytest.fixture
def sleeper():
    """A process in a session of its own."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def left_by_a_dead_supervisor(home: Path, **processes: state.Process) -> None:
    state.write(home, state.Stack(state.Process(2**22 - 7, 1.0), processes=processes))


def test_a_leftover_is_stopped_and_forgotten(tmp_path, sleeper):
    left_by_a_dead_supervisor(tmp_path, worker=state.Process.of(sleeper.pid))

    assert leftovers.stop(tmp_path) == ["worker"]

    assert sleeper.wait(5) is not None
    assert state.left(tmp_path) is None


@pytest.mark.timeout(30)
def test_a_leftover_counts_as_stopped_although_nobody_asks_for_its_exit_code(tmp_path, monkeypatch):
    """In a container the first process may never ask."""
    monkeypatch.setattr(leftovers, "GRACE", 300.0)
    careless = "sleep 60 & echo $!; exec sleep 60"
    with subprocess.Popen(["sh", "-c", careless], stdout=subprocess.PIPE, text=True) as parent:
        left_by_a_dead_supervisor(tmp_path, worker=state.Process.of(int(parent.stdout.readline())))

        assert leftovers.stop(tmp_path) == ["worker"]

        assert parent.poll() is None
        parent.kill()


def test_a_process_that_got_the_pid_later_is_left_alone(tmp_path, sleeper):
    ours = state.Process.of(sleeper.pid)
    left_by_a_dead_supervisor(tmp_path, worker=state.Process(ours.pid, ours.started - 3600))

    assert leftovers.stop(tmp_path) == []

    assert sleeper.poll() is None


def test_the_stack_of_a_dead_supervisor_is_not_a_running_one(tmp_path):
    left_by_a_dead_supervisor(tmp_path)

    assert state.left(tmp_path) is not None
    assert state.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"supervisor": {}}'])
def test_a_broken_stack_file_is_no_stack(tmp_path, text):
    (tmp_path / "stack.json").write_text(text)

    assert state.read(tmp_path) is None


@pytest.mark.parametrize(
    ("chosen", "address"),
    [
        pytest.param({}, "http://127.0.0.1:4999/s/1", id="nothing is set in this shell"),
        pytest.param({"PORT": "4300"}, "http://127.0.0.1:4999/s/1", id="another port is set in this shell"),
        pytest.param(
            {"AFTERSALES_PAGE_URL": "https://help.example.com"},
            "https://help.example.com/s/1",
            id="its public address is",
        ),
    ],
)
def test_svy02_a_link_from_another_shell_leads_to_the_page_that_runs(tmp_path, chosen, address):
    here = state.Process.of(os.getpid())
    state.write(
        tmp_path,
        state.Stack(
            here, ui_url="http://h", api_url="http://h/api", database_url="d", page_url="http://127.0.0.1:4999"
        ),
    )
    told = "from aftersales import links; from aftersales.cli import database; database.located(); print(links.address('/s/1'))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AFTERSALES_", "PREFECT_"))}
    said = subprocess.run(
        [sys.executable, "-c", told],
        env=clean | {"AFTERSALES_HOME": str(tmp_path)} | chosen,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == f"{address}\n"


def test_only_one_holds_a_home(tmp_path):
    with state.hold(tmp_path), pytest.raises(Unable, match="另一个命令一直占用"), state.hold(tmp_path, patience=0.2):
        pass


def test_a_database_with_a_path_too_long_for_a_socket_still_runs(short_folder):
    home = postgres.make_home(short_folder / ("long-" * 20))

    with postgres.cluster(home, quick=True).running(**postgres.QUICK) as server:
        schema.reach(server.url("postgres")).close()
        assert len(os.fsencode(server.sockets)) < 90

    assert server.postmaster() is None
    server.sockets.rmdir()


def test_a_database_starts_although_processes_of_a_killed_one_linger(short_folder):
    """A busy machine: the postmaster was killed, and what it had started has not noticed yet."""
    cluster = postgres.cluster(postgres.make_home(short_folder / "killed"), quick=True)
    with cluster.running(**postgres.QUICK) as server, schema.reach(server.url("postgres")) as connection:
        backend, postmaster = psutil.Process(connection.info.backend_pid), server.postmaster()
        backend.suspend()
        postmaster.kill()
        postmaster.wait(5)
        assert (cluster.folder / "postmaster.pid").exists()
        notices = Timer(1.5, backend.resume)
        notices.start()

        with cluster.running(**postgres.QUICK) as again:
            assert again.is_ready()

    notices.join()
    assert not (cluster.folder / "postmaster.pid").exists()


def test_a_database_that_does_not_come_up_in_time_is_not_left_behind(short_folder, monkeypatch):
    cluster = postgres.cluster(postgres.make_home(short_folder / "slow"), quick=True)
    monkeypatch.setattr(postgres, "START", 0.0)
    monkeypatch.setattr(postgres.Cluster, "is_ready", lambda _: False)

    with pytest.raises(Unable, match="没有启动"), cluster.running(**postgres.QUICK):
        pass

    assert not [
        each for each in psutil.process_iter(["cmdline"]) if str(cluster.folder) in (each.info["cmdline"] or [])
    ]
    assert not (cluster.folder / "postmaster.pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_root_in_a_private_folder_gets_a_database_and_opens_nothing(short_folder):
    private = short_folder / "private"
    private.mkdir(mode=0o700)
    home = postgres.make_home(private / "home")

    with postgres.cluster(home, quick=True).running(**postgres.QUICK) as server:
        schema.reach(server.url("postgres")).close()

    assert private.stat().st_mode & 0o777 == 0o700
    assert (home / "pg").is_symlink()
    subprocess.run(["rm", "-r", server.folder], check=True)


def test_prefect_understands_every_setting_it_is_given(tmp_path):
    chosen = prefect_settings.server(
        home=tmp_path,
        host="127.0.0.1",
        port=4299,
        database_url="postgresql://a@/b?host=/tmp",
        is_loopback=True,
        auth="a:b",
    )

    said = subprocess.run(
        [sys.executable, "-c", "from prefect.settings import get_current_settings as s; print(s().model_dump_json())"],
        env=os.environ | chosen,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    found = json.loads(said)["server"]
    assert found["services"]["pause_expirations"]["enabled"] is False
    assert set(found["services"]["db_vacuum"]["enabled"]) == {"events", "flow_runs"}
    assert found["analytics_enabled"] is False
    assert found["api"]["csrf_protection_enabled"] is False
    assert found["api"]["cors_allowed_origins"] != "*"
    assert found["database"]["sqlalchemy"]["pool_size"] == 20
    assert found["ui"]["api_url"] == "/api"
    assert found["ui"]["show_promotional_content"] is False


@pytest.mark.parametrize(
    ("ours", "prefects"),
    [
        pytest.param(
            "postgresql+psycopg://u:p%40ss@db:5433/shop?sslmode=require",
            "postgresql+asyncpg://u:p%40ss@db:5433/shop_prefect?ssl=require",
            id="a server with a password",
        ),
        pytest.param(
            "postgresql://postgres@/aftersales?host=/srv/pg",
            "postgresql+asyncpg://postgres@/aftersales_prefect?host=%2Fsrv%2Fpg",
            id="the embedded one",
        ),
    ],
)
def test_prefect_has_its_own_database_beside_ours(ours, prefects):
    assert prefect_settings.asyncpg(prefect_settings.prefect_url(ours)) == prefects


def test_prefect_yaml_has_no_key_that_prefect_would_ignore():
    found = YAML(typ="safe").load(Path("prefect.yaml"))

    assert set(found) == {"name", "pull", "deployments"} and found["pull"] == []
    for deployment in found["deployments"]:
        assert set(deployment) <= DEPLOYMENT_KEYS
        assert deployment["work_pool"] == {"name": "aftersales"}
        assert deployment["entrypoint"].startswith("flows.")


def test_forms_are_deployed_again_when_a_file_they_are_made_of_changes(tmp_path):
    for name in ("prefect.yaml", "aftersales/forms.py", "config/staff.yaml", "flows/returns.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before")
    before = deploy.fingerprint(tmp_path)
    assert deploy.fingerprint(tmp_path) == before

    (tmp_path / "config/staff.yaml").write_text("after")

    assert deploy.fingerprint(tmp_path) != before


def test_links_lead_to_the_forms_and_to_each_departments_list():
    house = House.model_construct(departments={"warehouse": type("D", (), {"name": "仓储部"})()})

    found = dict(
        links.links(
            "http://127.0.0.1:4200",
            house,
            deployments={"到件登记": "b", "退货": "a"},
            pages={
                "pickup-list": "p",
                "refund-list": "r",
                "sendback-list": "s",
                "parcel-list": "u",
                links.FIGURES: "f",
            },
        )
    )

    forms, lists = (
        ["新建：退货", "新建：到件登记"],
        ["取件清单", "寄回清单", "转账清单", "无主包裹清单", "回访和满意度"],
    )
    assert list(found) == [*forms, *lists, "仓储部的待办", "回访（全部）", "二次回访（全部）", "工作台首页"]
    assert found["回访和满意度"] == "http://127.0.0.1:4200/v2/artifacts/artifact/f"
    assert found["寄回清单"] == "http://127.0.0.1:4200/v2/artifacts/artifact/s"
    assert found["新建：退货"] == "http://127.0.0.1:4200/v2/deployments/deployment/a/run"
    assert found["仓储部的待办"] == "http://127.0.0.1:4200/v2/runs?tags=%E4%BB%93%E5%82%A8%E9%83%A8"


def test_links_lead_to_each_departments_board_and_to_the_houses():
    departments = {
        code: type("D", (), {"name": name})() for code, name in (("it_help", "支持部"), ("warehouse", "仓储部"))
    }
    house = House.model_construct(departments=departments)
    pages = {links.board(code): code or "all" for code in ("", *departments)}

    found = dict(links.links("http://127.0.0.1:4200", house, pages=pages))

    assert list(pages) == ["board", "board-it-help", "board-warehouse"], "Prefect takes no underscore"
    assert list(found) == [
        *("全部门看板", "支持部看板", "仓储部看板", "支持部的待办", "仓储部的待办"),
        *("回访（全部）", "二次回访（全部）", "工作台首页"),
    ]
    assert found["支持部看板"] == "http://127.0.0.1:4200/v2/artifacts/artifact/it_help"


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("10.1.2.3", False), ("shop", False)],
)
def test_which_hosts_stay_on_this_machine(monkeypatch, host, is_loopback):
    monkeypatch.setenv("HOST", host)

    assert settings.Settings().is_loopback is is_loopback
