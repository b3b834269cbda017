"""What the JSON API takes, validated with Pydantic."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from painchain import api_tokens, connectors, outbox
from painchain.roles import ROLES

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
        return any(_holds_unstorable(one) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return any(_holds_unstorable(one) for one in value)
    return isinstance(value, float) and not math.isfinite(value)


Json = Annotated[JsonValue, AfterValidator(_storable)]

LogEventType = Literal[
    "connector_created",
    "connector_updated",
    "connector_deleted",
    "connector_enabled",
    "connector_disabled",
    "config_changed",
    "field_visibility_changed",
]

# What each event type cannot do without.
REQUIRED: dict[str, tuple[str, ...]] = {
    "connector_created": ("connector_name", "connector_type"),
    "connector_updated": ("connector_name", "connector_type", "changes"),
    "connector_deleted": ("connector_name", "connector_type"),
    "connector_enabled": ("connector_name", "connector_type"),
    "connector_disabled": ("connector_name", "connector_type"),
    "config_changed": ("connector_name", "field"),
    "field_visibility_changed": ("connector_type", "field_key", "visible"),
}


class Body(BaseModel):
    """A JSON body: no unknown members, no types converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Sides(Body):
    """What a field was and what it is now."""

    old: Json = None
    new: Json = None


class LogBody(Body):
    """An event that a script reports."""

    event_type: LogEventType
    connector_name: Name | None = None
    connector_type: Name | None = Field(
        None,
        description="The connector's type; for field_visibility_changed the event type whose field was toggled, "
        "such as PullRequest.",
    )
    changes: dict[Name, Sides] | None = Field(None, max_length=200)
    field: Name | None = None
    old_value: Json = None
    new_value: Json = None
    field_key: Name | None = None
    visible: bool | None = None
    author: Name | None = Field(
        None, description="Who the script says did it. It is kept beside the author, which is whoever sends this."
    )

    @model_validator(mode="after")
    def has_what_its_type_needs(self) -> Self:
        """Require the members without which an event of this type would say nothing."""
        missing = [name for name in REQUIRED[self.event_type] if getattr(self, name) in (None, {})]
        if missing:
            raise PydanticCustomError(
                "missing", "{event_type} needs {names}", {"event_type": self.event_type, "names": ", ".join(missing)}
            )
        about_connector = self.event_type.startswith("connector_")
        if about_connector and self.connector_type not in connectors.TYPES:
            raise PydanticCustomError(
                "connector_type", "connector_type must be one of {names}", {"names": ", ".join(connectors.TYPES)}
            )
        return self


Tags = list[str] | str


def _addable(key: str) -> str:
    if key not in connectors.ADDABLE:
        raise PydanticCustomError("type", "type must be one of {names}", {"names": ", ".join(connectors.ADDABLE)})
    return key


class NewConnector(Body):
    """A connector to add. What `config` leaves out takes its default."""

    name: str
    type: Annotated[str, AfterValidator(_addable), Field(json_schema_extra={"enum": list(connectors.ADDABLE)})]
    enabled: bool = False
    tags: Tags = []
    config: dict[str, Json] = {}


class ConnectorPatch(Body):
    """What to change of a connector; what is left out stays."""

    name: str = ""
    enabled: bool | None = None
    tags: Tags | None = None
    config: dict[str, Json] = {}


KindKeys = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": [kind.key for kind in outbox.OFFERED]})]],
    Field(min_length=1, max_length=20),
]


class NewNotifyRule(Body):
    """A rule of whom to tell at once."""

    name: str
    url: str = Field(description="An Apprise URL; it is never returned.")
    kinds: KindKeys
    enabled: bool = True


class NotifyRulePatch(Body):
    """What to change of a rule; what is left out stays."""

    name: str = ""
    url: str = ""
    kinds: KindKeys = []
    enabled: bool = True


class ConnectorCheck(Body):
    """What to test a connection with; what `config` leaves out is as it is stored."""

    config: dict[str, Json] = {}


class NewConnectorCheck(Body):
    """What to test the connection of a new connector with; what `config` leaves out takes its default."""

    type: Annotated[str, AfterValidator(_addable), Field(json_schema_extra={"enum": list(connectors.ADDABLE)})]
    config: dict[str, Json] = {}


class NewTeam(Body):
    """A team to add."""

    name: str
    tags: Tags


class TeamPatch(Body):
    """What to change of a team; what is left out stays."""

    name: str = ""
    tags: Tags = []


Role = Annotated[str, Field(json_schema_extra={"enum": list(ROLES)})]


class NewPerson(Body):
    """An account to add. Without a password the answer has a link that sets it."""

    name: str
    role: Role
    email: str = ""
    password: str | None = None


class PersonPatch(Body):
    """What to change of an account; what is left out stays."""

    name: str = ""
    role: Role = ""
    email: str = ""


class NewToken(Body):
    """A token to make."""

    name: str
    role: Role
    days: int = Field(90, description="0: it has no end.", json_schema_extra={"enum": [*api_tokens.DAYS, 0]})


class RestoreBody(Body):
    """What to put back of an event: the keys of its changes; everything but secrets, if there is no such member."""

    fields: list[FieldKey] | None = Field(None, min_length=1, max_length=200)


class Visibility(Body):
    """Whether a field is shown."""

    visible: bool


AnyBody = TypeVar("AnyBody", bound=Body)


class BadBody(Exception):
    """A body that is not what the route takes: `errors` in the shape of every JSON error."""

    def __init__(self, errors: list[dict[str, str]]):
        super().__init__(
            "; ".join(f"{one['field']}: {one['message']}" if one["field"] else one["message"] for one in errors)
        )
        self.errors = errors


def read(model: type[AnyBody], raw: bytes) -> AnyBody:
    """Return the body as the model has it.

    :raises BadBody: when it is not JSON or not of the model.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        # Neither input nor context is repeated: both can hold a secret.
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise BadBody(
            [{"field": ".".join(str(part) for part in one["loc"]), "message": one["msg"]} for one in details[:20]]
        ) from None
