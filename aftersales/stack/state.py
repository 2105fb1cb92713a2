"""
`stack.json`: what runs, where, and under which pid; by it other shells find the running stack (design §10).

A pid alone names nobody after a restart of the machine, so each is kept with its start time.
The file holds the password of the desk, hence mode 0600.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from aftersales.words import Unable


@dataclass(frozen=True, slots=True)
class Process:
    """A process by pid and start time (seconds since 1970)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Look at a living process. None when there is none."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    @property
    def alive(self) -> psutil.Process | None:
        """The living process, or None when it ended, or when its pid now belongs to somebody else."""
        try:
            found = psutil.Process(self.pid)
            # psutil adds the boot time, which moves a little when the machine's clock is corrected
            same = abs(found.create_time() - self.started) < 2
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def has_ended(process: psutil.Process, *, within: float) -> bool:
    """Wait up to `within` seconds until a process ended, whether or not anybody has asked for its exit code."""
    until = time.monotonic() + within
    while True:
        try:
            # what a killed supervisor leaves goes to the machine's first process, which may ask late or never
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack. `database_url` is empty until the database is ready to be used."""

    supervisor: Process
    processes: dict[str, Process] = field(default_factory=dict)
    ui_url: str = ""
    api_url: str = ""
    database_url: str = ""
    page_url: str = ""
    serve_url: str = ""
    auth: str = ""
    is_ready: bool = False


def _file(home: Path) -> Path:
    return home / "stack.json"


def left(home: Path) -> Stack | None:
    """Read what the last supervisor wrote, whether it lives or not."""
    try:
        found = json.loads(_file(home).read_text())
        return Stack(
            **{
                **found,
                "supervisor": Process(**found["supervisor"]),
                "processes": {name: Process(**process) for name, process in found["processes"].items()},
            }
        )
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None  # no stack, or a file that no version of ours can have written


def read(home: Path) -> Stack | None:
    """Find the running stack. None when there is none."""
    stack = left(home)
    return stack if stack and stack.supervisor.alive else None


def write(home: Path, stack: Stack) -> None:
    """Tell other shells about the stack; they see the old text or the new one, never half of it."""
    draft = _file(home).with_suffix(".json.new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(stack), file, ensure_ascii=False, indent=1)
    draft.replace(_file(home))


def remove(home: Path) -> None:
    """Forget the stack after a clean stop."""
    _file(home).unlink(missing_ok=True)


def change(stack: Stack, **changes: object) -> Stack:
    """The stack with some facts changed."""
    return replace(stack, **changes)  # type: ignore[arg-type]


@contextmanager
def hold(home: Path, *, patience: float = 60.0) -> Iterator[None]:
    """
    Be the only one who starts or stops PostgreSQL and Prefect in this home.
    The lock dies with the process. Raises Unable when a stack runs here, or when a command keeps the lock too long.
    """
    file = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if running := read(home):
                    raise Running(running) from None
                if time.monotonic() > until:
                    raise Unable(f"另一个命令一直占用 {home}，请等它结束后再试。") from None
                time.sleep(0.1)
        yield
    finally:
        os.close(file)


class Running(Unable):
    """A stack runs here already."""

    def __init__(self, stack: Stack) -> None:
        at = f"（{stack.ui_url}）" if stack.ui_url else ""
        super().__init__(
            f"这个目录里的服务已在运行{at}，进程号 {stack.supervisor.pid}；"
            "请直接使用它，或先在那个窗口按 Ctrl-C 停止，再重新运行。"
        )
        self.stack = stack
