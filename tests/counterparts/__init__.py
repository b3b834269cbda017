"""A fake HTTP server: it returns the replies that a test sets, and records the requests it receives."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """A response. `parts` are sent one after the other, without a Content-Length."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Iterator[bytes] | None = None


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    """Return a JSON response; ``retry_after="3"`` sets the header Retry-After."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), named)


@dataclass
class ReceivedRequest:
    """A received request; header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes = b""


class FakeServer:
    """A server that runs during a test. It calls `answer` with each request; replace `answer` to change the replies."""

    def __init__(self, answer: Callable[[ReceivedRequest], Reply], tls: ssl.SSLContext | None = None):
        self.answer = answer
        self.requests: list[ReceivedRequest] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """The paths of the received requests, in order."""
        return [received.path for received in self.requests]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake_server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body are sent separately

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                received = ReceivedRequest(
                    self.path, {name.lower(): value for name, value in self.headers.items()}, body
                )
                fake_server.requests.append(received)
                try:
                    self._send(fake_server.answer(received))
                except OSError:
                    self.close_connection = True  # the client has closed the connection

            do_POST = do_GET

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.parts is None and "content-length" not in {name.lower() for name in reply.headers}:
                    self.send_header("Content-Length", str(len(reply.body)))
                if reply.parts is not None or "content-length" in {name.lower() for name in reply.headers}:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                self.end_headers()
                for part in reply.parts or [reply.body]:
                    self.wfile.write(part)
                    self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the output of the tests clean."""

        return Handler


@contextmanager
def run_fake_server(
    answer: Callable[[ReceivedRequest], Reply] | Reply, tls: ssl.SSLContext | None = None
) -> Iterator[FakeServer]:
    """Run a fake server that always returns the same reply, or calls `answer` for each request."""
    fake_server = FakeServer((lambda received: answer) if isinstance(answer, Reply) else answer, tls)
    fake_server.start()
    try:
        yield fake_server
    finally:
        fake_server.stop()


def path_of(received: ReceivedRequest) -> str:
    """Return the path of a request without its query."""
    return urlsplit(received.path).path
