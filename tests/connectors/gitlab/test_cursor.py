"""A poll continues where the last one stopped, and reads long lists to their end."""

from __future__ import annotations

import pytest

from painchain.connectors.contract import PollContext, PollError
from painchain.connectors.gitlab import client
from painchain.connectors.gitlab.poll import poll
from tests.connectors.gitlab.polls import (
    NOW,
    ago,
    all_polls,
    event_key,
    ids,
    merge_request,
    poll_context,
    polled,
    second,
)
from tests.counterparts import ReceivedRequest, Reply, path_of, run_fake_server
from tests.counterparts.gitlab import GitLab, params_of


def test_long_lists_are_read_to_the_end_over_several_polls(fake_server, gitlab, monkeypatch):
    monkeypatch.setattr(client, "MAX_REQUESTS", 12)
    gitlab.page = 3
    items = [merge_request(n, updated_at=ago(hours=23 - n), created_at=ago(hours=23 - n)) for n in range(10)]
    at_once = [merge_request(n, updated_at=ago(minutes=5), created_at=ago(minutes=5)) for n in range(10, 17)]
    gitlab.add_project(7, "g/p", merge_requests=[*items, *at_once])
    commits = [{"id": f"c{n}", "committed_date": ago(hours=2)} for n in range(9)]
    gitlab.push(7, *commits, {"id": "old"}, before="old", at=ago(hours=1))
    gitlab.add_project(8, "g/q", merge_requests=[merge_request(1)])
    repositories = [{"id": n, "path": f"g/p/{n}"} for n in range(8)]
    gitlab.add_project(9, "g/r", **{"registry/repositories": repositories})
    for n in range(8):
        gitlab.lists[f"projects/9/registry/repositories/{n}/tags"] = [{"name": "v1"}]
        tag = {"name": "v1", "digest": "sha256:1", "created_at": ago(hours=1)}
        gitlab.things[f"projects/9/registry/repositories/{n}/tags/v1"] = tag
    events, polls, last = all_polls(fake_server)
    expected = {f"9:image:{n}:v1:sha256%3A1" for n in range(8)} | {"7:push:9000", "8:mr:1:opened"}
    expected |= {f"7:mr:{n}:opened" for n in range(17)} | {f"7:commit:c{n}" for n in range(9)}
    assert {event_key(event) for event in events} == expected
    assert polls > 3
    assert last.note == ""
    assert ids(polled(fake_server, last.cursor)) == []


def test_no_event_is_lost_when_a_list_changes_during_the_poll(gitlab):
    gitlab.page = 2
    items = [merge_request(n, created_at=ago(hours=9 - n), updated_at=ago(hours=9 - n)) for n in range(5)]
    gitlab.add_project(7, "g/p", merge_requests=items)

    def moving(received: ReceivedRequest) -> Reply:
        reply = gitlab(received)
        if path_of(received).endswith("/merge_requests"):
            items[0]["updated_at"] = ago(minutes=1)  # the rest moves up, over the edge of a page
        return reply

    with run_fake_server(moving) as fake_server:
        assert sorted(ids(polled(fake_server))) == [f"7:mr:{n}:opened" for n in range(5)]


def test_a_poll_that_stops_early_has_more(fake_server, gitlab, monkeypatch):
    monkeypatch.setattr(client, "MAX_REQUESTS", 4)
    for number in (7, 8, 9):
        gitlab.add_project(number, f"g/p{number}")
    result = polled(fake_server)
    assert result.has_more
    assert result.note == "There is more to read than fits in one poll. 3 projects left."
    stopped = poll(PollContext(poll_context(fake_server).settings, {}, NOW, stopping=lambda: True))
    assert (stopped.has_more, list(stopped.events)) == (True, [])


