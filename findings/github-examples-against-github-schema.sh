#!/usr/bin/env bash
# More than a third of GitHub's example deliveries are refused by GitHub's schema of its deliveries.
#
# Packages: @octokit/webhooks-examples 7.6.1, @octokit/openapi-webhooks 12.1.0, ajv 8, ajv-formats 3 (npm).
# Expected: recorded deliveries of github.com fit the description of webhooks that GitHub publishes.
# What happens: 120 of 329 do not. Mostly a required member is missing that later came into being
#   (`has_discussions`, `immutable`, `state_reason`, `app_slug`), or an empty `homepage` is not a URI.
# Why it matters: a receiver that validates by the published schema would refuse genuine deliveries, from older GitHub
#   Enterprise Servers above all. Read what you need, each member by itself, and require nothing else.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts \
    @octokit/webhooks-examples@7.6.1 @octokit/openapi-webhooks@12.1.0 ajv@8.17.1 ajv-formats@3.0.1 >/dev/null
node - <<'JS'
const { readFileSync } = require("fs");
const Ajv = require("ajv/dist/2020").default;
const addFormats = require("ajv-formats").default;
const read = (path) => JSON.parse(readFileSync(`node_modules/@octokit/${path}`));
for (const name of ["webhooks-examples", "openapi-webhooks"]) console.log(name, read(`${name}/package.json`).version);
const schema = read("openapi-webhooks/generated/api.github.com.json");
const ajv = new Ajv({ strict: false });
addFormats(ajv);
ajv.addSchema({ $id: "github", ...schema });
let total = 0, refused = 0, unknown = 0;
const reasons = new Map();
for (const { name, examples } of read("webhooks-examples/api.github.com/index.json")) {
  for (const payload of examples) {
    total += 1;
    const event = name.replace(/_/g, "-"), action = (payload.action ?? "").replace(/_/g, "-");
    const key = [`${event}-${action}`, event].find((one) => schema.webhooks[one]);
    if (!key) { unknown += 1; continue; }
    const validate = ajv.getSchema(`github#/webhooks/${key}/post/requestBody/content/application~1json/schema`);
    if (validate(payload)) continue;
    refused += 1;
    const reason = `${validate.errors[0].instancePath} ${validate.errors[0].message}`.trim();
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
}
console.log(`${total} examples, ${refused} refused, ${unknown} of an event that is not described`);
[...reasons].sort((a, b) => b[1] - a[1]).slice(0, 5).forEach(([reason, count]) => console.log(`${count} × ${reason}`));
process.exit(total === 329 && refused === 120 ? 0 : 1);
JS
