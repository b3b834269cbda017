#!/usr/bin/env bash
# The subject of a CloudEvent changes on its way from the Python SDK to the JavaScript SDK.
#
# Packages: cloudevents 2.2.0 (PyPI), cloudevents 10.0.0 (npm): the two official SDKs.
# Expected: the HTTP protocol binding (binary mode, 3.1.3.2) encodes a space and a percent sign in header values as %20
#   and %25; a receiver decodes them. What one SDK sends, the other reads.
# What happens: Python's `core` bindings encode, Python's `v1` interface (same package) does not, and the JavaScript SDK
#   neither encodes nor decodes. "api 100% out", sent by Python's core, is "api%20100%25%20out" in JavaScript.
# Why it matters: a receiver cannot know from the header which sender it has. It may decode only what decodes to text
#   that a sender would have had to encode, and has to keep the raw value otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0 deprecation==2.1.0 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null
venv/bin/python -W ignore - >headers.json <<'PY'
import json
from importlib.metadata import version
import sys

from cloudevents.core.bindings.http import to_binary_event
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as CloudEventV1
from cloudevents.v1.http import to_binary

print("cloudevents (PyPI)", version("cloudevents"), file=sys.stderr)
about = {"id": "1", "source": "/deploy", "type": "com.example.deploy", "subject": "api 100% out"}
core = dict(to_binary_event(CloudEvent({**about, "specversion": "1.0"}, {"ok": True})).headers)
v1 = dict(to_binary(CloudEventV1(about, {"ok": True}))[0])
print(json.dumps({"core": core, "v1": v1}))
PY
node - <<'JS'
const { CloudEvent, HTTP } = require("cloudevents");
const sent = JSON.parse(require("fs").readFileSync("headers.json"));
console.log("cloudevents (npm)", require("cloudevents/package.json").version);
const read = (headers) => HTTP.toEvent({ headers: { "content-type": "application/json", ...headers }, body: "{}" }).subject;
const own = HTTP.binary(new CloudEvent({ source: "/deploy", type: "com.example.deploy", subject: "api 100% out" }));
const seen = [sent.core["ce-subject"], sent.v1["ce-subject"], own.headers["ce-subject"], read(sent.core), read(sent.v1)];
const names = ["Python core sends", "Python v1 sends", "JavaScript sends", "JavaScript reads of core", "JavaScript reads of v1"];
names.forEach((name, i) => console.log(`${name}: ${seen[i]}`));
const encoded = "api%20100%25%20out", plain = "api 100% out";
process.exit(JSON.stringify(seen) === JSON.stringify([encoded, plain, plain, encoded, plain]) ? 0 : 1);
JS
