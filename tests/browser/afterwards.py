"""
What follows a return, on a rehearsal's clock, as its people see it: the customer on a phone, the agents on the desk.

The browser test holds it, `take_screenshots.py` photographs it for the handbook: the same hands for both.
"""

from __future__ import annotations

import asyncio
import json
import re
import time as clock_time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.async_api import Browser, Page

from aftersales.cli import demo_desk, demo_play
from aftersales.cli.demo_ways import WAYS, Nothing
from aftersales.desk import runs
from aftersales.page.words import WORDS
from aftersales.rules import clocks
from aftersales.settings import settings
from aftersales.store import engine, rehearsals
from aftersales.store.engine import transaction
from aftersales.terms import load
from tasks import followup, sending
from tests.browser import pictures, ui
from tests.browser.person import PATIENCE, Desk
from tests.conftest import Shop
from tests.gateways.receivers import Receiver

# Thursday 19 November 2026, 15:00 in the house: the refund is paid on Wednesday 25, the visit is due on Wednesday 2 December
BEGINS = datetime(2026, 11, 19, 7, tzinfo=UTC)
DUE_ON = date(2026, 12, 2)
LANGUAGES = {"zh": "zh-CN", "en": "en-GB"}
WIDE = 390


@contextmanager
def beside(shop: Shop, receiver: Receiver) -> Iterator[None]:
    """Stand beside a running shop, as `aftersales demo` does; what is rehearsed is told to the receiver."""
    at = shop.stack
    assert at is not None
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shop.environment.items():
            patch.setenv(name, value)
        patch.setenv("PREFECT_API_URL", at.api_url)
        patch.setenv("AFTERSALES_CHANNELS", json.dumps({"rehearsal": [receiver.url("rehearsal")]}))
        patch.setattr(sending, "_known", None)
        settings.cache_clear()
        try:
            yield
        finally:
            settings.cache_clear()


@asynccontextmanager
async def connected(shop: Shop) -> AsyncIterator[None]:
    """The shop's database, for the time of the block."""
    engine.connect(shop.stack.database_url)
    try:
        yield
    finally:
        await engine.disconnect()


