"""Surveys (调查巡检): every five minutes, who is asked how it went, reminded, or asked no more (SVY-01, SVY-07, NUM-208)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from tasks import rounds


@flow(name="surveys", flow_run_name="调查巡检", **desk.story)
async def surveys() -> str:
    """
    调查巡检：每五分钟查看办完的退货和投诉，以及定期调查，到时间的发出满意度调查，没有回复的提醒一次，到期截止；平时由工作进程几秒内办理。
    """
    return await rounds.ask()
