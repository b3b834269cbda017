"""Parse a search: free text and qualifiers become terms, and terms become groups of phrases and windows of time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from painchain import connectors
from painchain.indexes import tokens as index_tokens

MAX_TEXT = 200
MAX_TERMS = 20
AROUND = timedelta(minutes=30)
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)

# Each qualifier: its value, and an example.
QUALIFIERS = {
    "source": ("a connector type", f"source:{next(iter(connectors.ADDABLE))}"),
    "type": ("an event type", "type:ConfigChanged"),
    "action": ("an action", "action:delete"),
    "connector": ("a connector's name or number", 'connector:"Main cluster"'),
    "repo": ("a repository or project, by its full name", "repo:acme/api"),
    "author": ("the name of an author", "author:alice"),
    "tag": ("a tag", "tag:production"),
    "team": ("a team: any of its tags", "team:Payments"),
    "field": ("a changed setting", "field:poll_interval"),
    "status": ("an outcome", "status:failed"),
    "reason": ("words of the reason", "reason:incident"),
    "before": ("a date or time", "before:2026-01-31"),
    "after": ("a date or time", 'after:"2026-01-15 14:00"'),
    "around": ("a time ± 30 minutes, or ± what follows ~", 'around:"2026-01-15 14:00"~2h'),
}
RANGE, TEAM = "..", "team"
TIMES = ("before", "after", "around", RANGE)

_RAW = re.compile(r'(?:"[^"]*(?:"|$)|[^\s"])+')
_QUALIFIED = re.compile(r"([^\W\d_][\w-]*):(?!//)(.*)", re.DOTALL)
_RANGE = re.compile(r"(\d{4}-\d\d-\d\d[T0-9 :.Z+-]*?)?\.\.(\d{4}-\d\d-\d\d[T0-9 :.Z+-]*)?")
_VALUE = re.compile(r'(?:"[^"]*(?:"|$)|[^,"])+')
_WIDTH = re.compile(r"(\d{1,5})(s|m|h|d)")
_CLOCK = re.compile(r"\d?\d:\d\d(:\d\d)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
CURLY_QUOTES = str.maketrans("“”„", '"""')


class BadFilter(ValueError):
    """A filter that cannot be parsed. `parameter` is the wrong one; the message says what it accepts."""

    def __init__(self, parameter: str, message: str):
        super().__init__(message)
        self.parameter = parameter


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


def groups(terms: Sequence[Term], teams: Mapping[str, Sequence[str]] | None = None) -> list[Group]:
    """Return the groups that an event must match, without the conditions on its time.

    A repeated qualifier matches any of its values. A search without any word matches nothing. `teams` maps each team in
    the search, as typed, to its tags; a team that is missing there matches nothing.
    """
    by_qualifier: dict[str, list[Phrase]] = {}
    result = []
    for term in (term for term in terms if term.name not in TIMES):
        if term.name == TEAM:
            tags = dict.fromkeys(tag for value in term.values for tag in (teams or {}).get(value, ()))
            phrases = [Phrase((index_tokens.search_term("tag", tag),)) for tag in tags]
            result += [] if phrases else [Group(())]
        else:
            phrases = [phrase for value in term.values if (phrase := _phrase(term, value)).words]
        if phrases and term.name and not term.negated:
            by_qualifier.setdefault(term.name, []).extend(phrases)
        elif phrases:
            result.append(Group(tuple(phrases), term.negated))
    result += [Group(tuple(phrases)) for phrases in by_qualifier.values()]
    is_empty = not result and any(not term.name and not term.negated for term in terms)
    return [Group(())] if is_empty and len(terms) == 1 else list(dict.fromkeys(result))


def windows(terms: Sequence[Term], now: datetime, zone: ZoneInfo) -> list[Window]:
    """Return the windows of time in a search, in UTC.

    :raises BadFilter: when a time cannot be parsed.
    """
    return [_window(term, now, zone) for term in terms if term.name in TIMES]


def teams(terms: Sequence[Term]) -> tuple[str, ...]:
    """Return the names of the teams in a search, as typed."""
    return tuple(dict.fromkeys(value for term in terms if term.name == TEAM for value in term.values))


