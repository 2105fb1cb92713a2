"""
Answers of a payment provider over real HTTP: what is none by the contract is *unknown*, with the reason for people.

The step stays parked, the form stays open, nothing is booked, no outcome is written; once the other side answers, the
money goes once (P-15).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from aftersales.desk.bare import Bare
from aftersales.gateways import http
from aftersales.gateways.http import HttpPayment
from aftersales.store.engine import transaction
from aftersales.words import Stage
from tests.badinput.conftest import House, rows
from tests.gateways.provider import KEY, Running
from tests.stories.conftest import Shop, Telling

HTML, TEXT, PLAIN = {"Content-Type": "text/html"}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
DONE = '{"key": "KEY", "status": "done"}'
NEVER = '{"key": "KEY", "status": "never_received"}'


def answer(what: str, status: int, body: str, sentence: str, headers: dict[str, str] = PLAIN) -> Any:
    return pytest.param(status, body, headers, f"支付渠道{sentence}", id=what)


ANSWERS = [
    answer("400", 400, "{}", "回复了 HTTP 400"),
    answer("401", 401, "{}", "不认我们的密钥（HTTP 401），请核对 AFTERSALES_PAYMENT_KEY"),
    answer("403", 403, "{}", "不认我们的密钥（HTTP 403），请核对 AFTERSALES_PAYMENT_KEY"),
    answer("404 for everything", 404, "{}", "没有找到接口（HTTP 404）"),
    answer("404 with nothing", 404, "", "没有找到接口（HTTP 404）"),
    answer("404 in HTML", 404, "<html>Not Found", "没有找到接口（HTTP 404）", headers=HTML),
    answer("404, the right words as a page", 404, NEVER, "没有找到接口（HTTP 404）", headers=HTML),
    answer("404, and done", 404, DONE, "没有找到接口（HTTP 404）"),
    answer("404 about another key", 404, NEVER.replace("KEY", "RT-20000101-0001/refund-0"), "回复的是另一笔业务"),
    answer("404, never received, to what was just sent", 404, NEVER, "没有找到接口（HTTP 404）"),
    answer("405", 405, "{}", "回复了 HTTP 405"),
    answer("409, and done", 409, DONE, "回复了 HTTP 409"),
    answer("422", 422, "{}", "回复了 HTTP 422"),
    answer("429", 429, "{}", "回复了 HTTP 429", headers={**PLAIN, "Retry-After": "99999999"}),
    answer("451 in HTML", 451, "<html>", "回复了 HTTP 451", headers=HTML),
    answer("500, and done", 500, DONE, "回复了 HTTP 500"),
    answer("503", 503, "", "回复了 HTTP 503"),
    answer("204", 204, "", "回复了 HTTP 204"),
    answer("a redirect to itself", 302, "", "回复了 HTTP 302", headers={"Location": "/refunds"}),
    answer(
        "a redirect to somebody else", 307, DONE, "回复了 HTTP 307", headers={"Location": "https://example.com/refunds"}
    ),
    answer("nothing", 200, "", "回复的内容看不懂"),
    answer("null", 200, "null", "回复的内容看不懂"),
    answer("a list", 200, f"[{DONE}]", "回复的内容看不懂"),
    answer("a word", 200, '"done"', "回复的内容看不懂"),
    answer("half of it", 200, DONE[:-2], "回复的内容看不懂"),
    answer("HTML", 200, "<html>Bad gateway", "回复的内容看不懂", headers=HTML),
    answer("the right words as a page", 200, DONE, "回复的内容看不懂", headers=HTML),
    answer("the right words as a text", 200, DONE, "回复的内容看不懂", headers=TEXT),
    answer("no key", 200, '{"status": "done"}', "回复的内容看不懂"),
    answer("no status", 200, '{"key": "KEY"}', "回复的内容看不懂"),
    answer("a status that is none", 200, '{"key": "KEY", "status": "maybe"}', "回复的内容看不懂"),
    answer("a status in capitals", 200, '{"key": "KEY", "status": "DONE"}', "回复的内容看不懂"),
    answer("true for a status", 200, '{"key": "KEY", "status": true}', "回复的内容看不懂"),
    answer("another key", 200, '{"key": "RT-20000101-0001/refund-0", "status": "done"}', "回复的是另一笔业务"),
    answer("the key in small letters", 200, '{"key": "rt/refund-0", "status": "done"}', "回复的是另一笔业务"),
    answer(
        "a reference of 201 letters",
        200,
        '{"key": "KEY", "status": "done", "reference": "' + "x" * 201 + '"}',
        "回复的内容看不懂",
    ),
    answer(
        "half a surrogate pair", 200, '{"key": "KEY", "status": "done", "reference": "\\ud800"}', "回复的内容看不懂"
    ),
    answer("100,000 letters", 200, "x" * 100_000, "回复太长，看不懂"),
    answer("very deep", 200, "[" * 60_000, "回复的内容看不懂"),
]


@pytest.fixture(scope="module")
async def provider(house: House, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The other side, connected; nobody waits between two tries."""
    running = Running(tmp_path_factory.mktemp("provider"))
    call = Bare.call

    async def at_once(self: Bare, name: str, retries: int, delays: list[float], body: Any) -> Any:
        return await call(self, name, retries, [0.0 for _ in delays], body)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "payment_from", lambda settings: HttpPayment(running.url, KEY))
        patch.setattr(Bare, "call", at_once)
        yield running
    running.stop()


@pytest.fixture
async def parked(house: House, database: str, provider: Running) -> Telling:
    """A case whose refund nobody could carry out yet; its next try is due."""
    if "parked" not in house.at:
        house.at["parked"] = case = await to_release(Shop())
        provider.behave("error")
        await case.decide("release", "A03", amount="188.00")
    case = house.at["parked"]
    async with transaction() as connection:
        await connection.execute(
            text("update parks set retry_at = now() - interval '1 minute' where case_no = :c"),
            {"c": case.case_no},
        )
    return case


async def to_release(shop: Shop) -> Telling:
    case = await shop.tell(shop.application(await shop.order("PARKED")))
    await case.decide("review", "C08", decision="approve")
    await case.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200399")
    await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    found = [{"line": "1", "quantity": 1, "grade": "sellable", "cause": "no_reason"}]
    await case.decide("inspection", "W03", items=found, result="pass")
    return case


@pytest.mark.parametrize(("status", "body", "headers", "sentence"), ANSWERS)
async def test_an_answer_that_is_none_leaves_the_step_parked(
    house: House, parked: Telling, provider: Running, status: int, body: str, headers: dict[str, str], sentence: str
):
    provider.say(status, body, headers)
    before = house.books()

    await parked.again()

    assert (parked.at, provider.bookings) == ("refund-0", {})
    assert [row.reason for row in await parked.rows("parks", "reason", "and ended_at is null")] == [sentence]
    # the park and the entry that tells of it, and of a new reason the owner: no outcome, no bill, no other case
    changed = rows(house.books() - before)
    assert set(changed) - {"outbox"} == {"journal", "parks", "cases"}
    assert {row["recipient"] for row in changed.get("outbox", ())} <= {"department:aftersales"}
    assert {row["case_no"] for table in changed.values() for row in table} == {parked.case_no}
    assert {row["kind"] for row in changed["journal"]} == {"parked"}


async def test_when_it_answers_at_last_the_money_goes_once(parked: Telling, provider: Running):
    provider.behave("done")

    await parked.again()

    assert provider.bookings == {f"{parked.case_no}/refund-0": 1}
    assert (await parked.case()).stage is Stage.CLOSED
