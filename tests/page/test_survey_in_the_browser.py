"""The survey as a customer sees it on a phone: without scripts, in both languages, and by the rules of WCAG 2.2 AA."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from sqlalchemy import text

from aftersales import clock, links, terms
from aftersales.store.engine import transaction
from aftersales.store.surveys import Buyer
from tasks import regular
from tasks import surveys as asking
from tests.page.conftest import Page, said
from tests.page.test_in_the_browser import AXE, RULES, fits, keep, phone
from tests.page.test_survey import case as case
from tests.page.test_survey import path as path
from tests.page.test_survey import survey_of
from tests.stories.conftest import Shop, Telling

pytestmark = [pytest.mark.browser]


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_customer_answers_on_a_phone_without_scripts(
    page: Page, browser: Browser, album: Path | None, case: Telling, path: str, language: str
):
    questions = {question.code: question.label(language) for question in asking.current_terms().survey.questions}
    async with phone(browser, page, language) as tab:
        await tab.goto(path)
        await keep(tab, album, f"survey-{language}")
        await fits(tab)
        await tab.get_by_role("button", name=said("survey.go", language), exact=True).tap()
        alert = tab.get_by_role("alert")
        await alert.wait_for()
        await keep(tab, album, f"survey-mistakes-{language}")
        await fits(tab)
        await alert.get_by_role("link").tap()
        overall = tab.get_by_role("group", name=questions["overall"])
        await overall.get_by_label(f"2{said('survey.stars', language)}", exact=True).check()
        await (
            tab.get_by_role("group", name=questions["solved"])
            .get_by_label(said("survey.no", language), exact=True)
            .check()
        )
        await tab.get_by_label(questions["comment"]).fill("等了很久")
        await tab.get_by_role("button", name=said("survey.go", language), exact=True).tap()
        await tab.get_by_role("status").filter(has_text=said("survey.answered", language)).wait_for()
        await keep(tab, album, f"survey-thanks-{language}")
        await fits(tab)

    row = await survey_of(case)
    assert {each["code"]: each["answer"] for each in row["answers"]} == {
        "solved": "no", "overall": "2", "comment": "等了很久",
    }  # fmt: skip
    assert row["satisfied"] is False


async def test_a_link_in_a_mail_that_is_opened_twice_leaves_the_form_of_the_first_alone(
    page: Page, browser: Browser, case: Telling, path: str
):
    """A survey and its reminder lead to one form; mail is read on another site's page."""
    questions = {question.code: question.label("zh") for question in asking.current_terms().survey.questions}
    mail = f'<a href="http://127.0.0.1:{page.port}{path}" target="_blank">问卷</a>'
    async with phone(browser, page, "zh") as tab:
        await tab.context.route(
            "http://mail.example/*", lambda route: route.fulfill(body=mail, content_type="text/html")
        )
        await tab.goto("http://mail.example/")
        tabs = []
        for _ in range(2):
            async with tab.context.expect_page() as opening:
                await tab.get_by_role("link").tap()
            tabs.append(await opening.value)
            await tabs[-1].get_by_role("button", name=said("survey.go"), exact=True).wait_for()
        first, _ = tabs
        overall = first.get_by_role("group", name=questions["overall"])
        await overall.get_by_label(f"5{said('survey.stars')}", exact=True).check()
        await first.get_by_role("button", name=said("survey.go"), exact=True).tap()
        await first.get_by_role("status").filter(has_text=said("survey.answered")).wait_for()

    assert (await survey_of(case))["satisfied"] is True


async def test_a_survey_is_answered_with_the_keyboard(page: Page, browser: Browser, case: Telling, path: str):
    async with phone(browser, page, "zh", viewport={"width": 1280, "height": 800}, is_mobile=False) as tab:
        await tab.goto(path)
        await tab.keyboard.press("Tab")
        await tab.keyboard.press("Enter")  # past the head
        await tab.keyboard.press("Tab")
        await tab.keyboard.press("Space")  # the first answer of the first question
        await tab.keyboard.press("Tab")
        await tab.keyboard.press("Space")
        for _ in range(4):
            await tab.keyboard.press("ArrowRight")
        await tab.keyboard.press("Enter")
        await tab.get_by_role("status").filter(has_text=said("survey.answered")).wait_for()

    answers = {each["code"]: each["answer"] for each in (await survey_of(case))["answers"]}
    assert answers == {"solved": "yes", "overall": "5"}


