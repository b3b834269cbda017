#!/usr/bin/env bash
# GitHub's example of a list of repository activities contradicts the schema of the same response.
#
# Package: @octokit/openapi 23.0.2 (npm), `GET /repos/{owner}/{repo}/activity`.
# Expected: an example has the members that its schema requires, as OpenAPI 3.0.3 says of examples
#   ("should match the specified schema").
# What happens: each item of the example has `pushed_at`, `push_type` and `pusher`. The schema has none of them and
#   requires `timestamp`, `activity_type` and `actor`, as github.com sends them.
# Why it matters: a mock server that answers with examples, such as Prism, sends pushes without a time, a type and an
#   author. PainChain reads both spellings (`connectors/github/events/pushes.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @octokit/openapi@23.0.2 >/dev/null
node - <<'JS'
const { readFileSync } = require("fs");
const read = (path) => JSON.parse(readFileSync(`node_modules/@octokit/openapi/${path}`));
console.log("@octokit/openapi", read("package.json").version);
const described = read("generated/api.github.com.deref.json").paths["/repos/{owner}/{repo}/activity"].get;
const { schema, examples } = described.responses["200"].content["application/json"];
const { required, properties } = schema.items;
const item = examples.default.value[0];
const missing = required.filter((key) => !(key in item)).sort();
const unknown = Object.keys(item).filter((key) => !(key in properties)).sort();
console.log("expected: every required member, and only described ones");
console.log(`required, but not in the example: ${missing}`);
console.log(`in the example, but not described: ${unknown}`);
const isSame = `${missing}` === "activity_type,actor,timestamp" && `${unknown}` === "push_type,pushed_at,pusher";
process.exit(isSame ? 0 : 1);
JS
