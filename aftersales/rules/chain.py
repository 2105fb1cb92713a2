"""The hash chain of a case's journal: every row's hash covers the row and the hash before it (AUD-01)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# the most rows of one gap that are named one by one
MOST = 20
# what a row's hash covers
ROW = ("case_no", "seq", "entry", "kind", "at", "actor", "due_at", "rule", "data")


def digest(*, prev_hash: str, row: Mapping[str, Any]) -> str:
    """
    Give the hash of a journal row that follows `prev_hash`.

    `row` holds case_no, seq, entry, kind, at, actor, due_at, rule and data; instants count as UTC, keys in any order.
    """
    body = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(f"{prev_hash}\n{body}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """Where a journal does not hold together: the number of the row, its entry when there is one, and what is wrong."""

    number: int
    entry: str
    why: str


def breaks(rows: Iterable[Mapping[str, Any]], *, seq: int, last_hash: str) -> list[Break]:
    """
    Find every place where a case's journal was changed, cut, or added to (AUD-01).

    `rows` are whole rows in order; `seq` and `last_hash` are what the case says its journal ends with.
    """
    found: list[Break] = []
    before, number = "", 0
    for row in rows:
        for missing in range(number + 1, min(row["seq"], number + 1 + MOST)):
            found.append(Break(missing, "", "被删去"))
        body = {name: row[name] for name in ROW}
        if digest(prev_hash=row["prev_hash"], row=body) != row["hash"]:
            found.append(Break(row["seq"], row["entry"], "内容被改动"))
        elif row["prev_hash"] != before and row["seq"] == number + 1:
            found.append(Break(row["seq"], row["entry"], "与前一条接不上：这一条或前一条被换过或插入"))
        before, number = row["hash"], row["seq"]
    if number < seq:
        found += [Break(missing, "", "被删去（末尾）") for missing in range(number + 1, min(seq, number + MOST) + 1)]
    elif number > seq:
        found.append(Break(number, "", "比售后单记录的条数多，末尾被插入"))
    elif before != last_hash and not found:
        found.append(Break(number, "", "最后一条与售后单记录的不同，整条链被重写过"))
    return found


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"A journal row cannot hold a {type(value).__name__}.")
