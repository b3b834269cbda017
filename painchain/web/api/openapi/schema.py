"""Build JSON schemas, and the patterns that several of them share."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from painchain.connectors.base import TAGS
from painchain.core.validation import TEXT

Schema = dict[str, Any]


def ref(name: str | int, kind: str = "schemas") -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def list_of(items: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


def model_of(shape: Any) -> Any:
    """Return the model of a shape that is one or a list of one."""
    return get_args(shape)[0] if get_origin(shape) is list else shape


def map_of(values: Schema) -> Schema:
    """Return the schema of an object with any member names."""
    return {"type": "object", "additionalProperties": values}


def any_of(*choices: Schema) -> Schema:
    """Return a schema that one of several has to match."""
    return choices[0] if len(choices) == 1 else {"anyOf": list(choices)}


def object_of(**members: Schema) -> Schema:
    """Return the schema of an object that has exactly these members."""
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
TIME = {"type": "string", "format": "date-time"}

# Control characters are refused, save those that end a line: they become spaces.
CONTROL = r"\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"
TAG_PATTERN = rf"[^,{CONTROL}]{{0,{TAGS.max_length}}}"
ANY_TEXT: Schema = {"type": "string", "pattern": TEXT}
PRINTABLE: Schema = {"pattern": rf"^[^{CONTROL}]*$"}
NOT_BLANK: Schema = {"type": "string", "pattern": rf"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$"}
TAG_TEXT: Schema = {"type": "string", "pattern": rf"^{TAG_PATTERN}(,{TAG_PATTERN})*$"}
# Of the tags in a text one at least is more than blanks.
TAGS_PATTERN = rf"^(?=[^{CONTROL}]*[^,\s{CONTROL}]){TAG_PATTERN}(,{TAG_PATTERN})*$"
ADDRESS = r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~%-]+)*/?$"
PEM = r"^([ \r\n]*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/= \r\n]+-----END CERTIFICATE-----[ \r\n]*)+$"
EMPTY: Schema = {"description": "Nothing.", "enum": [None, "", []]}
