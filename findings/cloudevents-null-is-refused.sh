#!/usr/bin/env bash
# The Python SDK of CloudEvents refuses events as the specification shows them, because their subject is null.
#
# Packages: cloudevents 2.2.0 (PyPI), cloudevents 10.0.0 (npm): the two official SDKs.
# Expected: in JSON, an attribute that is not set can be null, and a reader must treat null as omitted (CloudEvents
#   1.0.2, JSON format, 2.2). Two examples of the format (3.2) have a subject that is null.
# What happens: Python's `core` bindings, which its README shows, raise a validation error if subject, datacontenttype
#   or dataschema is null. If time is null, they raise a TypeError that does not name it. Python's `v1` interface and
#   the JavaScript SDK read all of them, and JavaScript sends a subject that is null as it was given.
# Why it matters: serializers of many languages write null for what is not set. When a receiver moves from `v1` to
#   `core`, it begins to refuse such senders. PainChain reads null as omitted (`ingestion/cloud_events.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0 deprecation==2.1.0 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null
node - >javascript.json <<'JS'
const { CloudEvent, HTTP } = require("cloudevents");
console.error("cloudevents (npm)", require("cloudevents/package.json").version);
const event = { specversion: "1.0", id: "1", source: "/deploy", type: "com.example.deploy", data: { ok: true } };
const headers = { "content-type": "application/cloudevents+json" };
const names = ["subject", "time", "datacontenttype", "dataschema"];
const read = (body) => HTTP.toEvent({ headers, body }).validate();
const bodies = names.map((name) => JSON.stringify({ ...event, [name]: null }));
const sent = HTTP.structured(new CloudEvent({ ...event, subject: null })).body;
console.log(JSON.stringify({ names, bodies, sent, read: bodies.every(read) }));
JS
venv/bin/python -W ignore - <<'PY'
import json
import sys
from importlib.metadata import version

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.v1.http import from_http

print("cloudevents (PyPI)", version("cloudevents"))
javascript = json.load(open("javascript.json"))
headers = {"content-type": "application/cloudevents+json"}


def result(read, body):
    try:
        return f"read with {read(body).get_data()}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def core(body):
    return from_structured_event(HTTPMessage(headers, body.encode()))


def v1(body):
    return from_http(headers, body)


seen = []
for name, body in [*zip(javascript["names"], javascript["bodies"]), ("subject, by JavaScript", javascript["sent"])]:
    results = [result(core, body), result(v1, body)]
    print(f"{name}: null", *(f"    {api}: {each}" for api, each in zip(("core", "v1"), results)), sep="\n")
    seen.append([each.split(":")[0].split(" ")[0] for each in results])
print("JavaScript reads all:", javascript["read"])
refused = "CloudEventValidationError"
expected = [refused, "TypeError", refused, refused, refused]
sys.exit((seen, javascript["read"]) != ([[each, "read"] for each in expected], True))
PY
