"""Which cases the quality controllers look at (RET-16, AMB-53): a sample, never a gate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def is_sampled(case_no: str, *, percent: int, decided: Iterable[str]) -> bool:
    """
    Say whether an ended case is in the sample (RET-16).

    Whatever was reviewed may be drawn, however it ended: `decided` names the decisions of the case. What was cancelled
    before anybody looked at it shows nobody's work.
    """
    return any(entry.startswith("review-") for entry in decided) and _is_drawn(case_no, percent)


def _is_drawn(case_no: str, percent: int) -> bool:
    # by the hash of its number, so that every telling agrees
    return int.from_bytes(hashlib.sha256(case_no.encode()).digest()[:4]) % 100 < percent
