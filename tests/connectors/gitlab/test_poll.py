"""Polling a fake GitLab finds every event once, loses none, and explains every failure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from painchain.connectors.contract import (
    Delivery,
    ErrorKind,
    PollContext,
    PollError,
    PollResult,
    RateLimit,
    SourceEvent,
    WebhookContext,
)
from painchain.connectors.gitlab import TYPE, client
from painchain.connectors.gitlab.poll import poll
from painchain.connectors.gitlab.webhook import HANDLER
from tests.counterparts import Asked, FakeServer, Reply, as_json, path_of, run_fake_server
from tests.counterparts.gitlab import GitLab, params_of

RECORDED = Path(__file__).parents[2] / "recorded" / "gitlab"
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ROOT = {"username": "root"}


@pytest.fixture
def gitlab() -> GitLab:
    return GitLab()


@pytest.fixture
def fake_server(gitlab):
    with run_fake_server(gitlab) as fake_server:
        yield fake_server


def ago(**times: float) -> str:
    return (NOW - timedelta(**times)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_bytes())


def turn(fake_server: FakeServer, cursor: Any = None, now: datetime = NOW, **settings: Any) -> PollContext:
    values = {"base_url": fake_server.url, "token": "glpat-far", "projects": [], "branches": [], **settings}
    return PollContext(values, json.loads(json.dumps(cursor or {})), now)


def polled(fake_server: FakeServer, cursor: Any = None, now: datetime = NOW, **settings: Any) -> PollResult:
    """Poll, and check what holds for whatever is found."""
    answer = poll(turn(fake_server, cursor, now, **settings))
    for found in answer.events:
        event_type = TYPE.event_type(found.event_type)
        assert event_type
        assert set(found.facts) <= {field.key for field in event_type.fields}, found.event_id
    return answer


def all_polls(fake_server: FakeServer, **settings: Any) -> tuple[list[SourceEvent], int, PollResult]:
    """Poll until there is no more, as the scheduler does."""
    found, cursor, polls = [], {}, 0
    while True:
        answer = polled(fake_server, cursor, **settings)
        found += answer.events
        cursor, polls = answer.cursor, polls + 1
        if not answer.has_more:
            return found, polls, answer
        assert polls < 50


def asked_for(fake_server: FakeServer) -> list[str]:
    """Return the paths that were asked for so far, and forget them."""
    paths = [path_of(one) for one in fake_server.asked]
    fake_server.asked.clear()
    return paths


def ids(answer: PollResult) -> list[str]:
    return [found.event_id for found in answer.events]


def merge_request(iid: int, **values: Any) -> dict[str, Any]:
    return {
        **{"iid": iid, "title": f"Change {iid}", "state": "opened", "author": ROOT, "target_branch": "main"},
        **{"source_branch": "topic", "created_at": ago(hours=2), "updated_at": ago(hours=1), **values},
    }


def test_a_first_poll_looks_back_a_day_and_the_second_finds_nothing_again(fake_server, gitlab):
    old = merge_request(1, created_at=ago(days=9), updated_at=ago(hours=3), title="Old")
    older = merge_request(2, created_at=ago(days=9), updated_at=ago(days=2))
    merged = merge_request(3, created_at=ago(days=9), state="merged", merged_at=ago(hours=1), merge_user=ROOT)
    gitlab.add_project(7, "g/p", merge_requests=[old, older, merged, merge_request(4)])
    gitlab.push(7, {"id": "c2", "committed_date": ago(hours=1)}, {"id": "c1", "committed_date": ago(days=3)})
    first = polled(fake_server)
    assert ids(first) == ["mr-g/p-3-merged", "mr-g/p-4-opened", "commit-g/p-c2"]
    assert (first.has_more, first.note) == (False, "")
    asked_for(fake_server)
    second = polled(fake_server, first.cursor)
    assert ids(second) == []
    assert not [path for path in asked_for(fake_server) if "approvals" in path or "diff" in path or "commits" in path]


def test_every_kind_of_event_is_found_with_its_facts(fake_server, gitlab):
    one = {"id": 31, "status": "failed", "ref": "main", "sha": "abc", "source": "push", "updated_at": ago(hours=1)}
    deployment = {**recorded("deployments.json")[0], "status": "success", "updated_at": ago(hours=1)}
    release = {**recorded("releases.json")[0], "created_at": ago(hours=1), "released_at": ago(hours=1)}
    repository = recorded("repositories.json")[1]
    lists = {"releases": [release], "deployments": [deployment], "registry/repositories": [repository]}
    item = merge_request(5, user_notes_count=2, upvotes=1, downvotes=0, web_url="https://gitlab.example.com/mr/5")
    gitlab.add_project(7, "g/p", merge_requests=[item], pipelines=[one], **lists)
    gitlab.things["projects/7/merge_requests/5/approvals"] = {"approvals_required": 2, "approved_by": [{"user": ROOT}]}
    gitlab.lists["projects/7/merge_requests/5/diffs"] = [{"new_path": "a.py"}, {"new_path": None, "old_path": "b.py"}]
    gitlab.things["projects/7/pipelines/31"] = {**one, "duration": 63, "finished_at": ago(minutes=61), "user": ROOT}
    gitlab.lists["projects/7/pipelines/31/jobs"] = [{"name": "lint", "status": "failed"}]
    commit = {**recorded("get_commit.json"), "committed_date": ago(hours=1)}
    gitlab.push(7, commit)
    gitlab.lists[f"projects/7/repository/commits/{commit['id']}/diff"] = [{"new_path": "a.py"}]
    gitlab.lists["projects/7/registry/repositories/2/tags"] = [{"name": "v10.0.0"}]
    tag = {**recorded("tag.json"), "created_at": ago(hours=1)}
    gitlab.things["projects/7/registry/repositories/2/tags/v10.0.0"] = tag
    found = {one.event_type: one for one in polled(fake_server).events}
    told = {name: (one.event_id, one.title, one.status, one.author) for name, one in found.items()}
    sha, digest = commit["id"], tag["digest"]
    assert told == {
        "MergeRequest": ("mr-g/p-5-opened", "[MR] Change 5", "opened", "root"),
        "Pipeline": ("pipeline-g/p-31-failed", "[Pipeline] main", "failed", "root"),
        "Release": ("release-g/p-v0.2", "[Release] Awesome app v0.2 beta", "published", "root"),
        "Commit": (f"commit-g/p-{sha}", "[Commit] Sanitize for network graph", "committed", "randx"),
        "Deployment": ("deployment-g/p-41-success", "[Deployment] production success", "success", "root"),
        "Image": (
            f"image-group/project/releases-v10.0.0-{digest}",
            "[Image] group/project/releases:v10.0.0",
            "published",
            "unknown",
        ),
    }
    assert {name: one.facts for name, one in found.items()} == {
        "MergeRequest": {
            "branches": {"head": "topic", "base": "main"},
            "comments": 2,
            "votes": "1 up, 0 down",
            "merged": False,
            "approved_by": ["root"],
            "approvals": "1 of 2",
            "files_changed": ["a.py", "b.py"],
        },
        "Pipeline": {
            "status": "failed",
            "duration": 63,
            "ref": "main",
            "commit": "abc",
            "source": "push",
            "pipeline_id": 31,
            "failed_jobs": ["lint"],
            "logs_url": "https://gitlab.example.com/g/p/-/pipelines/31",
        },
        "Release": {"tag": "v0.2", "assets": ["awesome-v0.2.msi", "awesome-v0.2.dmg"]},
        "Commit": {
            "branch": "main",
            "sha": sha,
            "changes": {"additions": 15, "deletions": 10, "files": 1},
            "files_changed": ["a.py"],
        },
        "Deployment": {
            "environment": "production",
            "ref": "main",
            "sha": "99d03678b90d914dbb1b109132516d71a4a03ea8",
            "state": "success",
            "creator": "root",
        },
        "Image": {
            "registry": "gitlab.example.com:5000",
            "image": "gitlab.example.com:5000/group/project/releases",
            "digest": digest,
            "tags": ["v10.0.0"],
            "size": 350224384,
            "package": "releases",
            "repository": "g/p",
        },
    }


def test_each_state_of_recorded_merge_requests_is_an_event_at_its_own_time(fake_server, gitlab):
    items = sorted(recorded("merge_requests.json"), key=lambda one: one["updated_at"])
    gitlab.add_project(278964, "gitlab-org/gitlab", merge_requests=items)
    found = polled(fake_server, now=datetime(2019, 8, 20, 13, tzinfo=UTC)).events
    told = {
        (one.event_id.removeprefix("mr-gitlab-org/gitlab-"), one.author, one.timestamp.isoformat()[:19])
        for one in found
    }
    assert told == {
        ("15442-opened", "hfyngvason", "2019-08-20T10:58:54"),
        ("15432-opened", ".luke", "2019-08-20T04:57:41"),
        ("15432-closed", ".luke", "2019-08-20T05:10:54"),
        ("15431-opened", "mlapierre", "2019-08-20T03:34:46"),
        ("15431-merged", "wlsf82", "2019-08-20T08:15:51"),
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
    assert [(one.event_id, one.author, one.status) for one in first.events] == [
        ("mr-g/p-1-reopened", "eve", "opened"),
        ("mr-g/p-1-closed", "eve", "closed"),
    ]
    assert ids(polled(fake_server, first.cursor)) == []


def test_webhooks_and_polls_have_the_same_ids_also_for_a_numeric_setting(fake_server, gitlab):
    names = ("merge_request", "pipeline", "push", "release", "deployment")
    bodies = {name: recorded(f"webhooks/{name}.json") for name in names}
    project = {"id": 7, "path_with_namespace": "g/p", "default_branch": "master"}
    bodies["deployment"] |= {"deployment_id": 41, "status_changed_at": ago(hours=1)}
    hooked = []
    for body in bodies.values():
        raw = json.dumps({**body, "project": project}).encode()
        hooked += HANDLER.read(Delivery({}, raw), WebhookContext(1, {"projects": ["7"], "branches": []}, NOW))
    item = merge_request(1, author={"username": "user1"}, source_branch="ms-viewport", target_branch="master")
    one = {**bodies["pipeline"]["object_attributes"], "updated_at": ago(hours=1), "finished_at": ago(hours=1)}
    deployment = {**recorded("deployments.json")[0], "status": "success", "updated_at": ago(hours=1)}
    release = {"tag_name": "1.0.0", "created_at": ago(hours=1)}
    lists = {"merge_requests": [item], "pipelines": [one], "releases": [release], "deployments": [deployment]}
    gitlab.add_project(7, "g/p", "master", **lists)
    pushed = [{"id": commit["id"], "committed_date": ago(hours=1)} for commit in bodies["push"]["commits"]]
    gitlab.push(7, *pushed, branch="master")
    answer = polled(fake_server, projects=["7"])
    assert sorted(ids(answer)) == sorted(one.event_id for one in hooked)
    told = {one.event_id: one for one in answer.events}
    for hook in hooked:
        poll_, known = told[hook.event_id], hook.facts.keys() & {"merged", "branches", "status", "commit", "tag"}
        assert {key: hook.facts[key] for key in known} == {key: poll_.facts[key] for key in known}
        assert (hook.title[:5], hook.status) == (poll_.title[:5], poll_.status)


def test_long_lists_are_read_to_the_end_over_several_polls(fake_server, gitlab, monkeypatch):
    monkeypatch.setattr(client, "MAX_REQUESTS", 12)
    gitlab.page = 3
    items = [merge_request(n, updated_at=ago(hours=23 - n), created_at=ago(hours=23 - n)) for n in range(10)]
    at_once = [merge_request(n, updated_at=ago(minutes=5), created_at=ago(minutes=5)) for n in range(10, 17)]
    gitlab.add_project(7, "g/p", merge_requests=[*items, *at_once])
    gitlab.push(7, *({"id": f"c{n}", "committed_date": ago(hours=2)} for n in range(9)))
    gitlab.add_project(8, "g/q", merge_requests=[merge_request(1)])
    repositories = [{"id": n, "path": f"g/p/{n}"} for n in range(8)]
    gitlab.add_project(9, "g/r", **{"registry/repositories": repositories})
    for n in range(8):
        gitlab.lists[f"projects/9/registry/repositories/{n}/tags"] = [{"name": "v1"}]
        tag = {"name": "v1", "digest": "sha256:1", "created_at": ago(hours=1)}
        gitlab.things[f"projects/9/registry/repositories/{n}/tags/v1"] = tag
    found, polls, last = all_polls(fake_server)
    wanted = {f"image-g/p/{n}-v1-sha256:1" for n in range(8)}
    wanted |= {f"mr-g/p-{n}-opened" for n in range(17)} | {f"commit-g/p-c{n}" for n in range(9)} | {"mr-g/q-1-opened"}
    assert {one.event_id for one in found} == wanted
    assert polls > 3
    assert last.note == ""
    assert ids(polled(fake_server, last.cursor)) == []


def test_no_event_is_lost_when_a_list_changes_during_the_poll(gitlab):
    gitlab.page = 2
    items = [merge_request(n, created_at=ago(hours=9 - n), updated_at=ago(hours=9 - n)) for n in range(5)]
    gitlab.add_project(7, "g/p", merge_requests=items)

    def moving(asked: Asked) -> Reply:
        reply = gitlab(asked)
        if path_of(asked).endswith("/merge_requests"):
            items[0]["updated_at"] = ago(minutes=1)  # the rest moves up, over the edge of a page
        return reply

    with run_fake_server(moving) as fake_server:
        assert sorted(ids(polled(fake_server))) == [f"mr-g/p-{n}-opened" for n in range(5)]


def test_a_poll_that_stops_early_has_more(fake_server, gitlab, monkeypatch):
    monkeypatch.setattr(client, "MAX_REQUESTS", 4)
    for number in (7, 8, 9):
        gitlab.add_project(number, f"g/p{number}")
    answer = polled(fake_server)
    assert answer.has_more
    assert answer.note == "There is more to read than fits in one poll. 3 projects left."
    stopped = poll(PollContext(turn(fake_server).settings, {}, NOW, stopping=lambda: True))
    assert (stopped.has_more, list(stopped.events)) == (True, [])


def test_the_next_poll_requests_updates_with_an_overlap(fake_server, gitlab):
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(1)])
    first = polled(fake_server)
    gitlab.lists["projects/7/merge_requests"] += [
        merge_request(2, created_at=ago(minutes=61), updated_at=ago(minutes=61)),
        merge_request(3, created_at=ago(days=2), updated_at=ago(minutes=1), state="closed", closed_at=ago(minutes=1)),
    ]
    fake_server.asked.clear()
    second = polled(fake_server, first.cursor)
    assert ids(second) == ["mr-g/p-2-opened", "mr-g/p-3-closed"]
    [asked] = [one for one in fake_server.asked if path_of(one).endswith("/merge_requests")]
    assert params_of(asked)["updated_after"] == ago(hours=1, minutes=2)
    assert (params_of(asked)["order_by"], params_of(asked)["sort"]) == ("updated_at", "asc")


def test_unchanged_lists_are_answered_with_304_and_not_read_further(fake_server, gitlab):
    gitlab.add_project(7, "g/p", releases=[{"tag_name": "v1", "created_at": ago(hours=1)}])
    gitlab.push(7, {"id": "c1", "committed_date": ago(hours=1)})
    first = polled(fake_server)
    fake_server.asked.clear()
    polled(fake_server, first.cursor)
    conditional = {path_of(one).rpartition("/")[2] for one in fake_server.asked if "if-none-match" in one.headers}
    assert conditional == {"releases", "main"}


def test_commits_pushed_late_are_found_though_they_are_old(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    gitlab.push(7, {"id": "c1", "committed_date": ago(hours=1)})
    first = polled(fake_server)
    gitlab.push(7, {"id": "c0", "committed_date": ago(days=9)}, {"id": "c1", "committed_date": ago(hours=1)})
    second = polled(fake_server, first.cursor)
    assert ids(second) == ["commit-g/p-c0"]
    gitlab.push(7, {"id": "c5", "committed_date": ago(hours=1)})
    assert ids(polled(fake_server, second.cursor)) == ["commit-g/p-c5"]  # rewritten: the old head is gone


def test_only_configured_branches_are_recorded(fake_server, gitlab):
    items = [merge_request(1), merge_request(2, target_branch="release/1")]
    runs = [
        {"id": n, "status": "success", "ref": ref, "updated_at": ago(hours=1)} for n, ref in ((1, "main"), (2, "x"))
    ]
    gitlab.add_project(7, "g/p", merge_requests=items, pipelines=runs)
    gitlab.push(7, {"id": "c1", "committed_date": ago(hours=1)}, branch="release/1")
    assert ids(polled(fake_server, branches=["release/1", "gone"])) == ["mr-g/p-2-opened", "commit-g/p-c1"]
    assert "/api/v4/projects/7/repository/branches/release%2F1" in asked_for(fake_server)


def test_new_and_moved_tags_are_new_images_and_others_are_not_requested_again(fake_server, gitlab):
    repository = recorded("repositories.json")[0]
    gitlab.add_project(7, "group/project", **{"registry/repositories": [repository]})
    tags = "projects/7/registry/repositories/1/tags"

    def tag(name: str, digest: str, **times: float) -> None:
        gitlab.things[f"{tags}/{name}"] = {"name": name, "digest": digest, "created_at": ago(**times)}
        gitlab.lists[tags] = [{"name": path.rpartition("/")[2]} for path in gitlab.things if path.startswith(tags)]

    tag("v1", "sha256:1", days=9)
    tag("latest", "sha256:1", days=9)
    first = polled(fake_server)
    assert ids(first) == []
    tag("v2", "sha256:2", days=8)
    tag("latest", "sha256:2", minutes=1)
    asked_for(fake_server)
    second = polled(fake_server, first.cursor)
    images = ["image-group/project-latest-sha256:2", "image-group/project-v2-sha256:2"]
    assert sorted(ids(second)) == images
    assert f"/api/v4/{tags}/v1" not in asked_for(fake_server)
    assert {one.event_id: one.timestamp for one in second.events}[images[1]] == NOW  # an old image under a new name
    assert ids(polled(fake_server, second.cursor)) == []


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
    gitlab.push(7, {"id": "c1"}, {"message": None})
    answer = polled(fake_server)
    assert ids(answer) == [
        *("mr-g/p-1-opened", "mr-g/p-2-opened", "mr-g/p-2-merged"),
        *("release-g/p-v1", "commit-g/p-c1", "deployment-g/p-5-failed"),
    ]
    by_id = {one.event_id: one for one in answer.events}
    assert (by_id["mr-g/p-2-merged"].author, by_id["mr-g/p-2-merged"].title) == ("unknown", "[MR] !2")
    assert by_id["commit-g/p-c1"].timestamp == NOW
    gitlab.refuse["projects/7/merge_requests"] = as_json(odd)
    gitlab.refuse["projects/7/pipelines"] = as_json(runs)
    gitlab.refuse["projects/7/releases"] = as_json({"message": "no list"})
    assert "pipeline-g/p-4-success" in ids(polled(fake_server))


def test_a_missing_project_is_a_note_and_all_missing_an_error(fake_server, gitlab):
    gitlab.add_project(7, "g/sub/p", merge_requests=[merge_request(1)])
    answer = polled(fake_server, projects=["g/gone", "g/sub/p"])
    assert ids(answer) == ["mr-g/sub/p-1-opened"]
    assert answer.note == "Not found, or not accessible with this token: g/gone."
    assert "/api/v4/projects/g%2Fsub%2Fp" in asked_for(fake_server)
    gitlab.refuse["projects/8"] = as_json({"message": "403 Forbidden"}, 403)
    answer = polled(fake_server, projects=["8", "7"])
    assert (ids(answer), answer.note) == (["mr-g/sub/p-1-opened"], "Could not read: 8.")
    with pytest.raises(PollError, match="None of the projects") as failed:
        polled(fake_server, projects=["g/gone", "99"])
    assert failed.value.kind is ErrorKind.NOT_FOUND


def test_a_list_that_the_token_may_not_read_is_a_note_and_all_of_them_an_error(fake_server, gitlab):
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(1)])
    gitlab.refuse["projects/7/pipelines"] = as_json({"message": "403 Forbidden"}, 403)
    gitlab.refuse["projects/7/registry/repositories"] = as_json({"message": "404 Not found"}, 404)  # it has none
    gitlab.refuse["projects/7/deployments"] = as_json({"message": "500"}, 500)
    answer = polled(fake_server)
    assert ids(answer) == ["mr-g/p-1-opened"]
    assert answer.note == "Could not read: pipelines, deployments of g/p."
    for name in ("merge_requests", "releases", "repository/branches/main"):
        gitlab.refuse[f"projects/7/{name}"] = as_json({"message": "403 Forbidden"}, 403)
    with pytest.raises(PollError, match=r"cannot read merge requests, .* of g/p\. Grant it the scope read_api"):
        polled(fake_server)
    gitlab.refuse["projects"] = as_json({"error": "insufficient_scope"}, 403)
    with pytest.raises(PollError, match="403") as failed:
        polled(fake_server)
    assert failed.value.kind is ErrorKind.PERMISSION


def test_one_failing_project_does_not_stop_others_and_two_are_an_error(fake_server, gitlab):
    for number in (7, 8, 9):
        gitlab.add_project(number, f"g/p{number}", merge_requests=[merge_request(1)])
    broken = as_json({"message": "500"}, 500)
    gitlab.refuse |= {"projects/7/merge_requests": broken, "projects/7/pipelines": Reply(body=b"[{")}
    answer = polled(fake_server)
    assert ids(answer) == ["mr-g/p8-1-opened", "mr-g/p9-1-opened"]
    assert (answer.has_more, answer.note) == (False, "Could not read: g/p7.")
    gitlab.refuse |= {f"projects/8/{name}": broken for name in ("merge_requests", "pipelines")}
    with pytest.raises(PollError) as failed:
        polled(fake_server)
    assert failed.value.kind is ErrorKind.SERVER_ERROR
    gitlab.refuse.clear()
    assert ids(polled(fake_server, answer.cursor)) == ["mr-g/p7-1-opened"]


def test_a_wrong_token_is_reported(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    with pytest.raises(PollError, match="rejected the token") as failed:
        polled(fake_server, token="glpat-wrong")
    assert failed.value.kind is ErrorKind.AUTHENTICATION
    assert "glpat" not in str(failed.value)


def test_a_rate_limit_keeps_the_events_and_the_next_poll_reports_it(fake_server, gitlab):
    gitlab.headers = {"RateLimit-Limit": "2000", "RateLimit-Remaining": "7", "RateLimit-Reset": "1772625660"}
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(1)])
    whole = polled(fake_server).rate_limit
    assert whole == RateLimit(2000, 7, datetime.fromtimestamp(1772625660, UTC))
    release, deployment = {"tag_name": "v1", "created_at": ago(hours=1)}, {"id": 5, "status": "failed"}
    again = {"releases": [release], "deployments": [{**deployment, "updated_at": ago(hours=1)}]}
    gitlab.add_project(8, "g/q", merge_requests=[merge_request(1)], **again)
    limited = Reply(429, b"Retry later\n", {"Retry-After": "60", "RateLimit-Remaining": "0"})
    gitlab.refuse["projects/8/merge_requests"] = limited
    first = polled(fake_server)
    assert ids(first) == ["mr-g/p-1-opened"]
    assert first.has_more
    assert "Rate limit" in first.note
    assert first.rate_limit == RateLimit(2000, 0, NOW + timedelta(seconds=60))  # so long the next poll waits
    with pytest.raises(PollError, match="Rate limit") as failed:
        polled(fake_server, first.cursor)
    assert failed.value.kind is ErrorKind.RATE_LIMITED
    assert failed.value.retry_at == NOW + timedelta(seconds=60)
    gitlab.refuse = {"projects/8/registry/repositories": limited}
    second = polled(fake_server, first.cursor)
    assert ids(second) == ["mr-g/q-1-opened", "release-g/q-v1", "deployment-g/q-5-failed"]
    with pytest.raises(PollError, match="Rate limit"):  # though the overlap finds the same again
        polled(fake_server, second.cursor)


def test_only_active_projects_of_the_token_are_listed(fake_server, gitlab):
    gitlab.page = 100
    for number in range(1, 104):
        gitlab.lists.setdefault("projects", []).append({"id": number, "path_with_namespace": f"g/p{number}"})
    gitlab.refuse["projects/1/merge_requests"] = as_json({}, 429)
    with pytest.raises(PollError):
        polled(fake_server)
    [first, second] = [params_of(one) for one in fake_server.asked if path_of(one) == "/api/v4/projects"]
    assert (first["membership"], first["last_activity_after"]) == ("true", ago(days=30))
    assert second["id_after"] == "100"


def test_the_token_goes_in_its_header_below_the_base_url(fake_server, gitlab):
    gitlab.add_project(7, "g/p")
    polled(fake_server, base_url=f"{fake_server.url}/api/v4")
    assert {one.headers["private-token"] for one in fake_server.asked} == {"glpat-far"}
    assert all(one.path.startswith("/api/v4/") and "glpat" not in one.path for one in fake_server.asked)
