"""Applications that no member of staff typed: written down once, given evenly, told in the journal (RET-01)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.store import cases, journal, rehearsals
from aftersales.store.engine import transaction
from aftersales.words import Applied, Unable
from tasks import absences, desks, intake
from tasks.cases import current_terms
from tests import builders
from tests.stories.conftest import Shop

# whom customer service has
TEAM = ["C01", "C02", "C07", "C08"]


@pytest.fixture(autouse=True)
def no_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be handed over: what was written down is looked at as it is."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def asked(order_no: str = "D1", **changes: Any) -> dict[str, Any]:
    """An application as the page or a shop system sends it."""
    return {
        "order_no": order_no,
        "items": [{"sku": "SKU-1", "quantity": 1}],
        "reason": "no_reason",
        "shipping": "pickup",
        **changes,
    }


async def sent(key: str, *, via: str = "page", operator: str = "", **changes: Any) -> dict[str, Any]:
    """Send an application that cannot be handed over; answers what was written down."""
    with pytest.raises(intake.Unavailable, match="系统暂时不可用，这份申请还没有受理，请稍后重试。"):
        await intake.apply(asked(**changes), via=via, key=key, operator=operator)
    return (await rows(f"where key = '{key}'"))[0]


async def rows(where: str = "") -> list[dict[str, Any]]:
    """The applications."""
    async with transaction() as connection:
        found = await connection.execute(text(f"select * from applications {where} order by created_at"))
        return [dict(row) for row in found.mappings()]


async def tell(application: dict[str, Any], **changes: Any) -> str:
    """Tell the story of an application as its run would; answers the case."""
    from flows.returns import returns

    driver = Bare(uuid4(), application=str(application["id"]))
    legs.begin(driver)
    try:
        await returns.fn({"operator": application["operator"], **asked(**changes)})
    except legs.Waiting:
        pass
    async with transaction() as connection:
        return await cases.case_of_run(connection, driver.run_id) or ""


async def test_it_is_given_to_everybody_in_turn(shop: Shop):
    given = [(await sent(f"k{number}", order_no=f"D{number}"))["operator"] for number in range(8)]

    assert given == TEAM * 2


async def test_what_is_rehearsed_counts_for_nobody_and_is_shared_by_itself(shop: Shop):
    async with transaction() as connection:
        rehearsal = await rehearsals.begin(connection, at=clock.now(), on=builders.today())
    for number in range(3):
        await shop.order(f"X{number}")
    async with transaction() as connection:
        await connection.execute(text("update orders set rehearsal = :r"), {"r": rehearsal})

    rehearsed = [(await sent(f"x{number}", order_no=f"X{number}"))["operator"] for number in range(3)]
    given = [(await sent(f"k{number}", order_no=f"D{number}"))["operator"] for number in range(4)]

    assert rehearsed == TEAM[:3]
    assert given == TEAM, "as if there had been no rehearsal"


async def test_p11_whoever_is_away_is_given_none(shop: Shop):
    today = builders.today()
    await absences.away("C02", today - timedelta(days=1), today + timedelta(days=2))

    given = [(await sent(f"k{number}", order_no=f"D{number}"))["operator"] for number in range(6)]

    assert Counter(given) == {"C01": 2, "C07": 2, "C08": 2}


async def test_twenty_at_the_same_instant_are_given_evenly(shop: Shop):
    await asyncio.gather(*(sent(f"k{number}", order_no=f"D{number}") for number in range(20)))

    assert Counter(row["operator"] for row in await rows()) == dict.fromkeys(TEAM, 5)


async def test_a_named_owner_has_it_and_is_not_counted(shop: Shop):
    named = await sent("k1", operator="C02")
    given = [(await sent(f"d{number}", order_no=f"D{number}"))["operator"] for number in range(4)]

    assert named["operator"] == "C02"
    assert given == TEAM


async def test_what_could_not_be_handed_over_keeps_its_owner_and_its_id(shop: Shop):
    first, again = await sent("k1"), await sent("k1")

    assert again == first
    assert len(await rows()) == 1
    assert (await intake.standing(first["id"])) == intake.Standing(Applied.TAKING)


async def test_a_prefect_that_hangs_keeps_nobody_waiting(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    monkeypatch.setattr(intake, "PATIENCE", 0.5)

    written = await asyncio.wait_for(sent("k1"), 10)
    silent.close()

    assert await intake.standing(written["id"]) == intake.Standing(Applied.TAKING)


async def test_the_same_key_at_the_same_instant_is_one_application(shop: Shop):
    await asyncio.gather(*(sent("k1") for _ in range(10)))

    assert len(await rows()) == 1


async def test_the_page_and_a_shop_system_may_use_the_same_key(shop: Shop):
    await sent("k1", via="page")
    await sent("k1", via="api")

    assert [row["via"] for row in await rows()] == ["page", "api"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"reason": "quality", "evidence": ["照片"]}, id="another reason"),
        pytest.param({"items": [{"sku": "SKU-1", "quantity": 2}]}, id="more units"),
        pytest.param({"operator": "C02"}, id="another owner"),
    ],
)
async def test_another_application_under_the_same_key_is_refused(shop: Shop, other: dict[str, Any]):
    before = await sent("k1")
    operator = other.pop("operator", "")

    with pytest.raises(intake.KeyTaken, match="同一个编号先前提交过另一份申请"):
        await intake.apply(asked(**other), via="page", key="k1", operator=operator)

    assert await rows() == [before]


@pytest.mark.parametrize(
    ("request_", "operator", "sentence"),
    [
        pytest.param({"items": []}, "", "退货商品", id="no goods"),
        pytest.param({"reason": "因为"}, "", "退货原因", id="a reason that there is not"),
        pytest.param({"order_no": " "}, "", "订单号", id="no order"),
        pytest.param({"phone": "13800001234"}, "", "有多余的项目", id="more than asked"),
        pytest.param({}, "W02", "没有“提交申请”权限", id="an owner who may not"),
        pytest.param({}, "X99", "不在员工名单中", id="an owner who is not ours"),
    ],
)
async def test_what_cannot_be_an_application_is_refused_before_it_is_written_down(
    shop: Shop, request_: dict[str, Any], operator: str, sentence: str
):
    with pytest.raises(Unable, match=sentence):
        await intake.apply(asked(**request_), via="api", key="k1", operator=operator)

    assert await rows() == []


async def test_gen10_nothing_of_a_person_is_written_down(shop: Shop):
    await sent("k1", remark="请打 13800001234", evidence=["电话 13800001234"])

    async with transaction() as connection:
        kept = await connection.scalar(text("select string_agg(to_jsonb(a)::text, '') from applications a"))
    assert "13800001234" not in kept


@pytest.mark.parametrize(("via", "actor", "who"), [("page", "customer", "客户"), ("api", "shop", "店铺系统")])
async def test_the_journal_says_who_applied_and_who_has_it(shop: Shop, via: str, actor: str, who: str):
    await shop.order("D1")
    written = await sent("k1", via=via)

    case_no = await tell(written)

    async with transaction() as connection:
        opened = (await journal.read(connection, case_no))["opened"]
        case = await cases.read(connection, case_no)
    assert (opened.actor, opened.data["via"], opened.data["operator"]) == (actor, via, "C01")
    assert opened.data["application"] == str(written["id"])
    assert case is not None and case.operator == "C01"
    row = desks.reader(current_terms()).told(opened)
    assert row.actor == who and row.result.endswith("首问责任人 C01 周敏")
    assert await intake.standing(written["id"]) == intake.Standing(Applied.OPENED, case_no)


async def test_an_application_of_staff_is_told_as_before(shop: Shop):
    await shop.order("D1")
    telling = await shop.tell(shop.application())

    opened = (await telling.journal())["opened"]

    assert opened.actor == "C07" and "via" not in opened.data
    assert "首问责任人" not in desks.reader(current_terms()).told(opened).result


async def test_one_that_is_turned_away_says_why(shop: Shop):
    written = await sent("k1", order_no="D404")

    assert await tell(written, order_no="D404") == ""

    told = await intake.standing(written["id"])
    assert told == intake.Standing(Applied.REFUSED, sentence="没有订单 D404，请核对订单号。")


async def test_a_second_application_for_the_same_goods_names_the_first_case(shop: Shop):
    await shop.order("D1")
    first, second = await sent("k1"), await sent("k2")
    case_no = await tell(first)

    assert await tell(second) == ""

    told = await intake.standing(second["id"])
    assert told.state is Applied.REFUSED and case_no in told.sentence


async def test_once_it_is_opened_nothing_is_handed_over_again(shop: Shop):
    await shop.order("D1")
    written = await sent("k1")
    await tell(written)

    again = await intake.apply(asked(), via="page", key="k1")

    assert again == intake.Application(str(written["id"]), "C01", is_new=False)


@pytest.mark.parametrize("number", ["", "nothing", "0000", "' or 1=1", "\x00", "5f0c0f6e-9f6c-4b7e-8f0a-2f8e4c8a1b11"])
async def test_an_application_that_there_is_not_is_not_found(shop: Shop, number: str):
    with pytest.raises(Unable, match="没有这份申请"):
        await intake.standing(number)
