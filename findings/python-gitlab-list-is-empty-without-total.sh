#!/usr/bin/env bash
# A list of python-gitlab that has items is empty and false if GitLab does not say how many there are.
#
# Package: python-gitlab 8.6.0 (PyPI).
# Expected: GitLab omits the header `x-total` if there are more than 10,000 items (REST API, "Pagination response
#   headers"), and always for commits (GitLab issue 389582). Then, says the documentation of python-gitlab
#   ("Pagination"), `total` is None. So a good guess is that len() raises TypeError, or that there is no len(), and that
#   the list is true.
# What happens: len() is 0, so the list is false, while iterating over it gives all items. len() raised TypeError until
#   python-gitlab issue 1114 was closed.
# Why it matters: `if not project.commits.list(iterator=True):` takes each project for one without commits. For jobs or
#   issues it is right until there are 10,001. PainChain has its own client, which follows the Link header and reads no
#   totals (`connectors/http_client.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-gitlab==8.6.0 2>/dev/null
venv/bin/python - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

import gitlab


class GitLab(BaseHTTPRequestHandler):
    """Two pages of one commit each, with the headers that GitLab documents. Project 2 has no total."""

    def do_GET(self):
        url = urlsplit(self.path)
        page = int(parse_qs(url.query).get("page", ["1"])[0])
        body = json.dumps([{"id": f"{page:040x}", "title": f"Commit {page}"}]).encode()
        headers = {"Content-Type": "application/json", "Content-Length": len(body), "x-page": page, "x-per-page": 1,
                   "x-prev-page": "" if page == 1 else 1, "x-next-page": 2 if page == 1 else ""}
        if page == 1:
            headers["Link"] = f'<http://{self.headers["Host"]}{url.path}?page=2&per_page=1>; rel="next"'
        if "/projects/1/" in url.path:
            headers |= {"x-total": 2, "x-total-pages": 2}
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


print("python-gitlab", version("python-gitlab"))
server = ThreadingHTTPServer(("127.0.0.1", 0), GitLab)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = gitlab.Gitlab(f"http://127.0.0.1:{server.server_port}", private_token="example")
seen = []
for project, headers in ((1, "with x-total"), (2, "without x-total")):
    commits = client.projects.get(project, lazy=True).commits.list(iterator=True, per_page=1)
    seen.append((commits.total, len(commits), bool(commits), sum(1 for commit in commits)))
    print("{}: total {}, len() {}, bool() {}, items {}".format(headers, *seen[-1]))
sys.exit(seen != [(2, 2, True, 2), (None, 0, False, 2)])
PY
