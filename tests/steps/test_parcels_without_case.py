"""Parcels without a case: each stands on its list once, and leaves it with what became of it (RET-06, RET-17)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from aftersales.store import cases
from aftersales.store.engine import transaction
from aftersales.words import Event
from tasks import desks, entries, gates, outside
from tests.stories.conftest import Shop
from tests.stories.on_the_way import self_shipping

PARCEL = {"tracking_no": "SF1001", "items": [{"sku": "SKU-1", "quantity": 1}], "rest": "complete"}


async def listed() -> list[str]:
    """The numbers on the list."""
    async with transaction() as connection:
        return [row["data"]["tracking_no"] for row in await cases.orphans(connection)]


async def kept() -> list[Any]:
    """Every row, also of what has left the list."""
    async with transaction() as connection:
        return list((await connection.execute(text("select * from inbox order by id"))).all())


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the page said each time that a command wrote it."""
    pages: list[list[str]] = []

    async def publish() -> None:
        pages.append(await listed())

    monkeypatch.setattr(desks, "publish_parcels_from_outside", publish)
    return pages


# --- once -----------------------------------------------------------------------------------------------------------


async def test_ret06_a_parcel_that_is_scanned_twice_stands_on_the_list_once(shop: Shop):
    for key, number in (("run/1", "SF1001"), ("run/2", "sf1001")):
        case_no, told = await entries.arrived({**PARCEL, "operator": "W02", "tracking_no": number}, key)
        assert case_no == ""

    assert told.startswith("无主包裹 SF1001 已登记过，未重复登记")
    assert await listed() == ["SF1001"]


async def test_ret06_a_parcel_that_two_scan_at_once_stands_on_the_list_once(shop: Shop):
    told = await asyncio.gather(
        *(outside.parcel_without_case(staff="W02", data=PARCEL, key=f"run/{number}") for number in range(2))
    )

    assert sorted("已登记过" in sentence for _, sentence in told) == [False, True]
    assert await listed() == ["SF1001"]


async def test_ret17_whoever_registers_a_parcel_for_a_case_that_has_ended_is_told_where_it_goes(shop: Shop):
    telling = await self_shipping(shop)
    await telling.signal(Event.CASE_CANCELLED, reason="不退了")

    with pytest.raises(gates.Refused, match=r"已取消，不再接收“已收货”.*请在“到件登记”里只填运单号，登记为无主包裹"):
        await entries.arrived({**PARCEL, "operator": "W02", "case_no": telling.case_no}, "run/1")


# --- off the list -----------------------------------------------------------------------------------------------------


async def test_ret17_a_parcel_leaves_the_list_with_what_became_of_it(aftersales, published):
    await outside.parcel_without_case(staff="W02", data=PARCEL, key="run/1")

    left = await aftersales("parcel", "done", "sf1001", "--as", "W02", "--note", "已寄回客户，联系电话 10212345678")

    assert (left.code, left.err) == (0, "")
    assert left.out.startswith("无主包裹 SF1001 已销账")
    assert published == [[]]
    (row,) = await kept()
    assert (row.case_no, row.actor, row.data["ended_by"]) == (None, "W02", "W02")
    assert row.data["became"].startswith("已寄回客户") and "10212345678" not in row.data["became"]
    assert row.data["items"] == PARCEL["items"] and row.taken_at >= row.received_at


async def test_ret17_what_has_left_the_list_finds_no_case_and_may_come_again(aftersales, published, shop: Shop):
    telling = await self_shipping(shop)
    await outside.parcel_without_case(staff="W02", data=PARCEL, key="run/1")
    await aftersales("parcel", "done", "SF1001", "--as", "W02", "--note", "已寄回")

    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")
    assert telling.at == "receipt-0"
    async with transaction() as connection:
        ended = (await cases.parcel(connection, "SF1001"))["id"]
        assert not await cases.adopt(connection, ended, telling.case_no, PARCEL)

    case_no, _ = await outside.parcel_without_case(staff="W02", data=PARCEL, key="run/2")
    assert case_no == telling.case_no


async def test_ret17_rows_of_one_number_from_before_leave_the_list_together(aftersales, published):
    async with transaction() as connection:
        for key in ("run/1", "run/2"):
            await cases.receive(
                connection,
                key=key,
                case_no=None,
                event=Event.PARCEL_RECEIVED.value,
                actor="W02",
                data=PARCEL,
                at=outside.clock.now(),
            )

    await aftersales("parcel", "done", "SF1001", "--as", "W02", "--note", "已寄回")

    assert await listed() == []


@pytest.mark.parametrize(
    ("number", "staff", "note", "sentence"),
    [
        pytest.param("SF9", "W02", "已寄回", "运单号没有填对，请写4～40 位字母、数字或短横线。", id="no number"),
        pytest.param(
            "SF9999", "W02", "已寄回", "没有登记过运单 SF9999 的包裹，请对照无主包裹清单核对运单号。", id="unknown"
        ),
        pytest.param("SF1001", "X9", "已寄回", "经办人“X9”不在员工名单中，请用员工编号，如 C07。", id="nobody"),
        pytest.param(
            "SF1001", "C07", "已寄回", "经办人 C07 王小明 没有“登记收货”权限，请换有权限的员工处理。", id="no right"
        ),
        pytest.param("SF1001", "W02", " ", "处理结果：请填写2～500 字，不含控制字符。", id="no note"),
        pytest.param("SF1001", "W02", "字" * 501, "处理结果：请填写2～500 字，不含控制字符。", id="a long note"),
    ],
)
async def test_ret17_what_cannot_leave_the_list_is_one_sentence(aftersales, published, number, staff, note, sentence):
    await outside.parcel_without_case(staff="W02", data=PARCEL, key="run/1")

    left = await aftersales("parcel", "done", number, "--as", staff, "--note", note)

    assert (left.code, left.err, left.out) == (1, sentence, "")
    assert await listed() == ["SF1001"]
    assert published == []


async def test_ret17_whoever_is_second_is_told_who_was_first(aftersales, published):
    await outside.parcel_without_case(staff="W02", data=PARCEL, key="run/1")
    await aftersales("parcel", "done", "SF1001", "--as", "W02", "--note", "已寄回")

    left = await aftersales("parcel", "done", "SF1001", "--as", "W03", "--note", "已销毁")

    assert left.code == 1
    assert left.err.startswith("无主包裹 SF1001 已由 W02 郑凯 于 ") and left.err.endswith(" 销账：已寄回。")


async def test_ret06_a_parcel_that_has_its_case_is_named_with_it(aftersales, published, shop: Shop):
    telling = await self_shipping(shop)
    await outside.parcel_without_case(staff="W02", data=PARCEL, key="run/1")
    await telling.decide("pickup", "L02", carrier="顺丰", tracking_no="SF1001")

    left = await aftersales("parcel", "done", "SF1001", "--as", "W02", "--note", "已寄回")

    assert (left.code, left.err) == (
        1,
        f"运单 SF1001 已登记到 {telling.case_no}，不在无主包裹清单上，请在售后单里办理。",
    )
