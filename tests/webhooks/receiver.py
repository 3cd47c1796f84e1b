"""A customer's receiver: a real HTTP server that answers in turn as a test asked."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from postlane.core.settings import settings
from tests.dns_server import DnsServer
from tests.web_server import Asked, WebServer

ADDRESS = "127.0.0.3"
"""The one private address that the operator of these tests allows."""
HOST = "hooks.example"
PATH = "/hooks/mail"


@dataclass(slots=True)
class Receiver:
    """What came in at one path; it answers 200 unless there are other answers to give first."""

    server: WebServer
    path: str = PATH
    answers: deque[tuple[int, bytes, Mapping[str, str]]] = field(default_factory=deque)
    hold: threading.Event | None = None
    """Requests wait until it is set."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server.port}{self.path}"

    @property
    def asked(self) -> list[Asked]:
        return [each for each in self.server.asked if each.path == self.path]

    def then(self, *statuses: int, body: bytes = b"", **headers: str) -> None:
        """Answer the next requests so, one after the other."""
        for status in statuses:
            self.answers.append((status, body, headers))

    def verified(self, secret: str, nth: int = -1) -> Any:
        """Return what a request says, if its signature is good."""
        return Verifier(secret).verify(self.asked[nth].body, self.asked[nth].headers)

    def serve(self) -> None:
        """Begin to answer."""
        lock = threading.Lock()

        def answer(handler: BaseHTTPRequestHandler) -> None:
            if self.hold is not None:
                self.hold.wait(30)
            with lock:
                status, body, headers = self.answers.popleft() if self.answers else (200, b"ok", {})
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.server.pages[self.path] = answer


@contextmanager
def reachable(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """Run a web server under HOST that webhooks may reach in clear."""
    monkeypatch.setenv("POSTLANE_PRIVATE_DESTINATIONS", f"{ADDRESS}/32")
    monkeypatch.setenv("POSTLANE_WEBHOOK_URLS", "any")
    settings.cache_clear()
    dns.set(HOST, "A", ADDRESS)
    try:
        with WebServer(host=ADDRESS) as server:
            yield server
    finally:
        monkeypatch.undo()
        settings.cache_clear()
