#!/usr/bin/env bash
# A host name with an underscore is an empty host to Werkzeug.
#
# Package: Werkzeug 3.1.9 (PyPI).
# Expected: `request.host` is what the Host header says. RFC 3986 allows an underscore in a host name, and Docker Compose
#   makes such names: service and project joined by "_".
# What happens: `request.host` is "" and `request.url` is "http:///path". There is no error and no log line.
# Why it matters: absolute links, webhook addresses and redirects lose their host; a check of trusted host names refuses
#   the request as coming for "". The header itself is still in the WSGI environment.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check Werkzeug==3.1.9 2>/dev/null
venv/bin/python - <<'PY'
import sys
from importlib.metadata import version

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

print("Werkzeug", version("werkzeug"))
seen = {}
for host in ("timeline:8000", "timeline-web:8000", "timeline_web:8000"):
    request = Request({**EnvironBuilder("/events").get_environ(), "HTTP_HOST": host})
    seen[host] = request.host
    print(f"Host: {host:<18} request.host {request.host!r:<20} request.url {request.url}")
expected = {"timeline:8000": "timeline:8000", "timeline-web:8000": "timeline-web:8000", "timeline_web:8000": ""}
sys.exit(seen != expected)
PY
