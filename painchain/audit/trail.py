"""Record every configuration change as an event of the PainChain connector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from sqlalchemy import bindparam, or_, select

from painchain import connectors
from painchain.audit.diff import Change
from painchain.audit.event_kinds import connector_record, old_and_new
from painchain.audit.records import AuditRecord, Subject, VisibilityChange
from painchain.audit.sentences import (
    change_sentence,
    changes_sentence,
    pascal_case,
    recordable,
    source_label,
    visibility_sentence,
)
from painchain.database.models import Connector, LogCheck
from painchain.database.prepared import Prepared
from painchain.database.session import db
from painchain.eventlog import outbox
from painchain.eventlog.writer import EventLogWriter, NewEvent

SOURCE = connectors.BUILTIN.key
SYSTEM = "system"
# Kinds that are recorded even while auditing is off, because they concern the log itself.
LOG_EVENTS = ("backup_restored", "chain_begun", "chain_broken", "chain_mended", "key_rotated", "key_replaced")

_connector = Connector.__table__.c
# The first known break of the log: it can be a column of any statement.
BROKEN = select(LogCheck.told).scalar_subquery()
_AUDITING = Prepared(
    select(_connector.enabled, _connector.tags, _connector.switched_at, _connector.switched_by, BROKEN).where(
        _connector.type == SOURCE
    )
)


class AuditConnector(Protocol):
    """The part of the built-in connector that decides what is recorded, and with which tags."""

    @property
    def id(self) -> int:
        """Its id."""

    @property
    def enabled(self) -> bool:
        """Whether auditing is on."""

    @property
    def tags(self) -> list[str]:
        """The tags of its events."""


class _ConnectorRow(NamedTuple):
    id: int
    type: str
    name: str
    enabled: bool
    tags: list[str]


_LOOK_UP = Prepared(
    select(*(_connector[name] for name in _ConnectorRow._fields)).where(
        or_(_connector.type == bindparam("source"), _connector.name == bindparam("name"))
    )
)


@dataclass(frozen=True)
class Auditing:
    """Whether auditing is on, since when and by whom it was switched, and whether the log is intact."""

    on: bool
    tags: list[str]
    since: datetime
    by: str
    broken: str | None  # the first known break of the log, as kind and number


def auditing() -> Auditing:
    """Return whether auditing is on, and whether the log is known to be broken."""
    [row] = _AUDITING.all(db.session.connection())
    return Auditing(*row)


def auditing_of(connector: Connector, broken: str | None) -> Auditing:
    """Return what `auditing` does from the built-in connector and the value of ``BROKEN``, without a statement."""
    return Auditing(connector.enabled, connector.tags, connector.switched_at, connector.switched_by, broken)


@dataclass
class Trail:
    """Record the events of one action. All of them have the same author and request ID.

    `reverts` is the ID of the event that the action undoes. `reported` means that a script reports the events, so they
    do not describe PainChain's own configuration; `claimed_author` is the author that the script names. `reason` is the
    reason that the author entered. `cause` is why PainChain acts, if it is the author. `audit_connector` is the
    built-in connector as it is in this transaction: it is read before the first event, unless the caller has read it.
    """

    event_log: EventLogWriter
    author: str
    request_id: str
    now: datetime
    reverts: str | None = None
    reported: bool = False
    claimed_author: str = ""
    reason: str = ""
    cause: str = ""
    audit_connector: AuditConnector | None = None

    def log_connector_created(
        self, subject: Subject, configuration: dict[str, Any] | None = None, copied_from: str = ""
    ) -> str | None:
        """Record a new connector with its configuration. Every ``log_*`` returns the event id.

        While auditing is off, nothing is recorded and the result is None. The exceptions are
        ``log_connector_enabled`` and ``log_connector_disabled`` for the PainChain connector itself.
        """
        text = f"Created the {source_label(subject.type)} connector “{subject.name}”"
        described: dict[str, Any] = {} if configuration is None else {"configuration": configuration}
        if copied_from:
            text += f" as a copy of “{copied_from}”"
            described["copied_from"] = copied_from
        return self.log(connector_record("connector_created", "create", "created", subject, text, described))

    def log_connector_updated(
        self, subject: Subject, changes: Sequence[Change], visibility: Sequence[VisibilityChange] = ()
    ) -> str | None:
        """Record one save with all its changes together."""
        changes = [recordable(change) for change in changes]
        text = f"Updated “{subject.name}”: {changes_sentence(changes, visibility)}"
        described: dict[str, Any] = {"changes": [asdict(change) for change in changes]}
        if visibility:
            described["field_visibility"] = [asdict(change) for change in visibility]
        all_changes = old_and_new(changes)
        for change in visibility:
            key = f"field_visibility.{change.event_type}.{change.field}"
            all_changes[key] = {"old": not change.visible, "new": change.visible}
        record = connector_record(
            "connector_updated", "update", "updated", subject, text, described, changes=all_changes
        )
        return self.log(record)

    def log_connector_deleted(self, subject: Subject, configuration: dict[str, Any] | None = None) -> str | None:
        """Record the removal of a connector and its last configuration."""
        text = f"Deleted the {source_label(subject.type)} connector “{subject.name}”"
        described = {} if configuration is None else {"configuration": configuration}
        return self.log(connector_record("connector_deleted", "delete", "deleted", subject, text, described))

    def log_connector_enabled(self, subject: Subject) -> str | None:
        """Record that a connector was enabled."""
        text = f"Enabled “{subject.name}”"
        return self.log(connector_record("connector_enabled", "enable", "enabled", subject, text, {}))

    def log_connector_disabled(self, subject: Subject) -> str | None:
        """Record that a connector was disabled."""
        text = f"Disabled “{subject.name}”"
        return self.log(connector_record("connector_disabled", "disable", "disabled", subject, text, {}))

    def log_config_changed(self, subject: Subject, change: Change) -> str | None:
        """Record one field's old and new value."""
        change = recordable(change)
        description = {
            "text": f"{change_sentence(change)} in “{subject.name}”",
            "connector_name": subject.name,
            "field": change.key,
            "label": change.label,
            "kind": change.kind,
            "old_value": change.old,
            "new_value": change.new,
        }
        metadata = {"action": "config_change", "field": change.key}
        title = f"{subject.name} - {change.key}"
        return self.log(AuditRecord("config_changed", title, "changed", description, metadata, subject))

    def log_field_visibility_changed(self, change: VisibilityChange, subject: Subject | None = None) -> str | None:
        """Record that a field of an event type was shown or hidden."""
        description = {"text": visibility_sentence(change), **asdict(change)}
        if subject:
            description["connector_name"] = subject.name
        metadata = {
            "action": "field_visibility_change",
            "event_type": change.event_type,
            "field": change.field,
            "visible": change.visible,
        }
        status = "shown" if change.visible else "hidden"
        record = AuditRecord("field_visibility_changed", change.event_type, status, description, metadata, subject)
        return self.log(record)

    def record(
        self, kind: str, title: str, status: str, text: str, facts: dict[str, Any], **described: Any
    ) -> str | None:
        """Record an event without a connector: `facts` are its metadata, `described` adds to its description."""
        metadata = {"action": kind, **facts}
        return self.log(AuditRecord(kind, title, status, {"text": text, **facts, **described}, metadata))

    def log(self, record: AuditRecord) -> str | None:
        """Append an event to the log, and a message to the outbox for each matching notification rule.

        Return the event id; None while auditing is off. Events of the log itself (``LOG_EVENTS``) are always recorded,
        because an attacker would switch auditing off before tampering with the log.
        """
        audit_connector, subject_id = self._look_up(record.subject)
        is_audit_connector = record.subject is not None and record.subject.id == audit_connector.id
        switches_auditing = is_audit_connector and record.kind in ("connector_enabled", "connector_disabled")
        if not (audit_connector.enabled or switches_auditing or record.kind in LOG_EVENTS):
            return None
        stamp, timestamp = self.event_log.stamp(self.now)
        event = NewEvent(
            event_id=f"{SOURCE}-{record.kind}-{stamp // 1_000_000}.{stamp % 1_000_000:06d}",
            source=SOURCE,
            event_type=pascal_case(record.kind),
            title=f"[{record.kind.replace('_', ' ').title()}] {record.title}",
            description={**self._action_facts(), **record.description},
            metadata={**record.metadata, **({"reverts": self.reverts} if self.reverts else {})},
            author=self.author,
            request_id=self.request_id,
            timestamp=timestamp,
            recorded_at=self.now,
            connector_id=subject_id,
            connector_name=record.subject.name if record.subject else None,
            connector_type=record.subject.type if record.subject else None,
            status=record.status,
            tags=list(audit_connector.tags),
        )
        self.event_log.append(event)
        outbox.enqueue(self.event_log.connection, event)
        return event.event_id

    def _action_facts(self) -> dict[str, Any]:
        """Return the facts that all events of the action share."""
        facts = {
            "reverts": self.reverts,
            "reported": self.reported,
            "claimed_author": self.claimed_author,
            "reason": self.reason,
            "cause": self.cause,
        }
        return {key: value for key, value in facts.items() if value}

    def _look_up(self, subject: Subject | None) -> tuple[AuditConnector, int | None]:
        """Return the built-in connector, and the id of the subject, looked up if only its name is known."""
        name = subject.name if subject and subject.id is None else None
        subject_id = subject.id if subject else None
        if self.audit_connector is None or name is not None:
            rows = self._connectors_named(name)
            self.audit_connector = self.audit_connector or next(row for row in rows if row.type == SOURCE)
            subject_id = next((row.id for row in rows if row.name == name), subject_id)
        return self.audit_connector, subject_id

    def _connectors_named(self, name: str | None) -> list[_ConnectorRow]:
        """Return the built-in connector and the one of that name.

        They are read once for all reported events of a transaction, which change no connectors.
        """
        known: dict[str | None, list[_ConnectorRow]] = self.event_log.connectors if self.reported else {}
        if name not in known:
            rows = _LOOK_UP.all(self.event_log.connection, source=SOURCE, name=name)
            known[name] = [_ConnectorRow(*row) for row in rows]
        return known[name]
