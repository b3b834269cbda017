"""Arrange an event in the columns of its row: where it happened, what changed, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import shorten

from painchain import connectors
from painchain.audit import event_kinds
from painchain.audit.diff import Change
from painchain.connectors.base import Shape
from painchain.connectors.outcomes import TONES, Outcome
from painchain.indexes import notes
from painchain.presentation.event_view import EventView, Row
from painchain.presentation.facts import Status

# The facts that say where an event happened, from the largest place to the smallest.
WHERE_FIELDS = ("cluster", "repository", "service", "environment", "namespace", "workload")
UNNAMED_CLUSTER = "default"  # what a cluster without a name of its own is called
SHOWN_CHANGES = 2  # changes of a save that the row shows with their values
TITLE_WIDTH = 100  # characters of the title of an event in the row of a note on it
_TITLE = re.compile(r"\[([^\]]*)\]\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Columns:
    """The columns of an event's row. Nothing is in two of them.

    `where` are the parts of the place, `subject` the part of the title that no other column has. `words` are facts in
    words, `heads` the old and the new commit of a branch. `changes` are the first changes of a save, `more` the labels
    of its further ones.
    """

    where: Sequence[str]
    subject: str
    facts: Sequence[Row] = ()
    words: Sequence[str] = ()
    heads: tuple[str, str] | None = None
    changes: Sequence[Change] = ()
    more: Sequence[str] = ()
    outcome: Status | None = None

    @property
    def count(self) -> int:
        """The number of changes of a save."""
        return len(self.changes) + len(self.more)


def columns(view: EventView) -> Columns:
    """Return the columns of an event, without hidden fields."""
    if view.event.source == connectors.BUILTIN.key:
        return _audit_columns(view)
    where = _where(view)
    subject = _subject(view, where)
    facts = [row for row in view.line_rows if row.key not in WHERE_FIELDS and not _is_in(row.value, subject)]
    return Columns(
        where=where or _texts([view.event.connector_name]),
        subject=subject,
        facts=facts,
        words=_words(view),
        heads=_heads(view),
        outcome=view.status,
    )


def _audit_columns(view: EventView) -> Columns:
    changes = [change for row in view.rows if row.key == "changes" for change in row.changes]
    if view.change:  # the event is this one change
        changes = []
    return Columns(
        where=_texts([view.subject or _named_in_title(view)]),
        subject=_noted_event(view),
        changes=changes[:SHOWN_CHANGES],
        more=[change.label for change in changes[SHOWN_CHANGES:]],
        outcome=_audit_outcome(view),
    )


def _noted_event(view: EventView) -> str:
    """Return the title of the event that a note is on, unless the note has a hidden field, which may be this title."""
    if view.event.event_type != notes.EVENT_TYPE or not view.shows_text:
        return ""
    title = event_kinds.noted_title(view.event.description, view.event.metadata)
    return f"on “{shorten(title, TITLE_WIDTH, placeholder=' …')}”" if title else ""


def _audit_outcome(view: EventView) -> Status | None:
    """Return the status of an audit event if its type is a failure. Otherwise the status only repeats the type."""
    event_type = connectors.event_type(view.event.source, view.event.event_type)
    outcome = event_type.outcome if event_type else Outcome.NEUTRAL
    return None if outcome is Outcome.NEUTRAL else Status(str(view.event.status or outcome), TONES[outcome])


def _named_in_title(view: EventView) -> str:
    """Return the name that the title of an audit event has, unless it repeats a hidden field or the rest of the row."""
    _, name = _parts(view.event.title)
    is_name = view.shows_text and any(row.value == name for row in view.rows)
    return name if is_name else ""


def _where(view: EventView) -> list[str]:
    values = {row.key: row.value for row in view.rows if row.key in WHERE_FIELDS}
    if values.get("cluster") == UNNAMED_CLUSTER and len(values) > 1:
        del values["cluster"]
    return _texts(values.get(key) for key in WHERE_FIELDS)


def _texts(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str) and value]


def _parts(title: str) -> tuple[str, str]:
    """Return the part of a title in brackets, and the rest.

    >>> _parts("[Deployment Updated] web"), _parts("web")
    (('Deployment Updated', 'web'), ('', 'web'))
    """
    match = _TITLE.fullmatch(title)
    return (match[1], match[2]) if match else ("", title)


def _subject(view: EventView, where: Sequence[str]) -> str:
    """Return the title without the type, the place and the outcome, which have columns of their own.

    In brackets is the type of the event. What happened to the object follows it there if no status says it.
    """
    bracket, rest = _parts(str(view.subject or ""))
    kind, _, verb = bracket.partition(" ")
    is_of_object = bool(verb) and view.event.event_type.endswith(kind) and verb.isalpha()
    for place in where:
        rest = "" if place.endswith(f"/{rest}") else rest.removeprefix(place).lstrip() if _starts(rest, place) else rest
    if view.status and rest in (view.event.status, view.status.text):
        rest = ""
    return " ".join(part for part in (rest, verb.lower() if is_of_object and not view.status else "") if part)


def _starts(text: str, word: str) -> bool:
    return text == word or text.startswith(f"{word} ")


def _is_in(value: object, subject: str) -> bool:
    """Return whether the subject has this value as a word: the branch of a run, the tag of a release."""
    return isinstance(value, str) and bool(re.search(rf"(?<![\w/-]){re.escape(value)}(?![\w/-])", subject))


def _words(view: EventView) -> list[str]:
    """Return what happened to the branch of a push, how many commits the push has, and whether it was forced."""
    words = [view.event.status] if view.event.status in ("created", "deleted") and _heads(view) else []
    for row in view.rows:
        if row.key == "commits":
            count = isinstance(row.value, int)
            words.append(f"{row.value:,} commit{'' if row.value == 1 else 's'}" if count else f"commits: {row.value}")
        elif row.key == "forced" and row.fact.shape is Shape.YES_NO and row.value:
            words.append(row.label.lower())
    return words


def _heads(view: EventView) -> tuple[str, str] | None:
    """Return the old and the new commit of a branch; "" where there is none."""
    commits = {row.key: row.value for row in view.rows if row.fact.shape is Shape.SHA}
    if "before" not in commits and "after" not in commits:
        return None
    return commits.get("before", ""), commits.get("after", "")
