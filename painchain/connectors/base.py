"""Define a connector type: its configuration fields, its event types and their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from painchain.connectors.config_fields import (
    MAX_ITEMS,
    NAME,
    SEPARATORS,
    TAGS,
    Field,
    FieldError,
    Kind,
    poll_interval,
)
from painchain.connectors.contract import Followed, Poll, TestConnection, Watch, WebhookHandler
from painchain.connectors.event_group import EventGroup
from painchain.connectors.outcomes import NO_WORDS, Outcome, StatusWords

# fmt: off
__all__ = [  # with the names of configuration fields, which other packages import from here
    "MAX_ITEMS", "NAME", "SEPARATORS", "TAGS", "ConnectorType", "EventField", "EventType", "Field", "FieldError",
    "Kind", "Shape", "fields", "origin", "poll_interval",
]
# fmt: on


class Shape(StrEnum):
    """The JSON shape of an event's fact, which decides how it is shown.

    TEXT is a string or number. SECONDS and BYTES are numbers. YES_NO is a boolean. SHA is the full hash of a commit or
    image, LINK a URL, STATUS a word with a colour. LIST is a list of strings. BRANCHES is
    ``{"head": …, "base": …}``, LINES ``{"additions": 3, "deletions": 1, "files": 2}`` (each can be missing). MOVES is
    a list of ``{"name": …, "old": …, "new": …}``: the old and new value of each item; null if the item did not exist.
    """

    TEXT = "text"
    SECONDS = "seconds"
    BYTES = "bytes"
    YES_NO = "yes_no"
    SHA = "sha"
    LINK = "link"
    STATUS = "status"
    LIST = "list"
    BRANCHES = "branches"
    LINES = "lines"
    MOVES = "moves"


@dataclass(frozen=True)
class EventField:
    """One field of an event on the dashboard, which can be hidden."""

    key: str
    label: str
    shape: Shape = Shape.TEXT


@dataclass(frozen=True)
class EventType:
    """One type of event: its name in PascalCase, its label and its fields.

    `is_access` marks events about access to PainChain and its log. The timeline leaves them out by default. `outcome`
    counts only for the built-in type: its events have no status that tells it. `group` is the group of its events.
    """

    name: str
    label: str
    fields: tuple[EventField, ...]
    icon: str = "circle"
    outcome: Outcome = Outcome.NEUTRAL
    is_access: bool = False
    group: EventGroup | None = None


@dataclass(frozen=True)
class ConnectorType:
    """One type of connector: the source of forms, validation, redaction, labels, visibility and the API."""

    key: str
    label: str
    summary: str
    icon: str
    colour: str
    fields: tuple[Field, ...]
    event_types: tuple[EventType, ...]
    builtin: bool = False
    addable: bool = True  # people can add connectors of this type
    any_type: EventType | None = None  # describes events of any type, if all have the same fields
    poll: Poll | None = None
    test_connection: TestConnection | None = None
    webhook: WebhookHandler | None = None
    watch: Watch | None = None
    followed: Followed | None = None
    statuses: StatusWords = NO_WORDS

    @property
    def all_fields(self) -> tuple[Field, ...]:
        """All fields of a connector of this type, in the order of the form."""
        return (NAME, TAGS, *self.fields)

    @property
    def sections(self) -> list[tuple[str, list[Field]]]:
        """The fields in the order of the form, those of a section together under its heading."""
        by_section = groupby(self.all_fields, key=lambda field: field.section)
        return [(heading, list(of_section)) for heading, of_section in by_section]

    def field(self, key: str) -> Field | None:
        """Return the field with this key, or None."""
        return self._fields_by_key.get(key)

    @cached_property
    def _fields_by_key(self) -> dict[str, Field]:
        return {field.key: field for field in self.all_fields}

    def event_type(self, name: str) -> EventType | None:
        """Return the event type with this name, or None."""
        return self._event_types_by_name.get(name)

    @cached_property
    def _event_types_by_name(self) -> dict[str, EventType]:
        return {event_type.name: event_type for event_type in self.event_types}

    def defaults(self) -> dict[str, Any]:
        """Return the default value of each field."""
        return {field.key: field.normalize(field.default) for field in self.all_fields}

    def changes_origin(self, stored: Mapping[str, Any], new_values: Mapping[str, Any]) -> bool:
        """Return whether a URL field gets another scheme, host or port, so that secrets would go to another server."""
        return any(
            origin(stored.get(field.key)) != origin(new_values.get(field.key, stored.get(field.key)))
            for field in self.fields
            if field.kind is Kind.URL
        )

    def clean(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the normalized values, and an error message for each invalid field."""
        cleaned, errors = {}, {}
        for field in self.all_fields:
            if field.key in values:
                try:
                    cleaned[field.key] = field.clean(values[field.key])
                except FieldError as error:
                    errors[field.key] = str(error)
        return cleaned, errors


def fields(**labels: str | tuple[str, Shape]) -> tuple[EventField, ...]:
    """Return event fields from keys and labels: ``fields(action="Action", merged=("Merged", Shape.YES_NO))``."""
    return tuple(EventField(key, *((label,) if isinstance(label, str) else label)) for key, label in labels.items())


def origin(address: str | None) -> tuple[str, str, int]:
    """Return scheme, host and port of an address.

    >>> origin("https://Git.example/api"), origin("http://git.example:3000"), origin(None)
    (('https', 'git.example', 443), ('http', 'git.example', 3000), ('', '', 0))
    """
    try:
        url = urlsplit(address or "")
        return url.scheme, url.hostname or "", url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    except ValueError:
        return "", "", -1
