"""Limit how much of a request is read: refuse long addresses, and more fields than any form has."""

from __future__ import annotations

from flask import abort, request

MAX_PATH_BYTES = 4_096
MAX_QUERY_BYTES = 16_384
MAX_FIELDS = 1_000
FORM = "application/x-www-form-urlencoded"


def guard() -> None:
    """Refuse a request larger than any page sends, before it is parsed."""
    query = request.query_string
    if len(request.path) > MAX_PATH_BYTES or len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_FIELDS:
        abort(414)
    # A webhook has its own limit, and one field at most.
    is_form = request.mimetype == FORM and request.endpoint != "hooks.deliver"
    if is_form and request.get_data(parse_form_data=False).count(b"&") >= MAX_FIELDS:
        abort(413)
