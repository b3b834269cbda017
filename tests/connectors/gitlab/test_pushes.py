"""Each push to a GitLab branch is an event, with its commits at the time of the push."""

from __future__ import annotations

from datetime import timedelta

import pytest

from painchain.connectors.gitlab import client
from tests.connectors.gitlab.polls import NOW, ago, all_polls, event_key, ids, polled, requested_paths
from tests.counterparts import as_json
from tests.counterparts.gitlab import params_of


def test_commits_pushed_late_are_found_though_they_are_old(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    gitlab.push(7, {"id": "c1", "committed_date": ago(hours=1)})
    first = polled(fake_server)
    commits = [{"id": "c0", "committed_date": ago(days=9)}, {"id": "c1", "committed_date": ago(hours=1)}]
    gitlab.push(7, *commits, at=ago(minutes=30))
    later = polled(fake_server, first.cursor)
    assert ids(later) == ["7:push:9001", "7:commit:c0"]
    gitlab.push(7, {"id": "c5", "committed_date": ago(hours=1)}, at=ago(minutes=20))
    rewritten = polled(fake_server, later.cursor)
    assert ids(rewritten) == ["7:push:9002", "7:commit:c5"]  # the old head is gone
    assert "forced" not in rewritten.events[0].facts  # that cannot be told any more


def test_a_branch_that_moves_back_and_forth_is_a_push_each_time_with_its_author(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    commits = [{"id": "b", "committed_date": ago(days=2)}, {"id": "a", "committed_date": ago(days=3)}]
    gitlab.lists["projects/7/repository/commits"] = commits
    moves = [("", "a"), ("a", "b"), ("b", "a"), ("a", "b"), ("b", "a"), ("b", "")]
    for minute, (before, after) in enumerate(moves):
        gitlab.add_push(7, "production", before or None, after or None, ago(minutes=50 - minute), "eve", commit_count=0)
    gitlab.add_push(7, "v1", None, "b", ago(minutes=30), ref_type="tag")
    pushes = polled(fake_server).events
    assert [(event.status, event.facts.get("before"), event.facts.get("after")) for event in pushes] == [
        ("created", None, "a"),
        ("pushed", "a", "b"),
        ("forced", "b", "a"),
        ("pushed", "a", "b"),
        ("forced", "b", "a"),
        ("deleted", "b", None),
    ]
    assert {(event.title, event.author, event.event_type) for event in pushes} == {("[Push] production", "eve", "Push")}
    assert [event.facts.get("forced") for event in pushes] == [None, False, True, False, True, None]
    assert [event.facts.get("commits") for event in pushes] == [0, 0, 0, 0, 0, None]


def test_a_large_push_is_read_to_the_last_page_over_several_polls(fake_server, gitlab, monkeypatch):
    monkeypatch.setattr(client, "MAX_REQUESTS", 35)
    gitlab.page = 10
    gitlab.add_project(7, "g/p")
    commits = [{"id": f"c{number}", "committed_date": ago(days=9)} for number in range(300)]
    gitlab.push(7, *commits, {"id": "old"}, before="old", at=ago(hours=1))
    events, polls, last = all_polls(fake_server)
    assert {event_key(event) for event in events} == {"7:push:9000", *(f"7:commit:c{n}" for n in range(300))}
    assert polls > 1
    assert {event.timestamp for event in events} == {NOW - timedelta(hours=1)}
    assert ids(polled(fake_server, last.cursor)) == []


def test_a_push_to_many_branches_is_one_event_and_listed_branches_are_compared(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    gitlab.push(7, {"id": "c1", "committed_date": ago(days=3)}, at=ago(hours=2))
    first, listed = polled(fake_server), polled(fake_server, branches=["main"])
    gitlab.things["projects/7/repository/branches/main"] = {"commit": {"id": "c2"}}
    gitlab.lists["projects/7/repository/commits"].insert(0, {"id": "c2", "committed_date": ago(days=2)})
    gitlab.add_push(7, None, None, None, ago(minutes=5), "eve", ref_count=5)
    everything = polled(fake_server, first.cursor).events
    assert [(event_key(event), event.title, event.author) for event in everything] == [
        ("7:push:9001", "[Push] 5 branches", "eve"),
        ("7:commit:c2", "[Commit] c2", "unknown"),
    ]
    assert {event.timestamp for event in everything} == {NOW - timedelta(minutes=5)}
    compared = polled(fake_server, listed.cursor, branches=["main"]).events
    assert [(event_key(event), event.title, event.author) for event in compared] == [
        ("7:push:9001:main", "[Push] main", "eve"),
        ("7:commit:c2", "[Commit] c2", "unknown"),
    ]


def test_without_the_list_of_events_heads_are_compared_and_nobody_is_named(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    gitlab.refuse["projects/7/events"] = as_json({"message": "403 Forbidden"}, 403)
    old = {"id": "a", "committed_date": ago(days=3)}
    gitlab.push(7, {"id": "b", "committed_date": ago(hours=1)}, old)
    first = polled(fake_server)
    assert [(event_key(event), event.timestamp) for event in first.events] == [
        ("7:commit:b", NOW - timedelta(hours=1)),
    ]
    assert "their pushes have no author" in first.note
    later = NOW + timedelta(minutes=5)
    gitlab.push(7, {"id": "c", "committed_date": ago(days=2)}, {"id": "b"}, old)
    fake_server.requests.clear()
    second_poll = polled(fake_server, first.cursor, now=later)
    assert "/api/v4/projects/7/events" not in requested_paths(fake_server)  # it is requested again after a day
    assert [(event_key(event), event.author, event.timestamp) for event in second_poll.events] == [
        ("7:push:main:b:c:1", "unknown", later),
        ("7:commit:c", "unknown", later),
    ]
    assert "pusher" not in second_poll.events[0].facts
    at_rest = polled(fake_server, second_poll.cursor, now=later)
    assert (ids(at_rest), at_rest.requests) == ([], 7)
    gitlab.refuse.clear()
    gitlab.push(7, {"id": "d"}, {"id": "c"}, {"id": "b"}, old, at=ago(days=-2), author="eve")
    readable = polled(fake_server, at_rest.cursor, now=NOW + timedelta(days=2))
    assert [(event_key(event), event.author) for event in readable.events] == [
        ("7:push:9002", "eve"),
        ("7:commit:d", "unknown"),
    ]


def test_a_push_whose_commits_the_token_may_not_read_is_recorded(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    gitlab.push(7, {"id": "c1", "committed_date": ago(days=3)}, at=ago(hours=2))
    gitlab.refuse["projects/7/repository/commits"] = as_json({"message": "403 Forbidden"}, 403)
    result = polled(fake_server)
    assert (ids(result), result.note) == (["7:push:9000"], "Could not read: commits of g/p.")
    assert result.events[0].facts["commits"] == "1, could not be read"


@pytest.mark.parametrize(("known", "moved"), [("old", 9001), ("gone", 9001)])
def test_a_push_whose_commits_are_gone_says_so_and_one_that_fails_is_read_by_the_next_poll(
    fake_server, gitlab, known, moved
):
    gitlab.add_project(7, "g/p")
    gitlab.push(7, {"id": "old", "committed_date": ago(hours=9)}, at=ago(hours=3))
    first = polled(fake_server)
    gitlab.push(7, {"id": "c2"}, {"id": "c1"}, {"id": "old"}, before=known, at=ago(hours=2))
    gitlab.refuse["projects/7/repository/commits"] = as_json({"message": "500"}, 500)
    failed = polled(fake_server, first.cursor)
    assert (ids(failed), failed.events[0].facts["commits"]) == ([f"7:push:{moved}"], 3)
    gitlab.refuse["projects/7/repository/commits"] = as_json({"message": "404 Not found"}, 404)
    gone = polled(fake_server, first.cursor)
    assert (ids(gone), gone.events[0].facts["commits"]) == ([f"7:push:{moved}"], "3, could not be read")
    gitlab.refuse.clear()
    assert ids(polled(fake_server, failed.cursor)) == [f"7:push:{moved}", "7:commit:c2", "7:commit:c1"]


def test_a_push_says_that_only_some_of_its_commits_could_be_read(fake_server, gitlab, monkeypatch):
    gitlab.page = 10
    gitlab.add_project(7, "g/p")
    commits = [{"id": f"c{number}", "committed_date": ago(days=9)} for number in range(30)]
    gitlab.push(7, *commits, {"id": "old"}, before="old", at=ago(hours=1))
    listed, answer = gitlab._list, as_json({"message": "404 Not found"}, 404)

    def lose_later_pages(items, path, received):
        is_later = path.endswith("/commits") and params_of(received).get("page") != "1"
        return answer if is_later else listed(items, path, received)

    monkeypatch.setattr(gitlab, "_list", lose_later_pages)
    push, *committed = polled(fake_server).events
    assert (push.facts["commits"], len(committed)) == ("31, not all could be read", 11)
