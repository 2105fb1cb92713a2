"""
One real PostgreSQL for the whole test run, and, for tests that ask, a real Prefect server and the whole stack.

Everything is started by the same code that `aftersales up` uses, on free ports and in a folder of its own.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.gateways.provider import Running
    from tests.gateways.receivers import Drip, Mailbox, Receiver


# what takes seconds to open, and is opened once for all tests that ask for it or once for each page of them
_SHARED = {"stack": "stack", "house": "house", "browser": "browser", "served": "", "opened": ""}


def _group(item: pytest.Item) -> str:
    """With whom a test shares what takes long to open; empty when it shares nothing."""
    page = item.nodeid.partition("::")[0]
    for name, shared in _SHARED.items():
        if name in item.fixturenames:  # type: ignore[attr-defined]
            return shared or page
    if "prefect_api" in item.fixturenames:  # type: ignore[attr-defined]
        # two servers are enough, for the two halves of the alphabet: to start one and deploy to it takes half a minute
        return "prefect-a" if item.path.name < "test_o" else "prefect-o"
    return page if item.get_closest_marker("stack") else ""


# what is running now, so that whoever does not need it is not slowed by it: an idle shop takes a fifth of a core
_shops: list[Shop] = []
_desks: list[RestingDesk] = []


class RestingDesk:
    """A Prefect server to which this process's client is pointed while a test asks for it, and which sleeps meanwhile."""

    def __init__(self, pid: int, environment: dict[str, str]) -> None:
        self.pid, self.environment = pid, environment
        self.before: dict[str, str] = {}
        self.is_awake = False

    def wake(self, *, is_wanted: bool) -> None:
        """Let it go on or lie still."""
        if is_wanted == self.is_awake:
            return
        self.is_awake = is_wanted
        if is_wanted:
            os.kill(self.pid, signal.SIGCONT)
            self.before = dict(os.environ)
            os.environ.update(self.environment)
        else:
            os.kill(self.pid, signal.SIGSTOP)
            current = os.environ.get("PYTEST_CURRENT_TEST", "")  # pytest's own, and of another test by now
            os.environ.clear()
            os.environ.update(self.before, PYTEST_CURRENT_TEST=current)
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def pytest_configure(config: pytest.Config) -> None:
    """
    Trust one certificate, here and in every process that a test starts: to read all took a seventh of a run.

    Each client and each mail reads them anew, and nothing here leaves this machine.
    """
    if hasattr(config, "workerinput"):
        return  # the process that started this one has done it
    import certifi

    end = "-----END CERTIFICATE-----\n"
    certificate = Path(certifi.where()).read_text("utf-8").partition(end)[0] + end
    handle, name = tempfile.mkstemp(suffix=".pem")
    os.write(handle, certificate.encode())
    os.close(handle)
    os.environ["SSL_CERT_FILE"] = name
    config.add_cleanup(lambda: Path(name).unlink(missing_ok=True))


