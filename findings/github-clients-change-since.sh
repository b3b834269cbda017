#!/usr/bin/env bash
# Two Python clients of GitHub ask for what is new since another time than they were given.
#
# Packages: PyGithub 2.10.0, github3.py 4.0.1 (PyPI).
# Expected: `since` is a datetime in both (their documentation). One with a time zone is a moment (Python, "datetime",
#   "Aware and Naive Objects"), and both clients return such datetimes. GitHub takes YYYY-MM-DDTHH:MM:SSZ (REST API,
#   "List repository issues"), so 18:00 in UTC+1 and 17:00 in UTC should both be sent as 17:00Z.
# What happens: PyGithub leaves out the time zone: 18:00 in UTC+1 is sent as 18:00Z (PyGithub issue 2282, open since
#   2022). github3.py appends a Z to what has an offset already: 2026-11-30T18:00:00+01:00Z, also for datetimes that it
#   returned itself. Given as a text, it refuses that as not ISO 8601.
# Why it matters: a poller asks for what is new since its last poll. East of UTC, PyGithub asks for a time that is too
#   late, and what happened in between is never read. In UTC, as on most servers and in CI, nothing is missing.
#   PainChain converts each time to UTC before it sends or compares it (`cursor_time` and `iso` of its connectors).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check PyGithub==2.10.0 github3.py==4.0.1 2>/dev/null
venv/bin/python -W ignore - <<'PY'
import json
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

import github
import github3
from github3.session import GitHubSession

LAST_POLL = datetime(2026, 11, 30, 17, tzinfo=UTC)
ISSUE_TIME = "2026-11-30T17:30:00Z"  # of the only issue
asked = []


class GitHub(BaseHTTPRequestHandler):
    """A GitHub with one repository that has one issue."""

    def do_GET(self):
        url = urlsplit(self.path)
        answer = {"name": "shop", "full_name": "acme/shop", "url": f"{address}/repos/acme/shop"}
        if url.path.endswith("/issues"):
            [since] = parse_qs(url.query)["since"]
            asked.append(since)
            answer = [{"number": 1, "title": "Down"}] if since <= ISSUE_TIME and url.path.startswith("/repos/") else []
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
repository = github.Github(auth=github.Auth.Token("example"), base_url=address).get_repo("acme/shop")
session = GitHubSession()
session.base_url = address
session.token_auth("example")
other = github3.GitHub(session=session)

print(f"PyGithub {version('PyGithub')}, github3.py {version('github3.py')}")
found = []
for zone in (UTC, timezone(timedelta(hours=1))):
    since = LAST_POLL.astimezone(zone)
    found.append(len(list(repository.get_issues(since=since))))
    list(other.issues(since=since))
    print(f"{since}: PyGithub asks for {asked[-2]}, github3.py asks for {asked[-1]}")
try:
    other.issues(since=asked[-1])
    refused = False
except ValueError as error:
    refused = True
    print(f"github3.py, given as a text: {error}")
print(f"Issues that PyGithub finds since the same moment: {found}")
expected = [
    *("2026-11-30T17:00:00Z", "2026-11-30T17:00:00+00:00Z"),
    *("2026-11-30T18:00:00Z", "2026-11-30T18:00:00+01:00Z"),
]
sys.exit((asked, found, refused) != (expected, [1, 0], True))
PY
