"""What a customer sees of their order: every stage, in both languages, and nothing that is the house's own (SLF-02, RET-15)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from aftersales import clock
from aftersales.rules import clocks
from aftersales.store import cases, engine, rehearsals
from aftersales.store.engine import transaction
from aftersales.terms import WAITING, load
from aftersales.words import Stage
from tasks import records, revisits
from tasks.cases import current_terms
from tests.badinput.conftest import House, house
from tests.page.conftest import Page, Visitor, said, serving
from tests.stories.conftest import Shop, Telling
from tests.stories.on_the_way import inspected, picked_up, put_forward, self_shipping
from tests.stories.test_returns import to_refund

__all__ = ["house"]

LIVE = load()


def plain(page: str) -> str:
    """What people read of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main id")[2].partition(">")[2]))


async def seen(visitor: Visitor, path: str = "/order") -> str:
    return (await visitor.get(path)).text


async def test_slf02_a_return_from_end_to_end(page: Page, shop: Shop):
    case = await picked_up(shop)
    visitor = await page.visitor().find()
    on_its_way = await seen(visitor)
    await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    await inspected(case)
    await case.decide("refund", "A03", amount="188.00", reference="ALI-2026")

    done = plain(await seen(visitor))

    assert "SF1001" in on_its_way and said("owed.receipt") in on_its_way
    assert 'aria-current="step"' in on_its_way
    for key in ("opened", "approved", "picked_up", "passed"):
        assert said(f"step.{key}") in done
    assert said("step.received", count="1") in done
    assert said("step.refunded", amount="188.00 元") in done
    assert f"{said('route')} 支付宝" in done
    assert f"{said('status')} {said('result.closed')}" in done


async def test_ret15_the_current_stage_is_told_with_its_due_time_in_words(page: Page, shop: Shop):
    await shop.order()
    case = await shop.tell(shop.application())
    ((due_at,),) = await case.rows("promises", "due_at", "and ended_at is null")
    visitor = await page.visitor().find()

    chinese, english = plain(await seen(visitor)), plain(await seen(visitor, "/order?lang=en"))

    assert said("due.ours", due=clocks.spoken(due_at, house=LIVE.house)) in chinese
    assert said("due.ours", "en", due=clocks.spoken_in_english(due_at, house=LIVE.house)) in english
    assert f"{said('refund.expected')} 188.00 元" in chinese
    assert f"{said('refund.expected', 'en')} CNY 188.00" in english


async def test_a_late_stage_says_so(page: Page, shop: Shop, monkeypatch: pytest.MonkeyPatch):
    await shop.order()
    await shop.tell(shop.application())
    put_forward(monkeypatch, days=3)

    assert "抱歉让您久等" in await seen(await page.visitor().find())


async def test_whoever_must_send_the_goods_is_told_so(page: Page, shop: Shop):
    await self_shipping(shop)

    told = plain(await seen(await page.visitor().find()))

    assert said("owed.pickup.self") in told
    assert re.search(r"请在 \d+月\d+日（周.）24:00 前完成。", told)


async def test_what_the_shop_asks_and_says_is_shown_in_the_language_it_was_written_in(page: Page, shop: Shop):
    await shop.order()
    case = await shop.tell(shop.application())
    await case.decide("review", "C08", decision="ask", question="吊牌还在吗<b>")

    told = await seen(await page.visitor(**{"accept-language": "en"}).find())

    assert '<span lang="zh-CN">吊牌还在吗&lt;b&gt;</span>' in told
    assert said("said.question", "en") in told


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_every_stage_is_told_and_nothing_of_the_house(house: House, home, language: str):
    names = [person.name for person in LIVE.staff().values()] + [d.name for d in LIVE.house.departments.values()]
    engine.connect(house.url)
    async with serving(house.url, home) as page:
        for gate, case in house.at.items():
            visitor = await page.visitor(**{"accept-language": language}).find(case.request["order_no"])
            told = plain(await seen(visitor))
            what = "pickup.self" if gate == "pickup" and case.request["shipping"] == "self" else gate
            assert said(f"owed.{what}", language) in told, gate
            assert case.case_no in told
            assert not [name for name in names if name in told], gate
            assert not [number for number in LIVE.staff() if re.search(rf"\b{number}\b", told)], "a staff number"
            assert not re.search(r"李小红|10212345678|浙江|杭州|U1\b", told), "the customer's own data"
            assert not re.search(r"\b[A-Z]{3}-\d\d\b", told), "a rule's number"
            assert not re.search(r"\bNone\b|\b(owed|step|way|result)\.", told), "a word that there is not"
            if language == "en":
                # goods, carriers and what the shop wrote are not ours to translate
                own = re.sub(r"台灯|顺丰|看不清|吊牌照片|有划痕|人为损坏|老客户|中文", "", told)
                assert not re.search(r"[\u4e00-\u9fff]", own), own
    await engine.disconnect()
    assert {Stage(gate) for gate in house.at} == set(WAITING)


