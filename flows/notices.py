"""Notices (通知巡检): every five minutes, what is still to be sent; a worker sends the rest within seconds (P-11, P-12)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from tasks import rounds


@flow(name="notices", flow_run_name="通知巡检", **desk.story)
async def notices() -> str:
    """
    通知巡检：每五分钟发出还没有送达的通知；没有送达的稍后再试，一直不通的改告知上一级。
    """
    return await rounds.send()
