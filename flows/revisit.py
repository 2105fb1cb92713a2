"""
Second revisit (二次回访): from a dissatisfied answer to a customer who is heard.

    revisit      a senior agent calls within 24 hours       SVY-05, FUP-04
    supervisor   who is still dissatisfied is heard once more, by a supervisor; there is no third survey   AMB-40
"""

from __future__ import annotations

from prefect import flow

from aftersales import desk
from tasks import gates, revisits


@flow(name="revisit", **desk.story)
async def revisit() -> str:
    """
    二次回访：客户评价不满意时系统自动建立，由资深客服 24 小时内回访；仍不满意的转主管。
    """
    case = await revisits.begin()
    if case is None:
        return "未受理"
    if (await heard(case, "revisit")).dissatisfied:
        await heard(case, "supervisor")
    return await revisits.close(case)


async def heard(case: str, gate: str) -> gates.Answer:
    """Call the customer until they are reached, or have not been too often (FUP-12)."""
    while (answer := await gates.decide(case, gate)).unreached and await revisits.tries_again(case, gate):
        pass
    return answer
