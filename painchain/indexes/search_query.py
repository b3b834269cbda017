"""Parse a search: free text and qualifiers become terms, and terms become groups of phrases and windows of time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from painchain import connectors
from painchain.connectors.outcomes import Outcome
from painchain.indexes import tokens as index_tokens
from painchain.indexes.search_times import EARLIEST as EARLIEST
from painchain.indexes.search_times import LATEST as LATEST
from painchain.indexes.search_times import BadFilter as BadFilter
from painchain.indexes.search_times import interval_of, reach_of
from painchain.indexes.search_times import parse_time as parse_time

MAX_TEXT = 200
MAX_TERMS = 20
AROUND = timedelta(minutes=30)

# Each qualifier: its value, and an example.
QUALIFIERS = {
    "source": ("a connector type", f"source:{next(iter(connectors.ADDABLE))}"),
    "type": ("an event type", "type:ConfigChanged"),
    "action": ("an action", "action:delete"),
    "connector": ("a connector's name or number", 'connector:"Main cluster"'),
    "repo": ("a repository or project, by its full name", "repo:acme/api"),
    "service": ("a service", "service:shop"),
    "env": ("an environment", "env:production"),
    "version": ("a version", "version:1.4.2"),
    "sha": ("the hash of a commit, or its first 7 characters or more", "sha:1a2b3c4"),
    "kind": ("a kind of change, as a script reports it", "kind:feature_flag"),
    "author": ("the name of an author", "author:alice"),
    "tag": ("a tag", "tag:production"),
    "team": ("a team: any of its tags", "team:Payments"),
    "field": ("a changed setting", "field:poll_interval"),
    "status": ("a status, as the source writes it", "status:failed"),
    "outcome": ("good, bad, running or neutral, in every source", "outcome:bad"),
    "reason": ("words of the reason", "reason:incident"),
    "before": ("a date or time", 'before:"yesterday 14:00"'),
    "after": ("a date or time, or how long ago", "after:-30m"),
    "around": ("a time ± 30 minutes, or ± what follows ~", 'around:"2026-01-15 14:00"~2h'),
}
RANGE, TEAM, OUTCOME = "..", "team", "outcome"
TIMES = ("before", "after", "around", RANGE)

_RAW = re.compile(r'(?:"[^"]*(?:"|$)|[^\s"])+')
_QUALIFIED = re.compile(r"([^\W\d_][\w-]*):(?!//)(.*)", re.DOTALL)
_RANGE = re.compile(r"(\d{4}-\d\d-\d\d[T0-9 :.Z+-]*?)?\.\.(\d{4}-\d\d-\d\d[T0-9 :.Z+-]*)?")
_SHA = re.compile(r"[0-9a-fA-F]{7,64}")
_VALUE = re.compile(r'(?:"[^"]*(?:"|$)|[^,"])+')
CURLY_QUOTES = str.maketrans("“”„", '"""')


@dataclass(frozen=True)
class Term:
    """One term of a search, as typed (`raw`) and as parsed. Free text has no name. One of the values must match."""

    raw: str
    name: str
    values: tuple[str, ...]
    negated: bool = False
    quoted: bool = False


@dataclass(frozen=True)
class Phrase:
    """Consecutive words. If `open`, the last one is a prefix."""

    words: tuple[str, ...]
    open: bool = False


@dataclass(frozen=True)
class Group:
    """Alternative phrases: an event must contain one of them, or none if `negated`."""

    phrases: tuple[Phrase, ...]
    negated: bool = False


@dataclass(frozen=True)
class Window:
    """The interval from `start` to before `end`, or the time outside it if `negated`."""

    start: datetime | None
    end: datetime | None
    negated: bool = False


@lru_cache(512)
def parse(text: str) -> tuple[Term, ...]:
    """Parse a search into terms.

    :raises BadFilter: when a qualifier or its value is unknown; the message lists the known ones.
    """
    if len(text) > MAX_TEXT:
        raise BadFilter("q", f"The search can have at most {MAX_TEXT} characters.")
    terms = tuple(_term(raw) for raw in raw_terms(text))
    if len(terms) > MAX_TERMS:
        raise BadFilter("q", f"The search can have at most {MAX_TERMS} words and qualifiers.")
    return terms


def raw_terms(text: str) -> list[str]:
    """Return the terms of a search as typed, split at white space outside quotes."""
    return _RAW.findall(text.translate(CURLY_QUOTES))


