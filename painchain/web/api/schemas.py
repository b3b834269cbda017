"""The request bodies of the JSON API, validated with Pydantic."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from painchain import connectors
from painchain.accounts import api_tokens
from painchain.core.roles import ROLES
from painchain.core.validation import TEXT, Body, FieldKey, Json
from painchain.eventlog import outbox
from painchain.ingestion.webhooks import LONGEST_SECRET, SHORTEST_SECRET

Tags = list[str] | str


def _addable(key: str) -> str:
    if key not in connectors.ADDABLE:
        raise PydanticCustomError("type", "type must be one of {names}", {"names": ", ".join(connectors.ADDABLE)})
    return key


class NewConnector(Body):
    """A connector to add. Fields missing from `config` take their defaults."""

    name: str
    type: Annotated[str, AfterValidator(_addable), Field(json_schema_extra={"enum": list(connectors.ADDABLE)})]
    enabled: bool = False
    tags: Tags = []
    config: dict[str, Json] = {}


class ConnectorPatch(Body):
    """Changes of a connector; missing members stay as they are."""

    name: str = ""
    enabled: bool | None = None
    tags: Tags | None = None
    config: dict[str, Json] = {}


KindKeys = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": [kind.key for kind in outbox.OFFERED]})]],
    Field(min_length=1, max_length=20),
]


class NewNotifyRule(Body):
    """A notification rule to add."""

    name: str
    url: str = Field(description="An Apprise URL; it is never returned.")
    kinds: KindKeys
    enabled: bool = True


class NotifyRulePatch(Body):
    """Changes of a notification rule; missing members stay as they are."""

    name: str = ""
    url: str = ""
    kinds: KindKeys = []
    enabled: bool = True


class ConnectorCheck(Body):
    """Values to test a connection with; fields missing from `config` keep their stored values."""

    config: dict[str, Json] = {}


class NewConnectorCheck(Body):
    """Values to test the connection of a new connector with; fields missing from `config` take their defaults."""

    type: Annotated[str, AfterValidator(_addable), Field(json_schema_extra={"enum": list(connectors.ADDABLE)})]
    config: dict[str, Json] = {}


class WebhookSecret(Body):
    """The secret of a webhook that the source made. Without it, PainChain makes one."""

    secret: (
        Annotated[str, Field(min_length=SHORTEST_SECRET, max_length=LONGEST_SECRET, pattern=r"^[!-~]([ -~]*[!-~])?$")]
        | None
    ) = None


class MappingTrial(Body):
    """Values to try a mapping with; fields missing from `config` keep their stored values.

    They are tried on `payload`, if there is one, as if it came with these `headers`, and on the last deliveries.
    """

    config: dict[str, Json] = {}
    payload: Json = None
    headers: Annotated[dict[str, Annotated[str, Field(max_length=1_000, pattern=TEXT)]], Field(max_length=50)] = {}


class NewMappingTrial(MappingTrial):
    """A mapping of a new connector to try on `payload`; fields missing from `config` take their defaults."""

    type: Annotated[str, AfterValidator(_addable), Field(json_schema_extra={"enum": list(connectors.ADDABLE)})]


class NewTeam(Body):
    """A team to add."""

    name: str
    tags: Tags


class TeamPatch(Body):
    """Changes of a team; missing members stay as they are."""

    name: str = ""
    tags: Tags = []


class NewView(Body):
    """A view of the timeline to save."""

    name: str
    filter: str = Field(description="Query string as in the address of the timeline, after the question mark.")
    shared: bool = Field(False, description="Whether everybody sees it. Without accounts, everybody does.")
    start: bool = Field(False, description="Whether it becomes the start page of the person.")


class ViewPatch(Body):
    """Changes of a view; missing members stay as they are."""

    name: str = ""
    filter: str = ""
    shared: bool = False
    start: bool = False


Role = Annotated[str, Field(json_schema_extra={"enum": list(ROLES)})]


class NewPerson(Body):
    """An account to add. Without a password the response has a link that sets one."""

    name: str
    role: Role
    email: str = ""
    password: str | None = None


class PersonPatch(Body):
    """Changes of an account; missing members stay as they are."""

    name: str = ""
    role: Role = ""
    email: str = ""


class NewToken(Body):
    """A token to create."""

    name: str
    role: Role
    days: int = Field(90, description="0 means no expiry.", json_schema_extra={"enum": [*api_tokens.DAYS, 0]})


class RestoreBody(Body):
    """The changes of an event to revert, by key; without `fields` all of them except secrets."""

    fields: list[FieldKey] | None = Field(None, min_length=1, max_length=200)


class NewNote(Body):
    """A note on an event. It cannot be changed or deleted."""

    text: str


class Visibility(Body):
    """Whether to show a field."""

    visible: bool
