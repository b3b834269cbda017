"""Try a mapping with the values in the form, on the last deliveries and a pasted payload; nothing is saved."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from textwrap import shorten
from typing import Any

from flask import Blueprint, abort, g, request
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.configuration.stored_connector import StoredConnector
from painchain.connectors.base import ConnectorType
from painchain.connectors.contract import SourceEvent
from painchain.core.redaction import scrub
from painchain.ingestion import kept_deliveries, mapping_trials
from painchain.ingestion.mapping_trials import Sample, Trial
from painchain.presentation.facts import fact, format_fact
from painchain.web.common import responses
from painchain.web.settings import connector_form
from painchain.web.settings import connectors as settings_connectors

blueprint = Blueprint("trials", __name__, url_prefix="/settings/integrations")

PAYLOAD, HEADERS = "payload", "headers"
UNKNOWN = "unknown"
MAX_SHOWN = 600  # characters of a value


@blueprint.post("/new/<key>/try")
def try_new(key: str) -> ResponseReturnValue:
    """Try the mapping of a connector that is being added on a pasted payload."""
    if key not in connectors.ADDABLE:
        abort(404, "Unknown connector type.")
    connector_type = connectors.ADDABLE[key]
    return _answer(connector_type, None)


@blueprint.post("/<int:connector_id>/try")
def try_stored(connector_id: int) -> ResponseReturnValue:
    """Try the mapping of a connector, with what was typed over the stored values."""
    stored = settings_connectors.stored_or_404(connector_id)
    return _answer(type_of(stored.connector), stored)


def _answer(connector_type: ConnectorType, stored: StoredConnector | None) -> ResponseReturnValue:
    """Return the result alone for htmx, or the page with the form as it was typed and the result beneath it."""
    form = connector_form.sent_form(connector_type, stored)
    values: dict[str, Any] = {"type": connector_type, "form": form, "connector": stored.connector if stored else None}
    values["rows_of"] = partial(_rows, connector_type)
    status = 200
    try:
        values["trials"] = _trials(connector_type, stored)
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors)
        status, values["trial_errors"] = 422, invalid.errors
    except ChangeRefused as refusal:
        return responses.error(409, "Not tried", str(refusal))
    if responses.is_htmx():
        parts = [responses.fragment(f"settings/{name}", **values) for name in ("trial", "fallbacks")]
        return responses.join(*parts), status
    values |= {"payload": scrub(request.form.get(PAYLOAD, "")), "headers": scrub(request.form.get(HEADERS, ""))}
    if stored is None:
        return responses.page("pages/settings/new.html", status, **values)
    shown = connector_form.visibility_submitted(connector_type)
    return settings_connectors.shown_page(stored, status, **values, **({"shown": shown} if shown else {}))


def _trials(connector_type: ConnectorType, stored: StoredConnector | None) -> list[Trial]:
    samples = _pasted()
    if stored is None:
        return mapping_trials.for_new(connector_type, connector_form.submitted(connector_type), samples, g.now)
    connector = stored.connector
    kept = [mapping_trials.of_kept(each) for each in kept_deliveries.of(connector.id, g.now)]
    submitted = connector_form.submitted(connector_type, connector)
    return mapping_trials.for_connector(connector, submitted, [*samples, *kept], g.now)


def _rows(connector_type: ConnectorType, event: SourceEvent) -> list[tuple[str, str]]:
    """Return what an event would have, as labels and texts. The event is not recorded, so it has no page."""
    event_type = connectors.event_type(connector_type.key, event.event_type)
    described = event_type.fields if event_type else ()
    label = event_type.label if event_type and event_type is not connector_type.any_type else event.event_type
    facts = [
        (field.label, format_fact(fact(field.shape, event.facts[field.key], connector_type.key)))
        for field in described
        if field.key in event.facts
    ]
    author = "" if event.author == UNKNOWN else event.author
    more = (("Author", author), ("Description", event.text), ("Link", event.url or ""), ("Tags", ", ".join(event.tags)))
    shown = [("Title", event.title), ("Type", label), *facts, *more]
    return [(name, shorten(text, MAX_SHOWN, placeholder=" …")) for name, text in shown if text]


def _pasted() -> Sequence[Sample]:
    """Return the payload that was pasted, if there is one, with the headers: one a line, as ``Name: value``."""
    payload = request.form.get(PAYLOAD, "")
    if not payload.strip():
        return []
    lines = (line.partition(":") for line in request.form.get(HEADERS, "").splitlines())
    return [mapping_trials.pasted(payload, {name: value for name, colon, value in lines if colon})]
