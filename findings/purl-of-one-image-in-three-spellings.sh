#!/usr/bin/env bash
# The official libraries for package URLs write one image differently, and neither writes what the specification says.
#
# Packages: packageurl-python 0.17.6 (PyPI), packageurl-js 2.0.1 (npm).
# Expected: a package URL has one canonical form. ECMA-427, "Character encoding": a separator that does not separate is
#   percent-encoded, but a colon never is. So a slash in a version or qualifier becomes %2F, and the colon stays.
# What happens: in qualifiers, Python keeps the slash (packageurl-python issue 121), and JavaScript encodes the colon
#   (purl-spec issue 39 discusses it). In versions, such as the Git tag "api/v1.4.2", Python keeps the slash, too. Each
#   library reads all forms. The examples of CDEvents have one more: "pkg:oci/myapp@sha256%3A0b31…".
# Why it matters: CDEvents name artifacts by package URLs. Who compares them as texts does not see that two senders mean
#   one image, and a pattern that ends a version at a slash misses versions. PainChain reads name, version and digest
#   out of it (`ingestion/cdevents.py`). It took a version with a slash for a part of the name until this finding.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check packageurl-python==0.17.6 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts packageurl-js@2.0.1 >/dev/null
cat >components.json <<'JSON'
[{"type": "oci", "namespace": null, "name": "shop", "version": "sha256:0b31b1c02ff4",
  "qualifiers": {"repository_url": "registry.example.org:5000/team/shop"}},
 {"type": "github", "namespace": "acme", "name": "shop", "version": "api/v1.4.2", "qualifiers": null}]
JSON
cat >specified.json <<'JSON'
["pkg:oci/shop@sha256:0b31b1c02ff4?repository_url=registry.example.org:5000%2Fteam%2Fshop",
 "pkg:github/acme/shop@api%2Fv1.4.2"]
JSON
venv/bin/python - >python.json <<'PY'
import json
import sys
from importlib.metadata import version

from packageurl import PackageURL

print("packageurl-python", version("packageurl-python"), file=sys.stderr)
print(json.dumps([PackageURL(**each).to_string() for each in json.load(open("components.json"))]))
PY
node - <<'JS'
const { PackageURL } = require("packageurl-js");
const read = (name) => JSON.parse(require("fs").readFileSync(`${name}.json`));
console.log("packageurl-js", require("packageurl-js/package.json").version);
const specified = read("specified"), python = read("python");
const javascript = read("components").map(({ type, namespace, name, version, qualifiers }) =>
  new PackageURL(type, namespace, name, version, qualifiers, null).toString());
specified.forEach((url, i) => console.log(`specified:  ${url}\nPython:     ${python[i]}\nJavaScript: ${javascript[i]}`));
const parts = (url) => {
  const { name, version, qualifiers } = PackageURL.fromString(url);
  return JSON.stringify([name, version, qualifiers]);
};
const isSame = specified.every((url, i) => [python[i], javascript[i]].every((other) => parts(other) === parts(url)));
console.log(`JavaScript reads the same artifacts from all of them: ${isSame}`);
const spellings = specified.map((url, i) => new Set([url, python[i], javascript[i]]).size);
process.exit(isSame && `${spellings}` === "3,2" && python[1] !== specified[1] ? 0 : 1);
JS
