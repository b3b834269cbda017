"""What the JSON API takes, validated with Pydantic."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from painchain import connectors
from painchain.accounts import api_tokens
from painchain.core.roles import ROLES
from painchain.core.validation import Body, FieldKey, Json
from painchain.eventlog import outbox

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
