"""A mapping reads change events from any payload, and no expression or payload can hold up or exhaust the server."""

from __future__ import annotations

import json

import pytest

from painchain.connectors.change_event import ChangeEvent
from painchain.connectors.contract import NothingToRecord
from painchain.connectors.webhook import mapping, values
from painchain.connectors.webhook.mapping import MappingError

T = {"title": "'Deployed'"}
STEPS = 2_000  # a small budget, so that small values exceed it


def events(payload, steps=STEPS, headers=None, **expressions):
    """Return the events of a payload by a mapping with these expressions."""
    found = mapping.compile({**T, **expressions}).events(payload, headers or {}, steps)
    for each in found:
        if isinstance(each, MappingError):
            raise each
    return found


def only(payload, **expressions):
    """Return the only event of a payload, without its title."""
    [event] = events(payload, **expressions)
    return {key: value for key, value in event.items() if key != "title" or "title" in expressions}


def problem(payload=None, **expressions):
    """Return which member of a mapping fails, and why."""
    with pytest.raises(MappingError) as failed:
        events(payload, **expressions)
    return failed.value.member, failed.value.message


def test_members_are_those_of_a_change_event():
    beside = {"news", "split", "group"}
    assert set(mapping.MEMBERS) - beside == set(ChangeEvent.model_fields)
    schema = ChangeEvent.model_json_schema()["properties"]
    for member, limit in values.LIMITS.items():
        if member not in beside:
            found = schema[member]
            assert limit == found.get("maxLength", next(iter(found.get("anyOf", [{}]))).get("maxLength")), member


def test_expressions_see_payload_item_and_headers():
    payload = {"env": "prod", "apps": [{"name": "api"}, {"name": "web"}]}
    found = events(
        payload, split="payload.apps", title="item.name", environment="payload.env", kind='headers."x-kind"',
        headers={"x-kind": "release"},
    )  # fmt: skip
    assert found == [
        {"title": "api", "kind": "release", "environment": "prod"},
        {"title": "web", "kind": "release", "environment": "prod"},
    ]
    assert only(payload, title="item.apps[1].name") == {"title": "web"}


@pytest.mark.parametrize("news", ["`false`", "payload.none", "''", "`[]`"])
def test_what_is_no_news_makes_no_event(news):
    with pytest.raises(NothingToRecord, match="Only tags"):
        mapping.compile({**T, "news": news}, "Only tags.").events({}, {})
    with pytest.raises(NothingToRecord, match="Only tags"):
        mapping.compile({**T, "split": "payload.items"}, "Only tags.").events({"items": []}, {})
    assert len(events({}, news="`0`")) == 1


def test_times_of_all_kinds_are_read():
    for value, expected in {
        "2026-03-01T12:00:00Z": "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00.123456789+02:00": "2026-03-01T10:00:00.123456Z",
        "2026-03-01 12:00:00": "2026-03-01T12:00:00Z",
        1772366400: "2026-03-01T12:00:00Z",
        1772366400.5: "2026-03-01T12:00:00.500000Z",
        "1772366400": "2026-03-01T12:00:00Z",
        1772366400123: "2026-03-01T12:00:00.123000Z",
        1772366400123456: "2026-03-01T12:00:00.123456Z",
        1772366400123456789: "2026-03-01T12:00:00.123456Z",
        "0001-01-01T00:00:00Z": None,
        "": None,
        0: None,
    }.items():
        assert only({"at": value}, time="payload.at") == ({"time": expected} if expected else {}), value
    for value in ("soon", True, [], -1, float("nan"), float("inf"), 10**30, "0001-01-01T00:00:00+10:00"):
        member, message = problem({"at": value}, time="payload.at")
        assert member == "time"
        assert "no time" in message, value


def test_an_end_needs_a_beginning_before_it():
    early, late = "2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z"
    both = {"time": "payload.a", "end_time": "payload.b"}
    assert only({"a": early, "b": late}, **both) == {"time": early, "end_time": late}
    assert only({"a": late, "b": early}, **both) == {"time": late}
    assert only({"b": late}, **both) == {"time": late}


def test_values_become_what_a_change_event_takes():
    for member, value, expected in [
        ("version", 12, "12"),
        ("version", 1.5, "1.5"),
        ("status", True, "true"),
        ("service", "  shop \n api ", "shop api"),
        ("service", "\u200b", None),
        ("title", "a" * 400, "a" * 299 + "…"),
        ("description", " two\nlines ", "two\nlines"),
        ("kind", "Feature Flag", "feature_flag"),
        ("sha", "not a hash", None),
        ("sha", "ABCDEF1", "ABCDEF1"),
        ("url", "/relative", None),
        ("url", "https://a:b@example.com/", None),
        ("url", "https://example.com/1", "https://example.com/1"),
        ("tags", "a, b,,a", ["a", "b"]),
        ("tags", ["x" * 60, 7, None], ["x" * 49 + "…", "7"]),
        ("data", {"a": [1, None, "b\0\ud800"]}, {"a": [1, None, "b?"]}),
        ("data", float("nan"), None),
    ]:
        found = only({"value": value}, **{member: "payload.value"})
        assert found == ({} if expected is None else {member: expected}), (member, value)


def test_an_event_is_what_the_api_takes():
    everything = {member: f"payload.{member}" for member in mapping.MEMBERS if member not in ("news", "split")}
    payload = {
        **dict.fromkeys(everything, "x" * 30000),
        "time": 1772366400, "end_time": 1772366401, "tags": ["x" * 99] * 99, "data": ["\ud800\0"], "sha": "0" * 40,
        "url": "https://example.com",
    }  # fmt: skip
    [event] = events(payload, **everything, steps=50_000)
    assert len(event.pop("group")) <= 200
    ChangeEvent.model_validate_json(json.dumps(event))
    assert set(event) == set(ChangeEvent.model_fields)


