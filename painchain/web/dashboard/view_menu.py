"""The menu of saved views: which view is shown, and the addresses that save or replace one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from painchain.configuration import saved_views
from painchain.core.redaction import scrub
from painchain.timeline.saved_views import ViewLink
from painchain.web.dashboard.filter_view import PARAMETERS, PLAIN_TIMELINE, View, offered_values

SAVE = "/settings/views/new"


@dataclass(frozen=True)
class ViewMenu:
    """The saved views, and the one that is shown (`current`). `save_address` leads to the form that saves this view."""

    links: Sequence[ViewLink]
    current: ViewLink | None
    save_address: str
    plain_address: str = PLAIN_TIMELINE

    @property
    def start(self) -> ViewLink | None:
        """The view that is the start page."""
        return next((link for link in self.links if link.is_start), None)


def menu(view: View) -> ViewMenu:
    """Return the menu for the view that is shown."""
    links = offered_values().views
    query = query_string(view)
    current = next((link for link in links if link.filter == query), None)
    return ViewMenu(links, current, f"{SAVE}?{query}")


def start_view() -> View | None:
    """Return the start page of the person who asks; None if it is the plain timeline."""
    link = next((link for link in offered_values().views if link.is_start), None)
    if link is None:
        return None
    parameters = parse_qs(link.filter)
    return View({name: parameters[name] for name in PARAMETERS if name in parameters})


def query_string(view: View) -> str:
    """Return the filter of a view as it is saved, with its credentials masked."""
    parameters = {name: [scrub(value) for value in values] for name, values in view.parameters.items()}
    return saved_views.query_string(parameters, PARAMETERS)
