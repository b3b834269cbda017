"""Add notes to events. A note is an event itself, so it is never changed or deleted: a correction is another note."""

from __future__ import annotations

import re

from painchain.audit import event_kinds
from painchain.audit.records import Subject
from painchain.audit.trail import Trail
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.core.redaction import scrub
from painchain.timeline.queries import Event

FIELD = "text"
MAX_LENGTH = 2000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class NoteNeedsAuditing(ChangeRefused):
    """Notes are refused while auditing is off, because they are events."""

    def __init__(self) -> None:
        super().__init__("Auditing is off, so the note was not saved. Enable the PainChain connector first.")


def add(event: Event, text: str, trail: Trail) -> str:
    """Add a note to an event and return the event id of the note.

    :raises InvalidValues: when the text is blank or too long.
    :raises NoteNeedsAuditing: while auditing is off.
    """
    has_connector = event.connector_id is not None and event.connector_name and event.connector_type
    subject = Subject(event.connector_name, event.connector_type, event.connector_id) if has_connector else None
    note_id = trail.log(event_kinds.note_added(event.id, event.event_id, event.title, normalize(text), subject))
    if note_id is None:
        raise NoteNeedsAuditing
    return note_id


def normalize(text: str) -> str:
    r"""Return a note as it is stored: without blank lines around it, and without credentials in addresses.

    >>> normalize(" rolled back\r\n\r\n by hand \n")
    'rolled back\n\nby hand'

    :raises InvalidValues: when it is blank or too long.
    """
    lines = text[: 20 * MAX_LENGTH].replace("\r\n", "\n").split("\n")
    note = "\n".join(_CONTROL.sub(" ", line).strip() for line in lines).strip()
    if not note:
        raise InvalidValues({FIELD: "Enter a note."})
    if len(note) > MAX_LENGTH or len(text) > 20 * MAX_LENGTH:
        raise InvalidValues({FIELD: f"A note can have at most {MAX_LENGTH:,} characters."})
    return scrub(note)