@pytest.mark.parametrize("language", ["zh", pytest.param("en", marks=pytest.mark.soak)])
async def test_svy04_the_months_questions_on_a_phone(
    page: Page, shop: Shop, browser: Browser, album: Path | None, language: str
):
    """Eleven answers of how likely somebody is to recommend us fit on the smallest phone; by the rules of WCAG AA."""
    await shop.order()
    live, now = terms.load(), clock.now()
    async with transaction() as connection:
        buyer = Buyer("D1", "官方网站")
        await regular.plan(connection, [buyer], on=now.date(), rehearsal=None, at=now, terms=live)
        survey_id = await connection.scalar(text("select id from surveys"))
    path = f"/s/{links.sign('survey', str(survey_id), now + timedelta(days=3))}"
    how = {"java_script_enabled": True, "bypass_csp": True, "viewport": {"width": 320, "height": 640}}
    async with phone(browser, page, language, **how) as tab:
        await tab.goto(path)
        await keep(tab, album, f"survey-month-{language}")
        await fits(tab)
        await tab.evaluate(AXE)
        told = await tab.evaluate("rules => axe.run({runOnly: rules})", RULES)
        questions = {each.code: each.label(language) for each in live.survey.regular.questions}
        recommend = tab.get_by_role("group", name=questions["recommend"])
        assert await recommend.get_by_role("radio").count() == 11
        await recommend.get_by_label("10", exact=True).check()
        overall = tab.get_by_role("group", name=questions["overall"])
        await overall.get_by_label(f"5{said('survey.stars', language)}", exact=True).check()
        await tab.get_by_role("button", name=said("survey.go", language), exact=True).tap()
        await tab.get_by_role("status").filter(has_text=said("survey.answered", language)).wait_for()

    assert told["passes"] and [each["id"] for each in told["violations"]] == []
    async with transaction() as connection:
        answers = await connection.scalar(text("select answers from surveys"))
    assert {each["code"]: each["answer"] for each in answers} == {"overall": "5", "recommend": "10"}


@pytest.mark.parametrize(
    ("language", "scheme"),
    [
        ("zh", "light"),
        pytest.param("en", "dark", marks=pytest.mark.soak),
        pytest.param("zh", "dark", marks=pytest.mark.soak),
        pytest.param("en", "light", marks=pytest.mark.soak),
    ],
)
async def test_wcag_aa(page: Page, browser: Browser, case: Telling, path: str, language: str, scheme: str):
    found: dict[str, Any] = {}
    # axe is a script: only it runs any here
    how = {"java_script_enabled": True, "bypass_csp": True, "color_scheme": scheme}
    async with phone(browser, page, language, **how) as tab:

        async def held(name: str) -> None:
            await tab.evaluate(AXE)
            told = await tab.evaluate("rules => axe.run({runOnly: rules})", RULES)
            assert told["passes"], "something was looked at"
            found[name] = [(each["id"], [node["html"] for node in each["nodes"]]) for each in told["violations"]]

        await tab.goto(path)
        await held("questions")
        await tab.get_by_role("button", name=said("survey.go", language), exact=True).tap()
        await tab.get_by_role("alert").wait_for()
        await held("questions with mistakes")
        await tab.get_by_label(f"5{said('survey.stars', language)}", exact=True).first.check()
        await tab.get_by_role("button", name=said("survey.go", language), exact=True).tap()
        await tab.get_by_role("status").wait_for()
        await held("thanks")
        await tab.goto("/s/nothing")
        await held("a link of nobody's")
        async with transaction() as connection:
            await connection.execute(
                text("update surveys set state = 'sent', expires_at = now() - interval '1 second'")
            )
        await tab.goto(path)
        await held("too late")

    assert found == {name: [] for name in found}
    assert len(found) == 5
