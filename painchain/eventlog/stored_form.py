"""Compute the canonical form of a stored event: with orjson, or exactly, which takes three times as long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from orjson import OPT_SORT_KEYS, dumps, loads

from painchain.core.json_encoder import in_ascii
from painchain.eventlog.chain import FIELDS, VERSION, canonical_form

JSON_FIELDS = ("description", "metadata", "tags")
COLUMNS = (*FIELDS, "id", "mac")  # of the rows that are verified
_IS_JSON = [name in JSON_FIELDS for name in FIELDS]
_shared_value = lru_cache(256)(loads)  # for tags: events of a connector all have the same


def exact_form(row: Sequence[Any]) -> bytes:
    """Return the canonical form of a row that begins with the values of ``FIELDS``, those of ``JSON_FIELDS`` as texts.

    :raises ValueError: when a value is not of the type that PainChain stores; also TypeError and RecursionError.
    """
    values = zip(row, _IS_JSON, strict=False)
    return canonical_form([json.loads(value) if is_json else value for value, is_json in values])


def quick_form(row: Sequence[Any]) -> bytes:
    """Return the canonical form of a row of ``FIELDS``, its number and its hash, or else bytes that no event hashes to.

    Those differ from every canonical form: they contain a number such as 0.00001 in another notation, or a value that
    PainChain does not store. So if they have the right hash, they are the canonical form.

    :raises ValueError: when the form is not known; also TypeError.
    """
    event_id, source, event_type, number, name, kind, title, description, metadata, author, *rest = row
    status, url, tags, request, timestamp, recorded_at, _, _ = rest
    facts = (loads(description), loads(metadata), author, status, url, _shared_value(tags))
    values = (VERSION, event_id, source, event_type, number, name, kind, title, *facts, request, timestamp, recorded_at)
    form = dumps(values, None, OPT_SORT_KEYS)
    # orjson reads an integer of more than 64 bits as a floating-point number, whose canonical form has an exponent.
    # It writes an infinite number as null.
    if b"e+" in form or float in (type(number), type(name), type(kind), type(status), type(url)):
        raise ValueError
    return form if form.isascii() else in_ascii(form)
