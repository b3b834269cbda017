#!/usr/bin/env bash
# Two libraries that compare JSON see no difference between 1 and true, 0 and false, or 2 and 2.0.
#
# Packages: jsondiff 2.2.1, dictdiffer 0.10.0; for comparison, deepdiff 9.1.0 (PyPI).
# Expected: jsondiff is there to "diff JSON and JSON-like structures". In JSON, 1 is a number and true is not (RFC 8259,
#   section 3), so changing one to the other is a change. dictdiffer describes what turns one structure into another, so
#   patching the first with the result should give the second.
# What happens: both compare with Python's ==, for which they are equal. The command `jdiff` prints {} for two files
#   that differ, and a patch made by dictdiffer leaves the first value. deepdiff reports a change of the type.
# Why it matters: somebody who turns "replicas: 1" into "replicas: true" breaks a configuration, and an audit trail made
#   of these differences does not contain it. PainChain converts both values to the type of their field before it compares
#   them (`audit/diff.py`), and tells booleans from numbers in recorded values (`is_same_value`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check jsondiff==2.2.1 dictdiffer==0.10.0 deepdiff==9.1.0 2>/dev/null
echo '{"replicas": 1, "debug": 0, "ratio": 2}' >old.json
echo '{"replicas": true, "debug": false, "ratio": 2.0}' >new.json
echo "jdiff old.json new.json: $(venv/bin/jdiff old.json new.json | tee difference)"
venv/bin/python - <<'PY'
import json
import sys
from importlib.metadata import version
from pathlib import Path

import deepdiff
import dictdiffer

print(*(f"{name} {version(name)}" for name in ("jsondiff", "dictdiffer", "deepdiff")), sep=", ")
old, new = (json.loads(Path(name).read_text()) for name in ("old.json", "new.json"))
differences = list(dictdiffer.diff(old, new))
patched = json.dumps(dictdiffer.patch(differences, old))
types = sorted(deepdiff.DeepDiff(old, new)["type_changes"])
print(f"dictdiffer: {differences}, patched: {patched}")
print(f"deepdiff, changes of the type: {types}")
seen = (json.loads(Path("difference").read_text()), differences, patched == json.dumps(old), len(types))
sys.exit(seen != ({}, [], True, 3))
PY