async def test_a_rehearsed_order_is_marked_and_lives_on_its_own_clock(page: Page, shop: Shop):
    at = clock.now() + timedelta(days=400)
    async with transaction() as connection:
        name = await rehearsals.begin(connection, at=at, on=at.date())
    await rehearsed(shop, name, at)
    case = await shop.tell(shop.application("DX-1"))

    told = plain(await seen(await page.visitor().find("DX-1")))

    assert case.case_no.startswith("RT-X")
    assert said("rehearsed.told") in told
    assert said("due.ours", due="")[:5] in told and "超时" not in told
    assert f"{clocks.in_house(at, house=LIVE.house).year}年" in told


async def rehearsed(shop: Shop, rehearsal: str, at) -> None:
    """Sell `DX-1` in a rehearsal."""
    await shop.order("DX-1")
    async with transaction() as connection:
        await connection.execute(
            text("update orders set rehearsal = :r, ordered_at = :at where order_no = 'DX-1'"),
            {"r": rehearsal, "at": at - timedelta(days=5)},
        )
        await connection.execute(text("update order_lines set delivered_at = :at"), {"at": at - timedelta(days=3)})


async def test_two_cases_of_an_order_are_two_and_the_newest_is_first(page: Page, shop: Shop):
    await shop.order(lines=[("SKU-1", "台灯", 2, "200.00")])
    first = await shop.tell(shop.application())
    second = await shop.tell(shop.application(reason="dislike"))

    told = await seen(await page.visitor().find())

    assert told.index(second.case_no) < told.index(first.case_no)
    assert said("no_goods") in told and 'href="/apply"' not in told


async def test_a_case_that_became_a_complaint_and_the_complaint_are_both_told(page: Page, shop: Shop):
    case: Telling = await picked_up(shop)
    await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    await inspected(case, result="fail", grade="unsellable")
    await case.decide("resolution", "A01", decision="complaint", reason="客户不同意")

    told = plain(await seen(await page.visitor().find()))

    assert said("result.complaint") in told
    assert said("owed.registered") in told and "投诉 CP-" in told
    async with transaction() as connection:
        complaint_no = await connection.scalar(text("select case_no from cases where process = 'complaint'"))
    await records.end_complaint(complaint_no, operator="C07", note="已解释", is_solved=False)
    ended = plain(await seen(await page.visitor(**{"accept-language": "en"}).find()))
    assert f"Complaint {complaint_no}" in ended and said("result.handled", "en") in ended
    assert said("result.closed", "en") not in ended.partition("Complaint")[2].partition("Return")[0]


async def test_a_second_revisit_is_the_houses_own_and_not_shown(page: Page, shop: Shop):
    await shop.order()
    telling = await to_refund(await shop.tell(shop.application()))
    await telling.decide("refund", "A02", amount="188.00", reference="ALI-2026-0001")
    async with transaction() as connection:
        case = await cases.read(connection, telling.case_no)
        assert case is not None
        number = await revisits.open_revisit(connection, case, terms=current_terms(), answers=[], at=clock.now())

    told = plain(await seen(await page.visitor().find()))

    assert telling.case_no in told and number not in told


async def test_amb13_who_waits_for_money_reads_the_time_that_they_were_told(page: Page, shop: Shop):
    await shop.order()
    telling = await to_refund(await shop.tell(shop.application()))
    promise = next(row for row in await telling.rows("promises") if row.entry == "refund-0")
    bound = clocks.due(
        start_at=promise.started_at, limit=LIVE.returns.refund_bound, calendars=LIVE.calendars, house=LIVE.house
    )

    told = plain(await seen(await page.visitor().find()))

    assert said("due.ours", due=clocks.spoken(bound.due_at, house=LIVE.house)) in told
    assert clocks.spoken(promise.due_at, house=LIVE.house) not in told


async def test_names_that_look_like_markup_are_text(page: Page, shop: Shop):
    evil = "<img src=x onerror=alert(1)>"
    await shop.order(lines=[("SKU-1", evil, 1, "200.00")])
    await shop.tell(shop.application())
    visitor = await page.visitor().find()

    for path in ("/order", "/apply"):
        assert "<img" not in await seen(visitor, path)
    assert "&lt;img src=x" in await seen(visitor)


async def test_an_order_that_is_gone_ends_its_session(page: Page, shop: Shop):
    await shop.order()
    visitor = await page.visitor().find()
    async with transaction() as connection:
        await connection.execute(text("delete from order_lines"))
        await connection.execute(text("delete from orders"))

    gone = await visitor.get("/order")

    assert (gone.status_code, gone.headers["location"]) == (303, "/?ended")
    assert said("ended") in (await visitor.get("/?ended")).text
