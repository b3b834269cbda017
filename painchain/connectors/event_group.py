"""Say which events of a source belong together: they are one row of the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GroupRole(StrEnum):
    """What an event is in its group. Parts are shown under their head, and peers under the newest of them."""

    HEAD = "head"
    PART = "part"
    PEER = "peer"


@dataclass(frozen=True)
class EventGroup:
    """The group to which events of a type belong: a push and its commits, the states of a run, a save and its settings.

    The events of a group have in common the first `id_parts` parts of their event IDs, and the values of `facts` in
    their metadata. With `by_request`, one request has recorded them. `noun` names one part or peer, in the singular.
    """

    noun: str
    role: GroupRole
    id_parts: int = 0
    facts: tuple[str, ...] = ()
    by_request: bool = False
