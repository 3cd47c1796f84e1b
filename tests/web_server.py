"""A web server on loopback, over TLS or not, that answers each path as a test asked."""

import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.certificates import make_certificate


class _Patient(ThreadingHTTPServer):
    """Lets as many wait as come at once: the usual five would be told to try again later."""

    request_queue_size = 256


Manner = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(slots=True)
class WebServer:
    """Answers 404 for every path it was not given; `asked` is what came in, oldest first."""

    names: tuple[str, ...] = ()
    """What its certificate is good for; without a name it speaks in clear."""
    host: str = "127.0.0.1"
    wanted_port: int = 0
    """Zero is any free one."""
    asked: list[Asked] = field(default_factory=list)
    pages: dict[str, Manner] = field(default_factory=dict)
    _server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return self._server.server_port

    def set(
        self, path: str, body: bytes, content_type: str, *, status: int = 200, **headers: str
    ) -> None:
        """Answer *path* with this; `content_encoding` becomes the header `content-encoding`."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Type", content_type)
            handler.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.pages[path] = answer

    def redirect(self, path: str, location: str) -> None:
        """Answer *path* with a redirect."""
        self.set(path, b"", "text/plain", status=302, location=location)

    def drip(self, path: str, *, seconds: float, content_type: str = "text/plain") -> None:
        """Answer *path* a byte at a time, without an end."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", content_type)
            handler.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    handler.wfile.write(b"x")
                    handler.wfile.flush()
                    time.sleep(seconds)

        self.pages[path] = answer

    def __enter__(self) -> Self:
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(length)
                served.asked.append(Asked(self.command, self.path, headers, body))
                manner = served.pages.get(self.path)
                manner(self) if manner else self.send_error(404)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = _Patient((self.host, self.wanted_port), Handler)
        self._server.daemon_threads = True
        # A client that refuses the certificate is what some tests are about.
        self._server.handle_error = lambda request, address: None  # type: ignore[method-assign]
        if self.names:
            made = make_certificate(*self.names)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(made.chain_file, made.key_file)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
