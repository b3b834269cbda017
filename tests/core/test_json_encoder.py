"""The encoder that is made once writes what ``json.dumps`` writes."""

from __future__ import annotations

import json
from json import encoder

import hypothesis
import pytest
from hypothesis import strategies as st

from painchain.core.json_encoder import in_ascii, json_encoder
from tests.support.thorough import examples

VALUE = {"b": [1, 1.5, True, None, 'Größe\n"quoted" \x7f 😀'], "a": {"z": {}, "": []}, "text": ""}


@pytest.mark.parametrize("has_c", [True, False])
def test_values_are_written_as_by_the_standard_library(monkeypatch: pytest.MonkeyPatch, has_c: bool) -> None:
    if not has_c:
        monkeypatch.setattr(encoder, "c_make_encoder", None)
    for is_ascii in (True, False):
        for sort_keys in (True, False):
            write = json_encoder(ascii=is_ascii, sort_keys=sort_keys, allow_nan=False)
            for value in (VALUE, [VALUE, []], "Größe", 1.0, None):
                expected = json.dumps(value, ensure_ascii=is_ascii, sort_keys=sort_keys, separators=(",", ":"))
                assert write(value) == expected
            with pytest.raises(ValueError, match="JSON compliant"):
                write({"a": float("nan")})
            with pytest.raises(TypeError):
                write([object()])


@hypothesis.settings(deadline=None, max_examples=examples(200))
@hypothesis.given(
    st.lists(st.sampled_from('a"\\\x7f\x80é÷ÿĀ→…\uffff😀\U0010ffff') | st.characters(codec="utf-8")).map("".join)
)
@hypothesis.example("from 1 → 2 …")
@hypothesis.example("ÿ → \U00010000")
def test_json_is_escaped_as_by_the_standard_library(text: str) -> None:
    lines = [json.dumps(value, ensure_ascii=False) for value in ({text: text}, "→", "é", text[1:])]
    escaped = [json.dumps(value) for value in ({text: text}, "→", "é", text[1:])]
    assert in_ascii(lines[0].encode()).decode("ascii") == escaped[0]
    assert in_ascii("\n".join(lines).encode()).decode("ascii") == "\n".join(escaped)
