"""Follow-up (回访): every night, which customers are called on the coming day, and by whom (FUP-01 to FUP-11)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from tasks import rounds


@flow(name="followup", flow_run_name="回访巡检", **desk.story)
async def followup() -> str:
    """
    回访巡检：每天凌晨两点排出当天的回访：新购、使用中、退换货和投诉之后，分给在岗的人；同一位客户一天只联系一次。每月第一个工作日还抽出请谁参加定期调查。
    """
    return await rounds.follow_up()
