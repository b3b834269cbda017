#!/usr/bin/env bash
# JSON data that the Python SDK of CloudEvents sends is a text for the JavaScript SDK.
#
# Packages: cloudevents 2.2.0 (PyPI), cloudevents 10.0.0 (npm): the two official SDKs.
# Expected: an event without datacontenttype has JSON data: the JSON format says so (3.1.2), and both SDKs write and read
#   it as JSON in structured mode. When an event is put into another form, its implied datacontenttype should become
#   explicit (CloudEvents 1.0.2, datacontenttype). So {"ok": true} arrives as an object in binary mode, too.
# What happens: Python's `core` bindings write the data as JSON into the body and send no Content-Type. Python reads it
#   as JSON, and JavaScript as a text. The request also fails where only JSON is let in.
# Why it matters: a receiver that accepts JSON only has to take a body without a media type if the headers of a
#   CloudEvent are there, and to parse it as JSON.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0 deprecation==2.1.0 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null
venv/bin/python -W ignore - >messages.json <<'PY'
import json

from cloudevents.core.bindings.http import from_http_event, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

event = CloudEvent({"id": "1", "source": "/deploy", "type": "com.example.deploy", "specversion": "1.0"}, {"ok": True})
messages = {"structured": to_structured_event(event), "binary": to_binary_event(event)}
read = {mode: from_http_event(message).get_data() for mode, message in messages.items()}
print(json.dumps({mode: [dict(each.headers), each.body.decode(), read[mode]] for mode, each in messages.items()}))
PY
node - <<'JS'
const { HTTP } = require("cloudevents");
const sent = JSON.parse(require("fs").readFileSync("messages.json"));
const seen = ["structured", "binary"].map((mode) => {
  const [headers, body, python] = sent[mode];
  const { data } = HTTP.toEvent({ headers, body });
  console.log(`${mode}: Content-Type ${headers["content-type"]}, Python reads a ${typeof python}, JavaScript a ${typeof data}`);
  return [headers["content-type"] ?? null, typeof python, typeof data];
});
const expected = [["application/cloudevents+json", "object", "object"], [null, "object", "string"]];
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
JS
