"""Arrivals (到件登记): a parcel reached the warehouse, whole, in part, or without a case (RET-06)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from aftersales.forms import Raw
from tasks import entries


@flow(name="arrivals", **desk.story)
async def arrivals(request: Raw = None) -> str:
    """
    到件登记：仓库收到包裹后填写；没有售后单号时只填运单号，系统先保管，找到售后单后再匹配。
    """
    return await entries.arrival(request)
