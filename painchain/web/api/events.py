"""The JSON API of events: log, list, read and count them."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlencode

from flask import abort, g, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.audit import external_events
from painchain.audit.external_events import LogBody
from painchain.core.validation import read
from painchain.exports import event_lines
from painchain.exports.export import event_json
from painchain.history import notes
from painchain.timeline import coverage, queries, silent_connectors
from painchain.timeline import histogram as event_counts
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import BadFilter, Filter, parse_filter
from painchain.timeline.queries import Event
from painchain.web.api.common import api_blueprint
from painchain.web.api.resources.base import Answer, Resource, answer, answer_list
from painchain.web.api.resources.events import EventNote, Lapse, Logged, Silence, Stats, Timeline, TimelineBin
from painchain.web.api.schemas import NewNote
from painchain.web.common.response_cache import newest_body
from painchain.web.common.responses import UTC_ZONE, json_error
from painchain.web.common.transaction import append_audited, audited_transaction

blueprint = api_blueprint("events_api")

DEFAULT_LIMIT, MAX_LIMIT = 100, 500


LOG_PATH, LOG_ENDPOINT = "/api/painchain/log", "events_api.log"


@blueprint.post(LOG_PATH)
def log() -> ResponseReturnValue:
    """Record an event that a script reports. `LogMiddleware` answers simple requests instead."""
    logged = record(request.get_data())
    if logged is None:
        return json_error(409, "Auditing is off: nothing was recorded. Enable the PainChain connector in Settings.")
    return answer(*logged)


def record(raw: bytes) -> Answer | None:
    """Record the event in a body, and return the response; None while auditing is off.

    :raises painchain.core.validation.BadBody: when it is invalid.
    """
    body = read(LogBody, raw)
    event_id = append_audited(lambda trail: external_events.record(body, trail))
    if event_id is None:
        return None
    message = f"PainChain event logged: {body.event_type}"
    return Answer(Logged(success=True, message=message, event_type=body.event_type, event_id=event_id), 201)


@blueprint.get("/api/changes")
def changes() -> ResponseReturnValue:
    """List events, newest first; the Link header names the next older page."""
    filter = _filter()
    limit = page_limit()
    before = Cursor.parse(request.args["cursor"]) if "cursor" in request.args else None

    def read_page() -> tuple[bytes, Cursor | None]:
        positions, older = queries.page_positions(filter, before, limit)
        lines = (
            event_lines.events([number for _, number in positions]) if before else event_lines.newest_events(positions)
        )
        text = lines.replace("\n", ",")
        return f"[{text}]\n".encode(), older

    # Many scripts ask for the newest events. Older pages are read once, and ranges move with the clock.
    is_newest = not (before or filter.start or filter.end or filter.gaps)
    body, older = newest_body((filter, limit), read_page) if is_newest else read_page()
    response = Response(body, mimetype="application/json")
    if older:
        parameters = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
        query = urlencode([*parameters, ("cursor", str(older))])
        response.headers["Link"] = f'<{request.base_url}?{query}>; rel="next"'
    return response


@blueprint.get("/api/changes/<path:number>")
def change(number: str) -> ResponseReturnValue:
    """Return one event, by its number or its event ID."""
    return jsonify(event_json(event_or_404(number)))


@blueprint.get("/api/changes/<path:number>/notes")
def notes_on(number: str) -> ResponseReturnValue:
    """Return the notes on an event, oldest first."""
    event = _find(number)
    if event is None and (named := _find(f"{number}/notes")):  # an event ID can end like this
        return jsonify(event_json(named))
    return answer_list(EventNote.of(note) for note in (event or event_or_404(number)).notes)


@blueprint.post("/api/changes/<path:number>/notes")
def add_note(number: str) -> ResponseReturnValue:
    """Add a note to an event, and return the note."""
    text = read(NewNote, request.get_data()).text
    with audited_transaction() as trail:
        note_id = notes.add(event_or_404(number), text, trail)
    note = event_or_404(note_id)
    return answer(EventNote(id=note.id, author=note.author, timestamp=note.timestamp, text=note.metadata["text"]), 201)


@blueprint.get("/api/timeline")
def histogram() -> ResponseReturnValue:
    """Count events by time and source, and those with a bad outcome."""
    filter = _filter()
    counts = event_counts.histogram(filter, g.now, UTC_ZONE, with_classes=True)
    gaps = coverage.gaps_between(filter, counts.start, min(counts.end, g.now))
    silences = [] if filter.end else silent_connectors.find_silent(g.now, filter)
    timeline = Timeline(
        start=counts.start,
        end=counts.end,
        bin_seconds=int(counts.width.total_seconds()),
        total=counts.total,
        failures=counts.failures,
        counted_since=counts.since,
        bins=[],
        lapses=[Lapse.of(gap) for gap in gaps],
        silences=[Silence.of(silence) for silence in silences],
    )
    bins = [_bin_json(bin.start, bin.end, tuple(bin.counts.items()), bin.failures) for bin in counts.bins]
    # In JSON, a text cannot contain this member: its quotes would be escaped.
    body = _json(timeline).replace('"bins":[]', f'"bins":[{",".join(bins)}]', 1)
    return Response(f"{body}\n", mimetype="application/json")


@lru_cache(1024)
def _bin_json(start: datetime, end: datetime, counts: tuple[tuple[str, int], ...], failures: int) -> str:
    """Return a bin as JSON. After a write, one or two of 60 bins have other numbers than before."""
    by_source = dict(counts)
    return _json(TimelineBin(start=start, end=end, total=sum(by_source.values()), failures=failures, counts=by_source))


def _json(resource: Resource) -> str:
    return json.dumps(resource.model_dump(), separators=(",", ":"))


@blueprint.get("/api/stats")
def stats() -> ResponseReturnValue:
    """Count events by source, event type, connector, author and status."""
    counts = event_counts.statistics(_filter(), ("source", "event_type", "connector_name", "author", "status"))
    by_column = {f"by_{column}": values for column, values in counts.by.items()}
    return answer(Stats(total=counts.total, counted_since=counts.since, **by_column))


def event_or_404(number: str) -> Event:
    """Return the event with this number or event ID."""
    event = _find(number)
    if event is None:
        abort(404, "No event with this ID.")
    return event


def _find(number: str) -> Event | None:
    is_number = number.isascii() and number.isdigit() and len(number) < 19
    return queries.event_by_id(int(number)) if is_number else queries.event_by_event_id(number)


def _filter() -> Filter:
    return parse_filter(dict(request.args.lists()), g.now, UTC_ZONE)


def page_limit(default: int = DEFAULT_LIMIT) -> int:
    """Return the number of events that the request asks for.

    :raises BadFilter: when it is none, or too large.
    """
    text = request.args.get("limit", str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= MAX_LIMIT:
        raise BadFilter("limit", f"limit must be an integer between 1 and {MAX_LIMIT}.")
    return int(text)
