"""Assemble the OpenAPI document from routes, request bodies and resources."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, get_origin

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from painchain import __version__
from painchain.ingestion.change_events import MAX_BATCH
from painchain.web.api.openapi.bodies import body_schemas
from painchain.web.api.openapi.parameters import IF_MATCH, PATH, REASON
from painchain.web.api.openapi.route import Route
from painchain.web.api.openapi.routes import ROUTES
from painchain.web.api.openapi.schema import STRING, Schema, any_of, list_of, model_of, ref
from painchain.web.api.resources.base import Error, Failing

HEADERS = {
    "Content-Disposition": "Suggested file name.",
    "ETag": "Version (entity tag) of the connector, team, view, rule or account.",
    "Link": 'Link to the next (older) page as rel="next", if there is one.',
    "Location": "URL of the created resource.",
}
REFUSALS = {
    400: "Malformed request or unknown host.",
    401: "Not signed in, and no valid token was sent.",
    403: "Insufficient role, or a cross-site write.",
    404: "Not found.",
    409: "Conflict with the current state: auditing is off, the connector is built in or disabled, "
    "a setting has changed since, or this is the last admin.",
    412: "If-Match does not match the current version.",
    413: "The body is too large.",
    414: "The URL is too long or has too many parameters.",
    415: "The media type of the body is not one that the operation takes.",
    422: "Parameters or body do not match this description; see `errors`.",
    428: "If-Match is missing.",
    429: "Too many exports are running.",
    503: "The database is unavailable. Nothing was saved, unless `outcome` is unknown.",
}


# Nobody has to sign in while there are no accounts and the server listens on loopback only.
SCHEMES: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token from Settings, API tokens."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "painchain_session",
        "description": "The session of a signed-in browser. The name is prefixed with __Host- over HTTPS.",
    },
}
METRICS_SCHEME: Schema = {
    "metrics": {"type": "http", "scheme": "bearer", "description": "The token of PAINCHAIN_METRICS_TOKEN."}
}
# Routes that need no sign-in, and the scheme that they use instead.
OPEN: dict[str, list[Schema]] = {"/health": [], "/metrics": [{"metrics": []}]}


@cache
def document() -> Schema:
    """Return the OpenAPI document."""
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    description = (
        "Every error has the shape `Error`. "
        "The X-Request-Id of a write request is stored as `request_id` on its events."
    )
    responses = {str(status): _refusal(status) for status in REFUSALS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "PainChain", "version": __version__, "description": description},
        "paths": paths,
        "security": [{name: []} for name in SCHEMES] + [{}],
        "components": {
            "schemas": {**body_schemas(), **_resource_schemas()},
            "responses": responses,
            "securitySchemes": SCHEMES | METRICS_SCHEME,
        },
    }


class ResourceSchemas(GenerateJsonSchema):
    """Pydantic's JSON schemas without titles: they only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never title a field."""
        return False

    def model_schema(self, schema: Any) -> Schema:
        """Return the schema of a model without its title."""
        described = super().model_schema(schema)
        described.pop("title", None)
        return described


def _resource_schemas() -> dict[str, Schema]:
    """Return the schema of every resource that a route answers, and of errors."""
    resources = [model_of(route.answer) for route in ROUTES if route.answer not in (None, dict)]
    models: Any = [(resource, "serialization") for resource in (*resources, Error, Failing)]
    template = "#/components/schemas/{model}"
    schemas: dict[str, Schema] = models_json_schema(models, ref_template=template, schema_generator=ResourceSchemas)[1]
    return schemas["$defs"]


def _answer_schema(answer: Any) -> Schema | None:
    if answer is None:
        return None
    if answer is dict:
        return {"type": "object"}
    return _ref(answer)


def _ref(shape: Any) -> Schema:
    model = ref(model_of(shape).__name__)
    return list_of(model) if get_origin(shape) is list else model


def _operation(route: Route) -> Schema:
    done = _response("Done.", _one_or_batch(route, _answer_schema(route.answer)), route.headers)
    for media in route.also:
        done.setdefault("content", {})[media] = {"schema": STRING}
    answer = {str(route.status): done, **({"200": done} if route.takes_batches else {})}
    refused = {*route.refusals, 414, *(() if route.path in OPEN else (401, 403))}
    operation: Schema = {
        "summary": route.summary,
        "operationId": route.operation_id,
        "parameters": _parameters(route),
        "responses": answer | {str(status): ref(status, "responses") for status in sorted(refused)},
    }
    if route.path in OPEN:
        operation["security"] = OPEN[route.path]
    if route.path == "/health":
        operation["responses"]["503"] = _response(REFUSALS[503], ref(Failing.__name__))
    if route.body:
        content = {"application/json": {"schema": _one_or_batch(route, ref(route.body.__name__))}}
        for media_type, body in route.other_bodies:
            content[media_type] = {"schema": _batch(_ref(body)) if get_origin(body) is list else _ref(body)}
        operation["requestBody"] = {"required": not route.optional_body, "content": content}
    return operation


def _one_or_batch(route: Route, schema: Schema | None) -> Schema | None:
    if not (schema and route.takes_batches):
        return schema
    return any_of(schema, _batch(list_of(schema)))


def _batch(schema: Schema) -> Schema:
    return {**schema, "minItems": 1, "maxItems": MAX_BATCH}


def _refusal(status: int) -> Schema:
    return _response(REFUSALS[status], ref(Error.__name__), ("ETag",) if status == 412 else ())


def _response(description: str, answer: Schema | None, headers: tuple[str, ...] = ()) -> Schema:
    response: Schema = {"description": description}
    if answer:
        response["content"] = {"application/json": {"schema": answer}}
    for name in headers:
        header = {"description": HEADERS[name], "schema": STRING, "required": name != "Link"}
        response.setdefault("headers", {})[name] = header
    return response


def _parameters(route: Route) -> list[Schema]:
    in_path = {name: PATH[name] for name in re.findall(r"{(\w+)}", route.path)}
    header = IF_MATCH if 412 in route.refusals else {}
    return [
        {"name": name, "in": location, "required": required, "description": about, "schema": schema}
        for location, required, parameters in (
            ("path", True, in_path),
            ("query", False, route.query or {}),
            ("header", 428 in route.refusals, header),
            ("header", False, REASON if route.method != "GET" else {}),
        )
        for name, (schema, about) in parameters.items()
    ]
