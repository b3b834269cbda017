"""Serve the source that 200 connectors poll: `python -m tests.bench.strikes PORT`.

`/tell/20` sets the number of strikes in each response.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

numbers = count(1)


class Source(BaseHTTPRequestHandler):
    """Return new strikes to every request."""

    protocol_version = "HTTP/1.1"
    many = 0

    def do_GET(self) -> None:
        if self.path.startswith("/tell/"):
            Source.many = int(self.path.rpartition("/")[2])
        strikes = [{"number": next(numbers), "at": time.time(), "author": "Quasimodo"} for _ in range(Source.many)]
        body = json.dumps({"strikes": strikes}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Source).serve_forever()
