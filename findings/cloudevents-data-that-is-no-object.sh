#!/usr/bin/env bash
# A CloudEvent whose data is false has no data, or data that is true, when the JavaScript SDK reads it.
#
# Packages: cloudevents 2.2.0 (PyPI), cloudevents 10.0.0 (npm): the two official SDKs.
# Expected: data can be any JSON value (CloudEvents 1.0.2, JSON format, 3.1.1). In binary mode the body is a document of
#   its media type (HTTP binding, 3.1): for application/json, false is false, and a text is in quotes. An example of the
#   JSON format (3.2) shows such a text, and says that it would be invalid without them.
# What happens: in structured mode, JavaScript leaves out data that is false or 0, also if it wrote the event itself. In
#   binary mode, it reads each body that is no object, array or quoted text as text: false is "false", which is true for
#   an `if`. Both SDKs send text without quotes: the version "1.10" arrives as the number 1.1, and "Deployed" is not
#   JSON (spec issue 558 shows it for JavaScript). Only Python's `v1` interface sends quotes.
# Why it matters: a feature flag that is off arrives as nothing or as its opposite, depending on the mode, and nothing
#   fails. It is safer to send an object. PainChain reads the same JSON values in all modes, and reads a body that is
#   not JSON as text, unless it begins like an object, an array or a quoted text (`ingestion/cloud_events.py`). Until
#   this finding it refused such text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0 deprecation==2.1.0 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null
cat >events.json <<'JSON'
[false, 0, "1.10", "Deployed", {"on": false}]
JSON
venv/bin/python -W ignore - >python.json <<'PY'
import json
import sys
from importlib.metadata import version

from cloudevents.core.bindings.http import to_binary_event
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as CloudEventV1
from cloudevents.v1.http import to_binary, to_structured

print("cloudevents (PyPI)", version("cloudevents"), file=sys.stderr)
about = {"id": "1", "source": "/flags", "type": "com.example.flag", "datacontenttype": "application/json"}
sent = []
for data in json.load(open("events.json")):
    event = CloudEventV1(about, data)
    messages = {"structured": to_structured(event), "binary": to_binary(event)}
    if isinstance(data, str | dict):  # the types that `core` declares
        core = to_binary_event(CloudEvent(dict(about), data))
        messages["core, binary"] = core.headers, core.body
    sent.append({mode: [dict(headers), body.decode()] for mode, (headers, body) in messages.items()})
print(json.dumps(sent))
PY
node - >javascript.json <<'JS'
const { CloudEvent, HTTP } = require("cloudevents");
const read = (name) => JSON.parse(require("fs").readFileSync(`${name}.json`));
console.error("cloudevents (npm)", require("cloudevents/package.json").version);
const received = (headers, body) => JSON.stringify(HTTP.toEvent({ headers, body }).data) ?? "no data";
const python = read("python");
const results = read("events").map((data, i) => {
  const event = new CloudEvent({ id: "1", source: "/flags", type: "com.example.flag", data });
  const structured = HTTP.structured(event);
  return {
    "Python v1 to JavaScript, structured": received(...python[i].structured),
    "JavaScript to JavaScript, structured": received(structured.headers, structured.body),
    "Python v1 to JavaScript, binary": received(...python[i].binary),
    "JavaScript sends, binary": HTTP.binary(event),
  };
});
console.log(JSON.stringify(results));
JS
venv/bin/python -W ignore - <<'PY'
import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_binary_event

events, python, javascript = (json.load(open(f"{name}.json")) for name in ("events", "python", "javascript"))
seen = []
for data, by_python, results in zip(events, python, javascript, strict=True):
    sent = results.pop("JavaScript sends, binary")
    if isinstance(data, str):
        results["JavaScript sends, binary"] = sent["body"]
        results["Python core sends, binary"] = by_python["core, binary"][1]
        results["JavaScript to Python core, binary"] = json.dumps(
            from_binary_event(HTTPMessage(sent["headers"], sent["body"].encode())).get_data()
        )
    print(json.dumps(data), *(f"    {way}: {result}" for way, result in results.items()), sep="\n")
    seen.append([*results.values()])
sys.exit(
    seen
    != [
        ["no data", "no data", '"false"'],
        ["no data", "no data", '"0"'],
        ['"1.10"', '"1.10"', '"1.10"', "1.10", "1.10", "1.1"],
        ['"Deployed"', '"Deployed"', '"Deployed"', "Deployed", "Deployed", '"Deployed"'],
        ['{"on":false}'] * 3,
    ]
)
PY
