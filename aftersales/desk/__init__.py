"""
What ties us to Prefect: legs, locks, forms on suspended runs, run names and tags, the worker.

A *leg* is one telling of a story, from its first line to the gate where it leaves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# For every `@flow` of a case. The engine must not validate the request: a misfilled one is turned away with a
# sentence by `cases.open_return`, not with a Failed run. A result storage given as a path saves two blocking calls to
# the API a leg (prototype 2.12); nothing is written there, since no result is persisted.
story: dict[str, Any] = {
    "validate_parameters": False,
    "persist_result": False,
    "result_storage": Path("var/results"),
}
