"""Build audit events: one function for each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from painchain.audit.diff import Change
from painchain.audit.records import AuditRecord, Export, Pruned, RetentionChange, Subject
from painchain.audit.sentences import changes_sentence, kept_for, recordable, source_label
from painchain.connectors.base import Kind
from painchain.core.redaction import scrub, scrub_value
from painchain.core.text import format_value
from painchain.database.types import iso


def connector_record(
    kind: str, action: str, status: str, subject: Subject, text: str, described: dict[str, Any], **facts: Any
) -> AuditRecord:
    """Return an event about a connector: `described` adds to its description, `facts` to its metadata."""
    about = {"connector_type": subject.type, "connector_name": subject.name}
    description = {"text": text, **about, **described}
    return AuditRecord(kind, subject.name, status, description, {"action": action, **about, **facts}, subject)


def connector_failing(subject: Subject, error: str) -> AuditRecord:
    """Return the event that the polls of a connector started to fail, with the error."""
    text = f"“{subject.name}” is failing: {scrub(error)}"
    return connector_record("connector_failing", "fail", "failing", subject, text, {"error": scrub(error)})


def connector_recovered(subject: Subject, failures: int, since: datetime) -> AuditRecord:
    """Return the event that a poll succeeded after `failures` failed ones."""
    times = f"{failures} poll{'' if failures == 1 else 's'} that failed since {since:%Y-%m-%d %H:%M} UTC"
    text = f"“{subject.name}” has recovered, after {times}"
    described = {"failures": failures, "since": iso(since)}
    return connector_record("connector_recovered", "recover", "recovered", subject, text, described)


def webhook_changed(subject: Subject, status: str) -> AuditRecord:
    """Return the event that a connector's webhook secret was set, replaced or removed (`status`); never the secret."""
    description = {
        "text": f"Webhook secret of “{subject.name}” {status}",
        "connector_name": subject.name,
        "field": "webhook",
        "label": "Webhook secret",
        "kind": Kind.SECRET.value,
        "old_value": None,
        "new_value": status,
    }
    metadata = {"action": "webhook_change", "field": "webhook"}
    return AuditRecord("webhook_changed", subject.name, status, description, metadata, subject)


def team_created(name: str, tags: Sequence[str]) -> AuditRecord:
    """Return the event of a new team and its tags."""
    return _team("created", "create", name, {"text": f"Created the team “{name}”", "tags": list(tags)})


def team_updated(name: str, changes: Sequence[Change]) -> AuditRecord:
    """Return the event of one save of a team with all its changes, under its new name."""
    changes = [recordable(change) for change in changes]
    described = {
        "text": f"Updated the team “{name}”: {changes_sentence(changes)}",
        "changes": [asdict(change) for change in changes],
    }
    return _team("updated", "update", name, described, changes=old_and_new(changes))


def team_deleted(name: str, tags: Sequence[str]) -> AuditRecord:
    """Return the event of the removal of a team, with its last tags."""
    return _team("deleted", "delete", name, {"text": f"Deleted the team “{name}”", "tags": list(tags)})


def view_saved(name: str, query: str, audience: str) -> AuditRecord:
    """Return the event of a new saved view: the query string of its filter, and who sees it."""
    text = f"Saved the view “{name}” for {audience}"
    return _view("saved", "create", name, text, filter=query, audience=audience)


def view_changed(name: str, changes: Sequence[Change], former_audience: str = "", audience: str = "") -> AuditRecord:
    """Return the event of one save of a view with all its changes, under its new name, and who saw it and sees it.

    Older versions did not record who.
    """
    changes = [recordable(change) for change in changes]
    described: dict[str, Any] = {"changes": [asdict(change) for change in changes]}
    if audience:
        described["audience"] = audience
    if former_audience != audience:
        described["former_audience"] = former_audience
    record = _view("changed", "update", name, f"Changed the view “{name}”: {changes_sentence(changes)}", **described)
    return replace(record, metadata={**record.metadata, "changes": old_and_new(changes)})


def view_deleted(name: str, query: str, audience: str) -> AuditRecord:
    """Return the event of the removal of a view, with its last filter."""
    text = f"Deleted the view “{name}”"
    return _view("deleted", "delete", name, text, filter=query, audience=audience)


def note_added(number: int, event_id: str, title: str, text: str, subject: Subject | None = None) -> AuditRecord:
    """Return the event of a note on another event, which `number`, `event_id` and `title` name.

    `subject` is the connector of that event.
    """
    facts = {"event": number, "event_id": event_id, "text": text}
    described = {"text": f"Note on event {number} “{title}”: {text}"}
    if subject:
        described["connector_name"] = subject.name
    return AuditRecord("note_added", f"event {number}", "added", described, {"action": "note", **facts}, subject)


