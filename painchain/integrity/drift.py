"""Compare the audit trail with the current configuration. A difference is a change that was not recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from painchain.audit.diff import EMPTY
from painchain.connectors.base import Field, Kind
from painchain.core.text import format_value
from painchain.database import edited_json
from painchain.database.session import begin_snapshot, db
from painchain.eventlog import reader
from painchain.history import snapshots
from painchain.history.projection import Gap, is_same_value
from painchain.integrity.current_state import RETENTION, ConfigItem, Key, current_items
from painchain.integrity.replay import Replay

TOLERANCE = timedelta(seconds=2)  # a recorded time may differ this much from the stored one
BY_HAND = "someone edited the database by hand"
UNREADABLE = (
    "The configuration cannot be compared with the log: the database contains a value that PainChain does not write, "
    f"so {BY_HAND}."
)


@dataclass(frozen=True)
class Drift:
    """One difference between the log and the configuration. `explained` is an innocent cause, or ""."""

    subject: str
    message: str
    logged: Any
    present: Any
    explained: str = ""


@dataclass(frozen=True)
class Completeness:
    """The result of the comparison: `drift` holds the differences without an innocent explanation.

    The differences in `explained` may have been made while auditing was off, in one of the `gaps`. `is_log_complete` is
    False if retention removed audit events. Then values that only removed events contained are not compared.
    """

    drift: Sequence[Drift]
    gaps: Sequence[Gap]
    is_log_complete: bool
    explained: Sequence[Drift] = ()


def completeness() -> Completeness:
    """Replay the audit trail and compare the result with the current configuration.

    Time: proportional to the number of edits. Memory: proportional to the size of the configuration.
    """
    found = edited_json.find(db.session.connection())
    edited = [Drift(_capital(value.place), str(value), None, None) for value in found]
    try:
        result = _comparison()
    except reader.UNREADABLE_ERRORS as error:
        reader.reraise_database_error(error)
        db.session.rollback()
        return Completeness([Drift("The configuration", UNREADABLE, None, None), *edited], (), True)
    return replace(result, drift=[*result.drift, *edited])


def _comparison() -> Completeness:
    begin_snapshot()
    current = current_items()
    replay = Replay()
    for entry in snapshots.all_entries():
        replay.apply(entry)
    differences = [replace(drift, explained=replay.explain(since)) for drift, since in _differences(replay, current)]
    return Completeness(
        [replace(drift, message=f"{drift.message}: {BY_HAND}.") for drift in differences if not drift.explained],
        replay.projection.gaps,
        replay.is_complete,
        [replace(drift, message=f"{drift.message}: {drift.explained}.") for drift in differences if drift.explained],
    )


def _differences(replay: Replay, current: Mapping[Key, ConfigItem]) -> Iterator[tuple[Drift, int]]:
    """Yield each difference, with the number of the event after which the unrecorded change was made."""
    logged = replay.items()
    for key, item in current.items():
        recorded = logged.get(key)
        if recorded is None and key[0] == RETENTION:
            recorded = ConfigItem(*key, {}, fields=item.fields)
        if recorded is not None:
            yield from _differences_of_item(replay, key, recorded, item)
        elif replay.is_complete:
            subject = _capital(item.label)
            yield Drift(subject, f"{subject} exists, but the log does not contain its creation", None, item.name), 0
    for key, recorded in logged.items():
        if key not in current and (replay.is_complete or recorded.is_complete):
            subject = _capital(recorded.label)
            message = f"{subject} is gone, but the log does not contain its deletion"
            yield Drift(subject, message, recorded.name, None), _last(replay, key)


def _last(replay: Replay, key: Key) -> int:
    return max((event for (item_key, _), event in replay.last_events.items() if item_key == key), default=0)


def _differences_of_item(
    replay: Replay, key: Key, logged: ConfigItem, current: ConfigItem
) -> Iterator[tuple[Drift, int]]:
    """Yield the differences of one item. If `logged` is complete, a value that is not in the log was never set."""
    fields = {**logged.fields, **current.fields}
    for name in dict.fromkeys([*current.values, *fields, *logged.values]):
        definition = current.fields.get(name) or current.field(name)
        has_default = logged.is_complete and replay.is_complete and name in fields
        if name not in logged.values and not has_default:
            continue
        if name not in current.values and name not in fields:
            continue  # a field that the connector's type no longer has
        default = None if definition.kind is Kind.SECRET else definition.normalize(definition.default)
        recorded, now = logged.values.get(name, default), current.values.get(name, default)
        if recorded is None and name == "enabled":
            continue
        if not _is_same(definition, recorded, now):
            subject = f"{definition.label} of {current.label}"
            message = f"{subject}: the log says {_format(definition, recorded)}, it is {_format(definition, now)}"
            yield Drift(subject, message, _json(recorded), _json(now)), replay.last_event(key, name)


def _is_same(definition: Field, logged: Any, present: Any) -> bool:
    if isinstance(logged, datetime) and isinstance(present, datetime):
        return abs(logged - present) <= TOLERANCE
    return is_same_value(definition, logged, present)


def _format(definition: Field, value: Any) -> str:
    if definition.kind is Kind.SECRET:
        return "not set" if value in EMPTY else "set"
    return format_value(_json(value))


def _json(value: Any) -> Any:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else value


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