def test_two_long_ids_stay_two():
    ids = [only({"id": "x" * 300 + end}, external_id="payload.id")["external_id"] for end in "ab"]
    assert len({*ids}) == 2
    assert max(map(len, ids)) <= 200


def test_large_data_says_how_large_it_was():
    [event] = events({"text": "x" * 70_000}, data="payload", steps=20_000)
    assert event["data"] == {"omitted": "70,012 bytes of JSON. At most 65,536 are stored."}
    deep = []
    for _ in range(100):
        deep = [deep]
    assert "…" in json.dumps(only(deep, data="payload"), ensure_ascii=False)


@pytest.mark.parametrize(
    ("expressions", "message"),
    [
        ({"title": "a ="}, "has a syntax error at character 3"),
        ({"title": "a =="}, "is not complete"),
        ({"title": "payload.[["}, "is not complete"),
        ({"title": "nope(@)"}, "calls nope(), which is not a function"),
        ({"title": "length(a, b)"}, "calls length() with 2 arguments, but it takes 1"),
        ({"title": "merge()"}, "calls merge() with 0 arguments"),
        ({"title": "a" * 2_001}, "is too long"),
        ({"title": "!" * 100 + "a"}, "nests too deeply"),
        ({"title": "(" * 900 + "a" + ")" * 900}, ""),
        ({"title": " "}, "an event needs a title"),
        ({"colour": "a"}, "no such member"),
    ],
)
def test_an_invalid_expression_is_refused_in_words(expressions, message):
    member, found = problem(**expressions)
    assert member in expressions
    assert message in found


def test_an_expression_that_a_payload_does_not_suit_is_refused_in_words():
    secret = "hunter2"
    payload = {"text": secret, "list": [{"a": 1}, {"a": secret}], "object": {}, "big": 10**4_000}
    for member, expression, message in [
        ("title", "payload.none", "gave no text for this payload"),
        ("title", "payload.list", "gave an array, but text is needed"),
        ("title", "payload.big", "gave a number that is too large"),
        ("data", "[payload.big]", "gave a number that is too large"),
        ("data", "[&a]", "gave an expression, but a value is needed"),
        ("title", "length(payload.none)", "calls length() with a value of type null, but it takes string or array"),
        ("title", "join('', payload.list)", "value of type object, but it takes array-string"),
        ("title", "payload.list[::`0`]", ""),
        ("title", "max_by(payload.list, &a).a", "on a value that it does not take"),
        ("title", "contains(payload.text, `1`) && 'x'", "on a value that it does not take"),
        ("split", "payload.object", "gave an object, but an array is needed"),
        ("tags", "payload.object", "gave an object, but an array of texts is needed"),
    ]:
        found = problem(payload, **{member: expression})
        assert found[0] == member
        assert message in found[1], expression
        assert secret not in found[1]
    assert "has 1,001 items" in problem([{}] * 1_001, split="payload")[1]


def test_ordering_a_number_and_a_text_gives_null_as_the_specification_says():
    assert only({}, data="[`1` < 'a', `1` < `2`, 'a' < 'b', `true` < `2`]") == {"data": [None, True, True, None]}


def test_functions_of_jmespath_community():
    expression = "[lower('Api'), split('a/b', '/')[-1], replace('refs/heads/main', 'refs/heads/', '')]"
    assert only({}, data=expression) == {"data": ["api", "b", "main"]}
    assert "separator" in problem({}, title="split('a', '')[0]")[1]


@pytest.mark.parametrize(
    "expression",
    [
        "payload.rows[*].[a, b, c, d][] | length(@) && 'x'",
        "payload.rows[?a == payload || b != `1`] | 'x'",
        "to_string(" + " | ".join(["[@, @]"] * 14) + ")",
        "(" + " | ".join(["[@, @]"] * 14) + ") == (" + " | ".join(["[@, @]"] * 14) + ") && 'x'",
        "contains([" + " | ".join(["[@, @]"] * 14) + "], `[1]`) && 'x' || 'y'",
        "("
        + " | ".join(["[@, @]"] * 7)
        + ") | [@,@,@,@,@,@,@,@][][] | [@,@,@,@,@,@,@,@][][] | [@,@,@,@,@,@,@,@][] | 'x'",
        "join(payload.text, split(payload.commas, ','))",
        "replace(payload.commas, ',', payload.text)",
        "replace(payload.commas, '', payload.text)",
        "sort_by(payload.rows, &(a || b || a))[0].b || 'x'",
        "map(&to_string(@), payload.rows)[0]",
        "reverse(payload.long) && reverse(payload.long) && reverse(payload.long) && 'x'",
        "merge(" + ", ".join(["payload.wide"] * 9) + ") && 'x'",
        "[payload.rows[1:], payload.rows[2:], payload.rows[3:], payload.rows[4:], payload.rows[5:]] && 'x'",
    ],
)
def test_work_has_a_limit(expression):
    """Each of these would take some thousand steps: harmless, but over the budget of this test."""
    payload = {
        "rows": [{"a": number, "b": number} for number in range(500)],
        "text": "x" * 500,
        "commas": "," * 150,
        "long": "x" * 30_000,
        "wide": {str(number): number for number in range(250)},
    }
    member, message = problem(payload, title=expression)
    assert (member, "too much work" in message) == ("title", True)


def test_all_expressions_of_a_delivery_share_one_budget():
    rows = [{"name": str(number)} for number in range(100)]
    assert len(events(rows, split="payload", title="item.name")) == 100
    assert "too much work" in problem(rows, split="payload", title="item.name", service="length(payload)")[1]
    assert "too much work" in problem({"rows": rows * 20}, data="payload")[1]
