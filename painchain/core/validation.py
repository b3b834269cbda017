"""Validate JSON bodies with Pydantic, for the API and the command line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

# No database stores NUL.
TEXT = r"^[^\x00]*$"

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=TEXT)]
FieldKey = Annotated[str, Field(min_length=1, max_length=500, pattern=TEXT)]


def _storable(value: JsonValue) -> JsonValue:
    if _holds_unstorable(value):
        raise PydanticCustomError("unstorable", "A NUL character, NaN or Infinity cannot be stored")
    return value


def _holds_unstorable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_unstorable(item) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(_holds_unstorable(item) for item in value)
    return isinstance(value, float) and not math.isfinite(value)


Json = Annotated[JsonValue, AfterValidator(_storable)]


class Body(BaseModel):
    """A JSON body: no unknown members, no types converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


AnyBody = TypeVar("AnyBody", bound=Body)
Value = TypeVar("Value")


class BadBody(Exception):
    """A body that the route does not accept: `errors` in the shape of every JSON error."""

    def __init__(self, errors: list[dict[str, str]]):
        super().__init__(
            "; ".join(
                f"{error['field']}: {error['message']}" if error["field"] else error["message"] for error in errors
            )
        )
        self.errors = errors


def read(model: type[AnyBody], raw: bytes) -> AnyBody:
    """Return the body as an instance of the model.

    :raises BadBody: when it is not JSON or does not match the model.
    """
    return _checked(lambda: model.model_validate_json(raw))


def read_as(shape: TypeAdapter[Value], raw: bytes) -> Value:
    """Return the body as a value of this shape, such as a list of a model.

    :raises BadBody: when it is not JSON or does not match the shape.
    """
    return _checked(lambda: shape.validate_json(raw))


def _checked(validate: Callable[[], Value]) -> Value:
    try:
        return validate()
    except ValidationError as invalid:
        # Neither input nor context is repeated: both can hold a secret.
        details = invalid.errors(include_url=False, include_input=False, include_context=False)
        raise BadBody(
            [{"field": ".".join(map(str, error["loc"])), "message": error["msg"]} for error in details[:20]]
        ) from None
