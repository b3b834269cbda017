"""Sum up a month of configuration changes: how many, where, by whom, and what they came to."""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from painchain import connectors
from painchain.audit import trail as audit_trail
from painchain.audit.diff import CLEARED, REPLACED, SET, Change
from painchain.connectors.base import Field, Kind
from painchain.history import snapshots
from painchain.history.projection import Entry, Gap, is_same_value, toggle_change
from painchain.timeline.filter import BadFilter

# What the figures count, in the order in which they are shown.
COLUMNS = {
    "added": "Additions",
    "removed": "Removals",
    "settings": "Configuration changes",
    "visibility": "Visibility changes",
    "switched": "Switched on or off",
}
_COLUMN_OF = {
    "ConnectorCreated": "added",
    "ConnectorDeleted": "removed",
    "ConfigChanged": "settings",
    "FieldVisibilityChanged": "visibility",
    "ConnectorEnabled": "switched",
    "ConnectorDisabled": "switched",
}
NAMELESS = "no connector"  # a script may report a toggle without saying whose
ENABLED = Field("enabled", "Enabled", Kind.CHECKBOX)


@dataclass(frozen=True, order=True)
class Month:
    """A month of a year."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read a month such as ``2026-01``.

        :raises BadFilter: when it is none, or is not between 1971 and 8999.
        """
        found = re.fullmatch(r"([0-9]{4})-([0-9]{2})", text.strip())
        if not found or not 1 <= int(found[2]) <= 12:
            raise BadFilter("month", "A month is written as a year and a number, such as 2026-01.")
        if not 1971 <= int(found[1]) <= 8999:
            raise BadFilter("month", "The month must lie between 1971 and 8999.")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, moment: datetime, zone: ZoneInfo) -> Month:
        """Return the month of a moment in the viewer's zone."""
        local = moment.astimezone(zone)
        return cls(local.year, local.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def name(self) -> str:
        """The month in words."""
        return f"{calendar.month_name[self.number]} {self.year}"

    def moved(self, months: int) -> Month:
        """Return the month so many months later."""
        year, number = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(year, number + 1)

    def start(self, zone: ZoneInfo) -> datetime:
        """Return its first moment in a zone."""
        return datetime(self.year, self.number, 1, tzinfo=zone).astimezone(UTC)

    def days(self) -> list[date]:
        """Return its days."""
        return [date(self.year, self.number, 1) + timedelta(days=n) for n in range(calendar.monthrange(*self._pair)[1])]

    @property
    def _pair(self) -> tuple[int, int]:
        return self.year, self.number


Subject = tuple[int | None, str]  # the connector's number; of one known by its name alone, None and the name


@dataclass(frozen=True)
class Line:
    """One connector, author or day with what was counted."""

    name: str
    counts: Mapping[str, int]
    number: int | None = None

    @property
    def total(self) -> int:
        """How many changes there are in all columns."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Drift:
    """One field of one connector: its value at the start of the month, at the end, and how often it changed."""

    subject: Subject
    change: Change
    times: int
    reported: bool = False


@dataclass(frozen=True)
class Report:
    """A month of changes. `drift` and `back` are grouped by connector; `back` is as it was at the start."""

    month: Month
    start: datetime
    end: datetime
    counts: Mapping[str, int]
    events: int
    reported: int
    connectors: Sequence[Line]
    authors: Sequence[Line]
    kinds: Mapping[str, int]
    days: Sequence[Line]
    drift: Sequence[Drift]
    back: Sequence[Drift]
    names: Mapping[Subject, str]
    fates: Mapping[Subject, str]
    gaps: Sequence[Gap]


@dataclass
class _Totals:
    """The figures while the events are read."""

    zone: ZoneInfo
    events: int = 0
    reported: int = 0
    names: dict[Subject, str] = field(default_factory=dict)
    fates: dict[Subject, str] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    by_subject: dict[Subject, Counter[str]] = field(default_factory=dict)
    by_author: dict[str, Counter[str]] = field(default_factory=dict)
    by_day: dict[date, Counter[str]] = field(default_factory=dict)
    drift: dict[tuple[Subject, bool, str], Drift] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        subject = (entry.connector_id, "" if entry.connector_id else entry.connector_name or "")
        self.names[subject] = entry.connector_name or ""
        self.events += 1
        self.reported += entry.reported
        self.kinds[entry.event_type] += 1
        changes = list(changes_of(entry))
        for change in changes:
            self._follow(subject, entry.reported, change)
        if not entry.reported and entry.event_type in ("ConnectorCreated", "ConnectorDeleted"):
            self.fates[subject] = _COLUMN_OF[entry.event_type]
        column = "settings" if entry.event_type == "ConnectorUpdated" else _COLUMN_OF.get(entry.event_type, "")
        number = 1 if entry.event_type in _COLUMN_OF else len(changes)
        if number:
            day = entry.timestamp.astimezone(self.zone).date()
            for counts in (
                self.by_subject.setdefault(subject, Counter()),
                self.by_author.setdefault(entry.author, Counter()),
                self.by_day.setdefault(day, Counter()),
            ):
                counts[column] += number

    def _follow(self, subject: Subject, reported: bool, change: Change) -> None:
        key = (subject, reported, change.key)
        before = self.drift.get(key)
        if before:
            change = replace(change, old=before.change.old)
        self.drift[key] = Drift(subject, change, before.times + 1 if before else 1, reported)


def monthly(month: Month, zone: ZoneInfo) -> Report:
    """Return the report of a month in the viewer's zone, from one reading of its events."""
    start, end = month.start(zone), month.moved(1).start(zone)
    total = _Totals(zone)
    for entry in snapshots.entries(start, end):
        total.take(entry)
    drift = sorted(total.drift.values(), key=lambda one: (total.names[one.subject].lower(), str(one.subject)))
    back = [one for one in drift if changed_back(one.change)]
    return Report(
        month,
        start,
        end,
        {column: sum(counts[column] for counts in total.by_day.values()) for column in COLUMNS},
        total.events,
        total.reported,
        _most([Line(total.names[one], counts, one[0]) for one, counts in total.by_subject.items()]),
        _most([Line(author, counts) for author, counts in total.by_author.items()]),
        dict(sorted(total.kinds.items(), key=lambda item: (-item[1], item[0]))),
        [Line(str(day), total.by_day.get(day, Counter())) for day in month.days()],
        [_settled(one) for one in drift if one not in back],
        back,
        total.names,
        total.fates,
        snapshots.gaps(start, end),
    )


def changes_of(entry: Entry) -> Iterator[Change]:
    """Yield the changes that an event tells of; a save's Connector Updated repeats those of its other events."""
    told = entry.description
    if entry.event_type == "ConfigChanged":
        key = str(told.get("field", ""))
        label, kind = str(told.get("label", key)), str(told.get("kind", ""))
        yield Change(key, label, kind, told.get("old_value"), told.get("new_value"))
    elif entry.event_type == "FieldVisibilityChanged":
        toggle = (str(told.get("event_type", "")), str(told.get("field", "")))
        label = str(told.get("label") or toggle[1])
        yield toggle_change(f"{label} of {toggle[0]}", toggle, bool(told.get("visible")))
    elif entry.event_type in snapshots.SWITCHES:
        enabled = entry.event_type == "ConnectorEnabled"
        yield Change(ENABLED.key, ENABLED.label, ENABLED.kind.value, not enabled, enabled)
    elif entry.event_type == "ConnectorUpdated" and entry.reported:
        listed = told.get("changes")
        yield from (Change(**one) for one in listed or () if isinstance(one, dict) and set(one) == _CHANGE)


_CHANGE = set(Change.__dataclass_fields__)


def changed_back(change: Change) -> bool:
    """Say whether a value is at the end what it was at the start. A secret that was set and set anew is not."""
    if change.kind == Kind.SECRET:
        return change.old is None and change.new == CLEARED
    kind = Kind(change.kind) if change.kind in set(Kind) else Kind.TEXT
    return is_same_value(Field(change.key, change.label, kind), change.old, change.new)


def _settled(drift: Drift) -> Drift:
    """Return the drift with the word for what became of a secret over all its changes."""
    change = drift.change
    if change.kind != Kind.SECRET or change.new == CLEARED:
        return drift
    return replace(drift, change=replace(change, new=REPLACED if change.old == SET else SET))


def _most(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (-line.total, line.name.lower()))


def rows(report: Report, zone: ZoneInfo) -> Iterator[tuple[Any, ...]]:
    """Yield the report as a table: its section, what it is about, and the figures."""
    yield ("section", "name", "field", "start", "end", "number")
    yield ("month", report.month, "", local(report.start, zone), local(report.end, zone), report.events)
    yield from (("total", COLUMNS[column], "", "", "", count) for column, count in report.counts.items())
    yield ("total", "Reported by scripts", "", "", "", report.reported)
    for section, lines in (("connector", report.connectors), ("author", report.authors), ("day", report.days)):
        for line in lines:
            yield from (
                (section, line.name or NAMELESS, COLUMNS[one], "", "", line.counts[one])
                for one in COLUMNS
                if line.counts[one]
            )
    for kind, count in report.kinds.items():
        yield ("kind", kind_label(kind), "", "", "", count)
    for section, drifts in (("drift", report.drift), ("changed and changed back", report.back)):
        for one in drifts:
            label = f"{one.change.label} (reported)" if one.reported else one.change.label
            yield (section, report.names[one.subject] or NAMELESS, label, *_sides(one.change), one.times)
    for gap in report.gaps:
        yield ("not recorded", "", "", *(local(one, zone) if one else "" for one in (gap.start, gap.end)), "")


def _sides(change: Change) -> tuple[Any, ...]:
    words = {True: "shown", False: "hidden"} if change.kind == "visible" else {}
    return tuple(words.get(side, side) if isinstance(side, bool) else side for side in (change.old, change.new))


def kind_label(kind: str) -> str:
    """Return the words for a type of event."""
    known = connectors.event_type(audit_trail.SOURCE, kind)
    return known.label if known else kind


def local(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment in the viewer's zone, with its offset."""
    return moment.astimezone(zone).isoformat(timespec="seconds")
