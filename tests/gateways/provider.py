"""
A payment provider, a carrier and an SMS gateway in one: a real HTTP server in a process of its own, which can be told to misbehave.

`python -m tests.gateways.provider PORT SHEET` books each key at most once; every booking is a line on the sheet.
`POST /_behave {"key": …, "how": …}` says how the next requests about a key are answered: `delay`, `error` (HTTP 500),
`garbage`, `truncated`, `wrong_types`, `other_key`, `drop` (books, then drops the connection), `drop_before`, `refused`,
`failed`, `failed_once`, `accepted`, `unauthorized`, `say` (whatever `answer` holds), `drip` (a byte at a time), `nul` and
`personal` (in what it says), `lost_page`, `lost_empty`, `lost_other` (HTTP 404 with a page, with nothing, about another
key), `settle` and `bounce` (what was accepted is done, or has failed, when it is asked about).
A `times` bounds it; without one it lasts.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

KEY = "test-key-of-the-provider"
NEVER = "never_received"


class Provider:
    """The provider's memory: bookings by key, and how it is to behave."""

    def __init__(self, sheet: Path) -> None:
        self.sheet = sheet
        self.how: dict[str, list[Any]] = {}
        self.answer: dict[str, Any] = {}
        self.booked: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count(1)
        self.failed: set[str] = set()
        self.seen: list[dict[str, Any]] = []

    def mood(self, key: str) -> str:
        """How the next answer about a key is to be."""
        for name in (key, "*"):
            if name in self.how and self.how[name][1] != 0:
                self.how[name][1] -= 1
                return self.how[name][0]
        return ""

    def book(self, key: str, body: dict[str, Any], status: str) -> dict[str, Any]:
        """Book a key, once."""
        if key not in self.booked:
            self.booked[key] = {"key": key, "status": status, "reference": f"REF-{next(self.numbers):04d}"}
            with self.sheet.open("a") as sheet:
                sheet.write(json.dumps({"key": key, **body}, ensure_ascii=False) + "\n")
        return self.booked[key]


def create(sheet: Path) -> FastAPI:
    """The server."""
    app, provider = FastAPI(docs_url=None, openapi_url=None), Provider(sheet)

    @app.post("/_behave")
    async def behave(request: Request) -> Any:
        told = await request.json()
        provider.how[told["key"]] = [told["how"], told.get("times", -1)]
        provider.answer = told.get("answer") or {}
        return {}

    @app.post("/_forget")
    def forget() -> Any:
        sheet.unlink(missing_ok=True)
        vars(provider).update(vars(Provider(sheet)))
        return {}

    @app.get("/_seen")
    async def seen() -> Any:
        return provider.seen

    @app.api_route("/{resource}", methods=["GET", "POST"])
    async def resource(resource: str, request: Request) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        body = await request.json() if request.method == "POST" else {}
        provider.seen.append({"method": request.method, "path": f"/{resource}", "key": key, "body": body})
        if resource not in ("refunds", "shipments", "messages"):
            return JSONResponse({"error": "no such resource"}, 404)
        mood = provider.mood(key)
        if request.headers.get("Authorization") != f"Bearer {KEY}" or mood == "unauthorized":
            return JSONResponse({"error": "unauthorized"}, 401)
        if mood == "delay":
            await asyncio.sleep(30)
        if mood == "drip":
            return StreamingResponse(_drip(), media_type="application/json")
        if mood == "drop_before":
            return _Drop()
        if mood == "say":
            said = provider.answer
            return Response(said["body"].replace("KEY", key), said["status"], said["headers"])
        if mood == "error":
            return JSONResponse({"error": "down"}, 500)
        if mood == "lost_page":
            return Response("<html>404 Not Found", 404, media_type="text/html")
        if mood == "lost_empty":
            return Response(status_code=404)
        if mood == "lost_other":
            return JSONResponse({"key": "RT-20000101-0001/refund-0", "status": NEVER}, 404)
        if request.method == "GET":
            asked = request.query_params.get("key", "")
            if mood == "settle":
                provider.booked[asked]["status"] = "done"
            if mood == "bounce":
                provider.booked.pop(asked)
                return JSONResponse({"key": asked, "status": "failed", "reason": "银行退回"})
            known = provider.booked.get(asked)
            if known is None and asked in provider.failed:
                return JSONResponse({"key": asked, "status": "failed", "reason": "渠道余额不足"})
            return JSONResponse(known, 200) if known else JSONResponse({"key": asked, "status": NEVER}, 404)
        match mood:
            case "refused":
                return JSONResponse({"key": key, "status": "refused", "reason": "账户已注销"})
            case "nul":
                provider.book(key, body, "done")["reference"] = "WX\x00-1\n2"
            case "personal":
                reason = "收款人电话 13800001234，账号 6225880212345678 已注销"
                return JSONResponse({"key": key, "status": "refused", "reason": reason})
            case "failed" | "failed_once":
                provider.failed.add(key)
                return JSONResponse({"key": key, "status": "failed", "reason": "渠道余额不足"})
            case "garbage":
                provider.book(key, body, "accepted")
                return Response("<html>Bad gateway", media_type="text/html")
            case "truncated":
                provider.book(key, body, "accepted")
                return Response('{"key": "', media_type="application/json")
            case "wrong_types":
                provider.book(key, body, "accepted")
                return JSONResponse({"key": key, "status": 1, "reference": []})
            case "long":
                return Response("x" * 200_000)
            case "redirect":
                return Response(status_code=307, headers={"Location": "http://127.0.0.1:9/"})
            case "other_key":
                provider.book(key, body, "accepted")
                return JSONResponse({"key": "RT-20000101-0001/refund-0", "status": "done"})
            case "drop":
                provider.book(key, body, "accepted")
                return _Drop()
        return JSONResponse(provider.book(key, body, "accepted" if mood == "accepted" else "done"))

    return app


