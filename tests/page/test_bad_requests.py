"""
What people and programs get wrong on the page, or try: the answer each must get, and that nothing has changed.

After OWASP's lists for pages of this kind: injection, scripts, forged and replayed forms, sessions laid or made up,
guesses, paths that lead out, files that are no photos, too much of anything, hosts, headers and methods.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from aftersales import clock, connections, links
from aftersales.page import app, guard
from aftersales.store import engine
from tasks import selfservice
from tests.conftest import copy_of
from tests.page.conftest import ORDER, PHONE, Page, Visitor, hidden, photo, said, serving
from tests.stories.conftest import Shop

SCRIPT = "<script>alert(1)</script>"
JPEG = ("a.jpg", photo(), "image/jpeg")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@dataclass
class Bad:
    """A request: `by` whom, with which fields beside a good form's, and what the answer must be and say."""

    method: str
    path: str
    status: int
    says: str = ""  # a word of the page
    by: str = "visitor"  # stranger: without a cookie; visitor; customer: has opened D1
    fields: dict[str, Any] | None = None
    files: list[Any] = field(default_factory=list)
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cookie: str | None = None
    to: str = ""  # where it sends


def search(status: int, says: str, **fields: Any) -> Bad:
    return Bad("POST", "/", status, says, fields=fields)


def apply(status: int, says: str, *photos: Any, **fields: Any) -> Bad:
    files = [("photos", each) for each in photos] or [("photos", ("", b"", "application/octet-stream"))]
    return Bad("POST", "/apply", status, says, by="customer", fields=fields, files=files)


