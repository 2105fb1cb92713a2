"""
What becomes of a notice afterwards: whoever was away is back, what was done meanwhile, what reached nobody (P-11, P-12).

The history and the audit say the same of it, also of what was under way when it was withdrawn (AUD-04).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import text

from aftersales.store.engine import transaction
from tasks import absences, sending
from tests.gateways.receivers import Receiver
from tests.stories.conftest import Shop
from tests.stories.test_escalation import at, time  # noqa: F401
from tests.stories.test_notices import known, many, outbox_states

# --- whoever stands in has no channel -------------------------------------------------------------------------------


async def waits_until() -> list[Any]:
    """Until when what was not sent yet waits."""
    async with transaction() as connection:
        return list(await connection.scalars(text("select next_at from outbox where state = 'queued' order by id")))


async def test_p11_a_stand_in_without_a_channel_is_passed_over(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1, "staff:L02")
    await absences.away("L02", date(2025, 3, 13), date(2025, 3, 14), stand_in="W02")

    await sending.look(known(staff={"L01": [receiver.url("head")]}))

    assert len(receiver.texts("head")) == 1


async def test_p11_what_no_stand_in_could_be_told_waits_until_somebody_may_be_back(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1, "staff:A01")
    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 13), stand_in="L02")
    own = known(staff={"A01": [receiver.url("manager")]})

    await sending.look(own)
    assert receiver.received == [] and await waits_until() == [at("2025-03-14 00:00")]
    for wall in ("2025-03-13 21:00", "2025-03-14 00:00", "2025-03-14 08:00"):
        time(wall)
        await sending.look(own)

    assert len(receiver.texts("manager")) == 1 and await outbox_states() == {"sent": 1}


async def test_p11_what_no_stand_in_could_be_told_leaves_at_once_when_somebody_is_back(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1, "staff:A01")
    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 14), stand_in="L02")
    own = known(staff={"A01": [receiver.url("manager")]})
    await sending.look(own)

    assert "通知照常发给本人" in await absences.back("A01")
    await sending.look(own)

    assert len(receiver.texts("manager")) == 1


async def test_p11_what_no_stand_in_could_be_told_leaves_at_once_when_another_stands_in(
    shop: Shop,
    time: Any,  # noqa: F811
    receiver: Receiver,
):
    await many(1, "staff:A01")
    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 14), stand_in="L02")
    other = known(staff={"C07": [receiver.url("other")]})
    await sending.look(other)

    await absences.away("A01", date(2025, 3, 13), date(2025, 3, 14), stand_in="C07")
    await sending.look(other)

    assert len(receiver.texts("other")) == 1
