"""The survey on the customer's page: asked in both languages, answered once, and thanked for (SVY-01 to SVY-03, P-22)."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from aftersales import clock, links
from aftersales.cli import demo_desk
from aftersales.gateways.channels import Channels
from aftersales.store import surveys
from aftersales.store.engine import transaction
from tasks import sending
from tasks import surveys as asking
from tests.page.conftest import Page, Visitor, hidden, said
from tests.stories.conftest import Shop, Telling
from tests.stories.test_returns import to_refund


@pytest.fixture
async def case(page: Page, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Telling:
    """A return whose survey is open."""
    monkeypatch.setattr(sending, "_known", Channels())
    await shop.order()
    telling = await to_refund(await shop.tell(shop.application()))
    await telling.decide("refund", "A02", amount="188.00", reference="ALI-2026-0001")
    await asking.look(at=clock.now() + timedelta(minutes=3))
    return telling


@pytest.fixture
async def path(case: Telling) -> str:
    """Where its link leads."""
    row = await survey_of(case)
    return f"/s/{links.sign('survey', str(row['id']), row['expires_at'])}"


@pytest.fixture
def visitor(page: Page) -> Visitor:
    """Somebody with a link."""
    return page.visitor()


async def survey_of(case: Telling) -> Any:
    async with transaction() as connection:
        row = await surveys.of_case(connection, case.case_no)
    assert row is not None
    return row


async def fill(visitor: Visitor, path: str, **answers: str) -> httpx.Response:
    """Fill the questions in and send them."""
    given = {f"q-{code}": answer for code, answer in answers.items()}
    return await visitor.post(path, {"token": await visitor.token(path), **given})


async def test_a_link_asks_what_the_survey_asks(visitor: Visitor, path: str, case: Telling):
    page = await visitor.get(path)

    assert page.status_code == 200
    assert case.case_no in page.text
    for question in asking.current_terms().survey.questions:
        assert question.zh in page.text
    assert "10212345678" not in page.text and "李" not in page.text, "GEN-10"
    assert page.text.count('type="radio" name="q-overall"') == 5
    # every group of answers has a name, every answer a label
    assert page.text.count("<fieldset") == page.text.count("<legend") == 8
    assert len(re.findall(r'<label class="choice"><input type="radio"', page.text)) == page.text.count('type="radio"')


async def test_it_asks_in_english_too(visitor: Visitor, path: str):
    page = await visitor.get(f"{path}?lang=en")

    assert '<html lang="en">' in page.text
    assert "Overall satisfaction" in page.text and "总体满意度" not in page.text
    assert said("survey.stars", "en") in page.text


async def test_an_answer_counts_and_is_thanked_for(visitor: Visitor, path: str, case: Telling):
    sent = await fill(visitor, path, overall="4", solved="yes", comment="谢谢")

    assert (sent.status_code, sent.headers["location"]) == (303, path)
    thanked = await visitor.get(path)
    assert (thanked.status_code, said("survey.answered") in thanked.text) == (200, True)
    assert "<form" not in thanked.text
    row = await survey_of(case)
    assert (row["state"], row["via"], row["satisfied"]) == ("answered", "link", True)
    assert row["answers"][-1] == {"code": "comment", "scale": "text", "answer": "谢谢"}


async def test_the_demo_answers_on_the_page_where_it_runs(
    page: Page, path: str, case: Telling, monkeypatch: pytest.MonkeyPatch
):
    # nothing but the way over the page
    monkeypatch.setattr(demo_desk, "surveys", SimpleNamespace(PATH=asking.PATH))
    desk = demo_desk.Prefect(None, page_url=f"http://127.0.0.1:{page.port}")  # type: ignore[arg-type]

    await desk.answer(path.removeprefix(asking.PATH), {"overall": "4", "solved": "yes"})

    assert ((row := await survey_of(case))["state"], row["via"]) == ("answered", "link")
    with pytest.raises(AttributeError):  # answered already: the page shows no form
        await desk.answer(path.removeprefix(asking.PATH), {"overall": "4"})


@pytest.mark.parametrize("page_url", ["", "http://127.0.0.1:9"], ids=["no page", "nobody listens"])
async def test_the_demo_answers_without_the_page(path: str, case: Telling, page_url: str):
    desk = demo_desk.Prefect(None, page_url=page_url)  # type: ignore[arg-type]

    await desk.answer(path.removeprefix(asking.PATH), {"overall": "4"})

    assert (await survey_of(case))["state"] == "answered"


async def test_svy05_a_dissatisfied_answer_opens_a_second_revisit_though_prefect_is_away(
    visitor: Visitor, path: str, case: Telling
):
    await fill(visitor, path, overall="1")

    async with transaction() as connection:
        assert (
            await connection.scalar(text("select facts ->> 'about' from cases where process = 'revisit'"))
            == case.case_no
        )


async def test_p22_a_second_answer_gets_a_friendly_page_and_changes_nothing(visitor: Visitor, path: str, page: Page):
    token = await visitor.token(path)
    await fill(visitor, path, overall="5")

    with page.nothing_changes():
        again = await visitor.post(path, {"token": token, "q-overall": "1"})

    assert (again.status_code, said("survey.answered") in again.text) == (200, True)


async def test_p22_after_the_end_nobody_answers(
    visitor: Visitor, path: str, page: Page, monkeypatch: pytest.MonkeyPatch
):
    async with transaction() as connection:
        await connection.execute(text("update surveys set expires_at = now() - interval '1 second'"))

    with page.nothing_changes():
        asked, answered = (
            await visitor.get(path),
            await visitor.post(path, {"token": await visitor.token("/"), "q-overall": "1"}),
        )

    for told in (asked, answered):
        assert (told.status_code, said("survey.expired") in told.text) == (410, True)


@pytest.mark.parametrize(
    ("answers", "field", "sentence"),
    [
        pytest.param({}, "q-overall", "“总体满意度”还没有回答", id="nothing chosen"),
        pytest.param({"overall": "9"}, "q-overall", "“总体满意度”的答案不在可选值中", id="nine stars"),
        pytest.param(
            {"overall": "5", "comment": "好" * 501}, "q-comment", "“还想说的”超过 500 字", id="too many words"
        ),
        pytest.param({"overall": "5", "comment": "\x01"}, "q-comment", "“还想说的”含有无法保存的字符", id="no letters"),
    ],
)
async def test_a_mistake_leads_to_its_question_and_keeps_the_rest(
    visitor: Visitor, path: str, page: Page, answers: dict[str, str], field: str, sentence: str
):
    with page.nothing_changes():
        told = await fill(visitor, path, speed="3", **answers)

    assert told.status_code == 422
    assert f'<a href="#{field}">{sentence}' in told.text
    assert f'id="{field}-wrong"' in told.text and 'role="alert"' in told.text
    assert re.search(r'name="q-speed" value="3" checked', told.text)
    assert told.text.count("<title>请更正以下内容") == 1
    again = await visitor.post(path, {"token": hidden(told, "token")[0], "q-overall": "5"})
    assert again.status_code == 303


async def test_a_mistake_is_told_in_english(visitor: Visitor, path: str):
    await visitor.get(f"{path}?lang=en")

    told = await fill(visitor, path)

    assert html.unescape(told.text).count("“Overall satisfaction” is not answered yet.") == 2


async def test_what_somebody_wrote_is_shown_as_they_wrote_it_and_runs_nowhere(visitor: Visitor, path: str):
    told = await fill(visitor, path, comment='<script>alert("1")</script>')

    assert "<script" not in told.text
    assert "&lt;script&gt;" in told.text


@pytest.mark.parametrize("link", ["x", "1", "W10.abc", "a" * 450, "%00", "..%2F..%2Fetc", "💥"])
async def test_a_link_that_we_did_not_sign_opens_nothing(visitor: Visitor, page: Page, link: str):
    with page.nothing_changes():
        told = await visitor.get(f"/s/{link}")

    assert told.status_code in (400, 404)
    assert "<form" not in told.text


async def test_one_letter_less_opens_nothing(visitor: Visitor, path: str):
    told = await visitor.get(path[:-1])

    assert (told.status_code, said("survey.unreadable") in told.text) == (404, True)


@pytest.mark.parametrize("spoiled", ["no token", "another session's", "made up"])
async def test_a_form_that_is_not_of_this_session_changes_nothing(
    visitor: Visitor, path: str, page: Page, spoiled: str
):
    token = {"no token": "", "another session's": await page.visitor().token("/"), "made up": "abc"}[spoiled]
    await visitor.get(path)

    with page.nothing_changes():
        told = await visitor.post(path, {"token": token, "q-overall": "1"})

    assert told.status_code == 403


async def test_a_form_from_another_site_changes_nothing(visitor: Visitor, path: str, page: Page):
    token = await visitor.token(path)

    with page.nothing_changes():
        told = await visitor.post(path, {"token": token, "q-overall": "1"}, headers={"origin": "https://evil.example"})

    assert told.status_code == 403


async def test_no_address_holds_a_link_for_others(visitor: Visitor, path: str):
    page = await visitor.get(path)

    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "noindex" in page.headers["x-robots-tag"]
    assert "script" not in page.headers["content-security-policy"]


async def test_whoever_looks_before_the_customer_uses_nothing_up(visitor: Visitor, page: Page, path: str):
    with page.nothing_changes():
        for _ in range(3):
            assert (await page.visitor().get(path)).status_code == 200


@pytest.mark.parametrize(("language", "order"), [("zh", "订单 D1"), ("en", "Order D1")])
async def test_svy04_the_survey_of_the_month_names_the_order_and_no_return(
    case: Telling, path: str, visitor: Visitor, language: str, order: str
):
    """Only its process tells a survey of the month from one about a return."""
    async with transaction() as connection:
        await connection.execute(text("update cases set process = 'survey' where case_no = :no"), {"no": case.case_no})

    shown = (await visitor.client.get(f"{path}?lang={language}")).text

    assert order in shown and case.case_no not in shown
