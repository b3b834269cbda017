"""Count the choices of menus of the filter, and group the types of events by their source."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from painchain import connectors
from painchain.core import runtime
from painchain.timeline import histogram
from painchain.timeline.filter import Filter
from painchain.web.common import responses
from painchain.web.dashboard.filter_view import Choice, View, has_start_page

COUNTED = ("event_type", "author")  # if they are loaded when they are opened
TYPES = "event_type"
SHORT = 10  # the most choices of a menu that is part of the page

Counts = Mapping[str, int]  # by value


@dataclass(frozen=True)
class Group:
    """Choices with a common heading."""

    label: str
    choices: Sequence[Choice]


def counted(names: Collection[str], lists: Mapping[str, Sequence[Choice]], event_filter: Filter) -> dict[str, Any]:
    """Return the counts of the lists in `names` that can be counted, and the types in groups if they are one of them.

    Types without an event are separate, unless no type has one.
    """
    names = [name for name in COUNTED if name in names and (name == TYPES or len(lists[name]) > SHORT)]
    counts = {name: _counts(name, event_filter) for name in names}
    values: dict[str, Any] = {"menu_counts": {name: by_value for name, by_value in counts.items() if by_value}}
    if TYPES in names:
        of_types = counts[TYPES]
        present = [choice for choice in lists[TYPES] if choice.value in of_types or choice.is_chosen]
        present = sorted(present if of_types else lists[TYPES], key=lambda choice: -of_types.get(choice.value, 0))
        absent = [choice for choice in lists[TYPES] if choice not in present]
        sources = [choice.value for choice in lists["source"]]
        values |= {"type_groups": _by_source(present, sources), "absent_types": _by_source(absent, sources)}
        values["absent_count"] = len(absent)
    return values


def counted_beside_chart(
    opened: Collection[str], lists: Mapping[str, Sequence[Choice]], event_filter: Filter, sources: Counts | None
) -> dict[str, Any]:
    """Return the counts of the lists whose menus are `opened`, and those of the `sources`, which the chart has."""
    values = counted([menu.removeprefix("menu-") for menu in opened], lists, event_filter)
    if sources is not None:
        values["menu_counts"]["source"] = sources
    return values


def rendered(view: View, values: Mapping[str, Any]) -> Markup:
    """Return the menus of the filter as HTML. A menu is rendered again only if its choices, counts or links change."""
    parameters = tuple((name, tuple(values)) for name, values in view.parameters.items())
    shared = (parameters, view.path, has_start_page())

    def menu(name: str, choices: Sequence[Choice]) -> str:
        def render() -> str:
            return responses.fragment("dashboard/menu", **{**values, "view": view, "name": name, "choices": choices})

        if f"menu-{name}" in responses.opened():
            return render()
        counts = values["menu_counts"].get(name)
        key = ("menu", name, tuple(choices), tuple(counts.items()) if counts is not None else None, shared)
        return runtime.current().cache.get_or_compute(key, render) or render()

    return Markup("").join(Markup(menu(name, choices)) for name, choices in values["lists"].items())  # noqa: S704


def _counts(name: str, event_filter: Filter) -> Counts:
    """Return the number of events for each choice of a list; empty if there are too many events to count.

    A chosen type of the class Access is shown, so such types are counted too.
    """
    hides_access = event_filter.hides_access and name != TYPES
    unlimited: dict[str, Any] = {name: (), "hides_access": hides_access}
    counts = histogram.statistics(replace(event_filter, **unlimited), (name,))
    return {} if counts.since else counts.by[name]


def _by_source(choices: Sequence[Choice], sources: Collection[str]) -> list[Group]:
    """Return types of events grouped by those of `sources` that have them. Chosen types of no source are last."""
    types = [connector_type for key, connector_type in connectors.TYPES.items() if key in sources]
    labels = [connector_type.label for connector_type in types]
    names = [{event_type.name for event_type in connector_type.event_types} for connector_type in types]
    groups: dict[tuple[int, ...], list[Choice]] = {}
    for choice in choices:
        having = tuple(index for index, of_source in enumerate(names) if choice.value in of_source)
        groups.setdefault(having or (len(names),), []).append(choice)
    headings = [*labels, "Other"]
    return [Group(" and ".join(headings[index] for index in having), groups[having]) for having in sorted(groups)]
