"""Callbacks: whatever is not by the contract is refused with an HTTP status and one sentence, and changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from aftersales.serve import signatures
from tests.badinput.conftest import House, nothing_changes
from tests.gateways.test_callbacks import Service

GOOD: dict[str, Any] = {"event_id": "e1", "event": "refund.succeeded", "key": "CASE/refund-0"}
PARCEL: dict[str, Any] = {"event_id": "e1", "event": "picked_up", "key": "CASE/book-pickup-0"}
UNSIGNED = {signatures.HEADER: ""}
SHAPE = "缺少签名或格式不对，请在请求头 X-Aftersales-Signature 中写 t=秒数,v1=签名。"
WRONG = "签名不对，请核对 AFTERSALES_CALLBACK_KEY 和签名的内容（秒数、点、原文）。"
LATE = "签名的时间相差超过 5 分钟，请校准时钟后重新签名发送。"
JSON = "内容不是正确的 JSON 对象，请按接口文档发送。"
ADDRESS = "没有这个地址，可用的是 POST /callbacks/payment、/callbacks/carrier，和 /v1 下的接口（见 docs/openapi）。"
METHOD = "这个地址不接受这种请求方法，请按接口文档改用 POST 或 GET。"


def bad(name: str, text: str = "的值不对，请按接口文档填写。") -> str:
    return f"“{name}”{text}"


def row(name: str, sender: str, body: Any, status: int, sentence: str, **how: Any) -> Any:
    return pytest.param(sender, body, how, status, sentence, id=name)


CALLBACKS = [
    row("no signature", "payment", GOOD, 401, SHAPE, **UNSIGNED),
    row("half a signature", "payment", GOOD, 401, SHAPE, **{signatures.HEADER: "t=1"}),
    row("a signature of another shape", "payment", GOOD, 401, SHAPE, **{signatures.HEADER: "v1=ab,t=1"}),
    row("another key", "payment", GOOD, 401, WRONG, key="another-secret-entirely"),
    row("signed for another body", "payment", GOOD, 401, WRONG, **{signatures.HEADER: f"t=1,v1={'0' * 64}"}),
    row("signed six minutes ago", "payment", GOOD, 401, LATE, late=timedelta(minutes=6)),
    row("signed in six minutes", "payment", GOOD, 401, LATE, late=timedelta(minutes=-6)),
    row("nothing", "payment", b"", 422, JSON),
    row("no JSON", "payment", b"{", 422, JSON),
    row("HTML", "payment", b"<html>", 422, JSON),
    row("a list", "payment", b"[]", 422, bad("内容")),
    row("a number", "payment", b"1", 422, bad("内容")),
    row("not UTF-8", "payment", b'{"event_id": "\xff"}', 422, JSON),
    row("NaN", "payment", b'{"event_id": NaN}', 422, JSON),
    row("a name twice", "payment", b'{"event_id": "a", "event_id": "b"}', 422, JSON),
    row("very deep", "payment", b"[" * 30_000, 422, JSON),
    row("too long", "payment", b" " * 70_000, 413, "内容超过 64 KB，请按接口文档发送。"),
    row("no key", "payment", {"event_id": "e", "event": "refund.failed"}, 422, "缺少“key”，请按接口文档补上。"),
    row("no event", "payment", {"event_id": "e", "key": "CASE/refund-0"}, 422, "缺少“event”，请按接口文档补上。"),
    row("no id", "payment", {"event": "refund.failed", "key": "CASE/refund-0"}, 422, "缺少“event_id”，请按接口文档补上。"),
    row("more than asked", "payment", {**GOOD, "card": "6225"}, 422, "多了“card”，接口文档里没有这一项，请去掉。"),
    row("an unknown event", "payment", {**GOOD, "event": "refund.maybe"}, 422, bad("event")),
    row("an id with spaces", "payment", {**GOOD, "event_id": "a b"}, 422, bad("event_id")),
    row("an id with a NUL", "payment", {**GOOD, "event_id": "a\x00"}, 422, bad("event_id")),
    row("an amount as a number", "payment", {**GOOD, "amount": 188.0}, 422, bad("amount")),
    row("a negative amount", "payment", {**GOOD, "amount": "-1.00"}, 422, bad("amount")),
    row("an amount in exponents", "payment", {**GOOD, "amount": "1e3"}, 422, bad("amount")),
    row("an amount in full width", "payment", {**GOOD, "amount": "１８８"}, 422, bad("amount")),
    row("a long reference", "payment", {**GOOD, "reference": "x" * 201}, 422, bad("reference")),
    row("a key that is a path", "payment", {**GOOD, "key": "../../etc/passwd"}, 422, bad("key")),
    row("a key with SQL", "payment", {**GOOD, "key": "RT-1'; drop table cases--/refund-0"}, 422, bad("key")),
    row(
        "a key of a parcel",
        "payment",
        {**GOOD, "key": "CASE/book-pickup-0"},
        422,
        "业务键 CASE/book-pickup-0 不是一笔退款，请照我们发出的 Idempotency-Key 填写。",
    ),
    row(
        "a key of a refund",
        "carrier",
        {**PARCEL, "key": "CASE/refund-0"},
        422,
        "业务键 CASE/refund-0 不是一件包裹，请照我们发出的 Idempotency-Key 填写。",
    ),
    row("a bad parcel number", "carrier", {**PARCEL, "tracking_no": "不是单号"}, 422, bad("tracking_no")),
    row(
        "no such case",
        "payment",
        {**GOOD, "key": "RT-20000101-0001/refund-0"},
        404,
        "没有售后单 RT-20000101-0001，请核对单号（可用 aftersales case list 查看）。",
    ),
    row(
        "a round that never was",
        "payment",
        {**GOOD, "key": "CASE/refund-7"},
        404,
        "没有发出过业务键 CASE/refund-7，请照我们发出的 Idempotency-Key 填写。",
    ),
    row(
        "another sender",
        "bank",
        GOOD,
        404,
        ADDRESS,
    ),
    row("a mark and nothing behind it", "payment", b"\xef\xbb\xbf", 422, JSON),
    row("JSON twice", "payment", b"{}{}", 422, JSON),
    row("deep within a field", "payment", b'{"reason": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", 422, JSON),
    row("a number of 50,000 digits", "payment", b'{"amount": ' + b"9" * 50_000 + b"}", 422, JSON),
    row("an object for an id", "payment", {**GOOD, "event_id": {"$ne": ""}}, 422, bad("event_id")),
    row("null for a key", "payment", {**GOOD, "key": None}, 422, bad("key")),
    row("an event of the other sender", "payment", {**GOOD, "event": "picked_up"}, 422, bad("event")),
    row("half a surrogate pair", "payment", b'{"event_id": "e1", "event": "refund.failed", "key": "CASE/refund-0", "reason": "\\ud800"}', 422, bad("reason")),
    row("a path within the address", "..%2Fpayment", GOOD, 404, ADDRESS),
    row("a sender in capitals", "Payment", GOOD, 404, ADDRESS),
]  # fmt: skip


@pytest.fixture(scope="module")
async def service(house: House, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One service for the whole table."""
    running = Service(house.url.replace("+psycopg", ""), tmp_path_factory.mktemp("serve"))
    yield running
    running.stop()


