"""The PainChain connector: put every configuration change made here on the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, or_, select

from painchain import connectors
from painchain.audit.diff import Change
from painchain.connectors.base import Kind
from painchain.core.redaction import looks_secret, scrub, scrub_value
from painchain.core.text import format_value
from painchain.database.models import Connector, LogCheck
from painchain.database.session import Prepared, db, iso
from painchain.eventlog import outbox
from painchain.eventlog.writer import EventLogWriter, NewEvent

SOURCE = connectors.BUILTIN.key
SYSTEM = "system"
# Recorded while auditing is off as well: it is about the log itself.
OF_THE_LOG = ("backup_restored", "chain_begun", "chain_broken", "chain_mended", "key_rotated", "key_replaced")

_connector = Connector.__table__.c
_BROKEN = select(LogCheck.told).scalar_subquery()


class _Found(NamedTuple):
    id: int
    type: str
    name: str
    enabled: bool
    tags: list[str]


_LOOK_UP = Prepared(
    select(*(_connector[name] for name in _Found._fields)).where(
        or_(_connector.type == bindparam("source"), _connector.name == bindparam("name"))
    )
)


@dataclass(frozen=True)
class Subject:
    """The connector an event is about, as text that outlives it. `id` is None when it is known by name alone."""

    name: str
    type: str
    id: int | None = None


@dataclass(frozen=True)
class VisibilityChange:
    """One field of one event type, shown or hidden from now on."""

    event_type: str
    field: str
    label: str
    visible: bool


@dataclass(frozen=True)
class Export:
    """What was handed out: in which format, of which filter (its parts by name), how many events at most."""

    format: str
    filter: dict[str, Any]
    events: int


@dataclass(frozen=True)
class RetentionChange:
    """For how many days the events of one source are kept from now on. None: for ever."""

    source: str
    old: int | None
    new: int | None


@dataclass(frozen=True)
class Pruned:
    """What was removed of one source: everything of it from before `before`, or the part that was got through.

    `boundary` is the hash in the chain of the newest event of the last step.
    """

    source: str
    days: int
    before: datetime
    events: int
    oldest: datetime | None
    newest: datetime | None
    boundary: str | None
    cause: str


@dataclass(frozen=True)
class Auditing:
    """Whether changes are recorded; while they are not, since when and by whom. And whether what was is intact."""

    on: bool
    tags: list[str]
    since: datetime
    by: str
    broken: str | None  # which place of the log is known not to be as it was written


def auditing() -> Auditing:
    """Read whether changes are recorded, and whether the log is known to be broken."""
    row = db.session.execute(
        select(_connector.enabled, _connector.tags, _connector.switched_at, _connector.switched_by, _BROKEN).where(
            _connector.type == SOURCE
        )
    ).one()
    return Auditing(*row)


@dataclass
class Trail:
    """The record of one person's one action: every event of it has the same author and request id.

    `reverts` is the id of the event that the action undoes, if it undoes one.
    What is `reported` by a script is marked so in its description: it says nothing of how PainChain is configured.
    `claimed` is the author that a script gives, who is never the author. `reason` is why somebody does it, in their
    words; `cause` says what made PainChain do it, where the author is PainChain itself.
    """

    event_log: EventLogWriter
    author: str
    request_id: str
    now: datetime
    reverts: str | None = None
    reported: bool = False
    claimed: str = ""
    reason: str = ""
    cause: str = ""

    def log_connector_created(self, subject: Subject, configuration: dict[str, Any] | None = None) -> str | None:
        """Record a new connector and what it was created with. Every ``log_*`` returns the event id.

        While auditing is off nothing is recorded and the answer is None; ``log_connector_enabled`` and
        ``log_connector_disabled`` are recorded all the same when they are about auditing itself.
        """
        description = _about(subject, f"Created the {_type_label(subject)} connector “{subject.name}”")
        if configuration is not None:
            description["configuration"] = configuration
        return self._log("connector_created", "create", "created", subject, description)

    def log_connector_updated(
        self, subject: Subject, changes: Sequence[Change], visibility: Sequence[VisibilityChange] = ()
    ) -> str | None:
        """Record one save with all its changes together."""
        changes = [_recordable(change) for change in changes]
        seen = [_sentence(change) for change in changes] + [_visibility_sentence(change) for change in visibility]
        description = _about(subject, f"Updated “{subject.name}”: {'; '.join(seen)}")
        description["changes"] = [asdict(change) for change in changes]
        if visibility:
            description["field_visibility"] = [asdict(change) for change in visibility]
        together = {change.key: {"old": change.old, "new": change.new} for change in changes}
        for seen_change in visibility:
            key = f"field_visibility.{seen_change.event_type}.{seen_change.field}"
            together[key] = {"old": not seen_change.visible, "new": seen_change.visible}
        return self._log("connector_updated", "update", "updated", subject, description, changes=together)

    def log_connector_deleted(self, subject: Subject, configuration: dict[str, Any] | None = None) -> str | None:
        """Record a removal and the last configuration."""
        description = _about(subject, f"Deleted the {_type_label(subject)} connector “{subject.name}”")
        if configuration is not None:
            description["configuration"] = configuration
        return self._log("connector_deleted", "delete", "deleted", subject, description)

    def log_connector_enabled(self, subject: Subject) -> str | None:
        """Record that a connector was switched on."""
        return self._log(
            "connector_enabled", "enable", "enabled", subject, _about(subject, f"Enabled “{subject.name}”")
        )

    def log_connector_disabled(self, subject: Subject) -> str | None:
        """Record that a connector was switched off."""
        description = _about(subject, f"Disabled “{subject.name}”")
        return self._log("connector_disabled", "disable", "disabled", subject, description)

    def log_connector_failing(self, subject: Subject, error: str) -> str | None:
        """Record that the polls of a connector have begun to fail, and why."""
        description = _about(subject, f"“{subject.name}” is failing: {scrub(error)}")
        return self._log("connector_failing", "fail", "failing", subject, {**description, "error": scrub(error)})

    def log_connector_recovered(self, subject: Subject, failures: int, since: datetime) -> str | None:
        """Record that a poll went well after so many that failed."""
        times = f"{failures} poll{'' if failures == 1 else 's'} that failed since {since:%Y-%m-%d %H:%M} UTC"
        description = _about(subject, f"“{subject.name}” has recovered, after {times}")
        return self._log(
            "connector_recovered",
            "recover",
            "recovered",
            subject,
            {**description, "failures": failures, "since": iso(since)},
        )

    def log_config_changed(self, subject: Subject, change: Change) -> str | None:
        """Record one field's old and new value."""
        change = _recordable(change)
        description = {
            "text": f"{_sentence(change)} in “{subject.name}”",
            "connector_name": subject.name,
            "field": change.key,
            "label": change.label,
            "kind": change.kind,
            "old_value": change.old,
            "new_value": change.new,
        }
        metadata = {"action": "config_change", "field": change.key}
        title = f"{subject.name} - {change.key}"
        return self._write("config_changed", title, "changed", subject, description, metadata)

    def log_field_visibility_changed(self, change: VisibilityChange, subject: Subject | None = None) -> str | None:
        """Record that a field of an event type is shown or hidden from now on."""
        description = {"text": _visibility_sentence(change), **asdict(change)}
        if subject:
            description["connector_name"] = subject.name
        metadata = {
            "action": "field_visibility_change",
            "event_type": change.event_type,
            "field": change.field,
            "visible": change.visible,
        }
        status = "shown" if change.visible else "hidden"
        return self._write("field_visibility_changed", change.event_type, status, subject, description, metadata)

    def log_webhook_changed(self, subject: Subject, done: str) -> str | None:
        """Record that a connector's webhook secret was set, replaced or removed (`done`); never the secret."""
        description = {
            "text": f"Webhook secret of “{subject.name}” {done}",
            "connector_name": subject.name,
            "field": "webhook",
            "label": "Webhook secret",
            "kind": Kind.SECRET.value,
            "old_value": None,
            "new_value": done,
        }
        metadata = {"action": "webhook_change", "field": "webhook"}
        return self._write("webhook_changed", subject.name, done, subject, description, metadata)

    def log_notify_rule_created(self, name: str, configuration: dict[str, Any]) -> str | None:
        """Record a new rule of whom to tell at once; of its address only that it is set."""
        return self._log_notify_rule("created", name, f"Created the notify rule “{name}”", configuration=configuration)

    def log_notify_rule_changed(self, name: str, changes: Sequence[Change]) -> str | None:
        """Record one save of such a rule with all its changes together."""
        changes = [_recordable(change) for change in changes]
        text = f"Changed the notify rule “{name}”: {'; '.join(_sentence(change) for change in changes)}"
        return self._log_notify_rule("changed", name, text, changes)

    def log_notify_rule_deleted(self, name: str, configuration: dict[str, Any]) -> str | None:
        """Record that nobody is told by such a rule any more."""
        return self._log_notify_rule("deleted", name, f"Deleted the notify rule “{name}”", configuration=configuration)

    def log_events_exported(self, export: Export) -> str | None:
        """Record that events were handed out, before they are."""
        chosen = scrub_value(export.filter)
        parts = "; ".join(f"{name} {format_value(value)}" for name, value in chosen.items()) or "everything"
        text = f"Exported up to {export.events:,} event{'' if export.events == 1 else 's'} as {export.format}: {parts}"
        description = {"text": text, "format": export.format, "filter": chosen, "events": export.events}
        metadata = {"action": "export", "format": export.format, "filter": chosen, "events": export.events}
        return self._write("events_exported", export.format, "exported", None, description, metadata)

    def log_retention_changed(self, change: RetentionChange) -> str | None:
        """Record that the events of a source are kept for another time from now on."""
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
        return self._write("retention_changed", label, "changed", None, description, metadata)

    def log_events_pruned(self, pruned: Pruned) -> str | None:
        """Record that events of a source were removed: how many, from when to when, by which rule and why."""
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
        return self._write("events_pruned", label, "pruned", None, description, metadata)

    def record(
        self, kind: str, title: str, status: str, text: str, facts: dict[str, Any], **described: Any
    ) -> str | None:
        """Record what is not about a connector: `facts` are its metadata, `described` what else the event tells.

        What becomes of the log itself (``OF_THE_LOG``) is recorded while auditing is off as well: whoever tampers with
        the log would switch auditing off before.
        """
        metadata = {"action": kind, **facts}
        return self._write(kind, title, status, None, {"text": text, **facts, **described}, metadata)

    def log_chain_begun(self, events: int) -> str | None:
        """Record that so many events were chained as they were found."""
        which = f"{events:,} event{'' if events == 1 else 's'}"
        text = f"The {which} before this one {'is' if events == 1 else 'are'} chained from now on, as they were found"
        return self.record("chain_begun", which, "begun", text, {"events": events})

    def log_team_created(self, name: str, tags: Sequence[str]) -> str | None:
        """Record a new team and its tags."""
        return self._log_team("created", "create", name, {"tags": list(tags)}, f"Created the team “{name}”")

    def log_team_updated(self, name: str, changes: Sequence[Change]) -> str | None:
        """Record one save of a team with all its changes together, under the name that it has now."""
        changes = [_recordable(change) for change in changes]
        text = f"Updated the team “{name}”: {'; '.join(_sentence(change) for change in changes)}"
        together = {change.key: {"old": change.old, "new": change.new} for change in changes}
        told = {"changes": [asdict(change) for change in changes]}
        return self._log_team("updated", "update", name, told, text, changes=together)

    def log_team_deleted(self, name: str, tags: Sequence[str]) -> str | None:
        """Record the removal of a team and its last tags."""
        return self._log_team("deleted", "delete", name, {"tags": list(tags)}, f"Deleted the team “{name}”")

    def _log_team(
        self, status: str, action: str, name: str, told: dict[str, Any], text: str, **more: Any
    ) -> str | None:
        metadata = {"action": action, "team": name, **more}
        return self._write(f"team_{status}", name, status, None, {"text": text, "team": name, **told}, metadata)

    def _log_notify_rule(
        self, done: str, name: str, text: str, changes: Sequence[Change] = (), **more: Any
    ) -> str | None:
        description = {"text": text, "rule": name, **more}
        metadata: dict[str, Any] = {"action": {"created": "create", "deleted": "delete"}.get(done, "update")}
        if changes:
            description["changes"] = [asdict(change) for change in changes]
            metadata["changes"] = {change.key: {"old": change.old, "new": change.new} for change in changes}
        return self._write(f"notify_rule_{done}", name, done, None, description, metadata)

    def _log(
        self, kind: str, action: str, status: str, subject: Subject, description: dict[str, Any], **more: Any
    ) -> str | None:
        metadata = {"action": action, "connector_type": subject.type, "connector_name": subject.name, **more}
        return self._write(kind, subject.name, status, subject, description, metadata)

    def _write(
        self,
        kind: str,
        title: str,
        status: str,
        subject: Subject | None,
        description: dict[str, Any],
        metadata: dict[str, Any],
    ) -> str | None:
        audit_connector, subject_id = self._look_up(subject)
        of_itself = subject is not None and subject.id == audit_connector.id
        about_itself = of_itself and kind in ("connector_enabled", "connector_disabled")
        if not (audit_connector.enabled or about_itself or kind in OF_THE_LOG):
            return None
        if self.reverts:
            metadata = {**metadata, "reverts": self.reverts}
        stamp, timestamp = self.event_log.stamp(self.now)
        event_id = f"{SOURCE}-{kind}-{stamp // 1_000_000}.{stamp % 1_000_000:06d}"
        event = NewEvent(
            event_id=event_id,
            source=SOURCE,
            event_type=pascal_case(kind),
            title=f"[{kind.replace('_', ' ').title()}] {title}",
            description={**self._beside(), **description},
            metadata=metadata,
            author=self.author,
            request_id=self.request_id,
            timestamp=timestamp,
            recorded_at=self.now,
            connector_id=subject_id,
            connector_name=subject.name if subject else None,
            connector_type=subject.type if subject else None,
            status=status,
            tags=audit_connector.tags,
        )
        self.event_log.append(event)
        outbox.announce(self.event_log.connection, event)
        return event_id

    def _beside(self) -> dict[str, Any]:
        """Return what every event of the action tells beside what happened."""
        told = {
            "reverts": self.reverts,
            "reported": self.reported,
            "claimed_author": self.claimed,
            "reason": self.reason,
            "cause": self.cause,
        }
        return {key: value for key, value in told.items() if value}

    def _look_up(self, subject: Subject | None) -> tuple[_Found, int | None]:
        """Return the audit connector as it is now, and the id of the subject, looked up if only its name is known."""
        name = subject.name if subject and subject.id is None else None
        rows = [_Found(*row) for row in _LOOK_UP.all(self.event_log.connection, source=SOURCE, name=name)]
        audit_connector = next(row for row in rows if row.type == SOURCE)
        if subject is None or subject.id is not None:
            return audit_connector, subject.id if subject else None
        return audit_connector, next((row.id for row in rows if row.name == name), None)


