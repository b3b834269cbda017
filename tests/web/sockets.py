"""A server for bytes that no HTTP client would send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

from flask import Flask, request

from painchain.core.config import Settings
from painchain.web.serving.connection import DEFAULT_LIMITS, Limits
from painchain.web.serving.server import server_for

CANARY = b"c4nary-in-a-header"


def serve(app: Flask, own: Settings, threads: int = 4, limits: Limits = DEFAULT_LIMITS) -> Iterator[int]:
    """Serve an app on a free port while a test runs."""
    server = server_for(app, replace(own, host="127.0.0.1", port=0, threads=threads), limits)
    server.adj.asyncore_loop_timeout = 0.05  # seconds until the loop sees that the server is closed
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server.effective_port
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)


def app_with_address(app: Flask) -> Flask:
    """Let the app return scheme, host and client address of requests to /client."""

    def client_address() -> str | None:
        return f"{request.scheme} {request.host} {request.remote_addr}" if request.path == "/client" else None

    app.before_request_funcs[None].insert(1, client_address)  # after auth.begin, which every response needs

    @app.get("/static/fail")
    def fail() -> str:
        raise RuntimeError(CANARY.decode())

    return app


def send(port: int, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, and return status, headers and body of the response."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(raw)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


END = b"Host: localhost\r\nConnection: close\r\n\r\n"
