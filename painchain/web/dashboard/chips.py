"""The chosen filters of a view as chips: each says what it selects, and its address removes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from painchain import connectors
from painchain.configuration import connector_store
from painchain.indexes import search_query
from painchain.timeline.filter import NAMES
from painchain.web.dashboard.filter_view import LISTS, PARAMETERS, View

# Ranges and switches are shown by their own controls.
WITHOUT_CHIP = ("q", "range", "start_date", "end_date", "access", "t0", "compare")


@dataclass(frozen=True)
class Chip:
    """One chosen value or search term. Search terms have no label."""

    label: str
    value: str
    address: str


def chips(view: View) -> list[Chip]:
    """Return a chip for each value and each search term that narrows a view."""
    return [*_values(view), *_terms(view)]


def _values(view: View) -> Iterator[Chip]:
    for name in PARAMETERS:
        if name in WITHOUT_CHIP:
            continue
        values = list(view.parameters.get(name, ()))
        if name not in NAMES:
            values = [part for value in values for part in value.split(",") if part]
        labels = _labels(name, values)
        for value in dict.fromkeys(values):
            others = [other for other in values if other != value]
            address = view.address("/", **{name: others})
            yield Chip(LISTS.get(name, name.capitalize()), labels.get(value, value), address)


def _terms(view: View) -> Iterator[Chip]:
    terms = search_query.raw_terms(view.value("q"))
    for index, term in enumerate(terms):
        yield Chip("", term, view.address("/", q=" ".join(terms[:index] + terms[index + 1 :])))


def _labels(name: str, values: Sequence[str]) -> dict[str, str]:
    """Return the names of values that are numbers or keys."""
    if name == "source":
        return {key: connector_type.label for key, connector_type in connectors.TYPES.items()}
    if name == "event_type":
        return dict(search_query.event_types())
    if name == "connector":
        ids = [int(value) for value in values if value.isascii() and value.isdigit() and len(value) < 18]
        return {str(connector.id): connector.name for connector in connector_store.get_many(ids)} if ids else {}
    return {}
