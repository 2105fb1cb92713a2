"""
Connections to our own servers, page and callbacks: whoever sends no whole request within some seconds is hung up on.

uvicorn bounds how long a connection may be silent after an answer, and nothing before: a request that is begun and
never ended would keep its place for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# a phone with a weak signal sends the head of a request in that
HEAD_SECONDS = 10
# and photos that nobody wants any more in that: a browser that still sends them shows no answer
REST_SECONDS = 120


class Prompt(H11Protocol):
    """HTTP as uvicorn speaks it, on connections that bring whole requests in time; `headers_of_refusal` answer what is none."""

    headers_of_refusal: ClassVar[Mapping[str, str]] = {}
    _hangs_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what was sent; who brings no whole head by it gains no time."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_no_more()
        elif self._hangs_up is None:
            seconds = HEAD_SECONDS if self.conn.their_state is h11.IDLE else REST_SECONDS
            self._hangs_up = self.loop.call_later(seconds, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._hangs_up is not None:
            self._hangs_up.cancel()
            self._hangs_up = None

    def _should_upgrade(self) -> bool:
        # nothing of ours speaks WebSocket: whoever asks for it is answered in HTTP, and no line of the log is spent on it
        return False

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; once an answer is on its way there is nothing to say."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = {"content-type": "text/plain; charset=utf-8", "connection": "close", **self.headers_of_refusal}
            for event in (
                h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request"),
                h11.Data(data=msg.encode()),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def prompt(headers: Mapping[str, str]) -> type[Prompt]:
    """The protocol of a server, for uvicorn's `http`: these headers go with its refusal of what is no HTTP."""
    return type("Prompt", (Prompt,), {"headers_of_refusal": headers})
