"""Teams, notification rules, people and tokens."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from painchain.accounts.api_tokens import TokenView
from painchain.core.roles import ROLES
from painchain.database import models
from painchain.eventlog import outbox
from painchain.web.api.resources.base import Resource, Secret, Time

Role = Annotated[str, Field(json_schema_extra={"enum": list(ROLES)})]
RuleKind = Annotated[str, Field(json_schema_extra={"enum": [kind.key for kind in outbox.OFFERED]})]


class Team(Resource):
    """A team: a named set of tags."""

    id: int
    name: str
    tags: list[str]
    version: int
    created_at: Time
    created_by: str
    updated_at: Time
    updated_by: str

    @classmethod
    def of(cls, team: models.Team) -> Team:
        """Return the resource of a team."""
        return cls.model_validate(team, from_attributes=True)


class View(Resource):
    """A saved view of the timeline."""

    id: int
    name: str
    filter: str = Field(description="Query string of the timeline.")
    shared: bool = Field(description="Whether everybody sees it, or only its owner.")
    start: bool = Field(description="Whether it is the start page of the person who asks.")
    version: int
    created_at: Time
    created_by: str
    updated_at: Time
    updated_by: str

    @classmethod
    def of(cls, view: models.SavedView, start: int | None) -> View:
        """Return the resource of a view. `start` is the ID of the reader's start page."""
        members = {name: getattr(view, name) for name in cls.model_fields if name not in ("shared", "start")}
        return cls(**members, shared=view.owner_id is None, start=view.id == start)


class NotifyRule(Resource):
    """A notification rule. The response contains only the part of its URL that holds no secret."""

    id: int
    name: str
    kinds: list[RuleKind]
    enabled: bool
    url: str = Field(description="URL scheme, and the host unless it contains a secret.")
    version: int
    updated_at: Time
    updated_by: str
    last_sent: Time | None
    error: str | None = Field(
        description="Why a message failed that is being retried, or was dropped and is not marked as seen; or null."
    )
    failed_at: Time | None
    lost: int = Field(description="Messages dropped and not marked as seen on the page of the rule.")

    @classmethod
    def of(cls, rule: models.NotifyRule) -> NotifyRule:
        """Return the resource of a notification rule."""
        return cls(
            id=rule.id,
            name=rule.name,
            kinds=rule.kinds,
            enabled=rule.enabled,
            url=rule.shown,
            version=rule.version,
            updated_at=rule.updated_at,
            updated_by=rule.updated_by,
            last_sent=rule.last_sent,
            error=rule.error,
            failed_at=rule.failed_at,
            lost=rule.lost,
        )


class Sent(Resource):
    """Whether a test message was sent."""

    sent: bool
    error: str | None


class Person(Resource):
    """An account. The response only says whether it has a password.

    `issuer` is the OpenID Connect provider whose identity the account is linked to.
    """

    id: int
    name: str
    role: Role
    email: str | None
    enabled: bool
    password: Secret
    issuer: str | None
    version: int
    created_at: Time
    created_by: str
    disabled_at: Time | None

    @staticmethod
    def members(person: models.Person) -> dict[str, Any]:
        """Return the values of the fields for an account."""
        return {
            "id": person.id,
            "name": person.name,
            "role": person.role,
            "email": person.email,
            "enabled": person.disabled_at is None,
            "password": Secret(set=person.password is not None),
            "issuer": person.issuer,
            "version": person.version,
            "created_at": person.created_at,
            "created_by": person.created_by,
            "disabled_at": person.disabled_at,
        }

    @classmethod
    def of(cls, person: models.Person) -> Person:
        """Return the resource of an account."""
        return cls(**cls.members(person))


class NewPersonAdded(Person):
    """An account that was just added."""

    link: str | None = Field(
        description="Reset link to set the password; null if a password was given. Shown only once."
    )


class PasswordLink(Resource):
    """A reset link, which works once."""

    link: str
    expires: Time


class Token(Resource):
    """An API token, without its secret."""

    id: int
    name: str
    role: Role = Field(description="The token's role. It never exceeds the owner's role.")
    person: str
    created_at: Time
    expires: Time | None
    last_used: Time | None

    @staticmethod
    def members(token: TokenView) -> dict[str, Any]:
        """Return the values of the fields for a token."""
        return {name: getattr(token, name) for name in Token.model_fields}

    @classmethod
    def of(cls, token: TokenView) -> Token:
        """Return the resource of a token."""
        return cls(**cls.members(token))


class NewTokenMade(Token):
    """A token that was just created."""

    token: str = Field(description="The secret token. Shown only once.")
