"""Suggest completions for a search: qualifiers and, after the colon, values that exist."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, func, select

from painchain import connectors
from painchain.connectors.outcomes import Outcome
from painchain.database.models import ChangeEvent, Connector
from painchain.database.session import db
from painchain.indexes import search_query
from painchain.indexes import tokens as index_tokens
from painchain.timeline import team_filter

MAX_SUGGESTIONS = 8
# How many of the newest events values are taken from, so that the cost does not grow with the log.
RECENT_EVENTS = 1_000
ACTIONS = (
    *("create", "update", "delete", "enable", "disable", "config_change", "field_visibility_change"),
    *("fail", "recover"),
)
OUTCOMES = {
    Outcome.BAD: "failed, in the words of any source",
    Outcome.GOOD: "succeeded",
    Outcome.RUNNING: "not finished",
    Outcome.NEUTRAL: "everything else",
}

_VALUE = re.compile(r"(-?)([^\W\d_]+):(.*)", re.DOTALL)
_event = ChangeEvent.__table__.c
_COLUMNS: dict[str, ColumnElement[Any]] = {
    "type": _event.event_type,
    "connector": _event.connector_name,
    index_tokens.REPOSITORY: _event.metadata["repository"].as_string(),
    **{name: _event.metadata[key].as_string() for name, key in index_tokens.JOIN_KEYS.items()},
    "author": _event.author,
    "status": _event.status,
}


@dataclass(frozen=True)
class Suggestion:
    """A text to replace the last term with, and what it means. `is_complete`: the term is then complete."""

    text: str
    meaning: str
    is_complete: bool


def last_term(text: str) -> str:
    """Return the last term of a text, which is still being typed.

    >>> last_term('tag:production connector:"Main cl')
    'connector:"Main cl'
    """
    terms = search_query.raw_terms(text[: search_query.MAX_TEXT])
    return terms[-1] if terms and text.translate(search_query.CURLY_QUOTES).endswith(terms[-1]) else ""


def suggest(text: str, now: datetime, zone: ZoneInfo) -> list[Suggestion]:
    """Return the completions of the last term of a text, the best first."""
    term = last_term(text)
    match = _VALUE.fullmatch(term)
    if match and match[2].lower() in search_query.QUALIFIERS:
        sign, name, typed = match[1], match[2].lower(), match[3]
        return list(_values(sign, name, typed.replace('"', "").casefold(), now, zone))
    typed = term.removeprefix("-").lower()
    sign = "-" if term.startswith("-") else ""
    if typed and not typed.isalpha():
        return []
    names = [name for name in search_query.QUALIFIERS if name.startswith(typed)]
    return [Suggestion(f"{sign}{name}:", search_query.QUALIFIERS[name][0], is_complete=False) for name in names]


def _values(sign: str, name: str, typed: str, now: datetime, zone: ZoneInfo) -> Iterable[Suggestion]:
    frequencies = _frequencies(name)
    possible = _possible_values(name, now, zone)
    if name != "type":  # a search for an unknown type is refused
        possible = dict.fromkeys(sorted(frequencies, key=str.casefold), "") | possible
    labels = {value: meaning for value, meaning in possible.items() if value and '"' not in value}
    matching = [value for value, meaning in labels.items() if typed in value.casefold() or typed in meaning.casefold()]
    matching.sort(key=lambda value: (not value.casefold().startswith(typed), -frequencies[value]))
    for value in matching[:MAX_SUGGESTIONS]:
        quoted = f'"{value}"' if re.search(r"[\s,]", value) else value
        yield Suggestion(f"{sign}{name}:{quoted}", labels[value], is_complete=True)


def _possible_values(name: str, now: datetime, zone: ZoneInfo) -> dict[str, str]:
    """Return the possible values of a qualifier, with their labels."""
    if name == "source":
        return {key: connector_type.label for key, connector_type in connectors.TYPES.items()}
    if name == "type":
        return dict(search_query.event_types())
    if name == "action":
        return dict.fromkeys(ACTIONS, "")
    if name == search_query.OUTCOME:
        return {outcome.value: meaning for outcome, meaning in OUTCOMES.items()}
    if name == "field":
        fields = [field for connector_type in connectors.TYPES.values() for field in connector_type.all_fields]
        return {field.key: field.label for field in fields}
    if name == "connector":
        return dict.fromkeys(db.session.scalars(select(Connector.name).order_by(Connector.name)), "")
    if name == "tag":
        lists = db.session.scalars(select(Connector.tags))
        return dict.fromkeys(sorted({tag for tags in lists for tag in tags}, key=str.casefold), "")
    if name == search_query.TEAM:
        return {team.name: ", ".join(team.tags) for team in team_filter.all_teams()}
    if name in search_query.TIMES:
        local = now.astimezone(zone)
        times = {f"{local:%Y-%m-%d %H:%M}": "now", "-30m": "30 minutes ago", "-2h": "2 hours ago"}
        times |= {"today": "", "yesterday": "", f"yesterday {local:%H:%M}": "", f"{local:%Y-%m-%d}": ""}
        return {value: meaning for value, meaning in times.items() if name != "around" or meaning}
    return {}


def _frequencies(name: str) -> Counter[str]:
    """Return how many of the newest events have each value of a qualifier; empty if they do not tell its values."""
    if name == "tag":
        return Counter(tag for tags in db.session.scalars(_newest(_event.tags)) for tag in tags)
    column = _COLUMNS.get(name)
    if column is None:
        return Counter()
    value = _newest(column.label("value")).subquery().c.value
    rows = db.session.execute(select(value, func.count()).where(value.is_not(None)).group_by(value))
    counts = Counter({text: count for text, count in rows if isinstance(text, str)})
    return Counter({text: counts[text] for text in counts if name != index_tokens.REPOSITORY or "/" in text})


def _newest(column: ColumnElement[Any]) -> Select[Any]:
    return select(column).order_by(_event.timestamp.desc(), _event.id.desc()).limit(RECENT_EVENTS)
