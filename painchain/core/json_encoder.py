"""Write many values as JSON: the encoder of the standard library, made once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from json import encoder
from typing import Any


def json_encoder(*, ascii: bool = True, sort_keys: bool = False, allow_nan: bool = True) -> Callable[[Any], str]:
    """Return a function that writes a value as JSON without spaces. The values must not be circular.

    It writes what ``JSONEncoder.encode`` writes. That makes a new encoder in C for each value, which takes a fifth of
    the time of a short one.
    """
    plain = json.JSONEncoder(
        ensure_ascii=ascii, check_circular=False, allow_nan=allow_nan, sort_keys=sort_keys, separators=(",", ":")
    )
    quoted = encoder.encode_basestring_ascii if ascii else encoder.encode_basestring
    try:
        # Python does not document it, so it can be missing or take other arguments.
        make: Any = encoder.c_make_encoder  # type: ignore[attr-defined]
        encode = make(None, plain.default, quoted, None, ":", ",", sort_keys, False, allow_nan)
    except (AttributeError, TypeError):
        return plain.encode
    return partial(_written, encode)  # no closure, because psycopg keeps one of those for ever


def _written(encode: Callable[[Any, int], Iterable[str]], value: Any) -> str:
    return "".join(encode(value, 0))
