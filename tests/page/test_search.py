"""An order opens to its number and its phone, and to nothing else (SLF-01, AMB-47)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event, text

from aftersales import clock
from aftersales.rules import matching
from aftersales.store import engine
from aftersales.store.engine import transaction
from tests.page.conftest import ORDER, PHONE, Page, Visitor, said, serving
from tests.stories.conftest import Shop


@pytest.mark.parametrize("phone", [PHONE, " +86 102 1234 5678 ", "0086-102-1234-5678", "１０２１２３４５６７８"])
async def test_amb47_an_order_opens_to_its_number_and_phone(visitor: Visitor, phone: str):
    await visitor.find(phone=phone)

    page = await visitor.get("/order")
    assert page.status_code == 200
    assert said("order", order_no=ORDER) in page.text
    assert said("no_cases") in page.text


async def test_amb47_a_wrong_phone_and_an_unknown_order_get_the_same_answer(visitor: Visitor):
    wrong = await visitor.search(phone="10287654321")
    unknown = await visitor.search("D2", phone="10287654321")

    assert said("search.unmatched") in wrong.text
    assert wrong.status_code == unknown.status_code == 422

    def without_what_was_typed(page):
        token = page.text.partition('name="token" value="')[2].partition('"')[0]
        return page.text.replace(token, "").replace('value="D2"', 'value="D1"')

    assert without_what_was_typed(wrong) == without_what_was_typed(unknown)
    assert set(wrong.headers) == set(unknown.headers)


async def test_amb47_as_much_is_done_for_an_order_that_there_is_not(visitor: Visitor, monkeypatch: pytest.MonkeyPatch):
    done: list[str] = []
    compare = matching.hmac.compare_digest
    monkeypatch.setattr(matching.hmac, "compare_digest", lambda a, b: (done.append("compared"), compare(a, b))[1])

    def told(*args):
        done.append(args[2])

    async def work(order_no: str) -> list[str]:
        token = await visitor.token()
        done.clear()
        await visitor.post("/", {"token": token, "order_no": order_no, "phone": "10287654321"})
        return list(done)

    await visitor.search(phone="10287654321")  # whatever is done only once
    event.listen(engine.engine().sync_engine, "before_cursor_execute", told)
    try:
        wrong, unknown = await work(ORDER), await work("D2")
    finally:
        event.remove(engine.engine().sync_engine, "before_cursor_execute", told)

    assert wrong == unknown
    assert wrong.count("compared") >= 1
    assert len([each for each in wrong if each != "compared"]) >= 3, "counted twice and looked for once"


async def test_an_order_without_a_phone_opens_to_its_customers_and_else_to_nobody(page: Page, shop: Shop):
    await shop.order("NONE", phone="")

    refused = await page.visitor().search("NONE", phone="10287654321")
    async with transaction() as connection:
        await connection.execute(text("update customers set phone = '10287654321'"))

    assert said("search.unmatched") in refused.text
    await page.visitor().find("NONE", "10287654321")


async def test_a_session_opens_only_its_own_order(customer: Visitor, shop: Shop):
    await shop.order("D2", phone="10299999999")

    page = await customer.get("/order?order_no=D2")

    assert said("order", order_no="D1") in page.text
    assert "D2" not in page.text


async def test_the_session_is_another_one_after_an_order_was_found(visitor: Visitor):
    await visitor.get("/")
    before = visitor.client.cookies["aftersales-session"]

    await visitor.find()

    assert visitor.client.cookies["aftersales-session"].partition(".")[0] != before.partition(".")[0]
    visitor.client.cookies.set("aftersales-session", before)
    assert (await visitor.get("/order")).headers["location"] == "/?ended", "what was laid before opens nothing"


async def test_the_search_can_be_ended(customer: Visitor):
    ended = await customer.post("/leave", {"token": await customer.token("/order")})

    assert (ended.status_code, ended.headers["location"]) == (303, "/")
    assert "aftersales-session" not in customer.client.cookies
    assert (await customer.get("/order")).status_code == 303


async def test_a_search_that_was_ended_is_over_for_a_copy_of_its_cookie_too(customer: Visitor, page: Page):
    copied = page.visitor()
    copied.client.cookies.update(customer.client.cookies)
    assert (await copied.get("/order")).status_code == 200
    token = await customer.token("/order")

    await customer.post("/leave", {"token": token})

    for path in ("/order", "/apply"):
        assert (await copied.get(path)).headers["location"] == "/?ended"
    assert (await copied.post("/apply", {"token": token})).headers["location"] == "/?ended"
    assert said("order", order_no=ORDER) not in (await copied.get("/")).text
    again = await page.visitor().find()
    assert (await again.get("/order")).status_code == 200, "it is the session that has ended, not the order"


async def test_looks_give_a_session_more_time_but_not_for_ever(customer: Visitor, monkeypatch: pytest.MonkeyPatch):
    began = clock.now()

    async def look(after: timedelta) -> httpx.Response:
        monkeypatch.setattr(clock, "now", lambda case=None: began + after)
        return await customer.get("/order")

    looks = [await look(timedelta(minutes=25 * number)) for number in range(1, 10)]
    last = await look(timedelta(hours=3, minutes=59))
    over = await look(timedelta(hours=4))

    assert {page.status_code for page in looks} == {200}
    (cookie,) = last.headers.get_list("set-cookie")
    assert 30 < int(cookie.partition("Max-Age=")[2].partition(";")[0]) <= 60
    assert over.headers["location"] == "/?ended"


async def test_a_session_is_over_after_half_an_hour_and_a_look_gives_it_more(customer: Visitor):
    page = await customer.get("/order")

    (cookie,) = page.headers.get_list("set-cookie")
    assert cookie.startswith("aftersales-session=")
    assert "; HttpOnly; Max-Age=1800; Path=/; SameSite=lax" in cookie


async def test_over_https_the_cookie_is_sent_by_no_other_way(database: str, home: Path, shop: Shop):
    await shop.order(ORDER)
    async with serving(database, home, AFTERSALES_PAGE_URL="https://help.example.com/returns") as page:
        found = await page.visitor(host="help.example.com").get("/")

    (cookie,) = found.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-aftersales-session=") and cookie.endswith("; Secure")
    assert 'action="/returns/"' in found.text, "the page lies under another path"
    assert found.headers["strict-transport-security"] == "max-age=31536000"


# --- how often ------------------------------------------------------------------------------------------------------


async def test_guesses_at_an_order_are_few(visitor: Visitor, page: Page):
    for _ in range(8):
        assert (await visitor.search(phone="10287654321")).status_code == 422

    refused = await page.visitor().search()

    assert refused.status_code == 429
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    assert said("too_often", minutes=60) in refused.text


async def test_whoever_guesses_locks_nobody_else_out_until_many_do(database: str, home: Path, shop: Shop):
    await shop.order(ORDER)
    async with serving(database, home, AFTERSALES_PAGE_PROXIES="127.0.0.1") as page:
        visitor = page.visitor()

        async def search(address: str, **changes: str) -> int:
            return (await visitor.search(headers={"x-forwarded-for": address}, **changes)).status_code

        for _ in range(8):
            await search("203.0.113.7", phone="10287654321")
        assert [await search("203.0.113.7"), await search("198.51.100.7")] == [429, 303]

        for number in range(1, 5):
            for _ in range(8):
                await search(f"203.0.{number}.7", phone="10287654321")
        assert await search("198.51.100.8") == 429, "from anywhere"


async def test_guesses_from_an_address_are_few_and_orders_that_there_are_not_count_too(visitor: Visitor):
    token = await visitor.token()
    for number in range(60):
        guess = {"token": token, "order_no": f"N{number}", "phone": PHONE}
        assert (await visitor.post("/", guess)).status_code == 422

    refused = await visitor.post("/", {"token": token, "order_no": ORDER, "phone": PHONE})

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= 600


async def test_what_found_its_order_is_no_guess(visitor: Visitor):
    for _ in range(9):
        await visitor.find()


async def test_a_restart_begins_no_count_anew(visitor: Visitor, database: str, home: Path):
    for _ in range(8):
        await visitor.search(phone="10287654321")

    async with serving(database, home) as another:
        assert (await another.visitor().search()).status_code == 429


async def test_counts_name_nobody_and_are_forgotten(visitor: Visitor):
    await visitor.search("SECRET-1", phone="10287654321")

    async with transaction() as connection:
        rows = (await connection.execute(text("select * from attempts"))).all()
        await connection.execute(text("update attempts set until_at = until_at - interval '2 days'"))
    await visitor.search("SECRET-2", phone="10287654321")
    async with transaction() as connection:
        left = await connection.scalar(text("select count(*) from attempts where until_at < now()"))

    assert "SECRET" not in repr(rows) and "127.0.0.1" not in repr(rows) and PHONE not in repr(rows)
    assert left == 0


async def test_whoever_says_to_ask_for_somebody_else_is_not_believed(visitor: Visitor):
    token = await visitor.token()
    for number in range(60):
        guess = {"token": token, "order_no": f"N{number}", "phone": PHONE}
        await visitor.post("/", guess, headers={"x-forwarded-for": f"203.0.113.{number}"})

    refused = await visitor.search(headers={"x-forwarded-for": "198.51.100.1"})

    assert refused.status_code == 429


async def test_a_proxy_of_ours_is_believed_for_the_last_address_it_did_not_make_itself(
    database: str, home: Path, shop: Shop
):
    await shop.order(ORDER)
    async with serving(database, home, AFTERSALES_PAGE_PROXIES="127.0.0.1") as page:
        visitor = page.visitor()
        token = await visitor.token()
        for number in range(60):
            guess = {"token": token, "order_no": f"N{number}", "phone": PHONE}
            await visitor.post("/", guess, headers={"x-forwarded-for": f"10.9.9.{number}, 203.0.113.7"})

        same = await visitor.search(headers={"x-forwarded-for": "203.0.113.7"})
        other = await visitor.search(headers={"x-forwarded-for": "203.0.113.8"})

    assert same.status_code == 429, "what the visitor wrote before it counts for nothing"
    assert other.status_code == 303


# --- languages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "accepts", "language"),
    [
        pytest.param("/", "", "zh", id="the house's"),
        pytest.param("/", "en-US,en;q=0.9,zh;q=0.5", "en", id="the browser's"),
        pytest.param("/", "fr,zh-TW;q=0.8,en;q=0.2", "zh", id="the one of ours that it likes best"),
        pytest.param("/", "fr", "zh", id="none of ours"),
        pytest.param("/?lang=en", "zh", "en", id="the one asked for"),
        pytest.param("/?lang=fr", "en", "en", id="one that there is not"),
        pytest.param("/", "en;q=x, *, ;;,", "zh", id="nonsense"),
    ],
)
async def test_the_page_speaks_its_readers_language(page: Page, path: str, accepts: str, language: str):
    found = await page.visitor(**{"accept-language": accepts}).get(path)

    assert said("search", language) in found.text
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in found.text
    assert found.headers["content-language"] == ("zh-CN" if language == "zh" else "en")


async def test_a_chosen_language_is_remembered(page: Page):
    visitor = page.visitor(**{"accept-language": "zh"})
    await visitor.get("/?lang=en")

    assert said("search", "en") in (await visitor.get("/")).text


async def test_the_customers_own_language_counts_where_nothing_else_says_one(page: Page, shop: Shop):
    await shop.order(ORDER)
    async with transaction() as connection:
        await connection.execute(text("update customers set language = 'en'"))

    visitor = await page.visitor(**{"accept-language": ""}).find()

    assert said("no_cases", "en") in (await visitor.get("/order")).text


# --- the service ----------------------------------------------------------------------------------------------------


async def test_every_answer_is_guarded(customer: Visitor):
    for path in ("/", "/order", "/apply", "/nothing", "/page.css", "/health"):
        answer = await customer.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src" not in policy and "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy and "base-uri 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
        is_style = path == "/page.css"
        assert answer.headers["cache-control"] == ("public, max-age=31536000, immutable" if is_style else "no-store")


async def test_nothing_on_a_page_needs_a_script_or_another_host(customer: Visitor):
    for path in ("/", "/order", "/apply"):
        page = (await customer.get(path)).text
        assert "<script" not in page and " style=" not in page and "javascript:" not in page
        assert "http://" not in page and "https://" not in page


async def test_head_answers_as_get_does(customer: Visitor):
    for path in ("/", "/order", "/page.css"):
        answer = await customer.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


async def test_without_a_database_the_page_says_to_come_later(visitor: Visitor):
    token = await visitor.token()
    await engine.disconnect()
    engine.connect("postgresql://nobody@127.0.0.1:1/none")

    answer = await visitor.post("/", {"token": token, "order_no": ORDER, "phone": PHONE})

    assert answer.status_code == 503
    assert said("plain.503") in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
