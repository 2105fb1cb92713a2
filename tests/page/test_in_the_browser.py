"""The page as a customer sees it on a phone: without scripts, in both languages, and by the rules of WCAG 2.2 AA."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.async_api import Browser
from playwright.async_api import Page as Tab

from tests.page.conftest import ORDER, PHONE, Page, photo, said
from tests.stories.conftest import Shop
from tests.stories.on_the_way import inspected, picked_up, self_shipping

pytestmark = [pytest.mark.browser]

PHONES = {"width": 390, "height": 844}
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@asynccontextmanager
async def phone(browser: Browser, page: Page, language: str, **how: Any) -> AsyncIterator[Tab]:
    """A phone whose browser speaks a language and runs no scripts."""
    context = await browser.new_context(
        **{
            "base_url": f"http://127.0.0.1:{page.port}",
            "viewport": PHONES,
            "device_scale_factor": 2,
            "is_mobile": True,
            "has_touch": True,
            "java_script_enabled": False,
            "locale": "zh-CN" if language == "zh" else "en-GB",
            **how,
        }
    )
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def find(tab: Tab, language: str, order_no: str = ORDER) -> None:
    """Search as people do: by what stands beside the fields."""
    await tab.goto("/")
    await tab.get_by_label(said("order_no", language), exact=True).fill(order_no)
    await tab.get_by_label(said("phone", language), exact=True).fill(PHONE)
    await tab.get_by_role("button", name=said("search.go", language), exact=True).tap()
    await tab.get_by_role("heading", name=said("order", language, order_no=order_no)).wait_for()


async def keep(tab: Tab, album: Path | None, name: str) -> None:
    """Keep a picture, where somebody wants to look at them."""
    if album is not None:
        await tab.screenshot(path=album / f"page-{name}.png", full_page=True)


async def fits(tab: Tab) -> None:
    """See that nothing is wider than the phone, and that everything to touch is large enough."""
    assert await tab.evaluate("document.documentElement.scrollWidth") <= PHONES["width"]
    small = await tab.evaluate(
        """[...document.querySelectorAll("main a.button, button, input:not([type=hidden]):not([type=radio]), select, label.choice, nav a")]
        .filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""
    )
    assert small == []


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_customer_applies_on_a_phone_without_scripts(
    page: Page,
    shop: Shop,
    browser: Browser,
    album: Path | None,
    language: str,
    tmp_path: Path,
    told_at_once: list[dict[str, Any]],
):
    await shop.order(lines=[("SKU-1", "护眼台灯（米白）", 2, "200.00"), ("SKU-2", "灯泡", 1, "20.00")])
    (picture := tmp_path / "IMG_0001.jpg").write_bytes(photo((1200, 900)))
    async with phone(browser, page, language) as tab:
        await tab.goto("/")
        await keep(tab, album, f"search-{language}")
        await fits(tab)
        await find(tab, language)
        await tab.get_by_role("link", name=said("apply", language)).tap()
        await tab.get_by_role("button", name=said("apply.go", language)).tap()
        await tab.get_by_role("alert").wait_for()
        await keep(tab, album, f"mistakes-{language}")
        await fits(tab)
        await tab.get_by_label("护眼台灯").select_option("1")
        await tab.get_by_label("质量问题" if language == "zh" else "Faulty").check()
        await tab.get_by_label(said("apply.shipping.pickup", language)).check()
        await tab.get_by_label(said("apply.photos", language)).set_input_files(picture)
        await tab.get_by_label(said("apply.remark", language)).fill("开关不亮")
        await keep(tab, album, f"apply-{language}")
        await tab.get_by_role("button", name=said("apply.go", language)).tap()
        await tab.get_by_role("heading", name="RT-").wait_for()
        await keep(tab, album, f"applied-{language}")
        await fits(tab)

    ((asked),) = told_at_once
    assert asked["items"] == [{"sku": "SKU-1", "quantity": 1}]
    assert asked["reason"] == "quality" and len(asked["evidence"]) == 1


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_customer_sees_how_far_it_is(
    page: Page, shop: Shop, browser: Browser, album: Path | None, language: str
):
    case = await picked_up(shop)
    async with phone(browser, page, language) as tab:
        await find(tab, language)
        await tab.get_by_text("SF1001").first.wait_for()
        now = tab.locator("[aria-current=step]")
        assert said("owed.receipt", language) in await now.inner_text()
        await keep(tab, album, f"progress-{language}")
        await fits(tab)
        await case.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
        await inspected(case)
        await case.decide("refund", "A03", amount="188.00", reference="ALI-2026")
        await tab.get_by_role("link", name=said("refresh", language)).tap()
        await tab.get_by_text(said("result.closed", language), exact=False).first.wait_for()
        await keep(tab, album, f"done-{language}")
        await tab.get_by_role("button", name=said("leave", language)).tap()
        await tab.get_by_role("heading", name=said("search", language)).wait_for()


