"""
The keys of shop systems: who may call us, what each may do, and as whom.

They are secrets: from AFTERSALES_API_KEYS, else the file AFTERSALES_API_KEYS_FILE, else `api-keys.yaml` at home. What a
key may do is told in the rights of staff, and never more than the member of staff may whom it acts as.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aftersales.gateways.secret_files import SecretFile, shown
from aftersales.rules import authority
from aftersales.settings import Settings
from aftersales.words import Right, Staff, Unable

SECRETS = SecretFile("接口密钥文件", "api-keys.yaml", "AFTERSALES_API_KEYS", "docs/handbook/intake.md", quoted="密钥")
# what a shop system may be allowed to do: hand in applications, and decide where a case waits for somebody
RIGHTS = tuple(dict.fromkeys([Right.APPLY, *authority.RIGHTS.values()]))
# an old one beside its successor, while the shop system changes over
MOST_SECRETS = 2
SHORTEST_SECRET = 16
FIELDS = ("secrets", "rights", "staff")


@dataclass(frozen=True, slots=True)
class Key:
    """One caller: its secrets, the new one first, what it may do, and the member of staff it acts as (empty: none)."""

    name: str
    secrets: tuple[str, ...] = field(repr=False)
    rights: frozenset[Right]
    staff: str = ""

    def objection(self, right: Right) -> str:
        """Say why this key may not do something; empty when it may."""
        if right not in self.rights:
            return f"密钥 {self.name} 没有“{right.label}”权限，请换一把有权限的密钥，或在 {SECRETS.name} 的 rights 中加上 {right.value}。"
        return ""


def load(settings: Settings, *, staff: Mapping[str, Staff]) -> dict[str, Key]:
    """Read the keys by name; none when no file is there. Raises Unable with one sentence, which never quotes a secret."""
    text, where = SECRETS.read(settings.api_keys, settings.api_keys_file, settings.home)
    if not text.strip():
        return {}
    table = SECRETS.parse(text, where)
    if not isinstance(table, dict):
        raise Unable(f"{where} 应当是一张表：密钥编号，其后写 {'、'.join(FIELDS)}，样子见 {SECRETS.page}。")
    return {str(name): read(str(name), value, where=where, staff=staff) for name, value in table.items()}


def read(name: str, value: Any, *, where: str, staff: Mapping[str, Staff]) -> Key:
    """Read one key. Raises Unable with the place and what to write there."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,29}", name):
        raise Unable(f"{where} 的密钥编号 {shown(name)} 不对，请用小写字母、数字和短横线，如 erp。")
    here = f"{where} 的 {name}"
    table = SECRETS.table(value, here, FIELDS)
    rights = _rights(table.get("rights"), here)
    person = staff.get(str(table.get("staff") or ""))
    if person is None and (table.get("staff") or rights != {Right.APPLY}):
        raise Unable(
            f"{here}.staff 要写一个员工编号（名单在 config/staff.yaml），如 W02；只有 apply 权限的密钥可以不写。"
        )
    if person is not None and (more := [right for right in RIGHTS if right in rights - person.rights]):
        raise Unable(
            f"{here}.rights 超出了员工 {person.choice} 的权限（{'、'.join(right.value for right in more)}），"
            "请去掉，或换一位员工。"
        )
    return Key(name, _secrets(table.get("secrets"), here), rights, person.id if person else "")


def _secrets(value: Any, here: str) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    # no header carries them, but whoever types one in another program must find its characters
    good = [each for each in found if isinstance(each, str) and re.fullmatch(r"[\x21-\x7e]{16,200}", each)]
    if not 1 <= len(found) <= MOST_SECRETS or good != found:
        raise Unable(
            f"{here}.secrets 要写一个或两个（新的在前）密钥，每个至少 {SHORTEST_SECRET} 个英文字母、数字或符号，"
            "可用 aftersales keys 生成。"
        )
    return tuple(good)


def _rights(value: Any, here: str) -> frozenset[Right]:
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    known = {right.value: right for right in RIGHTS}
    if not found or any(str(each) not in known for each in found):
        raise Unable(f"{here}.rights 要写权限的列表，可写：{'、'.join(f'{r.value}（{r.label}）' for r in RIGHTS)}。")
    return frozenset(known[str(each)] for each in found)
