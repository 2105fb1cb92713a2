"""Personal data that somebody types where none belongs (GEN-10)."""

from __future__ import annotations

import pytest

from aftersales.words import Event, Unable
from tasks import outside
from tests.stories.conftest import Shop

PHONE = "13812345678"


async def test_gen10_a_phone_typed_as_the_operator_stands_nowhere(shop: Shop):
    await shop.order()
    telling = await shop.tell(shop.application())

    with pytest.raises(Unable):
        await outside.decide(telling.case_no, "review", operator=PHONE, answer={"decision": "approve"})
    with pytest.raises(Unable):
        await outside.signal(telling.case_no, Event.PARCEL_RECEIVED, actor="", data={}, staff=PHONE)

    refused = [entry for entry in (await telling.journal()).values() if entry.kind == "refused"]
    assert len(refused) == 2
    assert PHONE not in str(await telling.rows("journal"))