async def test_the_language_is_changed_by_a_link(page: Page, browser: Browser):
    async with phone(browser, page, "zh") as tab:
        await tab.goto("/")
        await tab.get_by_role("link", name="English").tap()
        await tab.get_by_role("heading", name=said("search", "en")).wait_for()


async def test_everything_can_be_done_with_the_keyboard(page: Page, shop: Shop, browser: Browser):
    await shop.order()
    async with phone(browser, page, "zh", viewport={"width": 1280, "height": 800}, is_mobile=False) as tab:
        await tab.goto("/")
        await tab.keyboard.press("Tab")
        assert await tab.evaluate("document.activeElement.className") == "skip", "first of all past the head"
        await tab.keyboard.press("Enter")
        await tab.keyboard.press("Tab")
        await tab.keyboard.type(ORDER)
        await tab.keyboard.press("Tab")
        await tab.keyboard.type(PHONE)
        await tab.keyboard.press("Enter")
        await tab.get_by_role("heading", name=said("order", order_no=ORDER)).wait_for()


@pytest.mark.parametrize("language", ["zh", pytest.param("en", marks=pytest.mark.soak)])
async def test_wcag_aa_by_day_and_by_night(page: Page, shop: Shop, browser: Browser, album: Path | None, language: str):
    await shop.order("PAID")
    await picked_up(shop, order={"order_no": "D2"}, order_no="D2")
    await self_shipping(shop)
    case = await shop.tell(shop.application("PAID"))
    await case.decide("review", "C08", decision="ask", question="吊牌还在吗")
    found: dict[str, Any] = {}
    # axe is a script: only it runs any here
    how = {"java_script_enabled": True, "bypass_csp": True}
    async with phone(browser, page, language, **how) as tab:

        async def held(name: str) -> None:
            await tab.evaluate(AXE)
            for scheme in ("light", "dark"):
                await tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                told = await tab.evaluate("rules => axe.run({runOnly: rules})", RULES)
                assert told["passes"], "something was looked at"
                wrong = [(each["id"], [node["html"] for node in each["nodes"]]) for each in told["violations"]]
                found[f"{name}, {scheme}"] = wrong
            await keep(tab, album, f"dark-{name}-{language}")

        await tab.goto("/")
        await held("search")
        await tab.get_by_role("button", name=said("search.go", language)).tap()
        await tab.get_by_role("alert").wait_for()
        await held("search with mistakes")
        for order_no in ("PAID", "D2", ORDER):
            await find(tab, language, order_no)
            await held(f"order {order_no}")
        await shop.order("FREE")
        await find(tab, language, "FREE")
        await tab.get_by_role("link", name=said("apply", language)).tap()
        await tab.get_by_role("heading", name=said("apply.title", language), exact=True).wait_for()
        await held("application")
        await tab.get_by_role("button", name=said("apply.go", language)).tap()
        await tab.get_by_role("alert").wait_for()
        await held("application with mistakes")
        await tab.goto("/nothing")
        await held("no such page")

    assert found == {name: [] for name in found}
    assert len(found) == 16
