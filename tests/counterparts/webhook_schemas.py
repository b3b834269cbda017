"""Make the smallest webhook deliveries that match GitHub's own description of its webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.counterparts.node import need

EXAMPLES = {"date-time": "2026-03-04T11:00:00Z", "uri": "https://git.example/x", "email": "ann@example.org"}
MAX_DEPTH = 12  # of nested members


@cache
def _described() -> dict[str, Any]:
    folder = need("@octokit/openapi-webhooks") / "generated"
    described: dict[str, Any] = json.loads((folder / "api.github.com.json").read_text(encoding="utf-8"))
    return described


def smallest_deliveries() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the operation, the event name and the smallest body of each described delivery."""
    for webhook in _described()["webhooks"].values():
        operation = webhook["post"]["operationId"]
        schema = webhook["post"]["requestBody"]["content"]["application/json"]["schema"]
        yield operation, operation.partition("/")[0].replace("-", "_"), _smallest(schema)


def _smallest(schema: dict[str, Any], depth: int = 0) -> Any:
    """Return the smallest value of a schema: no optional members, and null where null is allowed."""
    while "$ref" in schema:
        _, _, kind, name = schema["$ref"].split("/")
        schema = _described()["components"][kind][name]
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    for key in ("oneOf", "anyOf"):
        if key in schema and "properties" not in schema:
            return _smallest(schema[key][0], depth)
    types = schema.get("type", "object")
    kind = "null" if "null" in types and isinstance(types, list) else types[0] if isinstance(types, list) else types
    if kind == "object":
        parts = [schema, *schema.get("allOf", [])]
        members: dict[str, Any] = {}
        for part in parts:
            members |= _members(part, depth)
        return members
    plain = {"array": [], "integer": 1, "number": 1, "boolean": False, "null": None}
    return plain[kind] if kind in plain else EXAMPLES.get(schema.get("format", ""), "x")


def _members(schema: dict[str, Any], depth: int) -> dict[str, Any]:
    while "$ref" in schema:
        _, _, kind, name = schema["$ref"].split("/")
        schema = _described()["components"][kind][name]
    if depth > MAX_DEPTH:
        return {}
    required, properties = schema.get("required", []), schema.get("properties", {})
    return {name: _smallest(properties[name], depth + 1) for name in required if name in properties}
