"""
What a killed supervisor left behind: found by pid and start time, and stopped; never a process that is not ours.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from aftersales.stack import state

GRACE = 3.0


def stop(home: Path) -> list[str]:
    """Stop what `stack.json` of a dead supervisor names, last started first. Only under `state.hold`."""
    stack = state.left(home)
    if stack is None:
        return []
    stopped = [name for name, process in reversed(stack.processes.items()) if _stop(name, process)]
    state.remove(home)
    return stopped


def _stop(name: str, process: state.Process) -> bool:
    found = process.alive
    if found is None:
        return False
    polite = signal.SIGINT if name == "postgres" else signal.SIGTERM
    for how in (polite, signal.SIGKILL):
        try:
            # each is the leader of its own session; only the leader is asked, the whole group is killed
            if how == signal.SIGKILL and os.getpgid(found.pid) == found.pid:
                os.killpg(found.pid, how)
            else:
                found.send_signal(how)
        except (psutil.NoSuchProcess, ProcessLookupError):
            break
        if state.has_ended(found, within=GRACE):
            break
    return True
