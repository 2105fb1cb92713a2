"""
Where to click: addresses in Prefect's V2 UI (3.8.8).

The run list reads its filters from the address: `tags=a,b` shows the runs that carry any of them.
Without `range` it shows runs of any age; a bare `/v2/runs` shows the past week only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import quote

from aftersales.settings import settings
from aftersales.terms import House
from aftersales.words import Process

APPLY = Process.RETURNS.label
# how deployments are named that come by a schedule and are nobody's to start; and the tag of their runs
ROUND = "巡检"
# the deployments of cases that open by themselves, named after their process: nobody's to start either
BY_THEMSELVES = {process.label for process in Process} - {APPLY}
FIGURES = "figures-followup"
PAGES = {
    "pickup-list": "取件清单",
    "sendback-list": "寄回清单",
    "refund-list": "转账清单",
    "parcel-list": "无主包裹清单",
    FIGURES: "回访和满意度",
}


def home() -> str:
    """Where staff open the desk; empty when nobody has said it."""
    return settings().ui_url or os.environ.get("PREFECT_API_URL", "").removesuffix("/api")


def plot() -> str:
    """Where staff open the plot of follow-up (`aftersales serve`)."""
    return f"{settings().serve_address}/figures/followup.svg"


def board(department: str) -> str:
    """The key of a department's board, or of the house's (no department): Prefect takes no underscore in it."""
    return f"board-{department.replace('_', '-')}" if department else "board"


def runs(ui_url: str, *tags: str) -> str:
    """The run list of those that carry any of the tags (the run list knows no “all of them”)."""
    return f"{ui_url}/v2/runs?tags={quote(','.join(tags), safe='')}"


def run(ui_url: str, run_id: object) -> str:
    """One run: the case's summary, its form under Resume, its artifacts."""
    return f"{ui_url}/v2/runs/flow-run/{run_id}"


def form(ui_url: str, deployment_id: object) -> str:
    """The form that starts a deployment."""
    return f"{ui_url}/v2/deployments/deployment/{deployment_id}/run"


def links(
    ui_url: str, house: House, *, deployments: Mapping[str, str] | None = None, pages: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Everything that `make run` prints: the forms by name, the pages, what each department owes, the desk's first page."""
    boards = {
        board(""): "全部门看板",
        **{board(code): f"{department.name}看板" for code, department in house.departments.items()},
    }
    return [
        *(
            (f"新建：{name}", form(ui_url, key))
            for name, key in sorted((deployments or {}).items(), key=_by_use)
            if not name.endswith(ROUND) and name not in BY_THEMSELVES
        ),
        *(
            (title, f"{ui_url}/v2/artifacts/artifact/{(pages or {})[key]}")
            for key, title in (PAGES | boards).items()
            if key in (pages or {})
        ),
        *((f"{department.name}的待办", runs(ui_url, department.name)) for department in house.departments.values()),
        # by their tags: whoever calls customers has no form to start
        *((f"{each.label}（全部）", runs(ui_url, each.label)) for each in (Process.VISITS, Process.REVISIT)),
        # all in English
        ("工作台首页", f"{ui_url}/v2/dashboard"),
    ]


def _by_use(entry: tuple[str, str]) -> tuple[bool, str]:
    return entry[0] != APPLY, entry[0]