@pytest.hookimpl(tryfirst=True)  # before any fixture
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop the shops of another group, and let Prefect's server lie still while no test asks it anything."""
    for shop in [shop for shop in _shops if shop.group != _group(item)]:
        _shops.remove(shop)
        shop.end()
    for desk in _desks:
        desk.wake(is_wanted="prefect_api" in item.fixturenames)  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    With `--dist loadgroup`, tests that share something go to one worker: a stack takes half a minute to start.

    Those with a stack come first, then what else takes minutes, so that at the end no worker is left alone with it.
    """
    for item in items:
        if shares := _group(item):
            item.add_marker(pytest.mark.xdist_group(shares))
    slow = ("tests/traps/faults/", "tests/traps/", "tests/stories/")

    def place(item: pytest.Item) -> int:
        if stack := item.get_closest_marker("stack"):
            return -1 if stack.kwargs.get("ends") else -2
        return next((n for n, folder in enumerate(slow) if item.nodeid.startswith(folder)), len(slow))

    items.sort(key=place)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave five thousand tests out of every look for garbage: a sixteenth of the time in process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets, and which the user of PostgreSQL can enter."""
    folder = Path(tempfile.mkdtemp(prefix="aftersales-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(short_folder: Path) -> Iterator[str]:
    """The URL of a running embedded PostgreSQL (database `postgres`)."""
    from aftersales.stack import postgres

    home = postgres.make_home(short_folder / "db")
    with postgres.cluster(home, quick=True).running(**postgres.QUICK) as server:
        yield server.url("postgres")


@contextmanager
def copy_of(postgres: str, template: str) -> Iterator[str]:
    """A fresh copy of a database, dropped at the end."""
    import psycopg
    from sqlalchemy.engine import make_url

    name = "t_" + uuid4().hex[:12]
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f'create database "{name}" template "{template}"')
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """A fresh database without any table."""
    with copy_of(postgres, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def migrated(postgres: str) -> str:
    """The name of a template database, migrated once."""
    from sqlalchemy.engine import make_url

    from aftersales.stack import schema

    url = make_url(postgres).set(database="migrated").render_as_string(hide_password=False)
    schema.create(url)
    schema.upgrade(url)
    return "migrated"


# Truncating takes five times as long as deleting a few rows. What was deleted leaves gaps in a table that has grown;
# until it is truncated nobody fills them, so that new rows keep their order.
EMPTY = """
    do $$ declare name text; begin
        -- the journal guards itself against being emptied
        perform set_config('session_replication_role', 'replica', true);
        for name in select format('%I', relname) from pg_class where relkind = 'r' and
            relnamespace = 'public'::regnamespace and relname <> 'alembic_version' and pg_relation_size(oid) > 0
        loop
            if pg_relation_size(name::regclass) > 262144 then execute 'truncate ' || name || ' cascade';
            else execute 'delete from ' || name; end if;
        end loop;
        perform setval(seqrelid::regclass, seqstart, false) from pg_sequence;
    end $$
"""


class Kept:
    """
    A migrated database that one test after the other finds as on its first day.

    To empty it takes a tenth of the time of copying one; a test that changed more than rows costs a new copy.
    """

    SCHEMA = (
        "select (select count(*) from pg_class where relnamespace = 'public'::regnamespace),"
        " (select count(*) from pg_trigger where tgenabled <> 'O')"
    )
    NOT_VACUUMED = """
        do $$ declare name text; begin
            for name in select format('%I', relname) from pg_class where relkind = 'r' and
                relnamespace = 'public'::regnamespace
            loop execute 'alter table ' || name || ' set (autovacuum_enabled = off)'; end loop;
        end $$
    """

    def __init__(self, postgres: str, template: str) -> None:
        import psycopg

        self.open = ExitStack()
        self.url = self.open.enter_context(copy_of(postgres, template))
        self.connection = self.open.enter_context(psycopg.connect(self.url, autocommit=True))
        self.connection.execute(self.NOT_VACUUMED)
        self.schema = self.connection.execute(self.SCHEMA).fetchone()
        self.engine: Any = None  # with the statements it has compiled

    def as_new(self) -> bool:
        """Empty it; False when it is not what it was."""
        self.connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        if self.connection.execute(self.SCHEMA).fetchone() != self.schema:
            return False
        self.connection.execute(EMPTY)
        return True


@pytest.fixture(scope="session")
def _kept() -> Iterator[list[Kept]]:
    kept: list[Kept] = []
    yield kept
    for each in kept:
        each.open.close()


@pytest.fixture
async def database(postgres: str, migrated: str, _kept: list[Kept]) -> AsyncIterator[str]:
    """A database with all tables and no rows; the process's engine is connected to it."""
    from aftersales.store import engine

    if _kept and not _kept[-1].as_new():
        _kept.pop().open.close()
    if not _kept:
        _kept.append(Kept(postgres, migrated))
    kept, url = _kept[-1], _kept[-1].url
    engine._engine = kept.engine = kept.engine or engine.connect(url)
    try:
        yield engine.address(url).render_as_string(hide_password=False)
    finally:
        await engine.disconnect()
        await kept.engine.dispose()  # a command in between had an engine of its own


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def prefect_api(postgres: str, short_folder: Path) -> Iterator[str]:
    """The API address of a real Prefect server with our settings; Prefect's client in this process is pointed to it."""
    from sqlalchemy.engine import make_url

    from aftersales.stack import prefect_settings, schema, up

    database = make_url(postgres).set(database="prefect").render_as_string(hide_password=False)
    schema.create(database)
    schema.need_trigrams(database)
    home, port = short_folder / "api", free_port()
    home.mkdir()
    chosen = prefect_settings.server(
        home=home, host="127.0.0.1", port=port, database_url=database, is_loopback=True
    ) | {
        # nobody here waits for a schedule
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
        # whoever finds no free place comes again so much later; half a minute by default
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
    }
    api = f"http://127.0.0.1:{port}/api"
    with open(home / "server.log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=os.environ | chosen,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _until(lambda: up.ask(f"{api}/health") is True, 400, server, home / "server.log")
        desk = RestingDesk(server.pid, prefect_settings.client(home=home, api_url=api))
        desk.wake(is_wanted=True)
        _desks.append(desk)
        yield api
        _desks.remove(desk)
        desk.wake(is_wanted=False)
    finally:
        server.send_signal(signal.SIGCONT)
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(5)


def _until(true: Callable[[], object], seconds: float, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + seconds
    while not true():
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"did not come up (exit {process.poll()}):\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


@pytest.fixture(scope="session")
def _other_side(short_folder: Path) -> Iterator[Running]:
    from tests.gateways.provider import Running

    (folder := short_folder / "other").mkdir()
    running = Running(folder)
    yield running
    running.stop()


@pytest.fixture
def other_side(_other_side: Running) -> Running:
    """A payment provider and carrier in a process of its own, that remembers nothing of the test before."""
    _other_side.forget()
    return _other_side


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who takes what robots and hooks are sent."""
    from tests.gateways.receivers import receiving

    with receiving() as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server."""
    from tests.gateways.receivers import mailing

    with mailing() as running:
        yield running


@pytest.fixture
def drip() -> Iterator[Drip]:
    """A server that answers a byte now and then and never ends."""
    from tests.gateways.receivers import dripping

    with dripping() as running:
        yield running


def emptied(url: str) -> None:
    """Leave a migrated database as it was on its first day, while others stay connected to it."""
    import psycopg

    with psycopg.connect(url) as connection:
        # a test that was cut off may have left a transaction open: the next one says so instead of waiting for it
        connection.execute("set local lock_timeout = '20s'")
        connection.execute(EMPTY)


class Shop:
    """A whole stack as `make run` starts it, in a home of its own on a free port."""

    def __init__(self, home: Path, *, at: Path | None = None, **environment: str) -> None:
        self.home = home
        self.at = at  # another checkout than this one
        self.port = free_port()
        self.environment = {
            "AFTERSALES_HOME": str(home),
            "PORT": str(self.port),
            "AFTERSALES_SERVE_PORT": str(free_port()),
            "AFTERSALES_PAGE_PORT": str(free_port()),
            **environment,
        }
        self.group = ""  # of the tests that share it
        self.is_calm = False  # nothing in its tests is to disturb Prefect's server
        self.output = home.with_name(f"{home.name}.out")
        self.process: subprocess.Popen | None = None
        self.seconds = 0.0

    @property
    def stack(self):
        """What other shells see, or None."""
        from aftersales.stack import state

        return state.read(self.home)

    def command(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `aftersales …` in another shell."""
        return subprocess.run(
            [Path(sys.executable).with_name("aftersales"), *args],
            cwd=self.at,
            env=_clean() | self.environment | environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=400,
        )

    def start(self) -> Shop:
        """Start everything and wait until it is ready."""
        began = time.monotonic()
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("aftersales"), "up"],
                cwd=self.at,
                env=_clean() | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _until(lambda: (found := self.stack) and found.is_ready, 400, self.process, self.output)
        self.seconds = time.monotonic() - began
        return self

    def stop(self) -> float:
        """Stop it as a service manager does, see that nothing is left, and tell how long it took."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        found = self.stack
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        seconds = time.monotonic() - began
        assert not [name for name, process in (found.processes if found else {}).items() if process.alive]
        assert not (self.home / "stack.json").exists()
        return seconds

    def end(self) -> None:
        """Stop it when its tests are over, and see that they went well."""
        self.was_calm()
        assert self.stop() < 10

    def was_calm(self) -> None:
        """See that nothing disturbed Prefect's server as long as nothing was to; from now on something may."""
        if self.is_calm:
            assert "Traceback" not in (self.home / "logs" / "server.log").read_text()
        self.is_calm = False

    def kill(self) -> None:
        """Take everything down hard, whatever state it is in; for the end of a test that failed."""
        from aftersales.stack import leftovers

        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        leftovers.stop(self.home)


def never_quiet(folder: Path) -> Path:
    """This checkout with notices that leave at any hour: a test runs by day and by night."""
    root = Path(__file__).parents[1]
    for name in ("prefect.yaml", "pyproject.toml", "flows", "tasks", "aftersales", "migrations"):
        (folder / name).symlink_to(root / name)
    shutil.copytree(root / "config", folder / "config")
    notices = folder / "config" / "notices.yaml"
    notices.write_text(re.sub(r'(?m)^(    \w+:) "[0-9:-]+"$', r"\1 null", notices.read_text()))
    return folder


def _clean() -> dict[str, str]:
    """This environment without what other fixtures set for themselves."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "AFTERSALES_"))}


@pytest.fixture(scope="session")
def shops(short_folder: Path) -> Iterator[Callable[..., Shop]]:
    """Make a shop that is not started yet: `shops(AFTERSALES_AUTH="a:b")`. All are stopped at the end."""
    made: list[Shop] = []

    def make(*, at: Path | None = None, **environment: str) -> Shop:
        made.append(Shop(short_folder / f"shop{len(made)}", at=at, **environment))
        return made[-1]

    yield make
    for shop in made:
        shop.kill()


@pytest.fixture(scope="session")
def of_the_stack() -> Iterator[Receiver]:
    """Somebody who is told what the stack tells its departments."""
    from tests.gateways.receivers import receiving

    with receiving() as running:
        yield running


@pytest.fixture(scope="session")
def stack(
    shops: Callable[..., Shop], of_the_stack: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """
    The whole stack as `make run` starts it, whose departments are told by day and by night.

    One for all pages that can share it: a start takes a minute of two cores. At its end everything is seen to be gone.
    """
    from aftersales.terms import load

    urls = {code: [of_the_stack.url(code)] for code in load().house.departments}
    at = never_quiet(tmp_path_factory.mktemp("checkout"))
    shop = shops(at=at, AFTERSALES_CHANNELS=json.dumps({"departments": urls})).start()
    shop.group, shop.is_calm = "stack", True
    _shops.append(shop)
    yield shop
    if shop in _shops:
        _shops.remove(shop)
        shop.end()
