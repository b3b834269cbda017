#!/usr/bin/env bash
# One call of PyGithub waits inside the thread for as long as GitHub's Retry-After says, again and again.
#
# Package: PyGithub 2.10.0 (PyPI).
# Expected: a rate limit comes back to the caller as an error with the time to wait (RateLimitExceededException exists).
# What happens: with the default settings the call sleeps through Retry-After and asks again, up to ten times. Two
#   refusals with "Retry-After: 3" hold one call for six seconds; GitHub's secondary limits say 60 and more.
# Why it matters: a poller with a thread per source stops for minutes without a word, holds what it has locked, and does
#   not stop when it is told to. The answer is `Github(retry=None)` and a schedule of one's own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check PyGithub==2.10.0 2>/dev/null
venv/bin/python - <<'PY'
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import github

LIMIT = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
}
requests = 0


class GitHub(BaseHTTPRequestHandler):
    def do_GET(self):
        global requests
        requests += 1
        limited = requests <= 2
        body = json.dumps(LIMIT if limited else {"login": "octocat", "id": 1}).encode()
        self.send_response(403 if limited else 200)
        if limited:
            self.send_header("Retry-After", "3")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


print("PyGithub", version("PyGithub"))
server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
client = github.Github(base_url=address, auth=github.Auth.Token("example"))
began = time.monotonic()
login = client.get_user("octocat").login
seconds, asked = time.monotonic() - began, requests
print(f"default settings: {login!r} after {asked} requests and {seconds:.1f} s in one call")

requests = 0
client = github.Github(base_url=address, auth=github.Auth.Token("example"), retry=None)
began = time.monotonic()
try:
    client.get_user("octocat")
    refused = "no error"
except github.GithubException as error:
    refused = type(error).__name__
print(f"retry=None: {refused} after {requests} request and {time.monotonic() - began:.1f} s")
sys.exit((asked, seconds >= 6, requests, refused) != (3, True, 1, "RateLimitExceededException"))
PY
