#!/usr/bin/env bash
# flask-openapi3 describes an API without security schemes in a document that is not OpenAPI.
#
# Packages: flask-openapi3 4.3.2, openapi-spec-validator 0.9.0 (PyPI).
# Expected: the document of an app with one route and no security schemes is valid OpenAPI 3.1.
# What happens: `components.securitySchemes` is null, which the schema of OpenAPI does not allow.
# Why it matters: strict readers (validators, client generators, fuzzers) refuse the whole document. Giving
#   `security_schemes={}` makes it valid.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check flask-openapi3==4.3.2 openapi-spec-validator==0.9.0 2>/dev/null
venv/bin/python - <<'PY'
import sys
from importlib.metadata import version

from flask_openapi3 import Info, OpenAPI
from openapi_spec_validator import validate
from pydantic import BaseModel


class Event(BaseModel):
    id: int


def document(**given):
    app = OpenAPI(__name__, info=Info(title="Events", version="1"), **given)
    app.get("/events", responses={200: Event})(lambda: {"id": 1})
    return app.api_doc


def verdict(described):
    try:
        validate(described)
        return "valid"
    except Exception as error:
        return f"not valid: {'/'.join(map(str, error.absolute_path))}"


print("flask-openapi3", version("flask-openapi3"), "openapi-spec-validator", version("openapi-spec-validator"))
seen = [verdict(document()), verdict(document(security_schemes={}))]
print("without security schemes:", seen[0])
print("with an empty object of them:", seen[1])
sys.exit(seen != ["not valid: components/securitySchemes", "valid"])
PY
