"""Applications that cannot be opened: one sentence, one row in the journal of refusals, no case (design §3)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from aftersales.store.engine import transaction


async def refusals() -> list[Any]:
    async with transaction() as connection:
        return list((await connection.execute(text("select * from refusals order by id"))).all())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"order_no": "D404"}, "没有订单 D404，请核对订单号。", id="an order nobody knows"),
        pytest.param({"items": [{"sku": "SKU-9", "quantity": 1}]}, "SKU-9", id="goods the order does not have"),
        pytest.param({"items": [{"sku": "SKU-1", "quantity": 2}]}, "1 件", id="more than was bought"),
        pytest.param({"items": []}, "退货商品", id="nothing at all"),
        pytest.param({"operator": "C99"}, "C99", id="an operator nobody knows"),
        pytest.param({"operator": "W01"}, "没有“提交申请”权限", id="an operator without the right"),
        pytest.param({"reason": "whim"}, "退货原因", id="a reason that is not in the terms"),
        pytest.param({"surprise": 1}, "多余的项目", id="a field the form does not have"),
        pytest.param({"items": "SKU-1"}, "退货商品", id="a list that is none"),
    ],
)
async def test_the_clerk_gets_one_sentence(shop, changes, sentence):
    await shop.order()

    telling = await shop.tell(shop.application(**changes))

    assert telling.result == "未受理"
    assert telling.case_no == ""
    rows = await refusals()
    assert len(rows) == 1
    assert sentence in rows[0].reason
    assert "\n" not in rows[0].reason


@pytest.mark.parametrize("request_", [None, [], "x", 7], ids=["nothing", "a list", "a text", "a number"])
async def test_a_request_that_is_no_form(shop, request_):
    telling = await shop.tell(request_)

    assert telling.result == "未受理"
    assert len(await refusals()) == 1


async def test_told_again_it_is_refused_once(shop):
    telling = await shop.tell(shop.application("D404"))

    await telling.again()

    assert telling.result == "未受理"
    assert len(await refusals()) == 1


async def test_a_second_submission_names_the_first_case(shop):
    await shop.order(lines=[("SKU-1", "台灯", 3, "269.97")])
    first = await shop.tell(shop.application())

    second = await shop.tell(shop.application())

    assert second.result == "未受理"
    assert first.case_no in (await refusals())[0].reason


async def test_p20_units_already_held_name_the_case_that_holds_them(shop):
    await shop.order()
    first = await shop.tell(shop.application())

    other = await shop.tell(shop.application(reason="quality", evidence=["照片"]))

    assert other.result == "未受理"
    assert first.case_no in (await refusals())[0].reason


async def test_gen10_a_phone_number_in_the_wrong_field_is_masked(shop):
    await shop.tell(shop.application("13812345678"))

    row = (await refusals())[0]
    assert "13812345678" not in str(row)


async def test_a_long_order_number_that_looks_like_a_bank_card_is_an_order_number(shop):
    await shop.order("6222020200112233445")

    telling = await shop.tell(shop.application("6222020200112233445"))

    assert telling.at == "review-0"


async def test_gen10_a_bank_card_in_place_of_the_order_number_is_masked(shop):
    telling = await shop.tell(shop.application("4111111111111111"))

    assert telling.result == "未受理"
    assert "4111111111111111" not in str((await refusals())[0])


async def test_a_parcel_without_a_case_needs_somebody_who_may_book_it_in(shop):
    from tasks import gates, outside

    for nobody in ("NOBODY", "L02"):
        with pytest.raises(gates.Refused):
            await outside.parcel_without_case(staff=nobody, data={"tracking_no": "SF1000"}, key=nobody)