async def _drip() -> AsyncIterator[bytes]:
    """A byte every now and then: no single wait is long, the whole never ends."""
    for _ in range(600):
        yield b" "
        await asyncio.sleep(0.05)


class _Drop(Response):
    """Ends the connection in the middle of an answer, as a broken line does."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})


class Running:
    """The provider's process, as a test talks to it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.sheet = folder / "bookings"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gateways.provider", str(self.port), str(self.sheet)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self._client = httpx.Client(base_url=self.url, trust_env=False)
        until = time.monotonic() + 30
        while True:
            try:
                self._client.get("/_seen")
                break
            except httpx.TransportError:
                assert self._process.poll() is None and time.monotonic() < until, "the provider did not come up"
                time.sleep(0.05)

    def forget(self) -> None:
        """Be as on the first day: nothing booked, nothing seen, well-behaved."""
        self._client.post("/_forget").raise_for_status()

    def behave(self, how: str, key: str = "*", times: int = -1) -> None:
        """Say how requests about a key are answered from now on."""
        self._client.post("/_behave", json={"how": how, "key": key, "times": times}).raise_for_status()

    def say(self, status: int, body: str, headers: Mapping[str, str], key: str = "*") -> None:
        """Answer every request about a key with this; `KEY` in the body stands for the key."""
        answer = {"status": status, "body": body, "headers": dict(headers)}
        self._client.post("/_behave", json={"how": "say", "key": key, "answer": answer}).raise_for_status()

    @property
    def bookings(self) -> Counter[str]:
        """How often each key was booked."""
        lines = self.sheet.read_text().splitlines() if self.sheet.exists() else []
        return Counter(json.loads(line)["key"] for line in lines)

    @property
    def seen(self) -> list[dict[str, Any]]:
        """Every request, in order."""
        return self._client.get("/_seen").json()

    def stop(self) -> None:
        """End it."""
        self._client.close()
        self._process.kill()
        self._process.wait(10)


def main() -> None:
    """Serve until killed."""
    port, sheet = sys.argv[1:]
    uvicorn.run(create(Path(sheet)), host="127.0.0.1", port=int(port), log_level="critical")


if __name__ == "__main__":
    main()
