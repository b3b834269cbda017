"""Limit how much of a request is read: refuse long addresses, and more fields than any form has."""

from __future__ import annotations

from flask import abort, request

MOST_PATH_BYTES = 4_096
MOST_QUERY_BYTES = 16_384
MOST_FIELDS = 1_000
FORM = "application/x-www-form-urlencoded"


def guard() -> None:
    """Refuse a request larger than any page sends, before it is parsed."""
    query = request.query_string
    if len(request.path) > MOST_PATH_BYTES or len(query) > MOST_QUERY_BYTES or query.count(b"&") >= MOST_FIELDS:
        abort(414)
    # A webhook has its own limit, and one field at most.
    is_form = request.mimetype == FORM and request.endpoint != "hooks.deliver"
    if is_form and request.get_data(parse_form_data=False).count(b"&") >= MOST_FIELDS:
        abort(413)
