"""Counts the calls on the wire: a pass-through before Prefect's server that reads the request lines and changes nothing."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_REQUEST = re.compile(rb"(?m)^(GET|POST|PUT|PATCH|DELETE) /api(/[^ ?]*)[^ ]* HTTP/1\.1\r$")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_INPUT = re.compile(r"(/input/).+")


class Wire:
    """The calls that went through since the last `take`, by method and path without ids."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._seen: Counter[str] = Counter()
        self.url = ""

    def take(self) -> Counter[str]:
        """The calls counted so far; counting begins anew."""
        seen, self._seen = self._seen, Counter()
        return seen

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        server, on = await asyncio.open_connection(*self._target)
        await asyncio.gather(self._pass(client, on, counts=True), self._pass(server, back, counts=False))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counts: bool) -> None:
        with suppress(ConnectionError):
            while chunk := await source.read(65536):
                if counts:
                    for method, path in _REQUEST.findall(chunk):
                        told = _INPUT.sub(r"\1{key}", _ID.sub("{id}", path.decode()))
                        self._seen[f"{method.decode()} {told}"] += 1
                sink.write(chunk)
                await sink.drain()
        with suppress(ConnectionError):
            sink.close()


@asynccontextmanager
async def wire(host: str, port: int) -> AsyncIterator[Wire]:
    """A pass-through to a server, on a port of its own."""
    passing = Wire((host, port))
    listening = await asyncio.start_server(passing.serve, "127.0.0.1", 0)
    passing.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/api"
    try:
        yield passing
    finally:
        listening.close()
