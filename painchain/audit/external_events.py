"""Record events that scripts report."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from painchain import connectors
from painchain.audit.records import Subject, VisibilityChange
from painchain.audit.sentences import outside_change
from painchain.audit.trail import Trail
from painchain.core.redaction import scrub
from painchain.core.validation import Body, Json, Name

LogEventType = Literal[
    "connector_created",
    "connector_updated",
    "connector_deleted",
    "connector_enabled",
    "connector_disabled",
    "config_changed",
    "field_visibility_changed",
]

# The members that each event type requires.
REQUIRED: dict[str, tuple[str, ...]] = {
    "connector_created": ("connector_name", "connector_type"),
    "connector_updated": ("connector_name", "connector_type", "changes"),
    "connector_deleted": ("connector_name", "connector_type"),
    "connector_enabled": ("connector_name", "connector_type"),
    "connector_disabled": ("connector_name", "connector_type"),
    "config_changed": ("connector_name", "field"),
    "field_visibility_changed": ("connector_type", "field_key", "visible"),
}


class Sides(Body):
    """The old and the new value of a field."""

    old: Json = None
    new: Json = None


class LogBody(Body):
    """An event that a script reports."""

    event_type: LogEventType
    connector_name: Name | None = None
    connector_type: Name | None = Field(
        None,
        description="The connector's type; for field_visibility_changed, the event type whose field was shown or "
        "hidden, such as PullRequest.",
    )
    changes: dict[Name, Sides] | None = Field(None, max_length=200)
    field: Name | None = None
    old_value: Json = None
    new_value: Json = None
    field_key: Name | None = None
    visible: bool | None = None
    author: Name | None = Field(
        None,
        description="Who made the change, according to the script. Stored as a claim: the event's author is the "
        "sender of the request.",
    )

    @model_validator(mode="after")
    def has_what_its_type_needs(self) -> Self:
        """Require the members that the event type needs."""
        missing = [name for name in REQUIRED[self.event_type] if getattr(self, name) in (None, {})]
        if missing:
            raise PydanticCustomError(
                "missing", "{event_type} requires {names}", {"event_type": self.event_type, "names": ", ".join(missing)}
            )
        about_connector = self.event_type.startswith("connector_")
        if about_connector and self.connector_type not in connectors.TYPES:
            raise PydanticCustomError(
                "connector_type", "connector_type must be one of {names}", {"names": ", ".join(connectors.TYPES)}
            )
        return self


def record(body: LogBody, trail: Trail) -> str | None:
    """Record a reported event with the ``log_*`` method of its type. Store the author that it names as a claim.

    Return the event id; None while auditing is off.
    """
    trail.claimed_author, trail.reported = scrub(body.author or ""), True
    if body.event_type == "field_visibility_changed":
        return trail.log_field_visibility_changed(_toggled(body), _subject(body, connector_type=""))
    subject = _subject(body, body.connector_type or "")
    assert subject is not None  # noqa: S101  the body's validator requires a name
    if body.event_type == "config_changed":
        change = outside_change(body.connector_type, body.field or "", body.old_value, body.new_value)
        return trail.log_config_changed(subject, change)
    if body.event_type == "connector_updated":
        changes = [
            outside_change(body.connector_type, key, sides.old, sides.new)
            for key, sides in (body.changes or {}).items()
        ]
        return trail.log_connector_updated(subject, changes)
    log_methods = {
        "connector_created": trail.log_connector_created,
        "connector_deleted": trail.log_connector_deleted,
        "connector_enabled": trail.log_connector_enabled,
        "connector_disabled": trail.log_connector_disabled,
    }
    return log_methods[body.event_type](subject)


def _subject(body: LogBody, connector_type: str) -> Subject | None:
    return Subject(scrub(body.connector_name), scrub(connector_type)) if body.connector_name else None


def _toggled(body: LogBody) -> VisibilityChange:
    event_type, field = scrub(body.connector_type or ""), scrub(body.field_key or "")
    labels = (
        event_field.label
        for connector_type in connectors.TYPES.values()
        if (known_type := connector_type.event_type(event_type))
        for event_field in known_type.fields
        if event_field.key == field
    )
    return VisibilityChange(event_type, field, next(labels, field), bool(body.visible))
