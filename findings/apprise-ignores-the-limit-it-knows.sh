#!/usr/bin/env bash
# Apprise knows how long a message a service takes, and sends a longer one whole.
#
# Package: apprise 2.2.0 (PyPI).
# Expected: a library that declares a service's limit (`body_maxlen`) cuts or splits a longer message, or fails.
# What happens: `overflow` is "upstream" by default: the whole message goes out, for the service to refuse. Only with
#   `?overflow=split` (or truncate) in the URL the limit is applied. Tried with ntfy, whose server can be one's own.
# Why it matters: a burst of joined notices is refused by Discord (2,000 characters) on every retry, and is lost, while
#   each of its notices would have arrived. PainChain composes messages that fit (`notifications/limits.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apprise==2.2.0 2>/dev/null
venv/bin/python -W ignore - <<'PY'
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import apprise

sizes = []


class Ntfy(BaseHTTPRequestHandler):
    def do_POST(self):
        sizes.append(int(self.headers["Content-Length"]))
        self.rfile.read(sizes[-1])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Ntfy)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"ntfy://127.0.0.1:{server.server_port}/changes"
limit = apprise.Apprise.instantiate(url).body_maxlen
body = "x" * (limit + 100)


def requests(url):
    sizes.clear()
    to = apprise.Apprise()
    to.add(url)
    to.notify(body=body, body_format="text")
    return len(sizes), max(sizes) > limit


print("apprise", version("apprise"), "declares for ntfy", limit, "characters")
seen = [requests(url), requests(f"{url}?overflow=split")]
print(f"by default: {seen[0][0]} request(s), longer than the limit: {seen[0][1]}")
print(f"overflow=split: {seen[1][0]} request(s)")
sys.exit((seen[0], seen[1][0] > 1) != ((1, True), True))
PY
