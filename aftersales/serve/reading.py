"""What every caller's request is read by: bounded, strict, and each refusal one sentence."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from aftersales.gateways.http import printable
from aftersales.words import Unable

MOST_BYTES = 64 * 1024
TOO_LONG = "内容超过 64 KB，请按接口文档发送。"
BROKEN_OFF = "内容没有收完整，请检查网络后重发。"

M = TypeVar("M", bound=BaseModel)


class Unreadable(Unable):
    """A body that is not what the contract says."""


class TurnedAway(Unable):
    """A request that gets no further than the door; `status` is HTTP's word for the sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def body(request: Request) -> bytes:
    """The body. Raises TurnedAway when it is longer than any of ours, or breaks off."""
    found = b""
    try:
        async for part in request.stream():
            found += part
            if len(found) > MOST_BYTES:
                raise TurnedAway(413, TOO_LONG)
    except ClientDisconnect:  # whoever hung up half-way reads no answer
        raise TurnedAway(400, BROKEN_OFF) from None
    return found


def refused(status: int, sentence: str) -> JSONResponse:
    """The answer to whatever was not done."""
    return JSONResponse({"error": quoted(sentence)}, status_code=status)


def quoted(text: str) -> str:
    """What a sender wrote, as an answer can carry it: half a surrogate pair becomes a question mark."""
    return printable(text.encode(errors="replace").decode())


def read(kind: type[M], raw: bytes) -> M:
    """Read a body strictly. Raises Unreadable with one sentence."""
    said = parse(raw)
    try:
        found = kind.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:80] or "内容"
        match first["type"]:
            case "missing":
                raise Unreadable(f"缺少“{where}”，请按接口文档补上。") from None
            case "extra_forbidden":
                raise Unreadable(f"多了“{where}”，接口文档里没有这一项，请去掉。") from None
        raise Unreadable(f"“{where}”的值不对，请按接口文档填写。") from None
    try:
        json.dumps(said, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise Unreadable("内容含有无法保存的字符，请删去后重发。") from None
    return found


def parse(raw: bytes) -> Any:
    """Read JSON in which no name stands twice and every number is one. Raises Unreadable."""
    try:
        return json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Unreadable("内容不是正确的 JSON 对象，请按接口文档发送。") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)
