"""The plot of follow-up over real HTTP: SVG that fetches and runs nothing, behind the desk's login (KPI-09, KPI-40, KPI-44)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from aftersales import clock
from aftersales.store import engine
from tests.conftest import copy_of, emptied
from tests.gateways.test_callbacks import Service
from tests.visiting import a_visit, change

PATH = "/figures/followup.svg"
SVG = "{http://www.w3.org/2000/svg}"
LOGIN = ("主管", "a:pass")


@pytest.fixture(scope="module")
def served(postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Service]]:
    """A service whose desk has a login."""
    with copy_of(postgres, migrated) as url:
        running = Service(url, tmp_path_factory.mktemp("plot"), AFTERSALES_AUTH=":".join(LOGIN))
        yield url, running
        running.stop()


@pytest.fixture
async def service(served: tuple[str, Service]) -> AsyncIterator[Service]:
    """The service on an empty database, to which this process is connected too."""
    emptied(served[0])
    engine.connect(served[0])
    yield served[1]
    await engine.disconnect()


async def plot(service: Service, query: str = "", **more: Any) -> httpx.Response:
    """Ask for the plot as staff do."""
    asked = {"auth": httpx.BasicAuth(*(part.encode() for part in LOGIN)), **more}
    return await service.client.get(PATH + query, **asked)


def drawn(answer: httpx.Response) -> ElementTree.Element:
    """The plot that was answered."""
    assert answer.status_code == 200, answer.text
    return ElementTree.fromstring(answer.content)


async def a_week(service: Service) -> None:
    """A visit made in time last week."""
    number, at = await a_visit("O1"), clock.now() - timedelta(days=7)
    await change(
        "update visits set state = 'done', outcome = 'reached', done_at = :at, promised_on = :on where id = :id",
        at=at,
        on=at.date() + timedelta(days=1),
        id=number,
    )


async def test_the_plot_shows_the_figures_in_words_too(service: Service):
    await a_week(service)

    answer = await plot(service)

    root = drawn(answer)
    texts = "".join(root.itertext())
    assert answer.headers["content-type"] == "image/svg+xml"
    assert (
        root.tag == f"{SVG}svg" and root.get("role") == "img" and root.get("aria-labelledby") == "plot-title plot-desc"
    )
    assert root[0].tag == f"{SVG}title" and root[0].text == "回访和满意度"
    assert root[1].tag == f"{SVG}desc" and "按时完成率（%，实线） 100.0" in str(root[1].text)
    for word in ("按时完成率", "调查回复率", "平均分", "周（从周一起）"):
        assert word in texts
    assert "还没有数据" not in texts


async def test_missing_data_is_an_empty_plot_that_says_so(service: Service):
    root = drawn(await plot(service))

    assert "还没有数据" in [each.text for each in root.iter(f"{SVG}text")]
    assert str(root[1].text) == "还没有数据。"


async def test_it_fetches_and_runs_nothing(service: Service):
    await a_week(service)

    answer = await plot(service)

    root = drawn(answer)
    assert not [
        each for each in root.iter() if str(each.tag).rpartition("}")[2] in ("script", "image", "foreignObject", "use")
    ]
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on") or name.endswith("href")]
    assert not [word for word in ("@import", "url(http", "fonts.googleapis", "xml-stylesheet") if word in answer.text]
    assert "font-family" in answer.text and "Noto Sans CJK SC" in answer.text


async def test_gen10_it_names_nobody(service: Service):
    await a_week(service)

    texts = (await plot(service)).text

    for word in ("O1", "李", "1021234", "C07", "王小明"):
        assert word not in texts


async def test_its_headers_are_strict_and_it_is_kept_a_moment(service: Service):
    headers = (await plot(service)).headers

    assert headers["cache-control"] == "private, max-age=60"
    assert headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    assert headers["referrer-policy"] == "no-referrer" and "set-cookie" not in headers


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="none"),
        pytest.param("Basic 5Li7566h", id="a name without a password"),
        pytest.param("Basic YTpi", id="somebody else's"),
        pytest.param("Basic !!!", id="no base64"),
        pytest.param("Basic", id="nothing"),
        pytest.param("Bearer 5Li7566hOmE6cGFzcw==", id="another scheme"),
    ],
)
async def test_without_the_desks_login_it_shows_nothing(service: Service, header: str):
    answer = await plot(service, auth=None, headers={"authorization": header} if header else {})

    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic realm=")
    assert answer.json() == {"error": "请用工作台的用户名和密码（AFTERSALES_AUTH）登录。"}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_period_can_be_asked_for(service: Service):
    await a_week(service)

    root = drawn(await plot(service, "?from=2025-01-01&to=2025-03-31"))

    assert "2025-01-01 至 2025-03-31" in "".join(root.itertext())
    assert "还没有数据" in "".join(root.itertext())


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        pytest.param("?from=2026-02-01&to=2026-01-31", "from 2026-02-01 晚于 to 2026-01-31，请对调。", id="backwards"),
        pytest.param("?from=2026-02-01", "from 和 to 请一起写", id="no end"),
        pytest.param("?to=2026-02-01", "from 和 to 请一起写", id="no beginning"),
        pytest.param("?from=&to=2026-02-01", "“from”不是日期", id="empty"),
        pytest.param("?from=2026-02-30&to=2026-03-01", "“from”不是日期", id="no such day"),
        pytest.param("?from=2026-W05-1&to=2026-03-01", "“from”不是日期", id="a week"),
        pytest.param("?from=20260201&to=2026-03-01", "“from”不是日期", id="written otherwise"),
        pytest.param("?from=0001-01-01&to=0001-02-01", "“from”的年份不在 1990 到", id="a year that no shop has"),
        pytest.param("?from=9999-12-01&to=9999-12-31", "“from”的年份不在 1990 到", id="the last year of all"),
        pytest.param("?from=2024-01-01&to=2025-12-31", "一张图最多 53 周", id="too long"),
        pytest.param("?from=2026-01-01&from=2026-01-02&to=2026-01-31", "“from”写了不止一次", id="twice"),
        pytest.param("?weeks=3", "没有“weeks”这个参数", id="unknown"),
        pytest.param("?%3Cscript%3E=1", "没有“<script>”这个参数", id="markup"),
        pytest.param("?%ff=1", "这个参数", id="no text"),
    ],
)
async def test_a_bad_question_is_answered_with_one_sentence(service: Service, query: str, sentence: str):
    answer = await plot(service, query)

    assert answer.status_code == 422 and answer.headers["content-type"] == "application/json"
    assert sentence in answer.json()["error"] and "\n" not in answer.json()["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_can_only_be_read(service: Service, method: str):
    answer = await service.client.request(method, PATH)

    assert answer.status_code == 405 and "请求方法" in answer.json()["error"]


async def test_a_desk_without_login_shows_it_on_this_machine(served: tuple[str, Service], tmp_path: Path):
    running = Service(served[0], tmp_path)
    try:
        answer = await running.client.get(PATH)
        await running.client.aclose()
    finally:
        running.stop()

    assert answer.status_code == 200 and answer.headers["content-type"] == "image/svg+xml"
