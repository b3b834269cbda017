"""Polling a fake GitLab finds every event once with its facts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from painchain.connectors.contract import Delivery, PollError, WebhookContext
from painchain.connectors.gitlab.webhook import HANDLER
from tests.connectors.gitlab.polls import (
    NOW,
    ROOT,
    ago,
    check_events,
    event_key,
    ids,
    merge_request,
    polled,
    recorded,
    requested_paths,
    second,
)
from tests.counterparts import as_json, path_of
from tests.counterparts.gitlab import params_of


def test_a_first_poll_looks_back_a_day_and_the_second_finds_nothing_again(fake_server, gitlab):
    old = merge_request(1, created_at=ago(days=9), updated_at=ago(hours=3), title="Old")
    older = merge_request(2, created_at=ago(days=9), updated_at=ago(days=2))
    merged = merge_request(3, created_at=ago(days=9), state="merged", merged_at=ago(hours=1), merge_user=ROOT)
    gitlab.add_project(7, "g/p", merge_requests=[old, older, merged, merge_request(4)])
    gitlab.push(7, {"id": "c1", "committed_date": ago(days=3)})
    commits = [{"id": "c2", "committed_date": ago(days=40)}, {"id": "c1", "committed_date": ago(days=3)}]
    gitlab.push(7, *commits, at=ago(hours=1))
    first = polled(fake_server)
    assert ids(first) == ["7:mr:3:merged", "7:mr:4:opened", "7:push:9001", "7:commit:c2"]
    assert (first.has_more, first.note) == (False, "")
    times = {event_key(event): event.timestamp for event in first.events}
    assert times["7:push:9001"] == times["7:commit:c2"] == NOW - timedelta(hours=1)  # not when it was committed
    requested_paths(fake_server)
    later = polled(fake_server, first.cursor)
    assert ids(later) == []
    assert later.requests == 7  # the list of projects, and six lists of the project
    assert not [
        path for path in requested_paths(fake_server) if "approvals" in path or "diff" in path or "commits" in path
    ]


def test_every_kind_of_event_is_found_with_its_facts(fake_server, gitlab):
    pipeline = {"id": 31, "status": "failed", "ref": "main", "sha": "abc", "source": "push", "updated_at": ago(hours=1)}
    deployment = {**recorded("deployments.json")[0], "status": "success", "updated_at": ago(hours=1)}
    release = {**recorded("releases.json")[0], "created_at": ago(hours=1), "released_at": ago(hours=1)}
    repository = recorded("repositories.json")[1]
    lists = {"releases": [release], "deployments": [deployment], "registry/repositories": [repository]}
    item = merge_request(5, user_notes_count=2, upvotes=1, downvotes=0, web_url="https://gitlab.example.com/mr/5")
    gitlab.add_project(7, "g/p", merge_requests=[item], pipelines=[pipeline], **lists)
    gitlab.things["projects/7/merge_requests/5/approvals"] = {"approvals_required": 2, "approved_by": [{"user": ROOT}]}
    gitlab.lists["projects/7/merge_requests/5/diffs"] = [{"new_path": "a.py"}, {"new_path": None, "old_path": "b.py"}]
    gitlab.things["projects/7/pipelines/31"] = {
        **pipeline,
        "duration": 63,
        "finished_at": ago(minutes=61),
        "user": ROOT,
    }
    gitlab.lists["projects/7/pipelines/31/jobs"] = [{"name": "lint", "status": "failed"}]
    commit = {**recorded("get_commit.json"), "committed_date": ago(hours=2)}
    gitlab.push(7, commit, {"id": "b" * 40}, before="b" * 40, at=ago(hours=1), author="eve")
    gitlab.lists[f"projects/7/repository/commits/{commit['id']}/diff"] = [{"new_path": "a.py"}]
    gitlab.lists["projects/7/registry/repositories/2/tags"] = [{"name": "v10.0.0"}]
    tag = {**recorded("tag.json"), "created_at": ago(hours=1)}
    gitlab.things["projects/7/registry/repositories/2/tags/v10.0.0"] = tag
    events = {event.event_type: event for event in polled(fake_server).events}
    keys = {name: (event_key(event), event.title, event.status, event.author) for name, event in events.items()}
    sha, digest = commit["id"], tag["digest"]
    assert keys == {
        "MergeRequest": ("7:mr:5:opened", "[MR] Change 5", "opened", "root"),
        "Pipeline": (f"7:pipeline:31:failed:{second(minutes=61)}", "[Pipeline] main", "failed", "root"),
        "Push": ("7:push:9000", "[Push] main", "pushed", "eve"),
        "Release": (
            f"7:release:v0.2:{second(hours=1)}",
            "[Release] Awesome app v0.2 beta",
            "published",
            "root",
        ),
        "Commit": (f"7:commit:{sha}", "[Commit] Sanitize for network graph", "committed", "randx"),
        "Deployment": (
            f"7:deployment:41:success:{second(hours=1)}",
            "[Deployment] production success",
            "success",
            "root",
        ),
        "Image": (
            f"7:image:2:v10.0.0:{digest.replace(':', '%3A')}",
            "[Image] group/project/releases:v10.0.0",
            "published",
            "unknown",
        ),
    }
    repository_fact = {"repository": "g/p"}
    assert {name: event.facts for name, event in events.items()} == {
        "MergeRequest": {
            **repository_fact,
            "branches": {"head": "topic", "base": "main"},
            "comments": 2,
            "votes": "1 up, 0 down",
            "merged": False,
            "approved_by": ["root"],
            "approvals": "1 of 2",
            "files_changed": ["a.py", "b.py"],
        },
        "Pipeline": {
            **repository_fact,
            "status": "failed",
            "duration": 63,
            "ref": "main",
            "commit": "abc",
            "source": "push",
            "pipeline_id": 31,
            "failed_jobs": ["lint"],
            "logs_url": "https://gitlab.example.com/g/p/-/pipelines/31",
        },
        "Push": {
            **repository_fact,
            "branch": "main",
            "before": "b" * 40,
            "after": sha,
            "commits": 2,
            "pusher": "eve",
            "forced": False,
        },
        "Release": {**repository_fact, "tag": "v0.2", "assets": ["awesome-v0.2.msi", "awesome-v0.2.dmg"]},
        "Commit": {
            **repository_fact,
            "branch": "main",
            "sha": sha,
            "committed_at": second(hours=2),
            "push": sha,
            "changes": {"additions": 15, "deletions": 10, "files": 1},
            "files_changed": ["a.py"],
        },
        "Deployment": {
            **repository_fact,
            "environment": "production",
            "ref": "main",
            "sha": "99d03678b90d914dbb1b109132516d71a4a03ea8",
            "state": "success",
            "creator": "root",
        },
        "Image": {
            **repository_fact,
            "registry": "gitlab.example.com:5000",
            "image": "gitlab.example.com:5000/group/project/releases",
            "digest": digest,
            "tags": ["v10.0.0"],
            "size": 350224384,
            "package": "releases",
        },
    }


def test_each_state_of_recorded_merge_requests_is_an_event_at_its_own_time(fake_server, gitlab):
    items = sorted(recorded("merge_requests.json"), key=lambda item: item["updated_at"])
    gitlab.add_project(278964, "gitlab-org/gitlab", merge_requests=items)
    events = polled(fake_server, now=datetime(2019, 8, 20, 13, tzinfo=UTC)).events
    states = {
        (event_key(event).removeprefix("278964:mr:"), event.author, event.timestamp.isoformat()[:19])
        for event in events
    }
    assert states == {
        ("15442:opened", "hfyngvason", "2019-08-20T10:58:54"),
        ("15432:opened", ".luke", "2019-08-20T04:57:41"),
        ("15432:closed:2019-08-20T05:10:54Z", ".luke", "2019-08-20T05:10:54"),
        ("15431:opened", "mlapierre", "2019-08-20T03:34:46"),
        ("15431:merged", "wlsf82", "2019-08-20T08:15:51"),
    }


def test_a_reopened_merge_request_is_found_in_the_projects_events(fake_server, gitlab):
    opened = merge_request(1, created_at=ago(days=9), updated_at=ago(minutes=5))
    by = {"target_iid": 1, "target_type": "MergeRequest", "author": {"username": "eve"}}
    events = [
        {**by, "action_name": "reopened", "created_at": ago(minutes=5)},
        {**by, "action_name": "closed", "created_at": ago(minutes=9)},
        {**by, "action_name": "closed", "created_at": ago(days=3)},
    ]
    gitlab.add_project(7, "g/p", merge_requests=[opened], events=events)
    gitlab.things["projects/7/merge_requests/1"] = opened
    first = polled(fake_server)
    assert [(event_key(event), event.author, event.status) for event in first.events] == [
        (f"7:mr:1:closed:{second(minutes=9)}", "eve", "closed"),
        (f"7:mr:1:reopened:{second(minutes=5)}", "eve", "opened"),
    ]
    assert ids(polled(fake_server, first.cursor)) == []


def test_completed_webhooks_are_the_events_of_polls_also_for_a_numeric_setting(fake_server, gitlab):
    names = ("merge_request", "pipeline", "push", "release", "deployment")
    bodies = {name: recorded(f"webhooks/{name}.json") for name in names}
    project = {"id": 7, "path_with_namespace": "g/p", "default_branch": "master"}
    bodies["deployment"] |= {"deployment_id": 41, "status_changed_at": ago(hours=1)}
    bodies["merge_request"]["object_attributes"] |= {"created_at": ago(hours=3)}
    bodies["pipeline"]["object_attributes"] |= {"finished_at": ago(hours=1)}
    bodies["release"] |= {"created_at": ago(hours=1), "released_at": ago(hours=1)}
    settings = {"base_url": fake_server.url, "token": "glpat-far", "projects": ["7"], "branches": []}
    context = WebhookContext(1, settings, NOW - timedelta(minutes=59))
    hooked = []
    for body in bodies.values():
        hooked += HANDLER.read(Delivery({}, json.dumps({**body, "project": project}).encode()), context)
    item = {**bodies["merge_request"]["object_attributes"], "author": {"username": "user1"}, "updated_at": ago(hours=1)}
    pipeline = {**bodies["pipeline"]["object_attributes"], "updated_at": ago(hours=1)}
    deployment = {**recorded("deployments.json")[0], "status": "success", "updated_at": ago(hours=1)}
    release = {"tag_name": "1.0.0", "created_at": ago(hours=1)}
    lists = {"merge_requests": [item], "pipelines": [pipeline], "releases": [release], "deployments": [deployment]}
    gitlab.add_project(7, "g/p", "master", **lists)
    gitlab.things["projects/7/merge_requests/1"] = {**item, "user_notes_count": 3}
    gitlab.things["projects/7/pipelines/31"] = pipeline
    gitlab.things["projects/7/releases/1.0.0"] = release
    gitlab.things["projects/7/deployments/41"] = deployment
    pushed = [{"id": commit["id"], "committed_date": ago(hours=1)} for commit in reversed(bodies["push"]["commits"])]
    before, after = bodies["push"]["before"], bodies["push"]["after"]
    gitlab.push(7, *pushed, {"id": before}, branch="master", before=before, author="jsmith")
    assert pushed[0]["id"] == after
    gitlab.things |= {f"projects/7/repository/commits/{commit['id']}": commit for commit in pushed}
    result = polled(fake_server, projects=["7"])
    completed = [HANDLER.complete(context, event) if event.details else event for event in hooked]
    check_events(completed, NOW)
    assert [event.details for event in completed] == [None] * len(completed)
    assert sorted(event_key(event) for event in completed) == sorted(ids(result))
    polled_events = {event.event_id: event for event in result.events}
    for event in completed:
        polled_event = polled_events[event.event_id]
        known = event.facts.keys() & {"merged", "branches", "status", "commit", "tag", "before", "after", "push"}
        assert {key: event.facts[key] for key in known} == {key: polled_event.facts[key] for key in known}
        assert (event.title[:5], event.status) == (polled_event.title[:5], polled_event.status)
    times_of_push = {event.timestamp for event in completed if event.event_type in ("Push", "Commit")}
    assert times_of_push == {NOW - timedelta(hours=1)}  # not of the delivery, a minute later
    merge_request_event = next(event for event in completed if event.event_type == "MergeRequest")
    assert merge_request_event.facts["comments"] == 3


def test_only_configured_branches_are_recorded(fake_server, gitlab):
    items = [merge_request(1), merge_request(2, target_branch="release/1")]
    runs = [
        {"id": n, "status": "success", "ref": ref, "updated_at": ago(hours=1)} for n, ref in ((1, "main"), (2, "x"))
    ]
    gitlab.add_project(7, "g/p", merge_requests=items, pipelines=runs)
    gitlab.push(7, {"id": "c1", "committed_date": ago(hours=1)}, branch="release/1")
    assert ids(polled(fake_server, branches=["release/1", "gone"])) == [
        *("7:mr:2:opened", "7:push:9000", "7:commit:c1"),
    ]


def test_incomplete_items_are_recorded_and_do_not_stop_the_poll(fake_server, gitlab):
    odd: list[Any] = [
        None,
        7,
        "x",
        {},
        {"iid": "x"},
        {"iid": 1},
        {"iid": 2, "state": "merged", "author": 7, "title": []},
    ]
    runs = [{"id": 4, "status": "success", "updated_at": 3}, {"id": None, "status": "success"}, {"status": ["x"]}]
    lists = {"releases": [{"tag_name": "v1"}, {}, None], "deployments": [{"id": 5, "status": "failed"}, {"id": 6}]}
    registry = {"registry/repositories": [{"id": "x"}, {"id": 1}, None]}
    for item in odd:
        if isinstance(item, dict):
            item["updated_at"] = ago(hours=1)
    gitlab.add_project(7, "g/p", merge_requests=odd[3:], pipelines=[], **lists, **registry)
    gitlab.push(7, {"id": "c1"}, {"message": None}, at=ago(minutes=1))
    gitlab.lists["projects/7/events"] += [{"created_at": ago(minutes=1)}, {"created_at": "soon", "push_data": 7}]
    result = polled(fake_server)
    assert ids(result) == [
        *("7:mr:1:opened", "7:mr:2:opened", "7:mr:2:merged"),
        *("7:release:v1", "7:push:9000", "7:commit:c1", "7:deployment:5:failed"),
    ]
    by_id = {event_key(event): event for event in result.events}
    assert (by_id["7:mr:2:merged"].author, by_id["7:mr:2:merged"].title) == ("unknown", "[MR] !2")
    assert by_id["7:commit:c1"].timestamp == NOW - timedelta(minutes=1)
    gitlab.refuse["projects/7/merge_requests"] = as_json(odd)
    gitlab.refuse["projects/7/pipelines"] = as_json(runs)
    gitlab.refuse["projects/7/releases"] = as_json({"message": "no list"})
    assert "7:pipeline:4:success" in ids(polled(fake_server))


def test_only_active_projects_of_the_token_are_listed(fake_server, gitlab):
    gitlab.page = 100
    for number in range(1, 104):
        gitlab.lists.setdefault("projects", []).append({"id": number, "path_with_namespace": f"g/p{number}"})
    gitlab.refuse["projects/1/merge_requests"] = as_json({}, 429)
    with pytest.raises(PollError):
        polled(fake_server)
    [first, second] = [
        params_of(received) for received in fake_server.requests if path_of(received) == "/api/v4/projects"
    ]
    assert (first["membership"], first["last_activity_after"]) == ("true", ago(days=30))
    assert second["id_after"] == "100"


def test_the_token_goes_in_its_header_below_the_base_url(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    polled(fake_server, base_url=f"{fake_server.url}/api/v4")
    assert {received.headers["private-token"] for received in fake_server.requests} == {"glpat-far"}
    assert all(
        received.path.startswith("/api/v4/") and "glpat" not in received.path for received in fake_server.requests
    )


def test_a_job_that_starts_another_pipeline_can_be_the_one_that_failed(fake_server, gitlab):
    pipeline = {"id": 31, "status": "failed", "ref": "main", "updated_at": ago(hours=1)}
    gitlab.add_project(7, "g/p", pipelines=[pipeline])
    gitlab.lists["projects/7/pipelines/31/jobs"] = []
    gitlab.lists["projects/7/pipelines/31/bridges"] = [{"id": 1, "name": "deploy child", "status": "failed"}]
    [event] = polled(fake_server).events
    assert event.facts["failed_jobs"] == ["deploy child"]
