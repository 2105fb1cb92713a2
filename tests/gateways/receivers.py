"""Real receivers on loopback: an HTTP server for robots and JSON hooks, a mail server, and one that never ends."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    at: float
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def text(self) -> str:
        """What was said, whichever way the channel says it."""
        body = self.body
        if "msgtype" in body:
            return body["text"]["content"]
        if "msg_type" in body:
            return body["content"]["text"]
        return f"{body['title']}\n{body['message']}"


@dataclass
class Receiver:
    """An HTTP receiver: `answers` by path, each a status and a body; what is not named is taken with `{"errcode": 0}`."""

    port: int = 0
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    delay: float = 0.0

    @property
    def base(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        """A JSON address of Apprise that ends here."""
        return f"json://{self.base}/{name}"

    def texts(self, name: str = "") -> list[str]:
        """What was said at a path, oldest first."""
        return [each.text for each in self.received if each.path.startswith(f"/{name}")]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(receiver.delay)
            receiver.received.append(Received(time.time(), self.path, dict(self.headers), json.loads(content.decode())))
            status, body = receiver.answers.get(self.path.split("?")[0], (200, b'{"errcode": 0}'))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """A mail server: what arrived, and recipients it refuses."""

    port: int = 0
    received: list[tuple[list[str], Any]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.received.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@contextmanager
def mailing() -> Iterator[Mailbox]:
    """A mail server on a free port."""
    from aiosmtpd.controller import Controller

    from tests.conftest import free_port

    box = Mailbox(port=free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Drip:
    """A server that begins to answer and never ends: a byte now and then, so that no read of it waits for long."""

    port: int = 0
    asked: int = 0
    every: float = 0.05

    def url(self, name: str = "") -> str:
        """A JSON address of Apprise that ends here."""
        return f"json://127.0.0.1:{self.port}/{name}"


@contextmanager
def dripping() -> Iterator[Drip]:
    """A dripping server on a free port; whoever still listens at the end is hung up on."""
    drip, is_over = Drip(), threading.Event()

    def answer(caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            caller.recv(65536)
            caller.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not is_over.wait(drip.every):
                caller.sendall(b"x")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while not is_over.is_set():
                caller, _ = server.accept()
                drip.asked += 1
                threading.Thread(target=answer, args=(caller,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        drip.port = server.getsockname()[1]
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield drip
        finally:
            is_over.set()
            server.shutdown(socket.SHUT_RDWR)