def timeless(text: str) -> str:
    """Return a search without its times. A search that cannot be parsed is returned unchanged."""
    try:
        return " ".join(term.raw for term in parse(text) if term.name not in TIMES)
    except BadFilter:
        return text


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
    expand = {"source": _source, "type": _types, index_tokens.REPOSITORY: _repository}.get(name)
    return tuple(part for value in values for part in (expand(value) if expand else (value,)))


def _source(value: str) -> tuple[str, ...]:
    for key, connector_type in connectors.TYPES.items():
        if value.casefold() in (key, connector_type.label.casefold()):
            return (key,)
    raise BadFilter("q", f"Unknown source “{value}”. Use one of {', '.join(connectors.TYPES)}.")


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
    if term.name:
        return Phrase((index_tokens.search_term(term.name, value),))
    words = tuple(index_tokens.tokens(value))
    # A prefix of a word matches, but only from three characters on: shorter prefixes match too many words.
    return Phrase(words, not term.quoted and bool(words) and len(words[-1]) > 2)


def _window(term: Term, now: datetime, zone: ZoneInfo) -> Window:
    value = term.values[0]
    if term.name == RANGE:
        first, _, last = value.partition(RANGE)
        start = _span(first, term.name, now, zone)[0] if first.strip() else None
        return Window(start, _span(last, term.name, now, zone)[1] if last.strip() else None, term.negated)
    value, _, width = value.partition("~") if term.name == "around" else (value, "", "")
    start, end = _span(value, term.name, now, zone)
    if term.name == "before":
        return Window(None, start, term.negated)
    if term.name == "after":
        return Window(end, None, term.negated)
    reach = _reach(width) if width else AROUND
    return Window(max(start - reach, EARLIEST), end + reach, term.negated)


def _reach(text: str) -> timedelta:
    match = _WIDTH.fullmatch(text.strip().lower())
    reach = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < reach <= timedelta(days=366):
        raise BadFilter("q", "around: needs a duration of at most 366 days after ~, as in ~90m, ~2h or ~1d.")
    return reach


def _span(text: str, name: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the start and the end of a date or time: a date lasts a day, a time lasts a microsecond."""
    text = text.strip()
    today = now.astimezone(zone).date()
    days = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        if _CLOCK.fullmatch(text):
            start = _latest(time.fromisoformat(text.zfill(5 if len(text) < 6 else 8)), now, zone)
        elif text.lower() in days or len(text) == 10:
            day = days.get(text.lower()) or datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone).date()
            edges = [datetime.combine(midnight, time(), zone) for midnight in (day, day + timedelta(days=1))]
            start, end = (parse_time(edge.isoformat(), "q", zone) for edge in edges)
            return start, end
        else:
            start = parse_time(text, "q", zone)
    except (ValueError, OverflowError):
        takes = "dates, as in 2026-01-01..2026-01-31" if name == RANGE else "a date or a time"
        hint = 'such as 2026-01-31, "2026-01-31 14:00", 14:00, today or yesterday, between 1970 and 9000'
        raise BadFilter("q", f"“{text}” is not a time. {name} accepts {takes}, {hint}.") from None
    return start, start + timedelta(microseconds=1)


def _latest(clock: time, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the last moment at which a clock showed this time."""
    local = now.astimezone(zone)
    day = local.date() if clock <= local.time() else local.date() - timedelta(days=1)
    return datetime.combine(day, clock, zone).astimezone(UTC)


def parse_time(text: str, parameter: str, zone: ZoneInfo) -> datetime:
    """Parse an ISO 8601 time. Without an offset, it is in the viewer's `zone`.

    :raises BadFilter: when `text` is not a time between 1970 and 9000.
    """
    try:
        # A "+" that was not escaped in the URL arrives as a space.
        value = datetime.fromisoformat(text.strip().replace(" ", "T", 1) if "T" not in text else text.replace(" ", "+"))
        aware = value.replace(tzinfo=zone) if value.tzinfo is None else value
        aware = aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadFilter(parameter, f"{parameter} must be a date such as 2026-01-31 or 2026-01-31T14:00:00Z.") from None
    if not EARLIEST <= aware <= LATEST:
        raise BadFilter(parameter, f"{parameter} must lie between 1970 and 9000.")
    return aware
