"""A person's page: their changes and sessions, read from the log, so that it also works for removed accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.accounts import activity, users
from painchain.accounts import sessions as login_sessions
from painchain.database.models import Person
from painchain.presentation import event_groups, event_view
from painchain.timeline import visibility
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import BadFilter
from painchain.timeline.queries import Event
from painchain.web.common import auth, responses

blueprint = Blueprint("person", __name__)


@blueprint.get("/people/<path:name>", merge_slashes=False)
def page(name: str) -> ResponseReturnValue:
    """Show a person's changes and sessions; return only the next part of the feed to htmx."""
    if "\0" in name:
        abort(404, "No account or author with this name.")
    try:
        before = Cursor.parse(request.args["cursor"]) if "cursor" in request.args else None
    except BadFilter as problem:
        return responses.error(422, "Invalid URL", str(problem))
    changes = activity.changes_by(name, before)
    older = url_for(".page", name=name, cursor=str(changes.older)) if changes.older else ""
    days = list(event_groups.by_day(changes.events, visibility.all_hidden(), responses.zone()))
    values: dict[str, Any] = {"days": days, "older": older, "older_fragment": older}
    if responses.is_htmx() and (changes.events or before):
        return responses.fragment("dashboard/more", **values)
    values |= _account_values(name)
    if not (values["person"] or values["history"] or values["sessions"] or changes.events or before):
        abort(404, "No account or author with this name.")
    return responses.page("pages/account/person.html", name=name, first=before is None, **values)


def _account_values(name: str) -> dict[str, Any]:
    """Return the recorded data about the account with that name, without hidden fields."""
    person = users.find_by_name(name)
    person = person if person and person.name == name else None
    history = activity.account_events(name)
    hidden = visibility.all_hidden().of(connectors.BUILTIN.key, None)
    visible = {kind: ("SignedIn", kind) not in hidden for kind in ("way", "address", "browser")}
    return {
        "person": person,
        "history": [event_view.describe(event, hidden, responses.zone()) for event in history],
        "removed": _removed(history) if person is None else None,
        "names": activity.name_changes(name, history) if ("PersonChanged", "changes") not in hidden else (),
        "sessions": activity.session_periods(name, _active_session_ids(person))
        if ("SignedIn", "person") not in hidden
        else (),
        "shown": visible,
    }


def _active_session_ids(person: Person | None) -> set[str]:
    sign_ins = login_sessions.list_active(person.id, auth.limits(), g.now) if person else ()
    return {login_sessions.short_id(session.id) for session in sign_ins}


def _removed(history: Sequence[Event]) -> Event | None:
    newest = history[0] if history else None
    return newest if newest and newest.event_type == "PersonRemoved" else None
