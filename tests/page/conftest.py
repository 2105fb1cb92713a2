"""
The customer's page over real HTTP, on a real PostgreSQL; visitors with cookies of their own, as browsers have them.

Prefect is needed by none of it: what an application is handed to tells the story at once, by a plain call.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import io
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from PIL import Image
from playwright.async_api import Browser

from aftersales.desk import leg as legs
from aftersales.desk.bare import Bare
from aftersales.page import app
from aftersales.page.guard import Guard
from aftersales.page.words import LANGUAGES, WORDS
from aftersales.settings import settings
from aftersales.stack import schema
from aftersales.store import applications
from aftersales.store.engine import transaction
from tasks import intake
from tests.browser import ui
from tests.browser.conftest import album, chromium_is_here
from tests.conftest import free_port
from tests.steps.conftest import home
from tests.stories.conftest import Shop, shop

__all__ = ["album", "chromium_is_here", "home", "shop"]

PHONE = "10212345678"  # of the shop's customer
ORDER = "D1"


def said(key: str, language: str = "zh", **values: Any) -> str:
    """A word of the page, as it stands in its HTML."""
    text = WORDS[key][LANGUAGES.index(language)]
    return html.escape(text.format_map(values) if values else text, quote=False).replace("'", "&#39;")


def photo(
    size: tuple[int, int] = (60, 40), kind: str = "JPEG", color: str = "red", mode: str = "RGB", **how: Any
) -> bytes:
    """A picture as a phone sends it."""
    out = io.BytesIO()
    Image.new(mode, size, color).save(out, kind, **how)
    return out.getvalue()


class Visitor:
    """A browser without scripts: it keeps cookies, and sends forms with what stands hidden in them."""

    def __init__(self, port: int, **headers: str) -> None:
        base = f"http://127.0.0.1:{port}"
        self.client = httpx.AsyncClient(base_url=base, trust_env=False, timeout=30, headers=headers)

    async def get(self, path: str, **how: Any) -> httpx.Response:
        return await self.client.get(path, **how)

    async def post(self, path: str, data: Mapping[str, Any] | None = None, **how: Any) -> httpx.Response:
        return await self.client.post(path, data=data, **how)

    async def token(self, path: str = "/") -> str:
        """The token of a page's form."""
        return hidden(await self.get(path), "token")[0]

    async def search(self, order_no: str = ORDER, phone: str = PHONE, **how: Any) -> httpx.Response:
        """Fill the search in and send it."""
        given = {"token": await self.token(), "order_no": order_no, "phone": phone}
        return await self.post("/", given, **how)

    async def find(self, order_no: str = ORDER, phone: str = PHONE) -> Visitor:
        """Open an order."""
        found = await self.search(order_no, phone)
        assert (found.status_code, found.headers["location"]) == (303, "/order"), found.text
        return self

    async def apply(self, *photos: tuple[str, bytes, str], **changes: Any) -> httpx.Response:
        """Fill an application in and send it."""
        given = {"quantity-1": "1", "reason": "no_reason", "shipping": "pickup", "remark": ""}
        filled = {"token": changes.pop("token", None) or await self.token("/apply"), **given, **changes}
        files = [("photos", each) for each in photos] or [("photos", ("", b"", "application/octet-stream"))]
        return await self.post("/apply", filled, files=files)


def hidden(page: httpx.Response, name: str) -> list[str]:
    """The values of a page's hidden fields."""
    return [html.unescape(found) for found in re.findall(rf'name="{name}" value="([^"]*)"', page.text)]


class Books:
    """Every row of every table, but for how often somebody has tried; and every file that was kept."""

    def __init__(self, url: str, home: Path) -> None:
        self.reader = psycopg.connect(schema.plain(url), autocommit=True)
        self.home = home
        names = self.reader.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        self.everything = " union all ".join(
            f"select '{name}', to_jsonb(t)::text from \"{name}\" t" for (name,) in names if name != "attempts"
        )

    def read(self) -> tuple[Counter[Any], list[str]]:
        files = sorted(str(path) for path in (self.home / "files").rglob("*")) if self.home.exists() else []
        return Counter(self.reader.execute(self.everything).fetchall()), files


class Page:
    """A running page."""

    def __init__(self, port: int, books: Books, guard: Guard) -> None:
        self.port, self.books, self.guard = port, books, guard
        self.visitors: list[Visitor] = []

    def visitor(self, **headers: str) -> Visitor:
        """Somebody who has never been here."""
        self.visitors.append(Visitor(self.port, **headers))
        return self.visitors[-1]

    @contextlib.contextmanager
    def nothing_changes(self) -> Iterator[None]:
        """See that a block leaves every row and every file as it was."""
        before = self.books.read()
        yield
        assert self.books.read() == before


@pytest.fixture(scope="session")
async def browser(chromium_is_here: None) -> AsyncIterator[Browser]:
    """Debian's Chromium, for all of them: each test closes its own window, and nothing goes on in it."""
    async with ui.chromium() as running:
        yield running


@asynccontextmanager
async def serving(url: str, home: Path, **environment: str) -> AsyncIterator[Page]:
    """The page in this process, on a free port, as `aftersales page` starts it."""
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFTERSALES_HOME", str(home))
        patch.setenv("AFTERSALES_PAGE_PORT", str(port))
        for name, value in environment.items():
            patch.setenv(name, value)
        settings.cache_clear()
        server = app.server(port=port, proxies=settings().trusted_proxies)
        server.config.lifespan = "off"  # the test has the database
        running = asyncio.create_task(server.serve())
        books = Books(url, home)
        page = Page(port, books, server.config.app)  # type: ignore[arg-type]  # uvicorn does not say whose it is
        try:
            while not server.started:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.005)
            yield page
        finally:
            for visitor in page.visitors:
                await visitor.client.aclose()
            server.should_exit = True
            await running
            books.reader.close()
            settings.cache_clear()


@pytest.fixture
async def page(database: str, home: Path) -> AsyncIterator[Page]:
    """The page of an empty shop."""
    async with serving(database, home) as running:
        yield running


@pytest.fixture
async def visitor(page: Page, shop: Shop) -> Visitor:
    """Somebody at the page of a shop that has sold `D1`: one lamp for 200.00."""
    await shop.order(ORDER)
    return page.visitor()


@pytest.fixture
async def customer(visitor: Visitor) -> Visitor:
    """Somebody who has opened `D1`."""
    return await visitor.find()


@pytest.fixture
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be handed to Prefect is told by a plain call; gives the requests that were handed over."""
    handed: list[dict[str, Any]] = []

    async def hand_over(known: applications.Kept) -> None:
        from flows.returns import returns

        asked = intake.handed(known)
        handed.append(asked)
        run_id = uuid4()
        async with transaction() as connection:
            await applications.hand(connection, known.id, run_id)
        legs.begin(Bare(run_id, application=str(known.id)))
        with contextlib.suppress(legs.Waiting):
            await returns.fn({"operator": known.operator, **asked})

    monkeypatch.setattr(intake, "_hand_over", hand_over)
    return handed


Acts = Callable[[Visitor], Any]
