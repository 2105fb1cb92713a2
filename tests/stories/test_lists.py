"""The pages that belong to no case: each is written anew when something leaves it (MON-20, RET-06)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.desk.bare import Bare
from aftersales.store.engine import transaction
from aftersales.words import Event
from tasks import outside
from tests.stories.conftest import Shop
from tests.stories.on_the_way import inspected, picked_up, self_shipping
from tests.stories.ways import receive

PARCEL = {"tracking_no": "SF1001", "items": [{"sku": "SKU-1", "quantity": 1}], "rest": "complete"}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the pages of the desk say, as they were written last."""
    pages: dict[str, str] = {}

    async def publish(_: Any, key: str, write: Callable[[AsyncConnection], Awaitable[str]]) -> None:
        async with transaction() as connection:
            pages[key] = await write(connection)

    monkeypatch.setattr(Bare, "publish", publish)
    return pages


@pytest.mark.parametrize(
    ("bought", "rest", "then"),
    [
        pytest.param(2, "coming", "receipt-1", id="more is coming"),
        pytest.param(1, "complete", "", id="nothing is left"),
    ],
)
async def test_mon20_what_was_sent_back_leaves_the_list(
    shop: Shop, published: dict[str, str], bought: int, rest: str, then: str
):
    lines = [("SKU-1", "台灯", bought, f"{bought * 100}.00")]
    telling = await picked_up(shop, order={"lines": lines}, items=[{"sku": "SKU-1", "quantity": bought}])
    await inspected(await receive(telling, rest=rest), result="fail", grade="unsellable")
    await telling.decide("resolution", "A01", decision="send_back", payer="customer", reason="人为损坏")
    assert telling.case_no in published["sendback-list"]

    await telling.signal(Event.PARCEL_SENT_BACK, carrier="顺丰", tracking_no="SF9001")

    assert telling.at == then
    assert telling.case_no not in published["sendback-list"]


async def test_a_case_that_sends_nothing_back_writes_no_list_of_it(shop: Shop, published: dict[str, str]):
    telling = await inspected(await receive(await picked_up(shop)))

    assert telling.at == "refund-0"
    assert set(published) == {"pickup-list", "refund-list"}


async def test_ret06_a_parcel_whose_case_is_told_later_leaves_the_page(shop: Shop, published: dict[str, str]):
    telling = await self_shipping(shop)
    await outside.parcel_without_case(staff="W02", data=PARCEL, key="o1")

    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")

    assert telling.at == "inspection-0"
    assert "SF1001" not in published["parcel-list"]


async def test_a_case_without_such_a_parcel_does_not_write_the_page(shop: Shop, published: dict[str, str]):
    telling = await receive(await picked_up(shop))

    assert telling.at == "inspection-0"
    assert "parcel-list" not in published
