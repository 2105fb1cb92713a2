"""`aftersales desk rebuild`: what it says of what was found."""

from __future__ import annotations

from typing import Any

import pytest

from tasks import reconcile
from tasks.reconcile import Finding

ANEW = [Finding(f"RT-{number}", "运行不见了", "已重新建立运行", is_rebuilt=True) for number in range(2)]
OTHERS = [
    Finding("RT-7", "运行出错停下了", "已恢复运行"),
    Finding("RT-8", "运行出错停下了", "已恢复运行"),
    Finding("RT-9", "已结束的售后单还占着商品", "已释放"),
]
FAILED = Finding("RT-5", "运行不见了", failed="没有这个部署")


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        pytest.param([], "核对了 12 张未完成的售后单，没有重新建立运行。", id="nothing"),
        pytest.param(
            ANEW, "已为 2 张未完成的售后单重新建立运行，它们会在一两分钟内停在各自的环节。", id="rebuilt ones only"
        ),
        pytest.param(
            [*OTHERS, *ANEW],
            "已为 2 张未完成的售后单重新建立运行，它们会在一两分钟内停在各自的环节；"
            "另外处理了 3 项：已恢复运行 2 项、已释放 1 项。",
            id="both",
        ),
        pytest.param(
            OTHERS,
            "核对了 12 张未完成的售后单，没有重新建立运行；另外处理了 3 项：已恢复运行 2 项、已释放 1 项。",
            id="others only",
        ),
    ],
)
async def test_a_rebuild_counts_what_it_has_rebuilt(
    aftersales: Any, monkeypatch: pytest.MonkeyPatch, findings: list[Finding], said: str
):
    finds(monkeypatch, findings)

    left = await aftersales("desk", "rebuild")

    assert (left.code, left.out, left.err) == (0, f"{said}\n", "")


async def test_what_could_not_be_rebuilt_is_not_counted(aftersales: Any, monkeypatch: pytest.MonkeyPatch):
    finds(monkeypatch, [*ANEW, FAILED])

    left = await aftersales("desk", "rebuild")

    assert left.code == 1
    assert left.out.startswith("已为 2 张未完成的售后单重新建立运行")
    assert left.err == "有 1 张单未能处理，例如 RT-5：没有这个部署；请解决后再运行一次。"


def finds(monkeypatch: pytest.MonkeyPatch, findings: list[Finding]) -> None:
    """Let the look over twelve cases find this."""

    async def look(**_: Any) -> reconcile.Round:
        return reconcile.Round(compared=12, findings=findings)

    monkeypatch.setattr(reconcile, "look_from_outside", look)
