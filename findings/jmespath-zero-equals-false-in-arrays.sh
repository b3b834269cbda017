#!/usr/bin/env bash
# In JMESPath for Python, 0 equals false inside of arrays and objects, and for contains().
#
# Package: jmespath 1.1.0 (PyPI).
# Expected: values of different types are never equal (specification, "Equality operators"). So 0 == false is false, and
#   the same holds for the items of arrays, and for contains().
# What happens: jmespath compares 0 and false right when they are the two sides of ==, but not when they are in arrays or
#   objects, and contains([true], 1) is true: there, Python compares.
# Why it matters: a condition such as contains(codes, `1`) also holds for a payload with true. Presets of PainChain compare
#   texts only.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check jmespath==1.1.0 2>/dev/null
venv/bin/python - <<'PY'
import sys
from importlib.metadata import version

import jmespath

print("jmespath", version("jmespath"))
CASES = {"`0` == `false`": False, "`[0]` == `[false]`": True, '`{"a": 1}` == `{"a": true}`': True,
         "contains(`[true]`, `1`)": True}
seen = {expression: jmespath.search(expression, None) for expression in CASES}
for expression, result in seen.items():
    print(f"{expression}: expected False, got {result}")
sys.exit(seen != CASES)
PY
