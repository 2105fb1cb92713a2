"""Extension (延期): force majeure moves the due time of one case, with a reason, and the customer is told (GEN-08)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from aftersales.forms import Raw
from tasks import entries


@flow(name="extension", **desk.story)
async def extension(request: Raw = None) -> str:
    """
    延期：暴雨、停运等不可抗力时，由组长及以上填写新的日期和原因；原截止时间保留，客户同时得到通知。
    """
    return await entries.extension(request)
