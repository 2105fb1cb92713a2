"""
Prefect's server, told to keep what people typed out of its log: `python -m aftersales.stack.prefect_server server start`.

An error of its database is logged with the values that were bound, among them whole forms, unmasked (GEN-10).
"""

from __future__ import annotations

import runpy
from typing import Any

from sqlalchemy import Engine, event


@event.listens_for(Engine, "handle_error")
def _keep_quiet(context: Any) -> None:
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.hide_parameters = True


if __name__ == "__main__":
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