def test_the_next_poll_requests_updates_with_an_overlap(fake_server, gitlab):
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(1)])
    first = polled(fake_server)
    gitlab.lists["projects/7/merge_requests"] += [
        merge_request(2, created_at=ago(minutes=61), updated_at=ago(minutes=61)),
        merge_request(3, created_at=ago(days=2), updated_at=ago(minutes=1), state="closed", closed_at=ago(minutes=1)),
    ]
    fake_server.requests.clear()
    later = polled(fake_server, first.cursor)
    assert ids(later) == ["7:mr:2:opened", f"7:mr:3:closed:{second(minutes=1)}"]
    [request] = [received for received in fake_server.requests if path_of(received).endswith("/merge_requests")]
    assert params_of(request)["updated_after"] == ago(hours=1, minutes=2)
    assert (params_of(request)["order_by"], params_of(request)["sort"]) == ("updated_at", "asc")


def test_unchanged_lists_are_answered_with_304_and_not_read_further(fake_server, gitlab):
    gitlab.add_project(7, "g/p", releases=[{"tag_name": "v1", "created_at": ago(hours=1)}])
    gitlab.push(7, {"id": "c1", "committed_date": ago(hours=1)})
    first = polled(fake_server)
    fake_server.requests.clear()
    polled(fake_server, first.cursor)
    conditional = {
        path_of(received).rpartition("/")[2] for received in fake_server.requests if "if-none-match" in received.headers
    }
    assert conditional == {"releases", "events"}


def test_another_server_in_the_settings_is_read_from_the_start_and_names_its_own_projects(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    gitlab.push(7, {"id": "c1"}, at=ago(hours=1))
    first = polled(fake_server, projects=["g/p"])
    assert first.cursor["base"] == fake_server.url
    other = GitLab()
    other.add_project(7, "x/y")  # has the number of the first server's project
    other.add_project(8, "g/p")
    other.push(8, {"id": "d1"}, at=ago(hours=2))
    with run_fake_server(other) as other_server:
        second = polled(other_server, first.cursor, projects=["g/p"])
        assert ids(second) == ["8:push:9000", "8:commit:d1"]
        assert second.cursor["names"] == {"g/p": {"id": "8", "path": "g/p"}}
        other.things.pop("projects/g/p")
        with pytest.raises(PollError, match="None of the projects were found"):  # not project 7
            polled(other_server, first.cursor, projects=["g/p"])
    older = {key: value for key, value in first.cursor.items() if key != "base"}
    assert ids(polled(fake_server, older, projects=["g/p"])) == []


def test_long_lists_of_files_and_jobs_are_read_to_the_end_and_a_cut_is_said(fake_server, gitlab):
    pipeline = {"id": 31, "status": "failed", "ref": "main", "updated_at": ago(hours=1)}
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(n) for n in (1, 2, 3)], pipelines=[pipeline])
    for iid, number in ((1, 250), (2, 400), (3, 1204)):
        gitlab.lists[f"projects/7/merge_requests/{iid}/diffs"] = [{"new_path": f"f{n}"} for n in range(number)]
    jobs = [{"id": n, "name": f"job {n}", "status": "failed"} for n in range(130)]
    gitlab.lists["projects/7/pipelines/31/jobs"] = jobs
    approvers = [{"user": {"username": f"u{n}"}} for n in range(120)]
    gitlab.things["projects/7/merge_requests/1/approvals"] = {"approved_by": approvers}
    whole, longer, cut, failed = polled(fake_server).events
    assert whole.facts["files_changed"] == [f"f{n}" for n in range(250)]
    assert "files_total" not in whole.facts
    assert (whole.facts["approvals"], len(whole.facts["approved_by"])) == (120, 120)
    assert (len(longer.facts["files_changed"]), longer.facts["files_total"]) == (300, 400)
    assert (len(cut.facts["files_changed"]), cut.facts["files_total"]) == (300, 1204)
    assert "approvals" not in cut.facts  # unknown is not none
    assert failed.facts["failed_jobs"] == [f"job {n}" for n in range(130)]
