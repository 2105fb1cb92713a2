"""The hash chain of a case's journal: every row's hash covers the row and the hash before it (AUD-01)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def digest(*, prev_hash: str, row: Mapping[str, Any]) -> str:
    """
    Give the hash of a journal row that follows `prev_hash`.

    `row` holds case_no, seq, entry, kind, at, actor, due_at, rule and data; instants count as UTC, keys in any order.
    """
    body = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(f"{prev_hash}\n{body}".encode()).hexdigest()


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"A journal row cannot hold a {type(value).__name__}.")