def groups(
    terms: Sequence[Term],
    teams: Mapping[str, Sequence[str]] | None = None,
    connectors: Sequence[tuple[str, int]] = (),
) -> list[Group]:
    """Return the groups that an event must match, without the conditions on its time and outcome.

    A repeated qualifier matches any of its values. A search without any word matches nothing. `teams` maps each team in
    the search, as typed, to its tags; a team that is missing there matches nothing. `connectors` are present names and
    IDs: a search for such a name also matches the events with the ID.
    """
    by_qualifier: dict[str, list[Phrase]] = {}
    result = []
    for term in (term for term in terms if term.name not in (*TIMES, OUTCOME)):
        if term.name == TEAM:
            tags = dict.fromkeys(tag for value in term.values for tag in (teams or {}).get(value, ()))
            phrases = [Phrase((index_tokens.search_term("tag", tag),)) for tag in tags]
            result += [] if phrases else [Group(())]
        else:
            phrases = [phrase for value in term.values if (phrase := _phrase(term, value)).words]
            phrases += _by_id(phrases, connectors) if term.name == index_tokens.CONNECTOR else []
        if phrases and term.name and not term.negated:
            by_qualifier.setdefault(term.name, []).extend(phrases)
        elif phrases:
            result.append(Group(tuple(phrases), term.negated))
    result += [Group(tuple(phrases)) for phrases in by_qualifier.values()]
    is_empty = not result and any(not term.name and not term.negated for term in terms)
    return [Group(())] if is_empty and len(terms) == 1 else list(dict.fromkeys(result))


def _by_id(names: Sequence[Phrase], connectors: Sequence[tuple[str, int]]) -> list[Phrase]:
    """Return the phrases for the IDs of the connectors that have these names."""
    words = {phrase.words for phrase in names}
    matching = (str(number) for name, number in connectors if (_connector_term(name),) in words)
    return [Phrase((_connector_term(number),)) for number in matching]


def _connector_term(value: str) -> str:
    return index_tokens.search_term(index_tokens.CONNECTOR, value)


def values_of(terms: Sequence[Term], name: str) -> tuple[str, ...]:
    """Return the values of a qualifier in a search, as typed."""
    return tuple(dict.fromkeys(value for term in terms if term.name == name for value in term.values))


def outcomes(terms: Sequence[Term]) -> frozenset[Outcome] | None:
    """Return the outcomes that a search asks for, or None if it names none."""
    named = [term for term in terms if term.name == OUTCOME]
    if not named:
        return None
    wanted = {Outcome(value) for term in named if not term.negated for value in term.values}
    return frozenset(wanted or Outcome) - {value for term in named if term.negated for value in term.values}


def windows(terms: Sequence[Term], now: datetime, zone: ZoneInfo) -> list[Window]:
    """Return the windows of time in a search, in UTC.

    :raises BadFilter: when a time cannot be parsed.
    """
    return [_window(term, now, zone) for term in terms if term.name in TIMES]


def timeless(text: str) -> str:
    """Return a search without its times. A search that cannot be parsed is returned unchanged."""
    try:
        return " ".join(term.raw for term in parse(text) if term.name not in TIMES)
    except BadFilter:
        return text


def without_relative_times(text: str, now: datetime, zone: ZoneInfo) -> str:
    """Return a search that means the same later and in any zone, beside the start and the end of its filter.

    Times that limit it are left out: they are part of the filter's start and end. Times that it excludes are written in
    UTC, if that is not too long. A search that cannot be parsed is returned unchanged.
    """
    try:
        parts = [_fixed(term, now, zone) if term.name in TIMES else term.raw for term in parse(text)]
    except BadFilter:
        return text
    fixed = " ".join(part for part in parts if part)
    return fixed if len(fixed) <= MAX_TEXT else text


def _fixed(term: Term, now: datetime, zone: ZoneInfo) -> str:
    window = _window(term, now, zone)
    if not term.negated:
        return ""
    last = window.end and window.end - timedelta(microseconds=1)  # a range includes its last time
    first, last_text = (moment.isoformat().replace("+00:00", "Z") if moment else "" for moment in (window.start, last))
    return f"-{first}{RANGE}{last_text}"


def names_time(text: str) -> bool:
    """Return whether a search contains a time that is not negated."""
    try:
        return any(term.name in TIMES and not term.negated for term in parse(text))
    except BadFilter:
        return False


