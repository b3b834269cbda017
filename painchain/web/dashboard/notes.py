"""Add a note to an event."""

from __future__ import annotations

from flask import Blueprint, abort, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration.errors import InvalidValues
from painchain.core.redaction import scrub
from painchain.history import notes
from painchain.history.notes import NoteNeedsAuditing
from painchain.timeline import queries
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.dashboard import views
from painchain.web.dashboard.views import NoteForm

blueprint = Blueprint("notes", __name__)


@blueprint.post("/events/<int:number>/notes")
def add(number: int) -> ResponseReturnValue:
    """Add a note to an event."""
    form = NoteForm()
    try:
        with audited_transaction() as trail:
            event = queries.event_by_id(number) if number < 2**63 else None
            if event is None:
                abort(404, "No event with this number.")
            notes.add(event, form.text.data or "", trail)
    except InvalidValues as invalid:
        form.text.errors = list(invalid.errors.values())
        form.text.data = scrub(form.text.data or "")
        return views.event_page(number, form, 422)
    except NoteNeedsAuditing as refusal:
        return responses.error(409, "Not saved", str(refusal))
    return responses.go_to(url_for("dashboard.event", number=number, _anchor="notes"), Toast("Added the note."))
