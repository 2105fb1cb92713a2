"""Escalation (超时巡检): every minute, who is to be told that a window passes or has passed (ESC-04 to ESC-09)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from tasks import rounds


@flow(name="escalation", flow_run_name="超时巡检", **desk.story)
async def escalation() -> str:
    """
    超时巡检：每分钟查看到期和超时的环节，提醒责任部门，超时后依次通知责任部门、部门负责人和售后经理；更新各部门的看板。
    """
    return await rounds.escalate()