def _term(raw: str) -> Term:
    negated = raw.startswith("-") and len(raw) > 1
    text = raw[1:] if negated else raw
    if match := _QUALIFIED.fullmatch(text):
        name = match[1].lower()
        if name not in QUALIFIERS:
            raise BadFilter("q", f"Unknown qualifier “{match[1]}:”. {_allowed()}")
        return Term(raw, name, _values(name, match[2]), negated)
    bare = text.replace('"', "")
    if (range := _RANGE.fullmatch(bare)) and any(range.groups()):
        return Term(raw, RANGE, (bare,), negated)
    return Term(raw, "", (bare,), negated, text.startswith('"'))


def _allowed() -> str:
    names = ", ".join(f"{name}:" for name in QUALIFIERS)
    return f"Use one of {names}. To search for a text with a colon, put it in quotes."


def _values(name: str, text: str) -> tuple[str, ...]:
    if name in TIMES:
        values = [text.replace('"', "").strip()]
    else:
        values = [part.replace('"', "").strip() for part in _VALUE.findall(text)]
    values = [value for value in values if value]
    if not values:
        needs, example = QUALIFIERS[name]
        raise BadFilter("q", f"{name}: needs {needs}, as in {example}.")
    expand = _EXPANDED.get(name)
    return tuple(part for value in values for part in (expand(value) if expand else (value,)))


def _source(value: str) -> tuple[str, ...]:
    for key, connector_type in connectors.TYPES.items():
        if value.casefold() in (key, connector_type.label.casefold()):
            return (key,)
    raise BadFilter("q", f"Unknown source “{value}”. Use one of {', '.join(connectors.TYPES)}.")


def _outcome(value: str) -> tuple[str, ...]:
    if value.casefold() not in [*Outcome]:
        raise BadFilter("q", f"Unknown outcome “{value}”. Use one of {', '.join(Outcome)}.")
    return (value.casefold(),)


def _sha(value: str) -> tuple[str, ...]:
    if not _SHA.fullmatch(value):
        raise BadFilter("q", f"“{value}” is not the beginning of a hash. Use 7 or more of its characters, 0-9 and a-f.")
    return (value.casefold(),)


def _repository(value: str) -> tuple[str, ...]:
    if "/" not in value:
        raise BadFilter("q", f"Unknown repository “{value}”. Use its full name, as in {QUALIFIERS['repo'][1]}.")
    return (value,)


def _types(value: str) -> tuple[str, ...]:
    types = event_types()
    term = index_tokens.search_term("type", value)
    matching = [
        name
        for name, label in types
        if term in (index_tokens.search_term("type", name), index_tokens.search_term("type", label))
    ]
    if not matching:
        names = ", ".join(dict.fromkeys(name for name, _ in types))
        raise BadFilter("q", f"Unknown event type “{value}”. Use one of {names}.")
    return tuple(dict.fromkeys(matching))


_EXPANDED = {
    "source": _source,
    "type": _types,
    "sha": _sha,
    index_tokens.REPOSITORY: _repository,
    OUTCOME: _outcome,
}


def event_types() -> list[tuple[str, str]]:
    """Return the name and the label of every event type."""
    return [
        (event_type.name, event_type.label)
        for connector_type in connectors.TYPES.values()
        for event_type in connector_type.event_types
    ]


def _phrase(term: Term, value: str) -> Phrase:
    if term.name == index_tokens.REASON:
        return Phrase(tuple(index_tokens.reasons(value)) or (index_tokens.search_term(term.name, value),))
    if term.name == "sha":  # a word of the event, of which the beginning is enough
        return Phrase((value,), open=True)
    if term.name:
        return Phrase((index_tokens.search_term("type" if term.name == "kind" else term.name, value),))
    words = tuple(index_tokens.tokens(value))
    # A prefix of a word matches, but only from two characters on: shorter prefixes match too many words.
    return Phrase(words, not term.quoted and bool(words) and len(words[-1]) > 1)


def _window(term: Term, now: datetime, zone: ZoneInfo) -> Window:
    value = term.values[0]
    if term.name == RANGE:
        first, _, last = value.partition(RANGE)
        start = interval_of(first, term.name, now, zone)[0] if first.strip() else None
        return Window(start, interval_of(last, term.name, now, zone)[1] if last.strip() else None, term.negated)
    value, _, width = value.partition("~") if term.name == "around" else (value, "", "")
    start, end = interval_of(value, term.name, now, zone)
    if term.name == "before":
        return Window(None, start, term.negated)
    if term.name == "after":
        return Window(end, None, term.negated)
    reach = reach_of(width) if width else AROUND
    return Window(max(start - reach, EARLIEST), end + reach, term.negated)
