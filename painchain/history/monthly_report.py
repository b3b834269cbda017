"""Report the configuration changes of a month: how many, where, by whom, and the net effect."""

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

# The counted columns, in display order.
COLUMNS = {
    "added": "Additions",
    "removed": "Removals",
    "settings": "Setting changes",
    "visibility": "Visibility changes",
    "switched": "Enabled or disabled",
}
# The names in exports stay the same.
_EXPORTED = {**COLUMNS, "settings": "Configuration changes", "switched": "Switched on or off"}
_COLUMN_OF = {
    "ConnectorCreated": "added",
    "ConnectorDeleted": "removed",
    "ConfigChanged": "settings",
    "FieldVisibilityChanged": "visibility",
    "ConnectorEnabled": "switched",
    "ConnectorDisabled": "switched",
}
NAMELESS = "no connector"  # a script may report a toggle without a connector
ENABLED = Field("enabled", "Enabled", Kind.CHECKBOX)


@dataclass(frozen=True, order=True)
class Month:
    """A month of a year."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read a month such as ``2026-01``.

        :raises BadFilter: when the text is not a month, or the year is not between 1971 and 8999.
        """
        match = re.fullmatch(r"([0-9]{4})-([0-9]{2})", text.strip())
        if not match or not 1 <= int(match[2]) <= 12:
            raise BadFilter("month", "Enter a month as year and number, such as 2026-01.")
        if not 1971 <= int(match[1]) <= 8999:
            raise BadFilter("month", "Choose a month in the years 1971 to 8999.")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, moment: datetime, zone: ZoneInfo) -> Month:
        """Return the month of a moment in the viewer's zone."""
        local = moment.astimezone(zone)
        return cls(local.year, local.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def name(self) -> str:
        """The month as text, such as January 2026."""
        return f"{calendar.month_name[self.number]} {self.year}"

    def moved(self, months: int) -> Month:
        """Return the month that is `months` later."""
        year, number = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(year, number + 1)

    def start(self, zone: ZoneInfo) -> datetime:
        """Return the first moment of the month in a zone, in UTC."""
        return datetime(self.year, self.number, 1, tzinfo=zone).astimezone(UTC)

    def days(self) -> list[date]:
        """Return the days of the month."""
        return [date(self.year, self.number, 1) + timedelta(days=n) for n in range(calendar.monthrange(*self._pair)[1])]

    @property
    def _pair(self) -> tuple[int, int]:
        return self.year, self.number


Subject = tuple[int | None, str]  # the connector's number and "", or None and its name if only the name is known


@dataclass(frozen=True)
class Line:
    """The counts of one connector, author or day."""

    name: str
    counts: Mapping[str, int]
    number: int | None = None

    @property
    def total(self) -> int:
        """The sum of all columns."""
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
    """A month of changes. `drift` lists the fields that changed, `back` those that changed and then changed back."""

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
    """The counts of the events read so far."""

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

    def add(self, entry: Entry) -> None:
        subject = (entry.connector_id, "" if entry.connector_id else entry.connector_name or "")
        self.names[subject] = entry.connector_name or ""
        self.events += 1
        self.reported += entry.reported
        self.kinds[entry.event_type] += 1
        changes = list(changes_of(entry))
        for change in changes:
            self._track(subject, entry.reported, change)
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

    def _track(self, subject: Subject, reported: bool, change: Change) -> None:
        key = (subject, reported, change.key)
        before = self.drift.get(key)
        if before:
            change = replace(change, old=before.change.old)
        self.drift[key] = Drift(subject, change, before.times + 1 if before else 1, reported)


def monthly(month: Month, zone: ZoneInfo) -> Report:
    """Return the report of a month in the viewer's zone. This reads its events once."""
    start, end = month.start(zone), month.moved(1).start(zone)
    totals = _Totals(zone)
    for entry in snapshots.entries(start, end):
        totals.add(entry)
    drift = sorted(totals.drift.values(), key=lambda item: (totals.names[item.subject].lower(), str(item.subject)))
    back = [item for item in drift if changed_back(item.change)]
    return Report(
        month,
        start,
        end,
        {column: sum(counts[column] for counts in totals.by_day.values()) for column in COLUMNS},
        totals.events,
        totals.reported,
        _by_total([Line(totals.names[subject], counts, subject[0]) for subject, counts in totals.by_subject.items()]),
        _by_total([Line(author, counts) for author, counts in totals.by_author.items()]),
        dict(sorted(totals.kinds.items(), key=lambda item: (-item[1], item[0]))),
        [Line(str(day), totals.by_day.get(day, Counter())) for day in month.days()],
        [_net_change(item) for item in drift if item not in back],
        back,
        totals.names,
        totals.fates,
        snapshots.gaps(start, end),
    )


def changes_of(entry: Entry) -> Iterator[Change]:
    """Yield the changes of an event; none for ConnectorUpdated, which repeats the other events of its save."""
    facts = entry.description
    if entry.event_type == "ConfigChanged":
        key = str(facts.get("field", ""))
        label, kind = str(facts.get("label", key)), str(facts.get("kind", ""))
        yield Change(key, label, kind, facts.get("old_value"), facts.get("new_value"))
    elif entry.event_type == "FieldVisibilityChanged":
        toggle = (str(facts.get("event_type", "")), str(facts.get("field", "")))
        label = str(facts.get("label") or toggle[1])
        yield toggle_change(f"{label} of {toggle[0]}", toggle, bool(facts.get("visible")))
    elif entry.event_type in snapshots.SWITCHES:
        enabled = entry.event_type == "ConnectorEnabled"
        yield Change(ENABLED.key, ENABLED.label, ENABLED.kind.value, not enabled, enabled)
    elif entry.event_type == "ConnectorUpdated" and entry.reported:
        listed = facts.get("changes")
        yield from (Change(**each) for each in listed or () if isinstance(each, dict) and set(each) == _CHANGE)


_CHANGE = set(Change.__dataclass_fields__)


def changed_back(change: Change) -> bool:
    """Return whether the value at the end equals the value at the start. A replaced secret never does."""
    if change.kind == Kind.SECRET:
        return change.old is None and change.new == CLEARED
    kind = Kind(change.kind) if change.kind in set(Kind) else Kind.TEXT
    return is_same_value(Field(change.key, change.label, kind), change.old, change.new)


def _net_change(drift: Drift) -> Drift:
    """Return a drift whose new value, for a secret, is the net action of all its changes."""
    change = drift.change
    if change.kind != Kind.SECRET or change.new == CLEARED:
        return drift
    return replace(drift, change=replace(change, new=REPLACED if change.old == SET else SET))


def _by_total(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (-line.total, line.name.lower()))


def rows(report: Report, zone: ZoneInfo) -> Iterator[tuple[Any, ...]]:
    """Yield the report as the rows of a table, starting with a header."""
    yield ("section", "name", "field", "start", "end", "number")
    yield ("month", report.month, "", local(report.start, zone), local(report.end, zone), report.events)
    yield from (("total", _EXPORTED[column], "", "", "", count) for column, count in report.counts.items())
    yield ("total", "Reported by scripts", "", "", "", report.reported)
    for section, lines in (("connector", report.connectors), ("author", report.authors), ("day", report.days)):
        for line in lines:
            yield from (
                (section, line.name or NAMELESS, _EXPORTED[column], "", "", line.counts[column])
                for column in COLUMNS
                if line.counts[column]
            )
    for kind, count in report.kinds.items():
        yield ("kind", kind_label(kind), "", "", "", count)
    for section, drifts in (("drift", report.drift), ("changed and changed back", report.back)):
        for drift in drifts:
            label = f"{drift.change.label} (reported)" if drift.reported else drift.change.label
            yield (section, report.names[drift.subject] or NAMELESS, label, *_sides(drift.change), drift.times)
    for gap in report.gaps:
        yield ("not recorded", "", "", *(local(moment, zone) if moment else "" for moment in (gap.start, gap.end)), "")


def _sides(change: Change) -> tuple[Any, ...]:
    state_names = {True: "shown", False: "hidden"} if change.kind == "visible" else {}
    return tuple(state_names.get(side, side) if isinstance(side, bool) else side for side in (change.old, change.new))


def kind_label(kind: str) -> str:
    """Return the label of an event type."""
    event_type = connectors.event_type(audit_trail.SOURCE, kind)
    return event_type.label if event_type else kind


def local(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment in the viewer's zone as ISO 8601 with its offset."""
    return moment.astimezone(zone).isoformat(timespec="seconds")
