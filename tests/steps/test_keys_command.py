"""`aftersales keys`: what it prints is what the service reads; it keeps nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from aftersales import terms
from aftersales.serve import keys
from aftersales.settings import Settings
from aftersales.words import Right


def read(home: Path, text: str) -> dict[str, keys.Key]:
    """Write the first file at home, and read it as the service does."""
    assert list(home.iterdir()) == []
    path = home / "api-keys.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return keys.load(Settings(home=home), staff=terms.load().staff())


async def test_what_it_prints_can_be_put_into_the_file(aftersales, home: Path):
    first = await aftersales("keys", "wms", "receive", "inspect", "--as", "W02")
    second = await aftersales("keys", "mall", "apply")

    assert (first.code, second.code) == (0, 0)
    assert "chmod 600" in first.err
    known = read(home, first.out + second.out)
    assert (known["wms"].rights, known["wms"].staff) == ({Right.RECEIVE, Right.INSPECT}, "W02")
    assert (known["mall"].rights, known["mall"].staff) == ({Right.APPLY}, "")
    assert known["wms"].secrets != known["mall"].secrets
    assert all(len(secret) >= 40 for key in known.values() for secret in key.secrets)
    assert set(YAML(typ="safe").load(second.out)["mall"]) == {"secrets", "rights"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(["wms", "receive"], "请加 --as 工号，如 --as W02", id="nobody to act as"),
        pytest.param(["wms", "receive", "--as", "W99"], "没有员工“W99”，名单在 config/staff.yaml。", id="nobody known"),
        pytest.param(["wms", "refund", "--as", "W02"], "超出了员工 W02 郑凯 的权限（refund）", id="more than they may"),
        pytest.param(["wms", "fly", "--as", "W02"], "的 wms.rights 要写权限的列表", id="a right that there is not"),
        pytest.param(["WMS", "apply"], "的密钥编号 WMS 不对", id="a name in capitals"),
    ],
)
async def test_what_the_service_would_refuse_is_refused(aftersales, words: list[str], sentence: str):
    left = await aftersales("keys", *words)

    assert (left.code, left.out) == (1, "")
    assert sentence in left.err