@dataclass
class Phone:
    """A customer's phone, without scripts; with an album, it also keeps pictures."""

    page: Page
    album: Path | None = None

    @classmethod
    @asynccontextmanager
    async def held(cls, browser: Browser, language: str = "zh", album: Path | None = None) -> AsyncIterator[Phone]:
        """A phone whose browser speaks a language, for the time of the block."""
        context = await browser.new_context(
            viewport={"width": WIDE, "height": 844},
            is_mobile=True,
            has_touch=True,
            java_script_enabled=False,
            locale=LANGUAGES[language],
        )
        try:
            yield cls(await context.new_page(), album)
        finally:
            await context.close()

    async def picture(self, name: str) -> None:
        """Keep a picture of the whole page."""
        if self.album is not None and name:
            self.album.mkdir(parents=True, exist_ok=True)
            box = await self.page.locator("main").bounding_box()
            assert box is not None
            edge = {"x": 0, "y": 0, "width": WIDE, "height": box["y"] + box["height"]}
            png = await self.page.screenshot(full_page=True, clip=edge)
            (self.album / f"{name}.png").write_bytes(pictures.smaller(png))

    async def read(self) -> str:
        """What the page says."""
        return await self.page.inner_text("main")

    async def fits(self) -> bool:
        """Whether nothing is wider than the phone."""
        return bool(await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@dataclass
class Watching:
    """Looks at the customer's page while the rehearsal goes on; `seen` is what it said, by language."""

    browser: Browser
    shop: Shop
    album: Path | None
    seen: dict[str, str] = field(default_factory=dict)

    async def moment(self, day: int, at: datetime, acts: Sequence[str]) -> None:
        """See how far it is when the parcel is on its way."""
        if "仓库扫描入库" not in acts:
            return
        last = "select order_no, contact_phone from orders where rehearsal is not null order by id desc limit 1"
        order_no, phone = row(self.shop.stack.database_url, last)
        for language in LANGUAGES:
            async with Phone.held(self.browser, language, self.album) as held:
                await find(held.page, self.shop.stack.page_url, language, order_no, phone)
                await held.picture(f"progress-{language}")
                assert await held.fits()
                self.seen[language] = await held.read()

    def overdue(self, owed: rehearsals.Owed) -> None:
        """Nobody need know."""


async def find(page: Page, url: str, language: str, order_no: str, phone: str) -> None:
    """Search for an order as its customer does."""
    place = list(LANGUAGES).index(language)
    await page.goto(url)
    await page.get_by_label(WORDS["order_no"][place], exact=True).fill(order_no)
    await page.get_by_label(WORDS["phone"][place], exact=True).fill(phone)
    await page.get_by_role("button", name=WORDS["search.go"][place], exact=True).tap()
    await page.get_by_role("heading", name=order_no).wait_for()


def row(database_url: str, query: str, *values: Any) -> Any:
    """The first row of an answer, None when there is none."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(query, values).fetchone()


async def run_of(database_url: str, case_no: str) -> str:
    """The run that tells a case, begun at once or by the reconciling round."""
    until = clock_time.monotonic() + 3 * PATIENCE
    while clock_time.monotonic() < until:
        if found := row(database_url, "select run_id from runs where case_no = %s", case_no):
            return str(found[0])
        await asyncio.sleep(0.5)
    raise AssertionError(f"{case_no} has no run")


@dataclass(frozen=True)
class Walked:
    """What was seen on the way."""

    case_no: str
    message: str
    progress: dict[str, str]
    survey: dict[str, str]
    thanks: str
    revisit_no: str
    revisit: str
    revisit_tags: list[str]
    list_no: str
    visit: str
    night: followup.Round
    ended: dict[str, str]


async def walk(browser: Browser, shop: Shop, receiver: Receiver, album: Path | None = None) -> Walked:
    """Walk from the refund to the visit a week later; each does their part where they do it every day."""
    at = shop.stack
    watching = Watching(browser, shop, album)
    with beside(shop, receiver):
        # --- the return, up to a few minutes after its end
        way = next(way for way in WAYS if way.key == "dissatisfied")
        paid = next(n for n, act in enumerate(way.acts) if act.says == "出纳确认退款")
        later = replace(way.acts[paid], at=time(16, 10), says="结案十分钟后", does=Nothing())
        async with connected(shop), runs.from_outside() as client:
            (played,) = await demo_play.play(
                [replace(way, acts=(*way.acts[: paid + 1], later))],
                desk=demo_desk.Prefect(client, page_url=at.page_url),
                audience=watching,
                start_at=BEGINS,
            )
        case_no = played.case_no
        message = next(text for text in receiver.texts("rehearsal") if "/s/" in text and case_no in text)
        link = re.search(r"http\S+/s/\S+", message)
        assert link, message

        # --- the customer, on the phone
        survey = {}
        for language in ("en", "zh"):
            async with Phone.held(browser, language, album) as phone:
                await phone.page.goto(link[0])
                survey[language] = await phone.read()
                assert await phone.fits()
                if language == "en":
                    await phone.picture("survey-en")
                    continue
                await phone.page.get_by_role("group", name="问题解决得满意吗").get_by_label("否").check()
                await phone.page.get_by_role("group", name="总体满意度").get_by_label("2 星").check()
                await phone.page.get_by_label("还想说的").fill("等了好几天才退款，请打 13800001234")
                await phone.picture("survey-zh")
                await phone.page.get_by_role("button", name="提交评价").tap()
                await phone.page.get_by_role("status").wait_for()
                thanks = await phone.read()
                await phone.picture("survey-thanks")

        # --- the senior agent, on the desk
        desk = await Desk.open(browser, ui_url=at.ui_url, api_url=at.api_url, album=album)
        followed = "select case_no from cases where process = 'revisit' and facts ->> 'about' = %s"
        (revisit_no,) = row(at.database_url, followed, case_no)
        run = await run_of(at.database_url, revisit_no)
        name = await desk.until(run, "待二次回访")
        tagged = await desk.finds("二次回访", name, picture="revisit-runs")
        form = await desk.form(run)
        revisit = await desk.summary(form)
        answer = {"操作人": "C02 刘洋", "回访结果": "客户满意", "客户怎么说": "已说明到账时间并致歉，客户接受"}
        await desk.answer(run, answer, picture="revisit")
        ended = {revisit_no: await desk.until(run, "已完成")}

        # --- the nights of the week, and the list of the last one
        house = load().house
        async with connected(shop):
            (rehearsal,) = row(at.database_url, "select rehearsal from cases where case_no = %s", case_no)
            for days in range(6, -1, -1):
                night = clocks.house_time(datetime.combine(DUE_ON - timedelta(days=days), time(2)), house=house)
                async with transaction() as connection:
                    await rehearsals.jump(connection, rehearsal, night)
                told = await followup.look(rehearsal=rehearsal, at=night)
                assert bool(told.night.drawn) is (days == 0), (days, told.said)
        (list_no,) = told.lists.opened
        run = await run_of(at.database_url, list_no)
        name = await desk.until(run, "待回访")
        async with connected(shop), transaction() as connection:
            await rehearsals.jump(
                connection, rehearsal, clocks.house_time(datetime.combine(DUE_ON, time(10)), house=house)
            )
        await desk.finds("回访", name)
        form = await desk.form(run)
        visit = await desk.summary(form)
        (offered,) = await ui.choices(desk.page, form, "回访对象")
        agent = re.search(r"（(C\d\d \S+?)）", visit)
        assert agent, visit
        call = {
            "操作人": agent[1],
            "回访对象": offered,
            "回访结果": "已联系上",
            "主要问题": "退款已到账，没有其他问题",
        }
        await desk.answer(run, call, picture="visit")
        ended[list_no] = await desk.until(run, "已完成")
        await desk.artifact(run, f"{list_no} 时间线", picture="visit-timeline", height=760)
        await desk.page.close()
    return Walked(
        case_no, message, watching.seen, survey, thanks, revisit_no, revisit, tagged, list_no, visit, told, ended
    )
