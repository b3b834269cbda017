"""A server that checkpoints are posted to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest


class Collector:
    """A server that receives checkpoints."""

    def __init__(self) -> None:
        self.checkpoints: list[dict[str, Any]] = []
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.checkpoints.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(collector.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *about: Any) -> None:
                """Keep the output of the tests clean."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/take?key=hunter2"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    threading.Thread(target=collector.server.serve_forever, args=(0.01,), daemon=True).start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
