"""Reconciliation (对账巡检): every minute, open cases against their runs, and what time alone decides (design §10)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from tasks import rounds


@flow(name="reconciliation", flow_run_name="对账巡检", **desk.story)
async def reconciliation() -> str:
    """
    对账巡检：每分钟核对未完成的售后单和它们的运行，恢复被取消、删除或出错的运行，并办理到期自动结案和提醒。
    """
    return await rounds.reconcile()
