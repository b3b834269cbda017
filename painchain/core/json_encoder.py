"""Write many values as JSON: the encoder of the standard library, made once."""

from __future__ import annotations

import codecs
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


def in_ascii(text: bytes) -> bytes:
    """Return lines of JSON with each character escaped that is no printable one of ASCII, as the standard library does.

    Python's codec escapes most characters in the same way, in a fraction of the time.
    """
    if b"\x7f" in text:
        text = text.replace(b"\x7f", b"\\u007f")
    if text.isascii():
        return text
    for stored, escaped in _FREQUENT:
        text = text.replace(stored, escaped)
    if text.isascii():
        return text
    if not any(map(text.__contains__, _OTHER_LENGTHS)):
        return text.decode().encode("ascii", "backslashreplace")
    if b"\n" in text:
        return b"\n".join(map(in_ascii, text.split(b"\n")))
    return text.decode().encode("ascii", _NOT_ASCII)


# Characters of PainChain's own sentences. Most lines have no others, and need not be decoded.
_FREQUENT = tuple((sign.encode(), encoder.encode_basestring_ascii(sign)[1:-1].encode()) for sign in "“”→")
# The first bytes of the characters in UTF-8 that Python, unlike JSON, escapes with two or eight digits.
_OTHER_LENGTHS = tuple(bytes([byte]) for byte in (0xC2, 0xC3, *range(0xF0, 0xF5)))
_NOT_ASCII = "painchain.json"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return the characters that are not ASCII as JSON escapes them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return encoder.encode_basestring_ascii(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_NOT_ASCII, _escape)
