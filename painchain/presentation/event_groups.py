"""Group the events of a page: by day, by action, and into rows of events that belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from painchain import connectors
from painchain.connectors.event_group import EventGroup, GroupRole
from painchain.presentation.event_columns import Columns, columns
from painchain.presentation.event_view import EventView, ShownEvent
from painchain.timeline.queries import Event
from painchain.timeline.visibility import Hidden

Key = tuple[Any, ...]


@dataclass(frozen=True)
class EventRow:
    """One row of the feed: an event, and the rows of the other events of its group, newest first.

    `noun` names what is counted. `counts_head` means that the event of the row is counted as well.
    """

    shown: ShownEvent
    parts: Sequence[EventRow] = ()
    noun: str = ""
    counts_head: bool = False

    @property
    def event(self) -> Event:
        """The event of the row."""
        return self.shown.event

    @property
    def view(self) -> EventView:
        """The description of the event of the row."""
        return self.shown.view

    @property
    def identity(self) -> Hashable:
        """What the row depends on, beside the zone of its readers."""
        return self.noun, self.counts_head, self.shown.identity, tuple(part.shown.identity for part in self.parts)

    @cached_property
    def columns(self) -> Columns:
        """The columns of the event of the row."""
        return columns(self.view)

    @property
    def views(self) -> list[EventView]:
        """The descriptions of all events of the row, its own first."""
        return [self.view, *(part.view for part in self.parts)]

    @property
    def events(self) -> list[Event]:
        """All events of the row, its own first."""
        return [self.event, *(part.event for part in self.parts)]

    @property
    def count(self) -> str:
        """How many states or commits the row has, and from when to when: "3 states, 14:02–14:09". "" for a save."""
        if not self.parts or not self.noun:
            return ""
        # Some commits of a push can be on another page.
        is_partial = any(self.noun in words for words in self.words)
        words = f"{len(self.parts)} shown here" if is_partial else self._own_count
        times = [f"{row.shown.local:%H:%M}" for row in (self, *self.parts)]
        return words if min(times) == max(times) else f"{words}, {min(times)}–{max(times)}"

    @property
    def words(self) -> list[str]:
        """The facts in words, without a number that `count` repeats."""
        return [words for words in self.columns.words if not self.parts or words != self._own_count]

    @property
    def _own_count(self) -> str:
        number = len(self.parts) + self.counts_head
        return f"{number} {self.noun}{'' if number == 1 else 's'}"

    @property
    def other_authors(self) -> list[str]:
        """The authors of the parts who are not the author of the row."""
        authors = dict.fromkeys(part.event.author for part in self.parts)
        return [author for author in authors if author != self.event.author]


@dataclass(frozen=True)
class Group:
    """The rows of one action of a person, a script or PainChain itself, or one row of a source."""

    request_id: str
    rows: Sequence[EventRow]


@dataclass(frozen=True)
class Day:
    """The groups of one day in the viewer's zone."""

    date: date
    groups: Sequence[Group]


def by_day(events: Iterable[Event], hidden: Hidden, zone: ZoneInfo) -> Iterator[Day]:
    """Group events, newest first, by the viewer's day, within it into rows, and rows by action.

    A poll is no action, so the rows of sources stay apart. Older versions stored one request ID for a whole poll.
    """
    shown = [ShownEvent(event, hidden.of(event.source, event.connector_id), zone) for event in events]
    for day, of_day in groupby(shown, key=lambda each: each.local.date()):
        by_action = groupby(rows_of(list(of_day)), key=lambda row: _action(row.event))
        yield Day(day, [Group(request_id, list(rows)) for (request_id, _), rows in by_action])


