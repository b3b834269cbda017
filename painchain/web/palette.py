"""The palette: find a page, a connector or a saved view by a few letters, and go there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from painchain import connectors
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.timeline import saved_views
from painchain.timeline.filter import MAX_TEXT
from painchain.timeline.saved_views import ViewLink
from painchain.web.common import responses
from painchain.web.common.permissions import required_role
from painchain.web.dashboard.filter_view import PLAIN_TIMELINE
from painchain.web.help import documents

blueprint = Blueprint("palette", __name__)

MAX_TARGETS = 8  # of each group
# The pages: label, endpoint, and other words that find it.
PAGES = (
    ("Timeline", "dashboard.index", "events changes dashboard home"),
    ("Connectors", "settings.integrations", "settings integrations sources"),
    ("Add a connector", "settings.choose", " ".join(("new source", *connectors.ADDABLE))),
    ("Audit log", "audit_log.index", "settings integrity checkpoints verify"),
    ("Report", "report.index", "month changes csv"),
    ("Point in time", "past.index", "as of configuration history compare"),
    ("Export", "exports.choose", "download csv ndjson ocsf"),
    ("Views", "saved_views.index", "settings saved filters start page"),
    ("Teams", "teams.index", "settings tags"),
    ("Accounts", "people.index", "settings people users roles"),
    ("API tokens", "tokens.index", "settings scripts"),
    ("Retention", "retention.index", "settings prune delete old events"),
    ("Notifications", "notify.index", "settings rules alerts apprise"),
    ("Your account", "account.index", "password sessions sign out"),
    ("Help", "help.index", "documentation guide"),
)


@dataclass(frozen=True)
class Target:
    """One place to go: its label, its address, a hint beside it, and further words that find it."""

    label: str
    address: str
    hint: str = ""
    keywords: str = ""

    def matches(self, words: Sequence[str]) -> bool:
        """Return whether the target contains each of these words."""
        text = f"{self.label} {self.hint} {self.keywords}".casefold()
        return all(word in text for word in words)


@blueprint.get("/palette")
def show() -> ResponseReturnValue:
    """Show the places that match a text: as a page, or only the list to htmx."""
    text = request.args.get("q", "").replace("\0", "").strip()[:MAX_TEXT]
    values: dict[str, Any] = {"groups": find(text), "typed": text}
    if responses.is_htmx():
        return responses.fragment("shared/palette_targets", **values)
    return responses.page("pages/dashboard/palette.html", **values)


def find(text: str) -> dict[str, list[Target]]:
    """Return the best targets for a text by group. Without a text these are views, pages and connectors."""
    words = text.casefold().split()
    views = saved_views.visible(g.who.person_id)
    pages = [*_pages(has_start_page=any(link.is_start for link in views))]
    candidates = {"Views": _targets_of(views), "Pages": pages, "Connectors": [*_connectors()]}
    if words:
        candidates["Help"] = [*_help()]
    groups = {heading: _best(targets, words) for heading, targets in candidates.items()}
    if text:
        search = Target(f"Search the timeline for “{text}”", f"/?{urlencode({'q': text})}")
        groups["Search"] = [search]
    return {heading: targets for heading, targets in groups.items() if targets}


def _best(targets: Iterable[Target], words: Sequence[str]) -> list[Target]:
    """Return the targets that match, those whose label begins with the first word first."""
    matching = [target for target in targets if target.matches(words)]
    if not words:
        return matching[: 2 * MAX_TARGETS]
    return sorted(matching, key=lambda target: _rank(target.label.casefold(), words[0]))[:MAX_TARGETS]


def _rank(label: str, word: str) -> int:
    """Return how well a label matches a word; the lowest is the best."""
    if label.startswith(word):
        return 0
    return 1 if f" {word}" in label else 2 if word in label else 3


def _targets_of(views: Iterable[ViewLink]) -> list[Target]:
    return [Target(link.name, link.address, "start page" if link.is_start else "view", link.filter) for link in views]


def _pages(has_start_page: bool) -> Iterator[Target]:
    if has_start_page:
        yield Target("Plain timeline", PLAIN_TIMELINE, keywords="all events without a filter")
    for label, endpoint, keywords in PAGES:
        is_possible = g.who.person_id is not None or endpoint != "account.index"
        if is_possible and g.who.may(required_role(endpoint, "GET")):
            yield Target(label, url_for(endpoint), keywords=keywords)


def _connectors() -> Iterator[Target]:
    query = select(Connector.id, Connector.name, Connector.type, Connector.enabled)
    for number, name, key, is_enabled in db.session.execute(query.order_by(func.lower(Connector.name), Connector.id)):
        label = connectors.TYPES[key].label if key in connectors.TYPES else key
        address = url_for("settings.connector", connector_id=number)
        yield Target(name, address, label if is_enabled else f"{label}, disabled", "connector")


def _help() -> Iterator[Target]:
    for group in documents.contents():
        for name, title in group.documents:
            yield Target(title, url_for("help.page", document=name), f"help, {group.heading}".lower())
