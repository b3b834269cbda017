"""Times, values and differences are formatted for people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from painchain.connectors.base import Kind
from painchain.presentation import formatting

KOLKATA = ZoneInfo("Asia/Kolkata")
UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 3, 10, 12, 0, 0, 250, tzinfo=UTC)


def read(markup: Markup) -> str:
    """Return the visible text."""
    return BeautifulSoup(f"<p>{markup}</p>", "html.parser").get_text()


# Times


def test_time_is_local_with_exact_utc_on_hover():
    element = BeautifulSoup(formatting.moment(NOW, KOLKATA), "html.parser").time
    assert element.get_text() == "10 Mar 2026, 17:30:00"
    assert element["title"] == "2026-03-10 12:00:00.000250 UTC"
    assert datetime.fromisoformat(element["datetime"]) == NOW


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=1), "16:30 today"),
        (timedelta(hours=17), "00:30 today"),
        (timedelta(hours=18), "9 Mar 2026, 23:30"),
        (timedelta(seconds=-5), "17:30 today"),
    ],
)
def test_ago_is_relative_within_the_hour_and_local_before(before, text):
    assert read(formatting.ago(NOW - before, NOW, KOLKATA)) == text


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (timedelta(), "now"),
        (timedelta(minutes=3), "in 3 min"),
        (timedelta(hours=1), "18:30"),
        (timedelta(hours=7), "11 Mar, 00:30"),
        (timedelta(days=300), "4 Jan 2027, 17:30"),
    ],
)
def test_a_time_ahead_names_the_date_and_the_year_if_they_differ(after, text):
    assert read(formatting.ahead(NOW + after, NOW, KOLKATA)) == text


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (date(2026, 3, 11), "Wednesday, 11 March 2026"),
        (date(2026, 3, 10), "Today, 10 March"),
        (date(2026, 3, 9), "Yesterday, 9 March"),
        (date(2026, 3, 8), "Sunday, 8 March 2026"),
    ],
)
def test_day_name_is_relative_to_the_viewer(day, text):
    assert formatting.day_name(day, NOW, UTC_ZONE) == text


def test_today_starts_at_the_viewers_midnight():
    late = NOW.replace(hour=23)
    assert formatting.day_name(date(2026, 3, 11), late, KOLKATA) == "Today, 11 March"
    assert formatting.day_name(date(2026, 3, 10), late, UTC_ZONE) == "Today, 10 March"


# Texts


@pytest.mark.parametrize(
    "character", ["\u202e", "\u200b", "\u2066", "\ufeff", "\x00", "\x1b", "\x7f", "\u2028", "\ud800"]
)
def test_invisible_character_is_escaped(character):
    printed = formatting.printable(f"a{character}b")
    assert printed == f"a{ascii(character)[1:-1]}b"
    assert printed.isprintable()


def test_letters_of_every_script_are_unchanged():
    assert formatting.printable("Größe 日本語 עברית 🚀") == "Größe 日本語 עברית 🚀"


@given(st.text())
def test_different_texts_differ_when_escaped(text):
    assert formatting.printable(formatting.printable(text)) == formatting.printable(text)
    assert (
        text.isprintable() == (formatting.printable(text) == text) or "\n" in text or "\t" in text or not text.isascii()
    )


# Values


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_empty_value_shows_the_word_empty(value):
    assert formatting.format_html(value) == '<span class="empty">empty</span>'


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0, "", "0"),
        (300, "number", "300"),
        (False, "", "off"),
        (True, "", "on"),
        (False, "visible", "hidden"),
        (True, "visible", "shown"),
        ("text", "", "text"),
        (["a", 1, None], "list", "a, 1, empty"),
        ({"a": [1, "ü"]}, "json", '{"a": [1, "ü"]}'),
        (1.5, "", "1.5"),
    ],
)
def test_value_is_formatted_as_text(value, kind, text):
    assert read(formatting.format_html(value, kind)) == text


@pytest.mark.parametrize("value", ["<b>", ["<b>"], {"<b>": "<b>"}, "'\"&"])
def test_value_is_escaped(value):
    assert not BeautifulSoup(f"<p>{formatting.format_html(value)}</p>", "html.parser").p.find_all()


def test_long_value_is_cut_with_length_and_fingerprint():
    first, second = formatting.format_html("a" * 5000 + "b"), formatting.format_html("a" * 5000 + "c")
    assert first.startswith("a" * 120 + "… (5,001 characters, sha256 ")
    assert first != second
    assert len(first) < 200
    assert len(formatting.format_html({"key": "a" * 5000})) < 200


def test_long_list_is_cut():
    numbers = formatting.format_html(list(range(5000)))
    assert len(numbers) < 1000
    assert numbers != formatting.format_html([*range(4999), 7])


def test_pretty_json_has_several_lines():
    assert formatting.pretty({"a": ["ü"]}) == '{\n  "a": [\n    "ü"\n  ]\n}'


# Old and new


def test_difference_of_two_texts_is_marked():
    old, new = formatting.mark_difference("https://git.example/api/v3", "https://git.example/api/v4")
    assert old == "https://git.example/api/v<mark>3</mark>"
    assert new == "https://git.example/api/v<mark>4</mark>"


@pytest.mark.parametrize(
    ("old", "new"), [("abc", "xyz"), (300, 600), (None, "a"), ("a" * 200, "a" * 201), (True, "on")]
)
def test_dissimilar_values_are_not_marked(old, new):
    assert formatting.mark_difference(old, new) == (formatting.format_html(old), formatting.format_html(new))


@pytest.mark.parametrize(
    ("old", "new", "formatted"),
    [
        (300, "300", ("300", "“300”")),
        ("1.5", None, ("“1.5”", "empty")),
        ([1], "-2", ("1", "“-2”")),
        ("300", "600", ("300", "600")),
        (300, 600, ("300", "600")),
        (None, "v1.5", ("empty", "v1.5")),
    ],
)
def test_numeric_text_is_quoted_beside_a_number(old, new, formatted):
    assert tuple(read(side) for side in formatting.mark_difference(old, new)) == formatted


def test_secret_actions_are_not_marked():
    assert formatting.mark_difference("set", "sets", Kind.SECRET) == ("set", "sets")


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
def test_marking_keeps_and_escapes_the_text(old, new):
    for value, side in zip((old, new), formatting.mark_difference(old, new), strict=True):
        # In an element, because Beautiful Soup warns about plain text that looks like a file name.
        page = BeautifulSoup(f"<p>{side.replace(chr(13), '&#13;')}</p>", "html.parser").p
        assert {element.name for element in page.find_all()} <= {"mark"}
        # The parser reduces a text of only white space to one blank.
        assert page.get_text().split() == formatting.printable(value).split()


# Static files


def test_static_file_address_changes_with_its_content(tmp_path):
    app = Flask(__name__, static_folder=str(tmp_path), static_url_path="/static")
    (tmp_path / "one.css").write_text("a {}")
    before = formatting.static(app, "one.css")
    assert before.startswith("/static/one.css?v=")
    assert formatting.static(app, "one.css") == before
    (tmp_path / "one.css").write_text("b {}")
    assert formatting.static(app, "one.css") != before