def noted_title(description: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Return the title of the event that a note is on, from the note's description and metadata, or "".

    >>> record = note_added(7, "made-up-7", "[Release] v1", "Rolled back")
    >>> noted_title(record.description, record.metadata)
    '[Release] v1'
    """
    text = str(description.get("text", ""))
    before, after = f"Note on event {metadata.get('event')} “", f"”: {metadata.get('text')}"
    is_whole = text.startswith(before) and text.endswith(after) and len(text) >= len(before) + len(after)
    return text[len(before) : len(text) - len(after)] if is_whole else ""


def notify_rule_created(name: str, configuration: dict[str, Any]) -> AuditRecord:
    """Return the event of a new notification rule. Of its address it contains only that it is set."""
    described = {"text": f"Created the notify rule “{name}”", "rule": name, "configuration": configuration}
    return AuditRecord("notify_rule_created", name, "created", described, {"action": "create"})


def notify_rule_changed(name: str, changes: Sequence[Change]) -> AuditRecord:
    """Return the event of one save of a notification rule with all its changes."""
    changes = [recordable(change) for change in changes]
    described = {
        "text": f"Changed the notify rule “{name}”: {changes_sentence(changes)}",
        "rule": name,
        "changes": [asdict(change) for change in changes],
    }
    metadata = {"action": "update", "changes": old_and_new(changes)}
    return AuditRecord("notify_rule_changed", name, "changed", described, metadata)


def notify_rule_deleted(name: str, configuration: dict[str, Any]) -> AuditRecord:
    """Return the event of the removal of a notification rule, with its last configuration."""
    described = {"text": f"Deleted the notify rule “{name}”", "rule": name, "configuration": configuration}
    return AuditRecord("notify_rule_deleted", name, "deleted", described, {"action": "delete"})


def events_exported(export: Export) -> AuditRecord:
    """Return the event of an export; it is recorded before the first event is sent."""
    chosen = scrub_value(export.filter)
    parts = "; ".join(f"{name} {format_value(value)}" for name, value in chosen.items()) or "everything"
    text = f"Exported up to {export.events:,} event{'' if export.events == 1 else 's'} as {export.format}: {parts}"
    facts = {"format": export.format, "filter": chosen, "events": export.events}
    return AuditRecord(
        "events_exported", export.format, "exported", {"text": text, **facts}, {"action": "export", **facts}
    )


def retention_changed(change: RetentionChange) -> AuditRecord:
    """Return the event that the retention of a source was changed."""
    label, old, new = source_label(change.source), kept_for(change.old), kept_for(change.new)
    description = {
        "text": f"Events of {label} are kept {new}, no longer {old}",
        "field": change.source,
        "label": label,
        "kind": Kind.TEXT.value,
        "old_value": old,
        "new_value": new,
    }
    metadata = {"action": "retention_change", "source": change.source, "old": change.old, "new": change.new}
    return AuditRecord("retention_changed", label, "changed", description, metadata)


def events_pruned(pruned: Pruned) -> AuditRecord:
    """Return the event that retention deleted events of a source: their number, times, rule and cause."""
    label, rule = source_label(pruned.source), f"keep {kept_for(pruned.days)}"
    description = {
        "text": f"Removed {pruned.events:,} events of {label} from before {iso(pruned.before)} "
        f"({rule}, {pruned.cause})",
        "of_source": label,
        "events": pruned.events,
        "before": iso(pruned.before),
        "oldest": iso(pruned.oldest) if pruned.oldest else None,
        "newest": iso(pruned.newest) if pruned.newest else None,
        "boundary": pruned.boundary,
        "rule": rule,
        "cause": pruned.cause,
    }
    metadata = {"action": "prune", "source": pruned.source, "events": pruned.events, "days": pruned.days}
    return AuditRecord("events_pruned", label, "pruned", description, metadata)


def chain_begun(events: int) -> AuditRecord:
    """Return the event that the chain was started over `events` existing events."""
    which = f"{events:,} event{'' if events == 1 else 's'}"
    text = f"The {which} before this one {'is' if events == 1 else 'are'} chained from now on, as they were found"
    description = {"text": text, "events": events}
    return AuditRecord("chain_begun", which, "begun", description, {"action": "chain_begun", "events": events})


def key_copy_confirmed(key_id: str) -> AuditRecord:
    """Return the event that an admin confirmed that a copy of the root key is stored elsewhere."""
    text = f"Confirmed that a copy of the root key {key_id} is stored elsewhere"
    description = {"text": text, "key": key_id}
    return AuditRecord("key_copy_confirmed", key_id, "confirmed", description, {"action": "confirm", "key": key_id})


def setup_list_hidden(open_steps: Sequence[str]) -> AuditRecord:
    """Return the event that the setup checklist was hidden, with the steps that were not done."""
    remaining = ", ".join(open_steps) or "nothing"
    description = {"text": f"Hid the setup checklist; not done: {remaining}", "remaining": list(open_steps)}
    return AuditRecord("setup_list_hidden", "Setup checklist", "hidden", description, {"action": "hide"})


def old_and_new(changes: Sequence[Change]) -> dict[str, dict[str, Any]]:
    """Return changes in the form of metadata: field keys with the old and the new value."""
    return {change.key: {"old": change.old, "new": change.new} for change in changes}


def _team(status: str, action: str, name: str, described: dict[str, Any], **facts: Any) -> AuditRecord:
    described = {"text": described["text"], "team": name, **described}
    return AuditRecord(f"team_{status}", name, status, described, {"action": action, "team": name, **facts})


def _view(status: str, action: str, name: str, text: str, **described: Any) -> AuditRecord:
    metadata = {"action": action, "view": name}
    return AuditRecord(f"view_{status}", name, status, {"text": text, "view": name, **described}, metadata)
