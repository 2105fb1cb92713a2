"""Which cases the quality controllers look at (RET-16, AMB-53): a sample, never a gate."""

from __future__ import annotations

import hashlib


def is_sampled(case_no: str, *, percent: int) -> bool:
    """Say whether a case is in the sample: by the hash of its number, so that every telling agrees (RET-16)."""
    return int.from_bytes(hashlib.sha256(case_no.encode()).digest()[:4]) % 100 < percent
