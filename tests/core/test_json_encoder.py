"""The encoder that is made once writes what ``json.dumps`` writes."""

from __future__ import annotations

import json
from json import encoder

import pytest

from painchain.core.json_encoder import json_encoder

VALUE = {"b": [1, 1.5, True, None, 'Größe\n"quoted" \x7f 😀'], "a": {"z": {}, "": []}, "text": ""}


@pytest.mark.parametrize("has_c", [True, False])
def test_values_are_written_as_by_the_standard_library(monkeypatch: pytest.MonkeyPatch, has_c: bool) -> None:
    if not has_c:
        monkeypatch.setattr(encoder, "c_make_encoder", None)
    for in_ascii in (True, False):
        for sort_keys in (True, False):
            write = json_encoder(ascii=in_ascii, sort_keys=sort_keys, allow_nan=False)
            for value in (VALUE, [VALUE, []], "Größe", 1.0, None):
                expected = json.dumps(value, ensure_ascii=in_ascii, sort_keys=sort_keys, separators=(",", ":"))
                assert write(value) == expected
            with pytest.raises(ValueError, match="JSON compliant"):
                write({"a": float("nan")})
            with pytest.raises(TypeError):
                write([object()])
