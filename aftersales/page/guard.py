"""
What every request meets before anything of ours: whom it asks for, how much it may send; and what every answer carries.

Outside of the application itself, so that an answer to its worst failure is guarded too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex, nofollow",
}
SECURE = {"strict-transport-security": "max-age=31536000"}
# how much more is read of what is refused, and for how long
LINGER = 1024 * 1024
LINGER_SECONDS = 10
# this machine itself, as a proxy or a health check calls it
HERE = ("127.0.0.1", "localhost", "::1")


class Guard:
    """An application behind its guard."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        address: str,
        at_once: int,
        most_bytes: Callable[[str], int],
        refuse: Callable[[Request, int], Response],
    ) -> None:
        self.app, self.most_bytes, self.refuse, self.at_once = app, most_bytes, refuse, at_once
        self.hosts: Collection[str] = {*HERE, (urlsplit(address).hostname or "").lower()}
        self.headers = headers(address)
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    out[name] = value
                # nobody else's screen, cache or history is to keep an order
                out.setdefault("cache-control", "no-store")
            await send(message)

        most = self.most_bytes(scope["path"])
        if status := self._refused(headers, most):
            await _drain(receive, most + LINGER)
            answer = self.refuse(Request(scope), status)
            answer.headers["connection"] = "close"
            await answer(scope, receive, guarded)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                # whoever names no length is counted as it comes
                await _drain(receive, LINGER)
                raise HTTPException(413, headers={"connection": "close"})
            return message

        self.inside += 1
        try:
            await self.app(scope, counted, guarded)
        finally:
            self.inside -= 1

    def _refused(self, headers: Headers, most: int) -> int:
        """The status with which a request is refused by its headers, or since there are too many; 0 when it is not."""
        asked = headers.getlist("host")
        if len(asked) != 1 or _host(asked[0]) not in self.hosts:
            return 400
        if self.inside >= self.at_once:
            return 503
        length = headers.get("content-length", "0")
        # what is no number the server has refused
        return 413 if length.isdigit() and int(length) > most else 0


def headers(address: str) -> dict[str, str]:
    """What every answer of the page carries, by its public address."""
    return HEADERS | (SECURE if urlsplit(address).scheme == "https" else {})


async def _drain(receive: Receive, most: int) -> None:
    """Let a sender finish, within limits: a browser that still sends shows no answer."""
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while most > 0:
                message = await receive()
                most -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        pass


def _host(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""
