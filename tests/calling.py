"""The command line, as a shell sees it, without a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from aftersales import cli


@dataclass(frozen=True)
class Left:
    """How a command left."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def call(*words: str) -> Left:
    """Run `aftersales …` in this process, whose output and arguments are the command's meanwhile."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        patch.setattr(sys, "argv", ["aftersales", *words])
        cli.main()
    return Left(int(left.value.code or 0), out.getvalue(), err.getvalue())
