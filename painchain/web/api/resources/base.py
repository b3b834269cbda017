"""The base of every resource, errors, and how resources are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from flask import jsonify
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import to_json

from painchain.database.types import iso

Time = Annotated[datetime, PlainSerializer(iso), WithJsonSchema({"type": "string", "format": "date-time"})]


class Resource(BaseModel):
    """A JSON object in a response: it always has all of its members, in the order of the fields."""

    model_config = ConfigDict(extra="forbid")


class Secret(Resource):
    """A stored secret, which is never returned."""

    set: bool


class FieldError(Resource):
    """What is wrong with one member of a body, or with one parameter."""

    field: str
    message: str


class Error(Resource):
    """The shape of every error."""

    success: Literal[False]
    message: str
    errors: list[FieldError]
    outcome: Literal["unknown"] | None = Field(
        None, description="Only in a response of status 503: it is not known whether the change was saved."
    )


class Failing(Error):
    """The database cannot be read or written."""

    status: Literal["failing"]
    database: str = Field(description="Description of the database problem.")


class Health(Resource):
    """The database can be read and written."""

    status: Literal["ok"]
    database: Literal["ok"]
    auditing: bool
    version: str


class Answer(NamedTuple):
    """One resource or a list of them, with the status of their response."""

    resources: Resource | Sequence[Resource]
    status: int


def json_of(resources: Resource | Sequence[Resource]) -> bytes:
    """Return the body of a response that is sent without Flask."""
    return to_json(resources) + b"\n"


def answer(
    resources: Resource | Sequence[Resource], status: int = 200, headers: Mapping[str, str] | None = None
) -> ResponseReturnValue:
    """Answer with one resource or a list of them."""
    if isinstance(resources, Resource):
        return jsonify(resources.model_dump()), status, dict(headers or {})
    return jsonify([resource.model_dump() for resource in resources]), status, dict(headers or {})


def answer_list(resources: Iterable[Resource]) -> ResponseReturnValue:
    """Answer with a list of resources."""
    return answer(list(resources))
