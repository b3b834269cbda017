"""Completeness: what the audit trail tells must be what is configured. What is not was changed past it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from painchain.audit.diff import EMPTY
from painchain.connectors.base import Field, Kind
from painchain.core.text import format_value
from painchain.database.session import begin_snapshot, db
from painchain.eventlog import reader
from painchain.history import snapshots
from painchain.history.projection import Gap, is_same_value
from painchain.integrity.current_state import RETENTION, ConfigItem, Key, current_items
from painchain.integrity.replay import Replay

NEARLY = timedelta(seconds=2)  # so far the time of an event may be from when it was recorded
BY_HAND = "somebody edited the database by hand"
UNREADABLE = (
    "What is configured cannot be compared with the log: something stands in the database that PainChain does not "
    f"write, so {BY_HAND}."
)


@dataclass(frozen=True)
class Drift:
    """One thing that is otherwise than the log tells. `explained` says why that may be, if it may."""

    what: str
    words: str
    logged: Any
    present: Any
    explained: str = ""


@dataclass(frozen=True)
class Completeness:
    """Whether the log tells how everything is configured now: `drift` is what it does not tell.

    `explained` differs too, but may have been changed while auditing was off, in one of the `gaps`. `whole` says that
    no event of PainChain's own was removed by retention: where some were, what they alone told is not compared.
    """

    drift: Sequence[Drift]
    gaps: Sequence[Gap]
    whole: bool
    explained: Sequence[Drift] = ()


def completeness() -> Completeness:
    """Replay the log as it is now, and compare. Its time grows with the edits, its memory with what is configured."""
    try:
        return _compared()
    except reader.UNREADABLE_ERRORS as error:
        reader.reraise_database_error(error)
        db.session.rollback()
        return Completeness([Drift("What is configured", UNREADABLE, None, None)], (), True)


def _compared() -> Completeness:
    begin_snapshot()
    there = current_items()
    told = Replay()
    for entry in snapshots.all_entries():
        told.apply(entry)
    found = [replace(one, explained=told.explain(since)) for one, since in _differences(told, there)]
    return Completeness(
        [replace(one, words=f"{one.words}: {BY_HAND}.") for one in found if not one.explained],
        told.projection.gaps,
        told.whole,
        [replace(one, words=f"{one.words}: {one.explained}.") for one in found if one.explained],
    )


def _differences(told: Replay, there: Mapping[Key, ConfigItem]) -> Iterator[tuple[Drift, int]]:
    """Yield what is not as the log tells it, each with the number of the event after which that must have happened."""
    logged = told.items()
    for key, thing in there.items():
        known = logged.get(key)
        if known is None and key[0] == RETENTION:
            known = ConfigItem(*key, {}, fields=thing.fields)
        if known is not None:
            yield from _of_one(told, key, known, thing)
        elif told.whole:
            what = _capital(thing.label)
            yield Drift(what, f"{what} is there, but the log does not say that it was added", None, thing.name), 0
    for key, known in logged.items():
        if key not in there and (told.whole or known.whole):
            what = _capital(known.label)
            words = f"{what} is gone, but the log does not say that it was removed"
            yield Drift(what, words, known.name, None), _last(told, key)


def _last(told: Replay, key: Key) -> int:
    return max((at for (of, _), at in told.last_events.items() if of == key), default=0)


def _of_one(told: Replay, key: Key, logged: ConfigItem, there: ConfigItem) -> Iterator[tuple[Drift, int]]:
    """Yield what is different of one thing. Of a whole one, what the log does not tell was never set."""
    fields = {**logged.fields, **there.fields}
    for name in dict.fromkeys([*there.values, *fields, *logged.values]):
        one = there.fields.get(name) or there.field(name)
        defaults = logged.whole and told.whole and name in fields
        if name not in logged.values and not defaults:
            continue
        if name not in there.values and name not in fields:
            continue  # a field that the connector's type has no more
        usual = None if one.kind is Kind.SECRET else one.normalize(one.default)
        was, now = logged.values.get(name, usual), there.values.get(name, usual)
        if was is None and name == "enabled":
            continue
        if not _same(one, was, now):
            what = f"{one.label} of {there.label}"
            words = f"{what}: the log says {_say(one, was)}, it is {_say(one, now)}"
            yield Drift(what, words, _json(was), _json(now)), told.last_event(key, name)


def _same(one: Field, was: Any, now: Any) -> bool:
    if isinstance(was, datetime) and isinstance(now, datetime):
        return abs(was - now) <= NEARLY
    return is_same_value(one, was, now)


def _say(one: Field, value: Any) -> str:
    if one.kind is Kind.SECRET:
        return "not set" if value in EMPTY else "set"
    return format_value(_json(value))


def _json(value: Any) -> Any:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else value


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"
