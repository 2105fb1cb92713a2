"""What puts the page on the web is refused in one sentence where it would be unsafe; and a signed link says only what we signed."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aftersales import clock, links
from aftersales.settings import settings
from aftersales.words import Unable


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """An environment in which nothing of the page is set, read anew."""
    for name in ("PAGE_URL", "PAGE_PROXIES", "PAGE_PORT", "LINK_KEY"):
        monkeypatch.delenv(f"AFTERSALES_{name}", raising=False)
    monkeypatch.setenv("AFTERSALES_HOME", str(tmp_path))
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("PAGE_URL", "http://help.example.com", id="numbers and phones in the clear"),
        pytest.param("PAGE_URL", "help.example.com", id="an address without a scheme"),
        pytest.param("PAGE_URL", "https://user@help.example.com", id="an address with a user"),
        pytest.param("PAGE_URL", "https://help.example.com/?a=b", id="an address with a query"),
        pytest.param("PAGE_URL", "https://help.example.com/a b", id="an address with a blank"),
        pytest.param("PAGE_URL", "javascript:alert(1)", id="an address that is a script"),
        pytest.param("PAGE_PROXIES", "*", id="everybody a proxy"),
        pytest.param("PAGE_PROXIES", "0.0.0.0/0", id="every network a proxy"),
        pytest.param("PAGE_PROXIES", "proxy.example.com", id="a proxy by its name"),
        pytest.param("PAGE_PORT", "70000", id="a port that there is not"),
        pytest.param("LINK_KEY", "short", id="a key that can be guessed"),
        pytest.param("LINK_KEY", "long-enough-for-anybody,short", id="an old key that can be guessed"),
    ],
)
def test_what_would_be_unsafe_is_refused(environment: pytest.MonkeyPatch, name: str, value: str):
    environment.setenv(f"AFTERSALES_{name}", value)

    with pytest.raises(Unable, match=f"环境变量 AFTERSALES_{name} ") as refused:
        settings()

    assert str(refused.value).count("\n") == 0
    assert name != "LINK_KEY" or value not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        pytest.param("", "http://127.0.0.1:4400", id="on this machine"),
        pytest.param("https://help.example.com/", "https://help.example.com", id="on the web"),
        pytest.param("https://shop.example.com/returns", "https://shop.example.com/returns", id="under a path"),
        pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:8080", id="on another port of this machine"),
    ],
)
def test_where_customers_find_their_page(environment: pytest.MonkeyPatch, url: str, address: str):
    environment.setenv("PORT", "4200")
    environment.setenv("AFTERSALES_PAGE_URL", url)

    assert links.address("/x") == f"{address}/x"


def test_a_link_says_what_we_signed_and_only_for_its_purpose_and_time():
    now = clock.now()
    token = links.sign("survey", "SV-1", now + timedelta(hours=1))

    assert links.read("survey", token, at=now) == "SV-1"
    with pytest.raises(links.Over):
        links.read("survey", token, at=now + timedelta(hours=1))
    for purpose, changed in (("form", token), ("survey", token[1:]), ("survey", f"{token}a"), ("survey", "")):
        with pytest.raises(links.Unreadable):
            links.read(purpose, changed, at=now)


def test_the_key_is_made_once_readable_by_nobody_else_and_half_a_key_is_none(tmp_path: Path):
    links.prepare(settings())
    file = tmp_path / links.FILE
    key = file.read_text()

    links._kept.cache_clear()
    links.prepare(settings())

    assert file.read_text() == key and len(key) > 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [links.FILE]
    file.write_text("half")
    links._kept.cache_clear()
    with pytest.raises(Unable, match="不完整"):
        links.prepare(settings())
