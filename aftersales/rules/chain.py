"""The hash chain of a case's journal: every row's hash covers the row and the hash before it (AUD-01)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

# what a row's hash covers
ROW = ("case_no", "seq", "entry", "kind", "at", "actor", "due_at", "rule", "data")


def digest(*, prev_hash: str, row: Mapping[str, Any]) -> str:
    """
    Give the hash of a journal row that follows `prev_hash`.

    `row` holds case_no, seq, entry, kind, at, actor, due_at, rule and data; instants count as UTC, keys in any order.
    """
    body = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(f"{prev_hash}\n{body}".encode()).hexdigest()


def first_break(rows: Iterable[Mapping[str, Any]], *, last_hash: str) -> int | None:
    """
    Find the first row of a case's journal that was changed, removed or put in afterwards; None when all is well.

    `rows` are whole rows in order, with `prev_hash` and `hash`; `last_hash` is what the case says its journal ends
    with, so that rows missing at the end are found too: they are told as the number after the last row.
    """
    before, number = "", 0
    for number, row in enumerate(rows, 1):
        body = {name: row[name] for name in ROW}
        is_next = row["seq"] == number and row["prev_hash"] == before
        if not is_next or digest(prev_hash=before, row=body) != row["hash"]:
            return number
        before = row["hash"]
    return None if before == last_hash else number + 1


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"A journal row cannot hold a {type(value).__name__}.")