def pascal_case(kind: str) -> str:
    """Return an event type as stored: ``connector_created`` is ``ConnectorCreated``."""
    return kind.title().replace("_", "")


def source_label(source: str) -> str:
    """Return a source as people know it."""
    known = connectors.TYPES.get(source)
    return known.label if known else source


def kept_for(days: int | None) -> str:
    """Return for how long events are kept, in words.

    >>> kept_for(None), kept_for(1), kept_for(90)
    ('for ever', '1 day', '90 days')
    """
    return "for ever" if days is None else f"{days} day{'' if days == 1 else 's'}"


def outside_change(connector_type: str | None, key: str, old: Any, new: Any) -> Change:
    """Return a change that a script reports, typed and labelled as the field's definition says.

    A field that no connector type defines counts as a secret if its name says so.
    """
    key = scrub(key)
    field = connectors.field(connector_type, key)
    if field:
        return Change(field.key, field.label, field.kind.value, old, new)
    label = key.replace("_", " ").strip().capitalize() or key
    return Change(key, label, Kind.SECRET.value if looks_secret(key) else "json", old, new)


def _recordable(change: Change) -> Change:
    change = change.recorded()
    if change.kind == Kind.SECRET:
        return change
    return replace(
        change,
        key=scrub(change.key),
        label=scrub(change.label),
        old=scrub_value(change.old),
        new=scrub_value(change.new),
    )


def _type_label(subject: Subject) -> str:
    return source_label(subject.type)


def _about(subject: Subject, text: str) -> dict[str, Any]:
    return {"text": text, "connector_type": subject.type, "connector_name": subject.name}


def _sentence(change: Change) -> str:
    if change.kind == Kind.SECRET:
        return f"{change.label} {change.new}"
    return f"{change.label} changed from {format_value(change.old)} to {format_value(change.new)}"


def _visibility_sentence(change: VisibilityChange) -> str:
    return f"{change.label} of {change.event_type} events {'shown' if change.visible else 'hidden'}"