def png(width: int, height: int) -> bytes:
    """The head of a picture of any size, with hardly anything behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


async def chunks() -> AsyncIterator[bytes]:
    """A form that names no length, and is too long."""
    for _ in range(80):
        yield b"a" * 1024


NO_PHOTO = "wrong.photos.not_a_photo"
ENDED = {"status": 303, "to": "/?ended"}

BAD: dict[str, Bad] = {
    # forms that are not ours
    "a search without a token": search(403, "plain.403", token=""),
    "a search with a token that was made up": search(403, "plain.403", token="WyJ4IiwxXQ.AAAA"),
    "a search with a token that was changed": search(403, "plain.403", token="CHANGED"),
    "a search with a token of another session": search(403, "plain.403", token="OTHER"),
    "a search with a token for something else": search(403, "plain.403", token="PURPOSE"),
    "a search with a token that is over": search(422, "stale", token="OVER"),
    "a search with a token as long as a book": search(403, "plain.403", token="a" * 5000),
    "a search without cookies": Bad("POST", "/", 403, "plain.403", by="stranger", fields={"token": "OTHER"}),
    "a search sent from another site": Bad(
        "POST", "/", 403, "plain.403", fields={}, headers={"sec-fetch-site": "cross-site"}
    ),
    "a search sent from a neighbor's site": Bad(
        "POST", "/", 403, "plain.403", fields={}, headers={"sec-fetch-site": "same-site"}
    ),
    "a search with a foreign origin": Bad(
        "POST", "/", 403, "plain.403", fields={}, headers={"origin": "https://evil.example"}
    ),
    "a search as JSON": Bad(
        "POST", "/", 403, "plain.403", content=b'{"order_no": "D1"}', headers={"content-type": "application/json"}
    ),
    "a search as plain text": Bad(
        "POST", "/", 403, "plain.403", content=b"order_no=D1", headers={"content-type": "text/plain"}
    ),
    "an end of the search without a token": Bad("POST", "/leave", 403, "plain.403", by="customer", fields={"token": ""}),
    # guesses
    "a phone that is not the order's": search(422, "search.unmatched", phone="10287654321"),
    "an order that there is not": search(422, "search.unmatched", order_no="D999"),
    "the last digits of the phone": search(422, "search.phone.none", phone="5678"),
    "the beginning of the phone": search(422, "search.unmatched", phone="1021234567"),
    "a masked phone": search(422, "search.phone.none", phone="102****5678"),
    "no phone": search(422, "search.phone.none", phone=""),
    "no order number": search(422, "search.order_no.none", order_no=""),
    "an order number in small letters": search(422, "search.unmatched", order_no="d1"),
    "order and phone in the address": Bad("GET", f"/?order_no={ORDER}&phone={PHONE}", 200, "search"),
    # injection
    "SQL in the order number": search(422, "search.unmatched", order_no="' or '1'='1' --"),
    "SQL in the phone": search(422, "search.phone.none", phone="' or '1'='1"),
    "a wildcard for an order number": search(422, "search.unmatched", order_no="%"),
    "a template for an order number": search(422, "search.unmatched", order_no="{{ 7*7 }}{% raw %}"),
    "a format for an order number": search(422, "search.unmatched", order_no="{order_no.__class__}"),
    "a script for an order number": search(422, "search.unmatched", order_no=f'"><{SCRIPT}'),
    "a script for a phone": search(422, "search.phone.none", phone=SCRIPT),
    "a line break in the order number": search(422, "search.order_no.none", order_no="D1\r\nset-cookie: a=b"),
    "a NUL in the order number": search(422, "search.order_no.none", order_no="D1\x00"),
    "an order number as long as a book": search(422, "search.order_no.none", order_no="D" * 2000),
    "a language that is a path": Bad("GET", "/?lang=../../etc/passwd", 200, "search"),
    "a language with a line break": Bad("GET", "/?lang=en%0d%0aset-cookie:%20a=b", 200, "search"),
    # forms that are no forms
    "a file in the place of the order number": Bad(
        "POST", "/", 400, "plain.400", fields={}, files=[("order_no", ("a", b"D1", "text/plain"))]
    ),
    "a few fields more than a form has": search(400, "plain.400", **{f"f{n}": "1" for n in range(600)}),
    "a thousand fields": search(400, "plain.400", **{f"f{n}": "1" for n in range(1000)}),
    "a form that breaks off": Bad(
        "POST",
        "/",
        400,
        "plain.400",
        content=b'--x\r\ncontent-disposition: form-data; name="a"\r\n',
        headers={"content-type": "multipart/form-data"},
    ),
    "a form of no known writing": Bad(
        "POST",
        "/",
        403,
        "plain.403",
        content=b"\xff\xfe=\xff",
        headers={"content-type": "application/x-www-form-urlencoded; charset=utf-9"},
    ),
    "a form that is too long": Bad("POST", "/", 413, "plain.413", content=b"a" * 70_000),
    "a form that is too long and does not say so": Bad(
        "POST",
        "/",
        413,
        "plain.413",
        content=chunks,
        headers={"content-type": "application/x-www-form-urlencoded"},
    ),
    # sessions
    "an order without a session": Bad("GET", "/order", by="stranger", **ENDED),
    "an order with a session that found none": Bad("GET", "/order", **ENDED),
    "an order with a session that was made up": Bad("GET", "/order", cookie="eyJvcmRlcl9ubyI6IkQxIn0.x", **ENDED),
    "an order with a session that was changed": Bad("GET", "/order", by="customer", cookie="CHANGED", **ENDED),
    "an order with a session of another key": Bad("GET", "/order", cookie="FOREIGN", **ENDED),
    "an order with a form's token for a session": Bad("GET", "/order", by="customer", cookie="TOKEN", **ENDED),
    "an order with a session that is over": Bad("GET", "/order", by="customer", cookie="OVER", **ENDED),
    "an application without a session": Bad("POST", "/apply", by="stranger", fields={}, **ENDED),
    "the form of an application without a session": Bad("GET", "/apply", by="stranger", **ENDED),
    # applications
    "an application without a token": apply(403, "plain.403", token=""),
    "an application with a token of another session": apply(403, "plain.403", token="OTHER"),
    "an application with a token that is over": apply(422, "stale", token="OVER"),
    "more than was bought": apply(422, "wrong.goods.too_many", **{"quantity-1": "2"}),
    "less than nothing": apply(422, "wrong.goods.too_many", **{"quantity-1": "-1"}),
    "an endless number": apply(422, "wrong.goods.too_many", **{"quantity-1": "9" * 5000}),
    "goods of another order": apply(422, "wrong.goods.too_many", **{"quantity-2": "1"}),
    "an endless line": apply(400, "plain.400", **{"quantity-1": "0", f"quantity-{'9' * 5000}": "1"}),
    "no goods": apply(422, "wrong.goods.none", **{"quantity-1": "0"}),
    "a reason of one's own": apply(422, "wrong.reason.none", reason=SCRIPT),
    "a way back of one's own": apply(422, "wrong.shipping.none", shipping="../pickup"),
    "a note that is too long": apply(422, "wrong.remark.too_long", remark="字" * 501),
    "a note with a bell": apply(422, "wrong.remark.unwritable", remark="a\x07"),
    "a script in a note with a mistake elsewhere": apply(422, "wrong.reason.none", remark=f"</textarea>{SCRIPT}", reason=""),
    "a claim without a photo": apply(422, "wrong.photos.needed", reason="damaged"),
    "a photo that was never sent": apply(422, "wrong.photos.needed", reason="damaged", kept="../../etc/passwd"),
    # files
    "an SVG": apply(422, NO_PHOTO, ("a.svg", SVG, "image/svg+xml")),
    "an SVG called a photo": apply(422, NO_PHOTO, ("a.jpg", SVG, "image/jpeg")),
    "HTML called a photo": apply(422, NO_PHOTO, ("a.jpg", f"<html>{SCRIPT}".encode(), "image/jpeg")),
    "HTML that begins like a photo": apply(422, NO_PHOTO, ("a.jpg", b"\xff\xd8\xff\xe0" + SCRIPT.encode(), "image/jpeg")),
    "a GIF": apply(422, NO_PHOTO, ("a.gif", photo(kind="GIF"), "image/gif")),
    "a TIFF": apply(422, NO_PHOTO, ("a.tif", photo(kind="TIFF"), "image/tiff")),
    "a PDF made of a picture": apply(422, NO_PHOTO, ("a.pdf", photo(kind="PDF"), "application/pdf")),
    "a PostScript program": apply(422, NO_PHOTO, ("a.jpg", photo(kind="EPS"), "image/jpeg")),
    "an archive": apply(422, NO_PHOTO, ("a.zip", b"PK\x03\x04" + b"\0" * 100, "application/zip")),
    "half a photo": apply(422, NO_PHOTO, ("a.jpg", photo((800, 800))[:2000], "image/jpeg")),
    "an empty photo": apply(422, NO_PHOTO, ("a.jpg", b"", "image/jpeg")),
    "a bomb that unpacks to gigabytes": apply(422, "wrong.photos.too_large", ("a.png", png(60_000, 60_000), "image/png")),
    "a bomb just above what is allowed": apply(422, "wrong.photos.too_large", ("a.png", png(7_100, 7_100), "image/png")),
    "a photo of fifty million rows": apply(422, "wrong.photos.too_large", ("a.png", png(1, 49_900_000), "image/png")),
    "a photo a little too wide": apply(422, "wrong.photos.too_large", ("a.png", png(20_001, 10), "image/png")),
    "a photo of eleven megabytes": apply(422, "wrong.photos.too_large", ("a.jpg", photo() + b"\0" * 11_000_000, "image/jpeg")),
    "seven photos": apply(422, "wrong.photos.too_many", *[JPEG] * 7),
    "forty-one photos": apply(422, "wrong.photos.too_many", *[JPEG] * 41),
    "four hundred and one photos": apply(400, "plain.400", *[JPEG] * 401),
    "an application with a thousand fields": apply(400, "plain.400", **{f"f{n}": "1" for n in range(1000)}),
    "more photos than a form may be long": Bad("POST", "/apply", 413, "plain.413", by="customer", content=b"a" * 64_500_000),
    # addresses
    "a path that leads out": Bad("GET", "/page.css/../../../etc/passwd", 404, "plain.404"),
    "a path that leads out in disguise": Bad("GET", "/%2e%2e/%2e%2e/etc/passwd", 404, "plain.404"),
    "a template": Bad("GET", "/templates/order.html", 404, "plain.404"),
    "a file of the project": Bad("GET", "/app.py", 404, "plain.404"),
    "a path that is another host in disguise": Bad("GET", "/%5cevil.example/", 404, "plain.404"),
    "a script for a path": Bad("GET", f"/{SCRIPT}", 404, "plain.404"),
    "a path with a NUL": Bad("GET", "/order%00", 404, "plain.404"),
    "what frameworks tell of themselves": Bad("GET", "/openapi.json", 404, "plain.404"),
    "a path that ends in a slash": Bad("GET", "/order/", 404, "plain.404", by="customer"),
    # hosts, headers, methods
    "a host that is not ours": Bad("GET", "/", 400, "plain.400", headers={"host": "evil.example"}),
    "a host that looks like ours": Bad("GET", "/", 400, "plain.400", headers={"host": "127.0.0.1.evil.example"}),
    "a host that is none": Bad("GET", "/", 400, "plain.400", headers={"host": "[::1"}),
    "another host by a proxy's header": Bad("GET", "/", 200, "search", headers={"x-forwarded-host": "evil.example"}),
    "another address by a proxy's header": Bad("GET", "/", 200, "search", headers={"x-original-url": "/order"}),
    "a method in a header": Bad("GET", "/leave", 405, "plain.405", headers={"x-http-method-override": "POST"}),
    "a method in a field": Bad("POST", "/order", 405, "plain.405", by="customer", fields={"_method": "GET"}),
    "a search by PUT": Bad("PUT", "/", 405, "plain.405"),
    "an order by DELETE": Bad("DELETE", "/order", 405, "plain.405", by="customer"),
    "a TRACE": Bad("TRACE", "/", 405, "plain.405", headers={"x-secret": "echo"}),
    "a method that there is not": Bad("BREW", "/", 405, "plain.405"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sold(postgres: str, migrated: str) -> Iterator[str]:
    """A database of its own for all of them, since none may change anything."""
    with copy_of(postgres, migrated) as url:
        yield url


@pytest.fixture(scope="module")
async def opened(sold: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """The page of a shop with two orders, running for the whole module."""
    engine.connect(sold)
    await Shop().order(ORDER)
    await Shop().order("D2", phone="10299999999")
    # nobody is to be kept waiting here
    with pytest.MonkeyPatch.context() as patch:
        from tasks import selfservice

        async def never(*_: Any) -> None:
            return None

        patch.setattr(selfservice, "_count", never)
        async with serving(sold, tmp_path_factory.mktemp("home")) as page:
            yield page
    await engine.disconnect()


@pytest.fixture
async def database(sold: str) -> AsyncIterator[str]:
    """The database of the module."""
    engine.connect(sold)
    yield sold
    await engine.disconnect()


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_request(opened: Page, database: str, name: str):
    bad = BAD[name]
    visitor = opened.visitor()
    visitor.client.cookies.set("aftersales-lang", "zh")
    if bad.by == "customer":
        await visitor.find()
    elif bad.by == "visitor":
        await visitor.get("/")
    how = await _how(bad, visitor, opened)

    with opened.nothing_changes():
        answer = await visitor.client.request(bad.method, bad.path, **how)

    assert answer.status_code == bad.status, answer.text
    assert answer.headers.get("location", "") == bad.to
    if bad.says:
        assert said(bad.says) in answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for never in (SCRIPT, "<svg", "evil.example", "Traceback", "/etc/passwd</", "aftersales/page", "x-secret"):
        assert never not in _without_tokens(answer), f"{never} in the answer"
    assert "D2" not in _without_tokens(answer)
    assert not [each for each in answer.headers.get_list("set-cookie") if each.startswith("a=")]
    # and whoever got nothing has opened nothing by it
    order = await visitor.get("/order")
    assert order.status_code == (200 if bad.by == "customer" and bad.cookie is None else 303)


async def _how(bad: Bad, visitor: Visitor, page: Page) -> dict[str, Any]:
    """The arguments of the request."""
    how: dict[str, Any] = {"headers": bad.headers}
    if bad.content is not None:
        how["content"] = bad.content() if callable(bad.content) else bad.content
    if bad.fields is not None:
        is_application = bad.path == "/apply"
        good = {"quantity-1": "1", "reason": "no_reason", "shipping": "pickup", "remark": ""} if is_application else {
            "order_no": ORDER,
            "phone": PHONE,
        }  # fmt: skip
        own = "" if bad.by == "stranger" else await visitor.token("/apply" if bad.by == "customer" else "/")
        fields = {"token": own, **good, **bad.fields}
        fields["token"] = await _token(fields["token"], own, visitor, page)
        how["data"], how["files"] = fields, bad.files or None
    if bad.cookie is not None:
        name = "aftersales-session"
        mine = visitor.client.cookies[name]
        visitor.client.cookies.set(name, await _cookie(bad.cookie, mine, visitor), domain="127.0.0.1")
    return how


async def _token(wanted: str, own: str, visitor: Visitor, page: Page) -> str:
    over = clock.now() - timedelta(seconds=1)
    match wanted:
        case "CHANGED":
            payload, _, signature = own.partition(".")
            return f"{payload[:-2]}AA.{signature}"
        case "OTHER":
            return await page.visitor().token()
        case "PURPOSE":
            return visitor.client.cookies["aftersales-session"]
        case "OVER":
            told = links.read("form", own, at=clock.now())
            return links.sign("form", told, over)
    return wanted


async def _cookie(wanted: str, mine: str, visitor: Visitor) -> str:
    match wanted:
        case "CHANGED":
            payload, _, signature = mine.partition(".")
            return f"{payload[:-2]}AA.{signature}"
        case "TOKEN":
            return hidden(await visitor.get("/order"), "token")[0]
        case "OVER":
            return links.sign("session", links.read("session", mine, at=clock.now()), clock.now())
        case "FOREIGN":
            from itsdangerous import URLSafeSerializer

            foreign = URLSafeSerializer("another key entirely", salt="aftersales.session")
            return foreign.dumps(["x  D1", int(clock.now().timestamp()) + 600])
    return wanted


def _without_tokens(answer: Any) -> str:
    text = answer.text
    for token in hidden(answer, "token") + hidden(answer, "kept"):
        text = text.replace(token, "")
    return text


# --- what no client of good manners can send ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"400", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"400", id="two hosts"),
        pytest.param(
            b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"400", id="an address of another host"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
            b"40",
            id="two lengths",
        ),
        pytest.param(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\nConnection: close\r\n\r\n", b"40", id="a length below zero"),
        pytest.param(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", b"4", id="an endless path"),
        pytest.param(b"GET /order HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: aftersales-session=" + b"a" * 20_000 + b"\r\n\r\n", b"303", id="an endless cookie"),
        pytest.param(b"GET //evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", b"404", id="a path that is another host"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400", id="TLS where there is none"),
    ],
)  # fmt: skip
async def test_a_request_that_breaks_the_rules_of_http(opened: Page, database: str, request_: bytes, status: bytes):
    reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)

    with opened.nothing_changes():
        writer.write(request_)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()

    line = answer.partition(b"\r\n")[0]
    assert line.startswith(b"HTTP/1.1 " + status), line
    assert b"evil.example" not in answer.partition(b"\r\n")[2]


@pytest.fixture
def log(opened: Page, caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the page's server logs, too: it passes nothing on."""
    logging.getLogger("uvicorn").addHandler(caplog.handler)
    yield caplog
    logging.getLogger("uvicorn").removeHandler(caplog.handler)


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_whoever_asks_for_another_protocol_is_answered_in_http(
    opened: Page, database: str, upgrade: str, log: pytest.LogCaptureFixture
):
    asked = {
        "connection": "Upgrade",
        "upgrade": upgrade,
        "sec-websocket-version": "13",
        "sec-websocket-key": "a" * 22 + "==",
    }

    answer = await opened.visitor().get("/", headers=asked)

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not log.records, "strangers fill no log"


