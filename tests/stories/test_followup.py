"""A customer between the visits: bought, sent back, paid, asked how it went (FUP-01, FUP-03, FUP-11, RET-13)."""

from __future__ import annotations

from typing import Any

from tests.stories.conftest import Shop
from tests.stories.test_escalation import at_refund, time
from tests.visiting import change, drawn, night, sell, states

__all__ = ["time"]


async def test_fup03_a_return_is_followed_by_one_visit_within_a_week_and_none_before_it_ends(shop: Shop, time: Any):
    """Bought on Friday 7 March 2025, returned from the 13th on, paid on the 18th: asked about it on the 25th."""
    telling = await at_refund(shop, time)

    # what is on its way back is not asked about, and nothing else while the case is open
    await sell("D2", ordered="2025-03-10", delivered="2025-03-12", customer="U1")
    held = await night("2025-03-17")
    assert [(each.due.key, each.why.value) for each in held.night.left] == [("purchase:D2", "open_case")]

    time("2025-03-18 10:00")
    await telling.decide("refund", "A02", amount="188.00", reference="ALI-1")
    (planned,) = await telling.rows("visits", "key, due_on, state, customer_id is not null as is_known, rule")
    assert tuple(map(str, planned)) == (f"return:{telling.case_no}", "2025-03-25", "planned", "True", "FUP-03")

    after = await night("2025-03-19")
    assert [each.due.key for each in after.night.drawn] == ["purchase:D2"]
    await change("update visits set state = 'done', outcome = 'reached' where kind = 'purchase'")
    for day in ("2025-03-20", "2025-03-21", "2025-03-24"):
        assert (await night(day)).night.drawn == []

    told = await night("2025-03-25")
    assert [(each.due.key, each.agent) for each in told.night.drawn] == [
        (f"return:{telling.case_no}", "C02"),  # who called last
    ]
    assert await drawn("2025-03-25") == [f"return:{telling.case_no}"]


async def test_fup11_a_return_and_a_purchase_on_one_day_are_one_call(shop: Shop, time: Any):
    telling = await at_refund(shop, time)
    time("2025-03-18 10:00")
    await telling.decide("refund", "A02", amount="188.00", reference="ALI-1")
    await sell("D3", ordered="2025-03-18", delivered="2025-03-20", customer="U1")

    await night("2025-03-25")

    found = await states()
    assert found[f"return:{telling.case_no}"].startswith("2025-03-25 ") and found["purchase:D3"] == "merged"
