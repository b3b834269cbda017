"""Compute the canonical form of a stored event: with orjson, or exactly, which takes three times as long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from orjson import OPT_SORT_KEYS, dumps, loads

from painchain.core.json_encoder import in_ascii
from painchain.eventlog.chain import FIELDS, VERSION, canonical_form

JSON_FIELDS = ("description", "metadata", "tags")
COLUMNS = (*FIELDS, "id", "mac")  # of the rows that are verified
_IS_JSON = [name in JSON_FIELDS for name in FIELDS]
_DESCRIPTION, _METADATA, _TAGS = (1 + FIELDS.index(name) for name in JSON_FIELDS)  # after the version
_OPTIONAL = ("connector_id", "connector_name", "connector_type", "status", "url")
_optional = itemgetter(*(1 + FIELDS.index(name) for name in _OPTIONAL))
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
    values = [VERSION, *row[:-2]]
    values[_DESCRIPTION] = loads(values[_DESCRIPTION])
    values[_METADATA] = loads(values[_METADATA])
    values[_TAGS] = _shared_value(values[_TAGS])
    form = dumps(values, None, OPT_SORT_KEYS)
    # orjson reads an integer of more than 64 bits as a floating-point number, whose canonical form has an exponent.
    # It writes an infinite number as null. Most forms contain no "+", which is found out in a third of the time.
    if (b"+" in form and b"e+" in form) or float in map(type, _optional(values)):
        raise ValueError
    return form if form.isascii() else in_ascii(form)