@pytest.mark.parametrize(("sender", "body", "how", "status", "sentence"), CALLBACKS)
async def test_a_callback_that_is_wrong_gets_one_sentence_and_changes_nothing(
    house: House, service: Service, sender: str, body: Any, how: Any, status: int, sentence: str
):
    case_no = house.at["refund"].case_no
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()

    with nothing_changes(house):
        answer = await service.send(sender, raw.replace(b"CASE", case_no.encode()), **how)

    assert (answer.status_code, answer.json()) == (status, {"error": sentence.replace("CASE", case_no)})


def request(name: str, head: str, status: int, sentence: str = "", body: bytes = b"{}") -> Any:
    return pytest.param(head, body, status, sentence, id=name)


REQUESTS = [
    request("read instead of sent", "GET /callbacks/payment HTTP/1.1", 405, METHOD, b""),
    request("put", "PUT /callbacks/payment HTTP/1.1\r\nContent-Length: 2", 405, METHOD),
    request("deleted", "DELETE /callbacks/carrier HTTP/1.1", 405, METHOD, b""),
    request("nowhere", "POST / HTTP/1.1\r\nContent-Length: 2", 404, ADDRESS),
    request("a page about itself", "GET /docs HTTP/1.1", 404, ADDRESS, b""),
    request("health, sent to", "POST /health HTTP/1.1\r\nContent-Length: 2", 405, METHOD),
    request("unsigned in chunks", "POST /callbacks/payment HTTP/1.1\r\nTransfer-Encoding: chunked", 401, SHAPE, b"2\r\n{}\r\n0\r\n\r\n"),
    request("two lengths", "POST /callbacks/payment HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 9", 400),
    request("a length of minus one", "POST /callbacks/payment HTTP/1.1\r\nContent-Length: -1", 400),
    request("no HTTP", "HELO payment", 400),
    request("a path with a NUL", "POST /callbacks/pay%00ment HTTP/1.1\r\nContent-Length: 2", 404, ADDRESS),
]  # fmt: skip


@pytest.mark.parametrize(("head", "body", "status", "sentence"), REQUESTS)
async def test_a_request_that_is_none_is_turned_away_and_changes_nothing(
    house: House, service: Service, head: str, body: bytes, status: int, sentence: str
):
    with nothing_changes(house):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(f"{head}\r\nHost: shop\r\nConnection: close\r\n\r\n".encode() + body)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()

    started, _, content = answer.partition(b"\r\n\r\n")
    assert started.split()[1] == str(status).encode()
    if sentence:
        assert json.loads(content) == {"error": sentence}
