#!/usr/bin/env bash
# A webhook that the Python SDK of Standard Webhooks signs with a local time is refused by every receiver.
#
# Packages: standardwebhooks 1.1.0 (PyPI), standardwebhooks 1.1.1 (npm): the two official SDKs.
# Expected: `sign` takes a datetime. One with a time zone is a moment: 12:00 in UTC equals 13:00 in UTC+1. What is
#   signed is `msg_id.timestamp.payload` (specification, "Signature scheme") with the timestamp in seconds since the
#   epoch ("Webhook headers"). So equal datetimes have the same signature, which fits the header
#   `int(moment.timestamp())`.
# What happens: `sign` replaces the time zone by UTC instead of converting to UTC, so it signs a time that is wrong by
#   the offset. Neither SDK finds a matching signature. JavaScript's `sign` takes a Date, which has no time zone. It is
#   standard-webhooks issue 251, open since 2025.
# Why it matters: on servers and in CI, whose local time is UTC, the sender works. Elsewhere, nothing that it sends is
#   accepted, and the error does not mention the time. PainChain verifies with the timestamp of the header, and refuses
#   such a delivery, too (`connectors/standard_webhooks.py`). A sender has to sign `datetime.now(timezone.utc)`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check standardwebhooks==1.1.0 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts standardwebhooks@1.1.1 >/dev/null
venv/bin/python - >deliveries.json <<'PY'
import json
import sys
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

print("standardwebhooks (PyPI)", version("standardwebhooks"), file=sys.stderr)
SECRET, BODY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", '{"title": "Deployed shop"}'
webhook, deliveries = Webhook(SECRET), {}
utc = datetime.now(timezone.utc)
for name, moment in {"UTC": utc, "UTC+1": utc.astimezone(timezone(timedelta(hours=1)))}.items():
    assert moment == utc
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(moment.timestamp())),
               "webhook-signature": webhook.sign("msg_1", moment, BODY)}
    try:
        python = "accepted" if webhook.verify(BODY, headers) else "nothing"
    except WebhookVerificationError as error:
        python = str(error)
    deliveries[name] = {"secret": SECRET, "body": BODY, "headers": headers, "python": python}
print(json.dumps(deliveries))
PY
node - <<'JS'
const { Webhook } = require("standardwebhooks");
console.log("standardwebhooks (npm)", require("standardwebhooks/package.json").version);
const deliveries = JSON.parse(require("fs").readFileSync("deliveries.json"));
const seen = Object.entries(deliveries).map(([zone, { secret, body, headers, python }]) => {
  let javascript = "accepted";
  try { new Webhook(secret).verify(body, headers); } catch (error) { javascript = error.message; }
  console.log(`signed in Python with the same moment in ${zone}: Python: ${python}. JavaScript: ${javascript}.`);
  return [python, javascript];
});
const refused = "No matching signature found";
process.exit(JSON.stringify(seen) === JSON.stringify([["accepted", "accepted"], [refused, refused]]) ? 0 : 1);
JS
