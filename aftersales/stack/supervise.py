"""
Keep the processes of the stack alive: the library `supervisor`, inside our own process (docs/adr/0002).

Supervisor starts, restarts with growing distance, writes logs and stops in order, last started first.
Ours is what it lacks: a session for each process, and that one is ready before the next begins.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.medusa.asyncore_25 import ExitNow
from supervisor.options import ServerOptions
from supervisor.process import Subprocess
from supervisor.states import ProcessStates, SupervisorStates
from supervisor.supervisord import Supervisor

from aftersales.stack.state import Process

BEAT = 0.2  # how often a start is looked at, in seconds


@dataclass(frozen=True, slots=True)
class Step:
    """
    One process of the stack. It goes on when `is_ready` says so; a step without `is_ready` runs once, to its end.
    """

    name: str
    label: str
    command: Sequence[str]
    environment: dict[str, str]
    is_ready: Callable[[Process], bool] | None = None
    patience: float = 60.0
    stop_seconds: int = 2  # what takes longer is killed
    stop_signal: str = "TERM"
    user: str = ""
    folder: Path = field(default_factory=Path.cwd)


class Failed(Exception):
    """The start failed; the text says at which step and why, in one sentence."""


class _Options(ServerOptions):
    """Supervisor's options with a session for each process: a Ctrl-C or a closed terminal reaches only us."""

    def __init__(self) -> None:
        super().__init__()
        wait = self.poller.poll
        self.poller.poll = lambda timeout: wait(min(timeout, BEAT))

    def setpgrp(self) -> None:
        os.setsid()


class _Stack(Supervisor):
    """Supervisor with our steps, taken one after the other in its own loop: no thread, no second process."""

    def __init__(
        self,
        options: ServerOptions,
        steps: Sequence[Step],
        changed: Callable[[dict[str, Process]], None],
        done: Callable[[str], None],
        ready: Callable[[], None],
    ) -> None:
        super().__init__(options)
        self.steps = list(steps)
        self.changed, self.done, self.ready = changed, done, ready
        self.failure: str | None = None
        self.is_ready = False
        self._at = 0
        self._since = 0.0
        self._known: dict[str, int] = {}

    def tick(self, now: float | None = None) -> None:
        """Look at the processes, and take the next step when the last one is ready."""
        super().tick(now)
        self._notice()
        if self.options.mood < SupervisorStates.RUNNING or self.is_ready:
            return
        try:
            while self._advance():
                pass
        except Failed as reason:
            self.failure = str(reason)
            self.options.mood = SupervisorStates.SHUTDOWN

    def _process(self, name: str) -> Subprocess:
        return self.process_groups[name].processes[name]

    def _notice(self) -> None:
        pids = {step.name: pid for step in self.steps if (pid := self._process(step.name).pid)}
        if pids != self._known:
            self._known = pids
            self.changed({name: found for name, pid in pids.items() if (found := Process.of(pid))})

    def _advance(self) -> bool:
        if self._at == len(self.steps):
            self.is_ready = True
            self.ready()
            return False
        step = self.steps[self._at]
        process = self._process(step.name)
        if not self._since:
            self._since = time.monotonic()
            process.spawn()
            self._notice()
            return False
        if step.is_ready is None:
            if process.get_state() != ProcessStates.EXITED:
                return self._still_patient(step)
            if process.exitstatus != 0:
                raise Failed(self._why(step))
        else:
            found = Process.of(process.pid) if process.pid else None
            if process.backoff > 2:
                raise Failed(self._why(step))
            if found is None or not step.is_ready(found):
                return self._still_patient(step)
        self.done(f"{step.label}（{time.monotonic() - self._since:.1f} 秒）")
        self._at += 1
        self._since = 0.0
        return True

    def _still_patient(self, step: Step) -> bool:
        if time.monotonic() - self._since > step.patience:
            raise Failed(f"{step.label}在 {step.patience:.0f} 秒内没有就绪，请查看日志 {self._log(step)}。")
        return False

    def _log(self, step: Step) -> str:
        return self._process(step.name).config.stdout_logfile

    def _why(self, step: Step) -> str:
        process = self._process(step.name)
        try:
            said = Path(self._log(step)).read_text(errors="replace").strip().splitlines()[-1]
        except (OSError, IndexError):
            said = ""
        if step.is_ready is None and process.exitstatus == 1 and said.endswith("。"):
            return said  # our own commands already say it in one sentence
        return f"{step.label}失败{f'（{said[:200]}）' if said else ''}，请查看日志 {self._log(step)}。"


def run(
    steps: Sequence[Step],
    *,
    home: Path,
    changed: Callable[[dict[str, Process]], None],
    done: Callable[[str], None],
    ready: Callable[[], None],
) -> None:
    """
    Run the steps in order until SIGINT or SIGTERM, then stop them, last started first.
    `changed` hears the living processes whenever one comes or goes, `done` each step, `ready` the end of the start.
    Raises Failed, after everything was stopped, when the start failed.
    """
    file = home / "supervisor.conf"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as config:
        config.write(_config(steps, home))
    options = _Options()
    options.realize(["-c", str(file), "-n"])
    options.first, options.test = True, False  # what supervisor's own `main` sets
    stack = _Stack(options, steps, changed, done, ready)
    by_name = {step.name: step for step in steps}
    for group in options.process_group_configs:
        for process in group.process_configs:
            process.environment = by_name[process.name].environment  # passwords stay out of the file
    try:
        stack.main()
    except ExitNow:
        pass  # how supervisor's loop ends
    if stack.failure:
        raise Failed(stack.failure)


def _config(steps: Sequence[Step], home: Path) -> str:
    def safe(text: object) -> str:
        return str(text).replace("%", "%%")

    lines = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={safe(home / 'logs' / 'supervisor.log')}",
        f"pidfile={safe(home / 'supervisor.pid')}",
        f"childlogdir={safe(home / 'logs')}",
        "logfile_maxbytes=5MB",
        "logfile_backups=3",
        "minfds=256",
        "minprocs=64",
        "nocleanup=true",
    ]
    for number, step in enumerate(steps):
        once = step.is_ready is None
        lines += [
            f"[program:{step.name}]",
            f"command={safe(shlex.join(step.command))}",
            f"directory={safe(step.folder)}",
            *([f"user={step.user}"] if step.user else []),
            f"priority={number}",
            "autostart=false",  # its turn comes when the one before is ready
            f"autorestart={'false' if once else 'true'}",
            f"startsecs={0 if once else 10}",  # died sooner: wait one second longer each time
            "startretries=1000000",
            f"stopsignal={step.stop_signal}",
            f"stopwaitsecs={step.stop_seconds}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={safe(home / 'logs' / step.name)}.log",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=3",
        ]
    return "\n".join(lines) + "\n"