async def test_what_is_no_http_is_refused_with_the_headers_of_every_answer(opened: Page, database: str):
    reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)

    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
    answer = (await asyncio.wait_for(reader.read(), 10)).lower()
    writer.close()

    assert answer.startswith(b"http/1.1 400 bad request\r\n")
    for name, value in guard.HEADERS.items():
        assert f"\r\n{name}: {value}\r\n".lower().encode() in answer


# --- too many, too slow, gone ---------------------------------------------------------------------------------------


async def test_requests_that_are_never_ended_shut_the_page_for_nobody(
    opened: Page, database: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    half = [await asyncio.open_connection("127.0.0.1", opened.port) for _ in range(app.AT_ONCE + 5)]
    for _, writer in half:
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
    await asyncio.sleep(0.2)

    meanwhile = await opened.visitor().get("/")
    for _, writer in half:
        writer.write(b"a")  # who goes on by a letter gains no time
    ended = await asyncio.wait_for(asyncio.gather(*(_rest(reader) for reader, _ in half)), 10)
    for _, writer in half:
        writer.close()

    assert meanwhile.status_code == 200
    assert set(ended) == {b""}, "hung up on"
    assert (await opened.visitor().get("/")).status_code == 200


async def test_a_second_request_is_not_waited_for_longer_than_the_first(
    opened: Page, database: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
    writer.write(b"GET /page.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    writer.write(b"GET / HTTP/1.1\r\nX-A: ")

    await asyncio.wait_for(_rest(reader), 5)
    writer.close()


async def test_a_form_may_take_longer_than_its_head(opened: Page, database: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    visitor = opened.visitor()
    token = await visitor.token()

    async def slowly() -> AsyncIterator[bytes]:
        yield f"token={token}&order_no=D1&".encode()
        await asyncio.sleep(1)  # three times as long as a head may take
        yield f"phone={PHONE}".encode()

    form = {"content-type": "application/x-www-form-urlencoded"}
    found = await visitor.client.post("/", content=slowly(), headers=form)

    assert (found.status_code, found.headers["location"]) == (303, "/order")


async def test_more_than_are_answered_at_once_are_told_so_on_a_page(
    opened: Page, database: str, monkeypatch: pytest.MonkeyPatch
):
    held, free = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any, **__: Any) -> None:
        held.set()
        await free.wait()
        raise selfservice.UnableToMatch("nobody")

    monkeypatch.setattr(selfservice, "find", slow)
    monkeypatch.setattr(opened.guard, "at_once", 1)
    waiting = asyncio.create_task(opened.visitor().search())
    await held.wait()

    refused = await opened.visitor().get("/", headers={"accept-language": "zh"})
    free.set()

    assert refused.status_code == 503 and said("plain.503") in refused.text
    assert "default-src 'none'" in refused.headers["content-security-policy"]
    assert (await waiting).status_code == 422
    assert (await opened.visitor().get("/")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/apply", "/leave"])
async def test_a_form_whose_sender_hangs_up_leaves_nothing_behind(
    opened: Page, database: str, path: str, log: pytest.LogCaptureFixture
):
    customer = await opened.visitor().find()
    cookies = "; ".join(f"{name}={value}" for name, value in customer.client.cookies.items())
    _, writer = await asyncio.open_connection("127.0.0.1", opened.port)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\nContent-Length: 9000\r\n"

    with opened.nothing_changes():
        writer.write(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.transport.abort()
        await asyncio.sleep(0.3)

    assert not log.records


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
