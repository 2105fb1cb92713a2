"""
A list of visits (回访清单): whom one agent calls on one day, recorded one after the other.

    visit   called by the end of the day; what is left stands on the next list   FUP-10, FUP-12, ESC-10
"""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from tasks import gates
from tasks import visits as lists


@flow(name="visits", **desk.story)
async def visits() -> str:
    """
    回访清单：每位客服每天一张，系统每天凌晨自动建立；逐位登记回访结果，当天没有回访完的转入下一张清单。
    """
    case = await lists.begin()
    if case is None:
        return "未受理"
    while await lists.is_left(case):
        await gates.decide(case, "visit")
    return await lists.close(case)
