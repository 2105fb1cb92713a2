"""Cancellation (取消售后单): the customer takes the application back before the goods arrive (RET-17)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from aftersales.forms import Raw
from tasks import entries


@flow(name="cancellation", **desk.story)
async def cancellation(request: Raw = None) -> str:
    """
    取消售后单：客户在仓库收货前撤回申请时填写；已收货的不能取消。
    """
    return await entries.cancellation(request)
