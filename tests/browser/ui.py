"""
Prefect's V2 UI as a clerk uses it: forms are filled in by their Chinese titles, then submitted.

Everything is found by what a person sees: the title of a field, the text of a choice, the name of a button.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, Locator, Page, Response, TimeoutError, async_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A run's page draws its graph 60 times a second; without a graphics card that takes a core and a half.
WITHOUT_GRAPH = "--disable-software-rasterizer"
# The UI hands a value up through each level of the form with 10 ms of debounce; a person is never that fast.
SETTLE = 80


@dataclass(frozen=True)
class Submitted:
    """What came of a form: whether the server took it, what the UI said, and the JSON that was sent ({}: nothing)."""

    accepted: bool
    said: str
    sent: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""


@asynccontextmanager
async def chromium(*, for_pictures: bool = False) -> AsyncIterator[Browser]:
    """Start Debian's Chromium, and stop it; only for pictures does it draw a run's graph."""
    flags = FLAGS if for_pictures else [*FLAGS, WITHOUT_GRAPH]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


async def start_deployment(page: Page, base: str, deployment_id: str, values: Mapping[str, Any]) -> Submitted:
    """Fill in a deployment's form (Deployments → its name → Run → Custom run) and press Submit."""
    await open_deployment(page, base, deployment_id)
    await fill(page.locator("form"), values)
    return await press_submit(page)


async def open_deployment(page: Page, base: str, deployment_id: str) -> None:
    """Open the form that starts a deployment."""
    await page.goto(f"{base}/v2/deployments/deployment/{deployment_id}/run")
    await page.get_by_role("heading", name="Parameters").wait_for()


async def press_submit(page: Page) -> Submitted:
    """Press Submit below a deployment's form and hear what the UI says."""
    answer = await _press(page, "Submit", r"/deployments/[^/]+/create_flow_run$")
    sent = _sent(answer).get("parameters", {})
    if answer is None or not answer.ok:
        return Submitted(False, await said(page), sent)
    return Submitted(True, await said(page), sent, (await answer.json())["id"])


async def open_resume(page: Page, base: str, run_id: str) -> Locator:
    """Open the form that a run waits for: the run's page, ⋮ at the top right, Resume."""
    await page.goto(f"{base}/v2/runs/flow-run/{run_id}")
    # On the run's page the only menu is the run's own; lists inside the form bring theirs later.
    await page.get_by_role("button", name="Open menu").first.click()
    await page.get_by_role("menuitem", name="Resume", exact=True).click()
    dialog = page.get_by_role("dialog", name="Resume Flow Run")
    await dialog.locator("label").first.wait_for()
    return dialog


async def resume(page: Page, base: str, run_id: str, values: Mapping[str, Any]) -> Submitted:
    """Open the form that a run waits for, fill it in, and press Resume. A refused form stays open."""
    dialog = await open_resume(page, base, run_id)
    await fill(dialog, values)
    return await press_resume(page)


async def press_resume(page: Page) -> Submitted:
    """Press Resume in the open form and hear what the UI says."""
    answer = await _press(page, "Resume", r"/flow_runs/[^/]+/resume$")
    if answer is None:
        return Submitted(False, await said(page))
    verdict = await answer.json()
    return Submitted(verdict.get("status") == "ACCEPT", await said(page), _sent(answer).get("run_input") or {})


async def fill(scope: Locator, values: Mapping[str, Any]) -> None:
    """Fill in fields by their titles: text, a choice by its text, numbers, lists of texts, lists of rows."""
    for title, value in values.items():
        await _fill_one(await block(scope, title), title, value)


async def block(scope: Locator, title: str) -> Locator:
    """Find a field's box by its title (the UI adds “(Optional)” to what is not required)."""
    label = scope.locator("label[data-slot=label]").filter(
        has_text=re.compile(rf"^{re.escape(title)}( \(Optional\))?$")
    )
    await label.first.wait_for()
    return label.first.locator("xpath=ancestor::div[contains(concat(' ', @class, ' '), ' group ')][1]")


