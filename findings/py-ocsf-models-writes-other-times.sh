#!/usr/bin/env bash
# A valid OCSF event is invalid after py-ocsf-models has read and written it.
#
# Packages: py-ocsf-models 0.10.0, from the authors of Prowler, ocsf-json-schema 1.2.0, jsonschema 4.26.0 (PyPI).
# Expected: OCSF has two types of time. `timestamp_t` is an integer, in milliseconds since 1970; `datetime_t`, whose
#   attributes end with "_dt", is a text (OCSF 1.5.0, "Data types"). py-ocsf-models implements OCSF 1.5.0, so an integer
#   that it reads as `metadata.logged_time` is written as an integer.
# What happens: `time` stays an integer, but `logged_time`, `modified_time` and `processed_time` of the metadata are
#   datetimes in the models: they read the integer, and write "2026-11-30T18:00:00Z". The same holds for times of
#   devices, loggers and CVEs: `created_time` is a text in a CVE and an integer in a finding.
# Why it matters: a step that only passes events on changes the type of a column, and nothing in Python fails. The store
#   behind it refuses the event, or gets a second column. PainChain writes such times as integers (`exports/ocsf.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    py-ocsf-models==0.10.0 ocsf-json-schema==1.2.0 jsonschema==4.26.0 2>/dev/null
venv/bin/python - <<'PY'
import json
import sys
from importlib.metadata import version

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from py_ocsf_models import OCSF_VERSION
from py_ocsf_models.events.findings.detection_finding import DetectionFinding

print("py-ocsf-models", version("py-ocsf-models"), "of OCSF", OCSF_VERSION)
TIME = 1_796_061_600_000
event = {
    "activity_id": 1, "category_uid": 2, "class_uid": 2004, "type_uid": 200401, "severity_id": 1, "time": TIME,
    "severity": "Informational", "finding_info": {"uid": "1", "title": "Public bucket", "created_time": TIME},
    "metadata": {"version": OCSF_VERSION, "product": {"name": "Example", "vendor_name": "Example"},
                 "logged_time": TIME, "processed_time": TIME},
}
schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=OCSF_VERSION)).get_class_schema("detection_finding")
validator = Draft202012Validator(schema)


def errors(event):
    return sorted(f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(event))


written = json.loads(DetectionFinding.model_validate(event).model_dump_json(exclude_none=True))
seen = [errors(event), errors(written)]
for what, found in zip(("given", "read and written"), seen):
    print(f"{what}: {'; '.join(found) or 'valid'}")
for name in ("time", "finding_info.created_time", "metadata.logged_time"):
    values = [event, written]
    for part in name.split("."):
        values = [value[part] for value in values]
    print(f"{name}: {values[0]!r} is written as {values[1]!r}")
text = "'2026-11-30T18:00:00Z' is not of type 'integer'"
sys.exit(seen != [[], [f"metadata.logged_time: {text}", f"metadata.processed_time: {text}"]])
PY
