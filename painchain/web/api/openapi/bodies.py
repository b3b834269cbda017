"""Describe the request bodies: the Pydantic models, and what the connectors' fields and validators add to them."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from painchain import connectors
from painchain.accounts.users import MAX_NAME_LENGTH
from painchain.audit.external_events import REQUIRED, LogBody
from painchain.configuration.saved_views import FILTER as VIEW_FILTER
from painchain.connectors.base import MAX_ITEMS, NAME, ConnectorType, Field, Kind
from painchain.history.notes import MAX_LENGTH
from painchain.indexes.search_query import MAX_TEXT
from painchain.notifications.delivery import MAX_URL
from painchain.web.api.openapi.routes import ROUTES
from painchain.web.api.openapi.schema import (
    ADDRESS,
    ANY_TEXT,
    BOOLEAN,
    EMPTY,
    NOT_BLANK,
    PEM,
    PRINTABLE,
    STRING,
    TAG_TEXT,
    TAGS_PATTERN,
    Schema,
    any_of,
    list_of,
    map_of,
    model_of,
    object_of,
    ref,
)
from painchain.web.api.schemas import (
    ConnectorCheck,
    ConnectorPatch,
    MappingTrial,
    NewConnector,
    NewConnectorCheck,
    NewNote,
    NewNotifyRule,
    NewPerson,
    NewTeam,
    NewToken,
    NewView,
    NotifyRulePatch,
    PersonPatch,
    TeamPatch,
    ViewPatch,
)

JSON = ref("JsonValue")
ANY_JSON = any_of(
    {"type": ["null", "boolean", "number"]}, ANY_TEXT, list_of(JSON), {**map_of(JSON), "propertyNames": ANY_TEXT}
)
# Schemas that several bodies refer to.
SHARED: dict[str, Schema] = {
    "JsonValue": {"description": "Any JSON value without NUL characters.", **ANY_JSON},
    "Tags": {
        "description": f"At most {MAX_ITEMS} tags. A string is split on commas.",
        **any_of(TAG_TEXT, list_of(TAG_TEXT)),
    },
    "TeamTags": {
        "description": f"1 to {MAX_ITEMS} tags. A string is split on commas.",
        **any_of(
            {"type": "string", "pattern": TAGS_PATTERN},
            {**list_of({"type": "string", "pattern": TAGS_PATTERN}), "minItems": 1},
        ),
    },
}


def body_schemas() -> dict[str, Schema]:
    """Return the schema of every request body."""
    models: list[Any] = [(route.body, "validation") for route in ROUTES if route.body]
    models += [(model_of(body), "validation") for route in ROUTES for _, body in route.other_bodies]
    schemas: dict[str, Schema] = models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"]
    log, new, patch = (schemas[model.__name__] for model in (LogBody, NewConnector, ConnectorPatch))
    log["anyOf"] = [_needs(event_type, names) for event_type, names in REQUIRED.items()]
    keys = {**ANY_TEXT, "minLength": 1, "maxLength": MAX_TEXT}
    changes = {**map_of(ref("Sides")), "propertyNames": keys, "maxProperties": MAX_ITEMS}
    log["properties"]["changes"] = any_of(changes, {"type": "null"})
    name = {**NOT_BLANK, "maxLength": NAME.max_length}
    new["properties"] |= {"name": name, "tags": ref("Tags")}
    new["anyOf"] = [_of_type(connector_type) for connector_type in connectors.ADDABLE.values()]
    description = schemas[NewConnectorCheck.__name__]["description"]
    variants = [{**variant, "type": "object", "additionalProperties": False} for variant in new["anyOf"]]
    schemas[NewConnectorCheck.__name__] = {"description": description, "anyOf": variants}
    config = any_of(*(_config(connector_type) for connector_type in connectors.TYPES.values()))
    patch["properties"] |= {"name": name, "tags": any_of(ref("Tags"), {"type": "null"}), "config": config}
    # A blank URL keeps the stored one.
    rules: tuple[tuple[Any, Schema], ...] = ((NewNotifyRule, NOT_BLANK), (NotifyRulePatch, ANY_TEXT))
    for rule, address in rules:
        properties = schemas[rule.__name__]["properties"]
        properties["name"] = {**NOT_BLANK, "maxLength": NAME.max_length, "examples": ["On call"]}
        properties["url"] |= {**address, "maxLength": MAX_URL, "examples": ["json://127.0.0.1:9/"]}
    for model in (ConnectorCheck, MappingTrial):
        schemas[model.__name__]["properties"]["config"] = config
    for person in (schemas[NewPerson.__name__]["properties"], schemas[PersonPatch.__name__]["properties"]):
        person["name"] = {**NOT_BLANK, "maxLength": MAX_NAME_LENGTH, "examples": ["carol"]}
        person["email"] |= {"maxLength": 254, "examples": [""]}
    del schemas[PersonPatch.__name__]["properties"]["role"]["default"]  # "" is no role
    schemas[NewToken.__name__]["properties"]["name"] = {**NOT_BLANK, "maxLength": MAX_NAME_LENGTH, "examples": ["ci"]}
    note = {**NOT_BLANK, "maxLength": MAX_LENGTH, "examples": ["Rolled back by hand"]}
    schemas[NewNote.__name__]["properties"]["text"] = note
    for team in (schemas[NewTeam.__name__], schemas[TeamPatch.__name__]):
        team["properties"] |= {"name": name, "tags": ref("TeamTags")}
    for view in (schemas[NewView.__name__]["properties"], schemas[ViewPatch.__name__]["properties"]):
        view["name"] = {**NOT_BLANK, "maxLength": NAME.max_length, "examples": ["Production"]}
        view["filter"] |= {**NOT_BLANK, "maxLength": VIEW_FILTER.max_length, "examples": ["tag=production&range=7d"]}
    return {**schemas, **SHARED}


def _needs(event_type: str, names: tuple[str, ...]) -> Schema:
    connector_type = {"enum": list(connectors.TYPES)} if event_type.startswith("connector_") else STRING
    changes = {"type": "object", "minProperties": 1}
    present = {"connector_type": connector_type, "changes": changes, "visible": BOOLEAN}
    needed = {name: present.get(name, STRING) for name in names}
    return {"properties": {"event_type": {"const": event_type}, **needed}, "required": ["event_type", *names]}


def _of_type(connector_type: ConnectorType) -> Schema:
    needed = [field.key for field in connector_type.fields if field.required and field.kind is Kind.SECRET]
    config = {**_config(connector_type), "required": needed}
    required = ["type", "config"] if needed else ["type"]
    return {"properties": {"type": {"const": connector_type.key}, "config": config}, "required": required}


def _config(connector_type: ConnectorType) -> Schema:
    described = {field.key: _value(field) for field in connector_type.fields if not field.check}
    config = {**object_of(**described), "required": []}
    checked = [field for field in connector_type.fields if field.check]
    if checked:  # fields of one language
        text = {"type": "string", "maxLength": checked[0].max_length, "format": checked[0].format}
        config["patternProperties"] = {f"^({'|'.join(field.key for field in checked)})$": any_of(text, EMPTY)}
    return config


def _value(field: Field) -> Schema:
    """Return the values that a configuration field accepts."""
    text = {"type": "string", "maxLength": field.max_length}
    item = {**text, "pattern": rf"^({field.item})?$", "allOf": [PRINTABLE]}
    lines = {"type": "string", "pattern": rf"^({field.item})?([,\n]({field.item})?)*$", "allOf": [PRINTABLE]}
    by_kind: dict[Kind, Schema] = {
        Kind.NUMBER: {"type": "integer", "minimum": field.minimum, "maximum": field.maximum},
        Kind.CHECKBOX: BOOLEAN,
        Kind.LIST: any_of(list_of(item), lines),
        Kind.URL: {**text, "pattern": ADDRESS},
        Kind.CERTIFICATE: {**text, "pattern": PEM},
        Kind.CHOICE: {"type": "string", "enum": [value for value, _ in field.choices if value]},
    }
    plain = {**text, "pattern": f"^{field.item}$"} if field.item else {**text, **NOT_BLANK}
    value = by_kind.get(field.kind, plain)
    return value if field.required else any_of(value, EMPTY)