async def shown(scope: Locator, title: str) -> str:
    """Read what a field shows now: a text, a number, or the chosen choice (“Select” when none is)."""
    inputs = (await block(scope, title)).locator("xpath=./fieldset")
    typed = inputs.locator("textarea, input")
    return (
        await typed.first.input_value()
        if await typed.count()
        else await inputs.get_by_role("button").first.inner_text()
    )


async def choices(page: Page, scope: Locator, title: str) -> list[str]:
    """Read what a drop-down offers."""
    await (await block(scope, title)).get_by_label(f"Select {title}").first.click()
    offered = page.get_by_role("option")
    await offered.first.wait_for()
    texts = await offered.all_inner_texts()
    await page.keyboard.press("Escape")
    await offered.first.wait_for(state="hidden")
    return [text.strip() for text in texts]


async def said(page: Page) -> str:
    """Read the newest toast, "" when there is none."""
    toast = page.locator("[data-sonner-toast]")
    try:
        await toast.first.wait_for(timeout=1000)
    except TimeoutError:
        return ""
    return (await toast.first.inner_text()).strip()


async def rows(box: Locator) -> Locator:
    """Find the rows of a list."""
    return box.locator("xpath=./fieldset/div/div[./button[@aria-label='Drag to reorder']]")


async def _fill_one(box: Locator, title: str, value: Any) -> None:
    page = box.page
    if isinstance(value, Sequence) and not isinstance(value, str):
        await _fill_list(box, value)
        return
    drop_down = box.get_by_label(f"Select {title}", exact=True)
    if await drop_down.count():
        await drop_down.first.click()
        search = page.get_by_placeholder("Search...")
        await search.fill(str(value))
        await page.get_by_role("option", name=str(value), exact=True).click()
        await search.wait_for(state="hidden")
    else:
        await box.locator("xpath=./fieldset").locator("textarea, input").first.fill(str(value))
    await page.wait_for_timeout(SETTLE)


async def _fill_list(box: Locator, values: Sequence[Any]) -> None:
    page = box.page
    lines = await rows(box)
    while await lines.count() > len(values):
        await lines.last.get_by_role("button", name="Open menu").last.click()
        await page.get_by_role("menuitem", name="Delete", exact=True).click()
        await page.wait_for_timeout(SETTLE)
    while await lines.count() < len(values):
        before = await lines.count()
        await box.get_by_role("button", name="Add item", exact=True).last.click()
        await lines.nth(before).wait_for()
        await page.wait_for_timeout(SETTLE)
    for index, value in enumerate(values):
        if isinstance(value, Mapping):
            await fill(lines.nth(index), value)
        else:
            await lines.nth(index).locator("textarea").fill(str(value))
            await page.wait_for_timeout(SETTLE)


async def _press(page: Page, name: str, address: str) -> Response | None:
    """Press a button and wait for the request it makes; None when the UI itself kept the form."""
    await page.wait_for_timeout(SETTLE)
    sent: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    kept = asyncio.Event()

    async def hear(answer: Response) -> None:
        if answer.request.method != "POST":
            return
        if re.search(address, answer.url) and not sent.done():
            sent.set_result(answer)
        # the UI asks the server whether a form is filled in well before it sends it, and keeps it if not
        elif answer.url.endswith("/ui/schemas/validate") and not (await answer.json())["valid"]:
            kept.set()

    page.on("response", hear)
    try:
        await page.get_by_role("button", name=name, exact=True).click()
        refused = asyncio.create_task(kept.wait())
        await asyncio.wait([sent, refused], timeout=5, return_when=asyncio.FIRST_COMPLETED)
        refused.cancel()
        return sent.result() if sent.done() else None
    finally:
        page.remove_listener("response", hear)


def _sent(answer: Response | None) -> dict[str, Any]:
    return json.loads(answer.request.post_data or "{}") if answer is not None else {}
