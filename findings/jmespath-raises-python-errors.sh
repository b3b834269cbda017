#!/usr/bin/env bash
# A valid expression of JMESPath can raise TypeError, ValueError or OverflowError.
#
# Package: jmespath 1.1.0 (PyPI).
# Expected: ordering a number and a text gives null (specification, "Ordering operators"). A function that gets a value of
#   the wrong type, and a slice in steps of 0, are errors of JMESPath (invalid-type, invalid-value), so JMESPathError.
# What happens: Python's own errors come out. JMESPathError is a ValueError, but TypeError and OverflowError are not. The
#   ordering of a number and a text is reported as jmespath.py issue 169.
# Why it matters: expressions and payloads come from other people. Code that catches JMESPathError answers 500. PainChain
#   catches Python's errors too, and orders only two numbers or two texts.
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
from jmespath.exceptions import JMESPathError

print("jmespath", version("jmespath"))
CASES = {
    "count < limit": TypeError,
    "contains(limit, `1`)": TypeError,
    "max_by(items, &size)": TypeError,
    "items[::0]": ValueError,
    "ceil(rate)": OverflowError,
}
payload = {"count": 3, "limit": "5", "items": [{"size": 1}, {"size": "large"}], "rate": float("inf")}
seen = {}
for expression in CASES:
    try:
        seen[expression] = jmespath.search(expression, payload)
    except JMESPathError:
        seen[expression] = JMESPathError
    except Exception as error:
        seen[expression] = type(error)
    print(f"{expression}: expected null or JMESPathError, got {seen[expression]}")
sys.exit(seen != CASES)
PY
