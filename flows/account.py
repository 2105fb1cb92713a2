"""Account (收款账户登记): where the money goes when the original route is closed (MON-08)."""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from aftersales.forms import Raw
from tasks import entries


@flow(name="account", **desk.story)
async def account(request: Raw = None) -> str:
    """
    收款账户登记：不能原路退款时，登记客户的收款账户；账号只保存在售后数据库，不显示在页面上。
    """
    return await entries.account(request)