def rows_of(views: Sequence[ShownEvent]) -> list[EventRow]:
    """Return the rows of some events, newest first. A row stands where its newest event stands.

    Parts without a head among these events stay rows: a commit whose push is on another page, for example.
    """
    head_of = _heads(views)
    parts_of: dict[int, list[ShownEvent]] = defaultdict(list)
    for position, head in head_of.items():
        parts_of[head].append(views[position])
    in_order = dict.fromkeys(head_of.get(position, position) for position in range(len(views)))
    return [_row(views[position], parts_of[position]) for position in in_order]


def rows_with(days: Iterable[Day], numbers: Collection[int]) -> list[Day]:
    """Return only the rows that have an event with one of these numbers, in the same order."""

    def has_one(row: EventRow) -> bool:
        return any(event.id in numbers for event in row.events)

    chosen = [
        Day(
            day.date,
            [Group(group.request_id, rows) for group in day.groups if (rows := [*filter(has_one, group.rows)])],
        )
        for day in days
    ]
    return [day for day in chosen if day.groups]


def rows_in(days: Iterable[Day]) -> list[EventRow]:
    """Return the rows of some days, in their order."""
    return [row for day in days for group in day.groups for row in group.rows]


def is_of_action(event: Event) -> bool:
    """Return whether an action in PainChain made this event: a source reports its events one by one."""
    return bool(event.source == connectors.BUILTIN.key)


def group_key(event: Event) -> Key | None:
    """Return what the events of a group have in common; None if the event is in no group or does not say in which."""
    group = _group_of(event)
    if group is None:
        return None
    values = [event.metadata.get(name) for name in group.facts]
    id_parts = str(event.event_id).split(":")
    # The IDs of older versions, and of events that a script made up, have other parts.
    has_id = not group.id_parts or (id_parts[0] == event.source and len(id_parts) > group.id_parts)
    if not has_id or not all(isinstance(value, str) and value for value in values):
        return None
    request_id = event.request_id if group.by_request else ""
    return event.source, event.connector_id, group.noun, request_id, *id_parts[: group.id_parts], *values


def can_join_earlier(event: Event) -> bool:
    """Return whether an earlier transaction can have recorded other events of the group of this one."""
    group = _group_of(event)
    return group is not None and not group.by_request


def _group_of(event: Event) -> EventGroup | None:
    event_type = connectors.event_type(event.source, event.event_type)
    return event_type.group if event_type else None


def _heads(views: Sequence[ShownEvent]) -> dict[int, int]:
    """Return the position of the head of each part and peer, by its own position, in the order of `views`."""
    members: dict[Key, list[int]] = defaultdict(list)
    for position, view in enumerate(views):
        if key := group_key(view.event):
            members[key].append(position)
    head_of: dict[int, int] = {}
    for positions in members.values():
        of_role: dict[GroupRole | None, list[int]] = defaultdict(list)
        for position in positions:
            of_role[_role(views[position])].append(position)
        peers, heads = of_role[GroupRole.PEER], of_role[GroupRole.HEAD]
        head_of |= dict.fromkeys(peers[1:], peers[0] if peers else 0)
        head_of |= {part: _nearest(views, heads, part) for part in of_role[GroupRole.PART] if heads}
    return dict(sorted(head_of.items()))


def _role(view: ShownEvent) -> GroupRole | None:
    group = _group_of(view.event)
    return group.role if group else None


def _nearest(views: Sequence[ShownEvent], heads: Sequence[int], part: int) -> int:
    """Return the first head that is not older than the part; without one, the nearest."""
    time = views[part].event.timestamp
    times = {head: views[head].event.timestamp for head in heads}
    return min(heads, key=lambda head: (times[head] < time, abs(times[head] - time)))


def _row(head: ShownEvent, parts: Sequence[ShownEvent]) -> EventRow:
    group = _group_of(head.event)
    if group is None or not parts:
        return EventRow(head)
    noun = "" if group.by_request else group.noun
    return EventRow(head, [EventRow(part) for part in parts], noun, group.role is GroupRole.PEER)


def _action(event: Event) -> tuple[str, str]:
    return event.request_id, "" if is_of_action(event) else event.event_id
