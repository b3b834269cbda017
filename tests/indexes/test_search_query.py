"""A search is parsed into its terms, or refused with a helpful message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from painchain import connectors
from painchain.indexes import search_query
from painchain.indexes import tokens as index_tokens
from painchain.indexes.search_query import BadFilter, Phrase, Term, Window
from tests.support.search_strategies import SEARCHES

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
KOLKATA = ZoneInfo("Asia/Kolkata")


def read(text: str) -> list[tuple[object, ...]]:
    """Return the name and the values of each term, with "not" before negated ones."""
    return [(*(["not"] if term.negated else []), term.name, *term.values) for term in search_query.parse(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("poll interval", [("", "poll"), ("", "interval")]),
        ('"poll interval"', [("", "poll interval")]),
        ("“poll interval”", [("", "poll interval")]),
        ('"not closed', [("", "not closed")]),
        ("-draft", [("not", "", "draft")]),
        ('-"two words"', [("not", "", "two words")]),
        ("-", [("", "-")]),
        ("source:github", [("source", "github")]),
        ("SOURCE:GitHub", [("source", "github")]),
        ("source:github,gitlab", [("source", "github", "gitlab")]),
        ("-source:painchain", [("not", "source", "painchain")]),
        ("type:ConfigChanged", [("type", "ConfigChanged")]),
        ("type:config_changed", [("type", "ConfigChanged")]),
        ('type:"Config Changed"', [("type", "ConfigChanged")]),
        ("type:deployment", [("type", "Deployment", "K8sDeployment")]),
        ('connector:"Work GitHub"', [("connector", "Work GitHub")]),
        ("-repo:acme/api,Acme/Web", [("not", "repo", "acme/api", "Acme/Web")]),
        ('repo:"group/sub/my app"', [("repo", "group/sub/my app")]),
        ('author:"Doe, J",bob', [("author", "Doe, J", "bob")]),
        ("connector:7 tag:a:b", [("connector", "7"), ("tag", "a:b")]),
        ('"tag:a"', [("", "tag:a")]),
        ("https://git.example/api", [("", "https://git.example/api")]),
        ("acme/api:latest", [("", "acme/api:latest")]),
        ("10.0.0.1:8080", [("", "10.0.0.1:8080")]),
        ("2026-01-01..2026-01-31", [("..", "2026-01-01..2026-01-31")]),
        ("-2026-01-01..", [("not", "..", "2026-01-01..")]),
        ("1..2 ..", [("", "1..2"), ("", "..")]),
        ('around:"2026-01-15 14:00"~2h', [("around", "2026-01-15 14:00~2h")]),
    ],
)
def test_search_is_parsed_into_terms(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sauce:github", "Unknown qualifier “sauce:”. Use one of source:, type:, action:, connector:, repo:"),
        ("a b:c", "put it in quotes"),
        ("source:svn", "Unknown source “svn”. Use one of painchain, github, gitlab, kubernetes, webhook, api."),
        ("type:Coffee", "Unknown event type “Coffee”. Use one of ConnectorCreated, ConnectorUpdated"),
        ("repo:api", "Unknown repository “api”. Use its full name, as in repo:acme/api."),
        ("repo:,", "repo: needs a repository or project, by its full name, as in repo:acme/api."),
        ("source:", "source: needs a connector type, as in source:github."),
        ('tag:""', "tag: needs a tag, as in tag:production."),
        ("author:,", "author: needs the name of an author"),
        ("x" * 201, "at most 200 characters"),
        ("x " * 21, "at most 20 words and qualifiers"),
    ],
)
def test_invalid_search_has_a_helpful_message(text, message):
    with pytest.raises(BadFilter) as refused:
        search_query.parse(text)
    assert refused.value.parameter == "q"
    assert message in str(refused.value)


def window(text: str, zone: ZoneInfo = UTC_ZONE) -> Window:
    """Return the only window of time in a search."""
    [parsed] = search_query.windows(search_query.parse(text), NOW, zone)
    return parsed


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("before:2026-01-15", None, utc("2026-01-15")),
        ("after:2026-01-15", utc("2026-01-16"), None),
        ('after:"2026-01-15 14:00"', utc("2026-01-15T14:00") + INSTANT, None),
        ("after:yesterday", utc("2026-03-10"), None),
        ("before:today", None, utc("2026-03-10")),
        ("2026-01-01..2026-01-31", utc("2026-01-01"), utc("2026-02-01")),
        ("2026-01-01..", utc("2026-01-01"), None),
        ("..2026-01-31", None, utc("2026-02-01")),
        (
            "2026-01-01T10:00..2026-01-01T11:00Z",
            utc("2026-01-01T10:00"),
            utc("2026-01-01T11:00") + INSTANT,
        ),
        ('around:"2026-01-15 14:00"', utc("2026-01-15T13:30"), utc("2026-01-15T14:30") + INSTANT),
        ('around:"2026-01-15 14:00"~2h', utc("2026-01-15T12:00"), utc("2026-01-15T16:00") + INSTANT),
        ("around:2026-01-15T14:00Z~90s", utc("2026-01-15T13:58:30"), utc("2026-01-15T14:01:30") + INSTANT),
        ("around:11:00", utc("2026-03-10T10:30"), utc("2026-03-10T11:30") + INSTANT),
        ("around:14:00", utc("2026-03-09T13:30"), utc("2026-03-09T14:30") + INSTANT),
        ('around:"yesterday 14:00"', utc("2026-03-09T13:30"), utc("2026-03-09T14:30") + INSTANT),
        ('before:"Yesterday 14:00"', None, utc("2026-03-09T14:00")),
        ('after:"today 9:30:15"', utc("2026-03-10T09:30:15") + INSTANT, None),
        ('around:"today 14:00"~1h', utc("2026-03-10T13:00"), utc("2026-03-10T15:00") + INSTANT),
        ("after:-30m", utc("2026-03-10T11:30") + INSTANT, None),
        ("before:-2h", None, utc("2026-03-10T10:00")),
        ("around:-1d~90s", utc("2026-03-09T11:58:30"), utc("2026-03-09T12:01:30") + INSTANT),
        ("after:-45S", utc("2026-03-10T11:59:15") + INSTANT, None),
        ("around:9:05:30~1m", utc("2026-03-10T09:04:30"), utc("2026-03-10T09:06:30") + INSTANT),
    ],
)
def test_times_are_parsed_into_windows(text, start, end):
    assert window(text) == Window(start, end)
    assert window(f"-{text}") == Window(start, end, negated=True)


def test_days_are_in_the_viewers_zone():
    assert window("2026-01-31..2026-01-31", KOLKATA) == Window(utc("2026-01-30T18:30"), utc("2026-01-31T18:30"))
    assert window("around:17:30", KOLKATA).start == utc("2026-03-10T11:30")
    berlin = window("2026-03-29..2026-03-29", ZoneInfo("Europe/Berlin"))  # this day has 23 hours
    assert berlin.end - berlin.start == timedelta(hours=23)


@pytest.mark.parametrize(
    "text",
    [
        "before:soon",
        "after:2026-02-30",
        "around:25:00",
        "around:12:00~2",
        "around:12:00~0m",
        "around:12:00~99999d",
        "before:1969-12-31",
        "after:9999-12-31",
        "after:-30",
        "before:-0.5h",
        "after:-99999d",
        'before:"tomorrow 14:00"',
        'around:"yesterday 25:00"',
        'around:"yesterday 2pm"',
        "2026-13-01..2026-13-02",
    ],
)
def test_invalid_time_is_refused(text):
    with pytest.raises(BadFilter) as refused:
        window(text)
    assert refused.value.parameter == "q"


def test_a_refused_time_lists_what_is_accepted():
    for text in ("before:soon", "after:-30", "around:noon"):
        with pytest.raises(BadFilter, match='today, yesterday, "today 09:30", "yesterday 14:00" or -30m'):
            window(text)
    with pytest.raises(BadFilter, match=r"accepts dates, as in 2026-01-01\.\.2026-01-31") as refused:
        window("2026-13-01..")
    assert "-30m" not in str(refused.value)


def test_named_days_and_clock_times_are_in_the_viewers_zone():
    assert window('before:"yesterday 14:00"', KOLKATA).end == utc("2026-03-09T08:30")
    late = window('before:"today 01:00"', ZoneInfo("Pacific/Auckland"))  # 11 March has begun there
    assert late.end == utc("2026-03-10T12:00")


def test_timeless_removes_the_times_of_a_search():
    assert search_query.timeless('before:2026-01-01 source:github -around:14:00 "a b"') == 'source:github "a b"'
    assert search_query.names_time("a 2026-01-01..")
    assert not search_query.names_time("a -before:today")
    assert not search_query.names_time("nonsense:14:00")


def test_repeated_qualifier_is_an_alternative_and_words_are_required():
    source, first, second = (
        search_query.groups(search_query.parse("tag:a tag:b x -y")),
        Phrase(("x",)),
        Phrase(("y",)),
    )
    assert [(group.phrases, group.negated) for group in source] == [
        ((first,), False),
        ((second,), True),
        ((Phrase((index_tokens.search_term("tag", "a"),)), Phrase((index_tokens.search_term("tag", "b"),))), False),
    ]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("poll_interval", Phrase(("poll", "interval"), open=True)),
        ("Größe", Phrase(("grosse",), open=True)),
        ('"poll inter"', Phrase(("poll", "inter"))),
        ("a", Phrase(("a",))),
        ("ab", Phrase(("ab",), open=True)),
        ("設定", Phrase(("u08a2d", "u05b9a"), open=True)),
    ],
)
def test_words_are_normalized_and_the_last_is_a_prefix(text, phrase):
    assert [group.phrases for group in search_query.groups(search_query.parse(text))] == [(phrase,)]


def test_values_are_searchable_and_keys_are_not():
    terms = index_tokens.of_event(
        {
            **dict.fromkeys(("connector_name", "status", "connector_id")),
            **{"source": "github", "event_type": "Commit", "title": "Fix", "author": "ann", "tags": ["t"]},
            "description": {"hidden_key": {"deep": ["value", 300, True, None, 1.5]}},
            "metadata": {"action": "push", "changes": {"field_key": 1}, "repository": "Acme/api"},
        }
    ).split()
    assert [word for word in terms if word[0] != "_"] == [
        "fix",
        "ann",
        "value",
        "300",
        "1",
        "5",
        *("push", "1", "acme", "api"),
    ]
    assert {
        index_tokens.search_term("action", "push"),
        index_tokens.search_term("field", "Field key"),
        index_tokens.search_term("tag", "T"),
        index_tokens.search_term("repo", "acme/API"),
    } <= set(terms)


@given(st.text(max_size=300) | SEARCHES)
def test_any_text_is_parsed_or_refused(text):
    refused, terms, windows = None, (), []
    try:
        terms = search_query.parse(text)
        windows = search_query.windows(terms, NOW, KOLKATA)
    except BadFilter as error:
        refused = error
    assert refused is None or (refused.parameter == "q" and len(str(refused)) > 20)
    assert refused or len(windows) == sum(term.name in search_query.TIMES for term in terms)
    assert all(isinstance(term, Term) for term in terms)
    search_query.groups(terms)
    search_query.timeless(text)


@given(st.text())
def test_tokens_are_ascii_letters_and_digits(text):
    assert all(word.isascii() and word.isalnum() and word == word.lower() for word in index_tokens.tokens(text))


def test_event_types_are_found_by_name_and_label():
    for connector_type in connectors.TYPES.values():
        for event_type in connector_type.event_types:
            for name in (event_type.name, event_type.label):
                assert event_type.name in search_query.parse(f'type:"{name}"')[0].values
