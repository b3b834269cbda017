#!/usr/bin/env bash
# One key on a curve that it does not know makes joserfc refuse a whole key set.
#
# Package: joserfc 1.8.0 (PyPI).
# Expected: RFC 7517, section 5: a key of a type or with values that are not understood is ignored, the others are used.
# What happens: a key of an unknown type ("kty") is ignored, but a key of the known type EC on an unknown curve ("crv")
#   raises a bare KeyError, which is not one of the library's own errors. No key of the set can be used.
# Why it matters: the day an OpenID Connect provider adds a key on another curve, every sign-in fails, and code that
#   catches the library's errors answers 500.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check joserfc==1.8.0 2>/dev/null
venv/bin/python - <<'PY'
import sys
from importlib.metadata import version

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

print("joserfc", version("joserfc"))
known = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "known"}
other_type = {"kty": "PQ", "kid": "other type"}
other_curve = {**known, "crv": "brainpoolP256r1", "kid": "other curve"}


def read(*keys):
    try:
        return f"{len(KeySet.import_key_set({'keys': list(keys)}).keys)} usable"
    except Exception as error:
        kind = "the library's own" if isinstance(error, JoseError) else "not the library's own"
        return f"{type(error).__name__}, {kind}"


seen = [read(known), read(known, other_type), read(known, other_curve)]
for what, result in zip(("a known key", "and one of an unknown type", "and one on an unknown curve"), seen):
    print(f"{what}: {result}")
sys.exit(seen != ["1 usable", "1 usable", "KeyError, not the library's own"])
PY
