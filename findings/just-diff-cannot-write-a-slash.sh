#!/usr/bin/env bash
# A JSON Patch that just-diff writes for a name with a slash is refused, or removes something else.
#
# Packages: just-diff 6.0.2, just-diff-apply 5.5.0, fast-json-patch 3.1.1 (npm).
# Expected: with `jsonPatchPathConverter`, just-diff writes paths of the standard JSON Patch, and just-diff-apply reads
#   them (their README). Such a path is a JSON Pointer (RFC 6902, section 4): a slash inside of a name is "~1", and a
#   tilde is "~0" (RFC 6901, section 3).
# What happens: just-diff writes names as they are, so "app.kubernetes.io/version" becomes two steps. Neither
#   fast-json-patch nor just-diff-apply, its own counterpart, applies the patch. For {"log": {"level": "info"},
#   "log/level": "debug"}, the patch that should remove the second member removes the level of the first, in both, and
#   there is no error. just-diff-apply also refuses both patches as fast-json-patch writes them.
# Why it matters: labels of Kubernetes, paths of OpenAPI and names of files contain slashes. A history made of these
#   patches cannot be replayed, or says that something else changed. PainChain makes and applies no patches: it records
#   fields with their old and new values (`audit/diff.py`). It keeps a patch in the data of an event as it came.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts just-diff@6.0.2 just-diff-apply@5.5.0 \
    fast-json-patch@3.1.1 >/dev/null
node - <<'JS'
const fs = require("fs");
const { diff, jsonPatchPathConverter } = require("just-diff");
const { diffApply, jsonPatchPathConverter: toPath } = require("just-diff-apply");
const { applyPatch, compare } = require("fast-json-patch");
for (const name of ["just-diff", "just-diff-apply", "fast-json-patch"])
  console.log(name, JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version);
const version = (text) => ({ labels: { "app.kubernetes.io/version": text } });
const log = { level: "info" };
const changes = [[version("1.4.2"), version("1.4.3")], [{ log, "log/level": "debug" }, { log }]];
const writers = {
  "just-diff": (before, after) => diff(before, after, jsonPatchPathConverter),
  "fast-json-patch": compare,
};
const readers = {
  "just-diff-apply": (document, patch) => diffApply(document, patch, toPath),
  "fast-json-patch": (document, patch) => applyPatch(document, patch, true),
};
const seen = [];
for (const [before, after] of changes)
  for (const [writer, write] of Object.entries(writers)) {
    const patch = write(before, after);
    console.log(`${writer} writes ${JSON.stringify(patch)}`);
    for (const [reader, apply] of Object.entries(readers)) {
      const document = structuredClone(before);
      let result = "refused";
      try {
        apply(document, structuredClone(patch));
        result = JSON.stringify(document);
      } catch (error) {}
      console.log(`  ${reader}: ${result}`);
      seen.push(result === JSON.stringify(after) ? "right" : result);
    }
  }
const wrong = '{"log":{},"log/level":"debug"}';
const expected = ["refused", "refused", "refused", "right", wrong, wrong, "refused", "right"];
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
JS
