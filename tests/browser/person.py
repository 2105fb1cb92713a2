"""
The people of the shop, as a script: each opens Prefect's V2 UI, looks at a case, and does their part of it.

The browser test asserts what they see, `take_screenshots.py` photographs it for the handbook: the same hands for both.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Locator, Page

from aftersales.desk import links
from tests.browser import pictures, ui

PATIENCE = 30.0  # a leg takes a second; a busy machine may need more
WIDE, HIGH, FOR_PICTURES = 1280, 900, 4800


@dataclass
class Desk:
    """One browser window on a running stack; with an album, it also keeps pictures."""

    page: Page
    base: str
    api: str
    album: Path | None = None

    @classmethod
    async def open(cls, browser: Browser, *, ui_url: str, api_url: str, album: Path | None = None) -> Desk:
        """Open a window as a clerk in the house has it; for pictures a high one, so that a whole form fits in."""
        high = HIGH if album is None else FOR_PICTURES
        page = await browser.new_page(
            viewport={"width": WIDE, "height": high},
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            reduced_motion="reduce",
        )
        return cls(page, ui_url, api_url, album)

    # --- starting and answering ---------------------------------------------------------------------------------------

    async def apply(self, values: Mapping[str, Any], *, picture: str = "") -> str:
        """Start a return with the deployment's form; answers the id of its run."""
        async with httpx.AsyncClient() as client:
            found = (await client.get(f"{self.api}/deployments/name/returns/{links.APPLY}")).raise_for_status()
        deployment = found.json()["id"]
        await ui.open_deployment(self.page, self.base, deployment)
        await ui.fill(self.page.locator("form"), values)
        await self.picture(picture, self.page.locator("form"))
        submitted = await ui.press_submit(self.page)
        assert submitted.accepted, submitted.said
        return submitted.run_id

    async def until(self, run_id: str, stage: str) -> str:
        """Wait until the run has come to a stage and rests there; answers its name."""
        async with httpx.AsyncClient() as client:
            last, until = "", time.monotonic() + PATIENCE
            while time.monotonic() < until:
                run = (await client.get(f"{self.api}/flow_runs/{run_id}")).raise_for_status().json()
                last = f"{run['name']}: {run['state_type']} {run['state'].get('message')}"
                if run["name"].endswith(f" {stage}") and run["state_type"] in ("PAUSED", "COMPLETED"):
                    return str(run["name"])
                assert run["state_type"] not in ("FAILED", "CRASHED", "CANCELLED"), last
                await asyncio.sleep(0.1)
        raise AssertionError(f"not {stage} after {PATIENCE:.0f} s: {last}")

    async def form(self, run_id: str) -> Locator:
        """Open the form that a case waits for (⋮ → Resume)."""
        return await ui.open_resume(self.page, self.base, run_id)

    async def summary(self, form: Locator) -> str:
        """Read the page that stands above a form's fields."""
        # the page's text is drawn a moment after its frame
        return await form.locator(".prose").filter(has_text=re.compile(r"\S")).first.inner_text()

    async def answer(self, run_id: str, values: Mapping[str, Any], *, picture: str = "") -> None:
        """Fill in the form that a case waits for, and resume."""
        form = await self.form(run_id)
        await ui.fill(form, values)
        await self.picture(picture, form)
        submitted = await ui.press_resume(self.page)
        assert submitted.accepted, submitted.said

    # --- looking ------------------------------------------------------------------------------------------------------

    async def listed(self, tag: str, *, picture: str = "", height: int = 900) -> list[str]:
        """Open a department's link and read the names of the runs that it lists."""
        await self.page.goto(links.runs(self.base, tag))
        await self.page.get_by_text("No flow runs match your filters").or_(self._names).first.wait_for()
        await self.picture(picture, height=height)
        return [name.strip() for name in await self._names.all_inner_texts()]

    async def finds(self, tag: str, name: str, *, picture: str = "", height: int = 820) -> list[str]:
        """Look a run up by a tag; the UI says for a moment that there is none before it has asked."""
        until = time.monotonic() + PATIENCE
        while name not in (names := await self.listed(tag)):
            assert time.monotonic() < until, f"no {name} below {tag}, but {names}"
            await asyncio.sleep(0.5)
        await self.picture(picture, height=height)
        return names

    async def menu(self, run_id: str, *, picture: str = "") -> list[str]:
        """Open the menu at a run's top right (⋮) and read what it offers."""
        await self.page.goto(links.run(self.base, run_id))
        await self.page.get_by_role("button", name="Open menu").first.click()
        offered = self.page.get_by_role("menuitem")
        await offered.first.wait_for()
        await self.picture(picture, height=560)
        return [text.strip() for text in await offered.all_inner_texts()]

    async def run_page(self, run_id: str, *, picture: str = "") -> str:
        """Open a case's run and read the head of its page: name, tags, state."""
        await self.page.goto(links.run(self.base, run_id))
        await self.page.get_by_role("tab", name="Artifacts").wait_for()
        await self.picture(picture)
        return await self.page.locator("body").inner_text()

    async def artifact(self, run_id: str, key: str, *, picture: str = "", height: int = 900) -> str:
        """Walk from a run to one of its pages, as a clerk clicks: Artifacts, the page's card, its newest version."""
        await self.page.goto(links.run(self.base, run_id))
        await self.page.get_by_role("tab", name="Artifacts").click()
        await self.page.locator("a", has_text=key).or_(self.page.get_by_text(key, exact=True)).first.click()
        await self.page.locator("a[href*='/artifacts/artifact/']").first.click()
        await self.page.locator(".prose table").first.wait_for()
        await self.picture(picture, height=height)
        return await self.page.locator("body").inner_text()

    @property
    def _names(self) -> Locator:
        return self.page.locator("a[href*='/runs/flow-run/']").filter(has_text=re.compile(r"\b(RT|HF|HL)-"))

    async def picture(self, name: str, of: Locator | None = None, *, height: int = 900) -> None:
        """Keep a picture of a part of the page, or of the page's upper part."""
        if self.album is None or not name:
            return
        await self.page.wait_for_timeout(500)  # what has just been chosen from fades out, a chart draws itself
        if of is None:
            png = await self.page.screenshot(clip={"x": 0, "y": 0, "width": WIDE, "height": height})
        else:
            box = await of.bounding_box()
            assert box is not None, f"nothing to take a picture of: {name}"
            edge = {"x": box["x"] - 16, "y": box["y"] - 16, "width": box["width"] + 32, "height": box["height"] + 32}
            png = await self.page.screenshot(clip=edge)
        self.album.mkdir(parents=True, exist_ok=True)
        (self.album / f"{name}.png").write_bytes(pictures.smaller(png))
