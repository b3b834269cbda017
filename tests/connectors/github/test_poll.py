"""Polling a fake GitHub finds every event, resumes at its cursor, and explains its failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from painchain.connectors.code_hosts import event_id, parse_time
from painchain.connectors.contract import ErrorKind, PollContext, PollError, PollResult, SourceEvent
from painchain.connectors.github import TYPE, client
from painchain.connectors.github.pagination import PollSession
from painchain.connectors.poll_budget import PollBudgetExceeded
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import FakeServer, JsonReply, run_fake_json_server

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REPO = "acme/api"


def ago(**past: float) -> str:
    """Return a time before NOW as GitHub writes it."""
    return (NOW - timedelta(**past)).isoformat().replace("+00:00", "Z")


def gid(kind: str, *occurrence: str | int, repository: int | str = 1) -> str:
    """Return the id of an event."""
    parts = [parse_time(part) or part if isinstance(part, str) and len(part) == 20 else part for part in occurrence]
    return event_id("github", 1, repository, kind, *parts)


def pull(number: int, **more: Any) -> dict[str, Any]:
    """Return an open pull request as its list has it."""
    return {
        "number": number,
        "title": f"Change {number}",
        "state": "open",
        "user": {"login": "ann"},
        "created_at": ago(hours=1),
        "updated_at": ago(hours=1),
        "head": {"ref": "fix/retry"},
        "base": {"ref": "main"},
        "html_url": f"https://git.example/{REPO}/pull/{number}",
        **more,
    }


def commit(sha: str, time: str, message: str = "Work") -> dict[str, Any]:
    """Return a commit."""
    author = {"name": "Ann", "date": time}
    return {
        "sha": sha,
        "commit": {"message": message, "author": author, "committer": author},
        "author": {"login": "ann"},
    }


def run(number: int, **more: Any) -> dict[str, Any]:
    """Return a workflow run that succeeded."""
    return {
        "id": number,
        "name": "Tests",
        "head_branch": "main",
        "head_sha": "5ha",
        "run_attempt": 1,
        "run_number": 12,
        "event": "push",
        "status": "completed",
        "conclusion": "success",
        "actor": {"login": "ann"},
        "created_at": ago(hours=1),
        "run_started_at": ago(minutes=50),
        "updated_at": ago(minutes=48),
        "html_url": f"https://git.example/{REPO}/actions/runs/{number}",
        **more,
    }


@pytest.fixture
def github() -> GitHub:
    """A GitHub with one repository."""
    played = GitHub()
    played.add_repo(REPO, pushed_at=ago(hours=1))
    return played


@pytest.fixture
def fake_server(github: GitHub) -> Iterator[FakeServer]:
    """Its server."""
    with run_fake_json_server(github) as served:
        yield served


PollFunction = Callable[..., PollResult]


@pytest.fixture
def poll(fake_server: FakeServer) -> PollFunction:
    """Return a function that polls from where the previous poll ended."""
    previous: dict[str, Any] = {}

    def poll_at(minutes: float = 0, **settings: Any) -> PollResult:
        values = {**TYPE.defaults(), "base_url": fake_server.url, "token": TOKEN, "repos": [REPO], **settings}
        fake_server.requests.clear()
        assert TYPE.poll
        polled = TYPE.poll(
            PollContext(values, previous.get("cursor", {}), NOW + timedelta(minutes=minutes), connector_id=1)
        )
        previous["cursor"] = json.loads(json.dumps(polled.cursor))
        return polled

    return poll_at


def ids(polled: PollResult) -> list[str]:
    """Return the ids of the events, sorted."""
    return sorted(event.event_id for event in polled.events)


def by_id(polled: PollResult) -> dict[str, SourceEvent]:
    """Return the events by id."""
    return {event.event_id: event for event in polled.events}


# Events


def test_a_merged_pull_request_is_two_events_each_at_its_own_time(github: GitHub, poll: PollFunction) -> None:
    github.put(REPO, "pulls", pull(7, state="closed", merged_at=ago(minutes=5), closed_at=ago(minutes=5)))
    github.things[f"repos/{REPO}/pulls/7"] = {
        **{"number": 7, "additions": 42, "deletions": 7, "changed_files": 2, "comments": 1, "review_comments": 2},
        **{"merged_by": {"login": "bob"}, "requested_reviewers": [{"login": "cy"}], "user": {"login": "ann"}},
        **{"merged_at": ago(minutes=5), "title": "Change 7", "base": {"ref": "main"}, "head": {"ref": "fix/retry"}},
    }
    reviews = [("dot", "CHANGES_REQUESTED"), ("dot", "APPROVED"), ("dot", "COMMENTED"), ("eve", "CHANGES_REQUESTED")]
    github.lists[f"repos/{REPO}/pulls/7/reviews"] = [{"user": {"login": n}, "state": state} for n, state in reviews]
    github.lists[f"repos/{REPO}/pulls/7/files"] = [{"filename": "a.py"}, {"filename": "b.py"}]
    polled = poll()
    assert ids(polled) == [gid("pr", 7, "merged"), gid("pr", 7, "opened")]
    opened, merged = by_id(polled)[gid("pr", 7, "opened")], by_id(polled)[gid("pr", 7, "merged")]
    assert (opened.title, opened.status, opened.author, opened.timestamp) == (
        *("[PR] Change 7", "open", "ann"),
        NOW - timedelta(hours=1),
    )
    assert (merged.status, merged.author, merged.timestamp) == ("merged", "bob", NOW - timedelta(minutes=5))
    assert merged.url == f"https://git.example/{REPO}/pull/7"
    assert merged.facts == {
        "repository": REPO,
        "branches": {"head": "fix/retry", "base": "main"},
        "changes": {"additions": 42, "deletions": 7, "files": 2},
        "reviewers": ["cy", "dot", "eve"],
        "approvals": 1,
        "changes_requested": 1,
        "comments": 3,
        "merged": True,
        "files_changed": ["a.py", "b.py"],
    }
    assert opened.facts["merged"] is False


def test_the_author_of_a_closed_or_reopened_pull_request_is_recorded(github: GitHub, poll: PollFunction) -> None:
    github.put(REPO, "pulls", pull(8, state="closed", closed_at=ago(minutes=2), updated_at=ago(minutes=2)))
    issue = {"issue": {"number": 8, "title": "Change 8", "pull_request": {"url": ""}}}
    changes = [("closed", 2, "bob"), ("reopened", 9, "cy"), ("closed", 20, "dot"), ("labeled", 30, "dot")]
    issue_events = [
        {"event": event, "created_at": ago(minutes=minutes), "actor": {"login": login}, **issue}
        for event, minutes, login in changes
    ]
    github.put(
        REPO,
        "issues/events",
        *issue_events,
        {"event": "reopened", "created_at": ago(minutes=1), "issue": {"number": 9}},
    )
    polled = poll()
    assert [
        (event.event_id, event.author, event.timestamp, event.status)
        for event in sorted(polled.events, key=lambda event: event.timestamp)
    ] == [
        (gid("pr", 8, "opened"), "ann", NOW - timedelta(hours=1), "open"),
        (gid("pr", 8, "closed", ago(minutes=20)), "dot", NOW - timedelta(minutes=20), "closed"),
        (gid("pr", 8, "reopened", ago(minutes=9)), "cy", NOW - timedelta(minutes=9), "open"),
        (gid("pr", 8, "closed", ago(minutes=2)), "bob", NOW - timedelta(minutes=2), "closed"),
    ]


def test_a_run_is_found_when_it_begins_and_when_it_ends_with_the_jobs_that_failed(
    github: GitHub, poll: PollFunction
) -> None:
    github.put(REPO, "actions/runs", run(1), run(2, status="queued", conclusion=None))
    github.put(REPO, "actions/runs", run(3, status="in_progress", conclusion=None))
    assert ids(poll()) == [
        gid("run", 1, 1, "in_progress"),
        gid("run", 1, 1, "success"),
        gid("run", 3, 1, "in_progress"),
    ]
    runs = github.lists[f"repos/{REPO}/actions/runs"]
    runs[0] = run(3, conclusion="failure", updated_at=ago(minutes=-4))
    jobs = [{"name": "lint", "conclusion": "failure"}, {"name": "build", "conclusion": "success"}]
    github.lists[f"repos/{REPO}/actions/runs/3/attempts/1/jobs"] = jobs
    failed = by_id(poll(5))[gid("run", 3, 1, "failure")]
    assert (failed.title, failed.status, failed.author) == ("[Workflow] Tests - main", "failure", "ann")
    assert failed.facts == {
        "repository": REPO,
        **{"status": "failure", "duration": 54 * 60, "branch": "main", "commit": "5ha", "trigger": "push"},
        **{"run_number": 12, "failed_jobs": ["lint"], "logs_url": f"{failed.url}/attempts/1"},
    }


def test_a_run_that_is_no_longer_on_the_first_page_is_still_followed(github: GitHub, poll: PollFunction) -> None:
    github.page = 2
    github.put(REPO, "actions/runs", run(3, status="in_progress", conclusion=None))
    poll()
    github.lists[f"repos/{REPO}/actions/runs"] = []
    github.put(REPO, "actions/runs", run(4, updated_at=ago(minutes=-1)))
    github.things[f"repos/{REPO}/actions/runs/3"] = run(3, updated_at=ago(minutes=-2))
    assert gid("run", 3, 1, "success") in ids(poll(5))


def test_releases_deployments_with_their_states_and_images_are_found(
    github: GitHub, fake_server: FakeServer, poll: PollFunction
) -> None:
    release = {
        "id": 5,
        "tag_name": "v1",
        "prerelease": True,
        "published_at": ago(hours=2),
        "assets": [{"name": "a.zip"}],
    }
    github.put(REPO, "releases", release, {"id": 6, "tag_name": "v2", "draft": True, "created_at": ago(hours=1)})
    made = {"id": 9, "environment": "production", "ref": "v1", "sha": "5ha", "creator": {"login": "ann"}}
    github.put(REPO, "deployments", {**made, "created_at": ago(days=3), "updated_at": ago(minutes=1)})
    states = [(4, "success", ago(minutes=1)), (3, "in_progress", ago(minutes=2)), (2, "in_progress", ago(minutes=3))]
    states.append((1, "queued", ago(days=3)))
    github.lists[f"repos/{REPO}/deployments/9/statuses"] = [
        {
            "id": number,
            "state": state,
            "created_at": time,
            "creator": {"login": "bot"},
            "target_url": "javascript:alert(1)",
        }
        for number, state, time in states
    ]
    package = {"name": "team/api", "owner": {"login": "acme"}, "repository": {"full_name": REPO}}
    other = {**package, "name": "other", "repository": {"full_name": "acme/other"}, "updated_at": ago(hours=1)}
    github.lists["users/acme/packages"] = [{**package, "updated_at": ago(hours=1)}, other]
    version = {"name": "sha256:abc", "metadata": {"container": {"tags": ["1.0", "latest"]}}}
    github.lists["users/acme/packages/container/team/api/versions"] = [
        {**version, "id": 77, "created_at": ago(hours=1)},
        {**version, "id": 70, "created_at": ago(days=9)},
    ]
    polled = poll()
    found = by_id(polled)
    image = gid("image", 77, repository="")
    published = gid("release", 5, "prerelease", ago(hours=2))
    states_reached = [gid("deployment", 9, "status", number) for number in (2, 3, 4)]
    assert set(found) == {*states_reached, published, image}
    assert found[published].status == "prerelease"
    assert found[published].facts == {
        "repository": REPO,
        **{"tag": "v1", "prerelease": True, "draft": False, "assets": ["a.zip"]},
    }
    success = found[states_reached[2]]
    assert (success.title, success.author, success.url) == ("[Deployment] production success", "bot", None)
    assert success.facts["creator"] == "ann"
    assert success.facts["repository"] == REPO
    assert [found[number].status for number in states_reached] == ["in_progress", "in_progress", "success"]
    assert found[states_reached[0]].timestamp == NOW - timedelta(minutes=3)
    assert found[image].title == "[Image] team/api:1.0,latest"
    assert found[image].facts["digest"] == "sha256:abc"
    assert found[image].facts["repository"] == REPO
    assert "/users/acme/packages/container/team%2Fapi/versions" in [request.path for request in fake_server.requests]


def test_pushes_and_their_commits_stand_at_the_time_of_the_push(github: GitHub, poll: PollFunction) -> None:
    github.put(REPO, "commits", commit("a0", ago(days=40)))
    github.push(REPO, ago(hours=1), commit("a1", ago(days=40)))
    github.things[f"repos/{REPO}/commits/a1"] = {
        **commit("a1", ago(days=40), "First line\n\nthe rest"),
        "stats": {"additions": 3, "deletions": 1},
        "files": [{"filename": "a.py"}],
    }
    first = by_id(poll())
    pushed = gid("push", "main", "a1", ago(hours=1))
    assert list(first) == [pushed, gid("commit", "a1")]
    event = first[pushed]
    assert (event.title, event.status, event.author) == ("[Push] main", "pushed", "ann")
    assert event.timestamp == NOW - timedelta(hours=1)
    assert event.facts == {
        "repository": REPO,
        **{"branch": "main", "before": "a0", "after": "a1", "commits": 1, "pusher": "ann", "forced": False},
    }
    event = first[gid("commit", "a1")]
    assert (event.title, event.text, event.author) == ("[Commit] First line", "First line\n\nthe rest", "ann")
    assert event.timestamp == NOW - timedelta(hours=1)
    assert event.facts == {
        "repository": REPO,
        "branch": "main",
        "sha": "a1",
        "committed_at": ago(days=40),
        "push": "a1",
        "changes": {"additions": 3, "deletions": 1, "files": 1},
        "files_changed": ["a.py"],
    }
    github.push(REPO, ago(minutes=-1), commit("a3", "2099-01-01T00:00:00Z"), commit("a2", ago(days=30)))
    later = by_id(poll(5))
    assert list(later) == [gid("push", "main", "a3", ago(minutes=-1)), gid("commit", "a2"), gid("commit", "a3")]
    assert {event.timestamp for event in later.values()} == {NOW + timedelta(minutes=1)}


def test_a_branch_that_is_put_forward_back_and_forward_makes_an_event_each_time(
    github: GitHub, poll: PollFunction
) -> None:
    github.put(REPO, "commits", commit("b", ago(hours=9)), commit("a", ago(hours=9)))
    for number, (before, after, kind) in enumerate([("a", "b", "push"), ("b", "a", "force_push"), ("a", "b", "push")]):
        ends = {"before": before, "after": after, "ref": "refs/heads/production", "activity_type": kind}
        activity = {"id": number, "timestamp": ago(minutes=9 - number), "actor": {"login": "bob"}, **ends}
        github.put(REPO, "activity", activity)
    ends = {"before": "b", "after": "0" * 40, "ref": "refs/heads/production", "activity_type": "branch_deletion"}
    github.put(REPO, "activity", {"id": 4, "timestamp": ago(minutes=1), **ends})
    github.put(REPO, "activity", {"id": 5, "timestamp": ago(minutes=1), **ends, "ref": "refs/tags/v1"})
    polled = poll()
    assert [(event.title, event.status, event.author) for event in polled.events] == [
        ("[Push] production", "pushed", "bob"),
        ("[Push] production", "forced", "bob"),
        ("[Push] production", "pushed", "bob"),
        ("[Push] production", "deleted", "unknown"),
    ]
    assert [event.facts.get("commits") for event in polled.events] == [1, 0, 1, None]
    assert [event.facts["forced"] for event in polled.events] == [False, True, False, False]
    assert poll(5, branches=["main"]).events == []


def heads(github: GitHub, **shas: str) -> None:
    """Set the heads of all branches, on a server without a list of activities."""
    github.refuse[f"repos/{REPO}/activity"] = JsonReply({"message": "Not Found"}, 404)
    github.things[f"repos/{REPO}/git/matching-refs/heads"] = [
        {"ref": f"refs/heads/{branch}", "object": {"sha": sha}} for branch, sha in shas.items()
    ]


def test_without_a_list_of_activities_the_heads_of_branches_are_compared(
    github: GitHub, fake_server: FakeServer, poll: PollFunction
) -> None:
    github.put(REPO, "commits", commit("a1", ago(hours=2)), commit("a0", ago(days=40)))
    heads(github, main="a1", old="a0")
    assert ids(poll()) == [gid("commit", "a1")]
    assert poll(1).events == []
    assert [request.path for request in fake_server.requests if request.path.endswith("activity")] == []
    # A branch with an old commit is merged.
    github.put(REPO, "commits", commit("a3", ago(minutes=-1)), commit("a2", ago(days=30)))
    heads(github, main="a3", new="a3")
    github.things[f"repos/{REPO}"]["pushed_at"] = ago(minutes=-2)
    polled = poll(5)
    assert ids(polled) == sorted(
        [
            gid("push", "main", "a3", ago(minutes=-2)),
            gid("push", "new", "a3", ago(minutes=-2)),
            gid("push", "old", "0" * 12, ago(minutes=-2)),
            gid("commit", "a2"),
            gid("commit", "a3"),
        ]
    )
    events = [(event.title, event.status, event.author) for event in polled.events if event.event_type == "Push"]
    assert sorted(events) == [
        ("[Push] main", "pushed", "unknown"),
        ("[Push] new", "created", "unknown"),
        ("[Push] old", "deleted", "unknown"),
    ]
    # The branch is put to another history, of which the old head is no part.
    github.lists[f"repos/{REPO}/commits"] = [commit("b1", ago(minutes=-8)), commit("b0", ago(days=40))]
    heads(github, main="b1", new="a3")
    assert ids(poll(10)) == [gid("commit", "b1"), gid("push", "main", "b1", ago(minutes=-10))]


def test_without_lists_of_activities_and_references_the_followed_branches_are_read(
    github: GitHub, poll: PollFunction
) -> None:
    github.refuse[f"repos/{REPO}/activity"] = JsonReply({"message": "Resource not accessible"}, 403)
    github.put(REPO, "commits", commit("a1", ago(hours=2)), commit("a0", ago(days=40)))
    assert ids(poll()) == [gid("commit", "a1")]
    assert (poll(1).events, poll(2).requests) == ([], 7)
    github.put(REPO, "commits", commit("a2", ago(days=30)))
    assert ids(poll(5)) == [gid("commit", "a2"), gid("push", "main", "a2", ago(minutes=-5))]
    # Two days later there is a list of activities.
    github.refuse.clear()
    github.push(REPO, ago(days=-2), commit("a3", ago(days=30)))
    assert ids(poll(2 * 24 * 60 + 5)) == [gid("commit", "a3"), gid("push", "main", "a3", ago(days=-2))]


def test_an_empty_repository_is_not_an_error(github: GitHub, poll: PollFunction) -> None:
    assert (poll().events, poll().note) == ([], "")
    heads(github)
    github.refuse[f"repos/{REPO}/git/matching-refs/heads"] = JsonReply({"message": "Git Repository is empty."}, 409)
    assert (poll().events, poll().note) == ([], "")


def test_listed_branches_narrow_commits_pull_requests_and_runs(
    github: GitHub, fake_server: FakeServer, poll: PollFunction
) -> None:
    github.put(REPO, "pulls", pull(1), pull(2, base={"ref": "stable"}))
    github.put(REPO, "actions/runs", run(1, head_branch="stable"), run(2))
    github.put(REPO, "commits", commit("a0", ago(days=1)))
    github.push(REPO, ago(minutes=9), commit("a1", ago(hours=1)), branch="main")
    github.push(REPO, ago(minutes=8), commit("a2", ago(hours=1)), branch="stable")
    assert ids(poll(branches=["stable"])) == [
        gid("commit", "a2"),
        gid("pr", 2, "opened"),
        gid("push", "stable", "a2", ago(minutes=8)),
        gid("run", 1, 1, "in_progress"),
        gid("run", 1, 1, "success"),
    ]
    assert {request.path for request in fake_server.requests if "/compare/" in request.path} == {
        f"/repos/{REPO}/compare/a1...a2"
    }


ODD = [None, "text", {}, {"number": None, "user": None, "title": None, "created_at": None, "updated_at": "soon"}]


def test_an_incomplete_item_is_recorded_and_does_not_stop_the_poll(github: GitHub, poll: PollFunction) -> None:
    github.put(REPO, "pulls", *ODD, pull(4, user=None, title=None, updated_at=None), pull(5))
    github.put(REPO, "actions/runs", *ODD, run(6, name=None, actor=None, run_started_at=None, html_url=7))
    for kind in ("releases", "deployments", "issues/events"):
        github.put(REPO, kind, *ODD, {"id": 1, "issue": 3, "tag_name": [], "statuses": 1, "assets": 4, "creator": 5})
    github.lists["users/acme/packages"] = [*ODD, {"name": "x", "repository": {"full_name": REPO}}]
    polled = poll()
    assert {gid("pr", 4, "opened"), gid("pr", 5, "opened"), gid("run", 6, 1, "success")} <= set(ids(polled))
    assert by_id(polled)[gid("pr", 4, "opened")].author == "unknown"
    assert by_id(polled)[gid("pr", 4, "opened")].title == "[PR]"
    known = {event_type.name: {field.key for field in event_type.fields} for event_type in TYPE.event_types}
    assert [event.event_id for event in polled.events if not set(event.facts) <= known[event.event_type]] == []


def test_absurd_times_stop_no_poll(github: GitHub, poll: PollFunction) -> None:
    for number, time in [(1, "0001-01-01T00:00:00Z"), (2, "9999-12-31T23:59:59Z"), (3, "9999-12-31T23:59:59-23:00")]:
        github.put(REPO, "pulls", pull(number, state="closed", closed_at=time))
        ends = {"before": "a", "after": f"b{number}", "ref": "refs/heads/main"}
        github.put(REPO, "activity", {"id": number, "timestamp": time, **ends})
    assert {gid("pr", 1, "opened"), gid("pr", 2, "opened"), gid("pr", 3, "opened")} <= set(ids(poll()))
    assert poll(1).note == ""


def test_an_unexpected_error_stops_only_one_part_of_a_poll(caplog: pytest.LogCaptureFixture) -> None:
    context = PollContext({**TYPE.defaults(), "token": TOKEN}, {}, NOW)
    with client.open_client(context.settings, NOW) as http:
        session = PollSession(context, client.GitHubClient(http, NOW, lambda: False, {}))
        session.api.has_answered = True
        with session.attempt("releases of acme/api"):
            raise ValueError("secret")
        with pytest.raises(PollBudgetExceeded), session.attempt("pull requests of acme/api"):
            raise PollBudgetExceeded
    assert [(name, error.kind) for name, error in session.failures] == [("releases of acme/api", ErrorKind.INTERNAL)]
    assert "Reading releases of acme/api failed: ValueError" in caplog.text
    assert "secret" not in caplog.text


# Cursors


def test_the_first_poll_reads_a_day_back_and_the_next_only_changes(
    github: GitHub, fake_server: FakeServer, poll: PollFunction
) -> None:
    github.put(REPO, "pulls", pull(2), pull(1, created_at=ago(hours=25), updated_at=ago(minutes=1)))
    assert ids(poll()) == [gid("pr", 2, "opened")]
    spent = github.left
    assert poll(5).events == []
    assert github.left == spent, "what has not changed costs nothing of the rate limit"
    assert all("if-none-match" in request.headers for request in fake_server.requests)
    github.put(REPO, "pulls", pull(3, created_at=ago(minutes=1), updated_at=ago(minutes=1)))
    assert ids(poll(10)) == [gid("pr", 3, "opened")], "at the very time that was read last"


def test_lists_are_read_back_to_the_start_of_the_last_poll(
    github: GitHub, fake_server: FakeServer, poll: PollFunction
) -> None:
    new = [pull(number, updated_at=ago(minutes=number)) for number in range(1, 8)]
    old = [pull(number, created_at=ago(days=2), updated_at=ago(days=2, minutes=number)) for number in range(8, 90)]
    github.page = 3
    github.put(REPO, "pulls", *new, *old)
    assert len(poll().events) == 7
    assert len([request for request in fake_server.requests if request.path.endswith("/pulls")]) == 4


def test_what_exceeds_one_poll_is_read_by_the_next_without_loss(
    github: GitHub, poll: PollFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_REQUESTS", 40)
    github.page = 5
    github.put(REPO, "pulls", *[pull(number, updated_at=ago(minutes=number)) for number in range(1, 30)])
    github.put(REPO, "commits", commit("c60", ago(days=2)))
    github.push(REPO, ago(minutes=1), *[commit(f"c{number}", ago(minutes=number)) for number in range(60)])
    found: set[str] = set()
    polls = 0
    while True:
        polled = poll(polls)
        found |= set(ids(polled))
        polls += 1
        # Something happens in between: all that is on later pages moves on.
        number = 100 + polls
        time = ago(minutes=-polls)
        if polls < 4:
            github.put(REPO, "pulls", pull(number, created_at=time, updated_at=time))
        if not polled.has_more:
            break
        assert "The next poll follows" in polled.note
        assert polls < 20
    expected = [*range(1, 30), 101, 102, 103]
    pushed = {gid("push", "main", "c0", ago(minutes=1)), *(gid("commit", f"c{number}") for number in range(60))}
    assert found == {gid("pr", number, "opened") for number in expected} | pushed
    assert polls > 4


def test_many_repositories_take_several_polls_and_then_no_more_follow(
    github: GitHub, poll: PollFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_REQUESTS", 30)
    names = [f"acme/part{number}" for number in range(12)]
    for number, name in enumerate(names):
        github.add_repo(name)
        github.put(name, "releases", {"id": number, "tag_name": "v", "published_at": ago(hours=1)})
    for start in (0, 60):
        polls = [poll(start, repos=names)]
        while polls[-1].has_more:
            assert len(polls) < 9
            polls.append(poll(start + len(polls), repos=names))
        assert len(polls) == 3
        found = {number for polled in polls for number in ids(polled)}
        occurrences = [(number, "published", ago(hours=1)) for number in range(12)]
        expected = {gid("release", *occurrence, repository=2 + occurrence[0]) for occurrence in occurrences}
        assert found == (expected if start == 0 else set())


def test_the_cursor_of_one_server_is_not_used_for_another(github: GitHub, poll: PollFunction) -> None:
    github.put(REPO, "pulls", pull(1))
    assert len(poll().events) == 1
    with run_fake_json_server(github) as moved:
        assert len(poll(5, base_url=moved.url).events) == 1


# Which repositories


def test_without_a_list_all_accessible_repositories_are_polled_and_quiet_ones_take_turns(
    github: GitHub, fake_server: FakeServer, poll: PollFunction
) -> None:
    for number in range(15):
        github.add_repo(f"acme/quiet{number}", pushed_at=ago(days=9))
        github.put(f"acme/quiet{number}", "releases", {"id": number, "tag_name": "v", "published_at": ago(hours=1)})
    github.put(REPO, "pulls", pull(1))
    first, second = poll(repos=[]), poll(5, repos=[])
    assert gid("pr", 1, "opened") in ids(first)
    assert len(first.events) == 11
    assert len(second.events) == 5
    assert {*ids(first), *ids(second)} >= {
        gid("release", number, "published", ago(hours=1), repository=2 + number) for number in range(15)
    }


def test_the_token_of_an_app_lists_the_repositories_of_its_installation(github: GitHub, poll: PollFunction) -> None:
    github.refuse["user/repos"] = JsonReply({"message": "Resource not accessible by integration"}, 403)
    github.lists["installation/repositories"] = github.lists["user/repos"]
    github.put(REPO, "pulls", pull(1))
    assert ids(poll(repos=[])) == [gid("pr", 1, "opened")]


def test_a_repository_that_was_listed_before_is_read_again(github: GitHub, poll: PollFunction) -> None:
    github.add_repo("acme/web")
    poll()
    poll(repos=["acme/web"])
    github.put(REPO, "pulls", pull(1))
    assert ids(poll()) == [gid("pr", 1, "opened")]


def test_ids_have_the_name_as_github_spells_it(github: GitHub, poll: PollFunction) -> None:
    github.put(REPO, "pulls", pull(1))
    github.things["repos/Acme/API"] = github.things[f"repos/{REPO}"]
    assert ids(poll(repos=["Acme/API"])) == [gid("pr", 1, "opened")]


# Errors


def test_deleted_and_forbidden_repositories_are_noted(github: GitHub, poll: PollFunction) -> None:
    github.put(REPO, "pulls", pull(1))
    github.add_repo("acme/shut")
    github.refuse["repos/acme/shut"] = JsonReply({"message": "Forbidden"}, 403)
    github.refuse["users/acme/packages"] = JsonReply({"message": "You need at least read:packages scope"}, 403)
    github.refuse[f"repos/{REPO}/actions/runs"] = JsonReply({"message": "Server Error"}, 502)
    github.refuse[f"repos/{REPO}/releases"] = JsonReply({"message": "odd"})
    polled = poll(repos=["acme/gone", REPO, "acme/shut"])
    assert ids(polled) == [gid("pr", 1, "opened")]
    assert not polled.has_more
    for part in (
        "acme/gone (404)",
        "acme/shut (403)",
        "runs of acme/api (502)",
        "releases of acme/api (The response is",
    ):
        assert part in polled.note
    assert "read:packages (403)" in polled.note


def test_a_token_that_can_read_nothing_in_a_repository_fails(github: GitHub, poll: PollFunction) -> None:
    for path in github.lists:
        github.refuse[path] = JsonReply({"message": "Resource not accessible"}, 403)
    with pytest.raises(PollError, match="cannot read") as failed:
        poll()
    assert failed.value.kind is ErrorKind.PERMISSION


REFUSALS = [
    ("repos/acme/api", JsonReply({}, 404), ErrorKind.NOT_FOUND, "cannot access it"),
    ("repos/acme/api", JsonReply({"message": "Server Error"}, 500), ErrorKind.SERVER_ERROR, "server error"),
    ("repos/acme/api", JsonReply({}, 429, {"Retry-After": "60"}), ErrorKind.RATE_LIMITED, "12:01:00 UTC"),
    ("repos/acme/api", JsonReply({}, 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772632800"}), *(
        ErrorKind.RATE_LIMITED, "14:00:00 UTC")),
    ("repos/acme/api", JsonReply({"message": "You have exceeded a secondary rate limit"}, 403), *(
        ErrorKind.RATE_LIMITED, "Rate limit")),
    ("repos/acme/api", JsonReply(b'{"full_name": "acme'), ErrorKind.INVALID_RESPONSE, "invalid or incomplete JSON"),
    ("repos/acme/api", JsonReply([]), ErrorKind.INVALID_RESPONSE, "API URL"),
    ("repos/acme/api", JsonReply({}, 301, {"Location": "http://127.0.0.2:9/"}), ErrorKind.SETTINGS, "another address"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "answer", "trouble", "words"), REFUSALS)
def test_a_failed_poll_gives_the_reason(
    github: GitHub, poll: PollFunction, path: str, answer: JsonReply, trouble: ErrorKind, words: str
) -> None:
    github.refuse[path] = answer
    with pytest.raises(PollError, match=words) as failed:
        poll()
    assert failed.value.kind is trouble
    assert TOKEN not in str(failed.value)


def test_a_broken_host_gets_one_request_for_any_number_of_repositories(
    github: GitHub, fake_server: FakeServer, poll: PollFunction
) -> None:
    names = [f"acme/part{number}" for number in range(5)]
    for name in names:
        github.refuse[f"repos/{name}"] = JsonReply({"message": "Unavailable"}, 503)
    with pytest.raises(PollError, match="server error"):
        poll(repos=names)
    assert len(fake_server.requests) == 1


def test_a_wrong_token_is_reported(poll: PollFunction) -> None:
    with pytest.raises(PollError, match="rejected the token") as failed:
        poll(token="ghp_wrong")
    assert failed.value.kind is ErrorKind.AUTHENTICATION


def test_a_nearly_exhausted_rate_limit_ends_the_poll_and_postpones_the_next(github: GitHub, poll: PollFunction) -> None:
    github.left = 251 + 9
    github.put(REPO, "pulls", pull(2), pull(1))
    github.put(REPO, "releases", {"id": 5, "tag_name": "v1", "published_at": ago(hours=2)})
    polled = poll()
    assert polled.has_more
    assert "rate limit" in polled.note
    assert polled.rate_limit
    assert (polled.rate_limit.limit, polled.rate_limit.remaining) == (5000, 249)
    with pytest.raises(PollError) as failed:
        poll(1)
    assert failed.value.kind is ErrorKind.RATE_LIMITED
    assert failed.value.retry_at == datetime.fromtimestamp(4_000_000_000, UTC)
    assert str(failed.value).endswith("Polling continues at 2096-10-02 07:06:40 UTC.")
    github.left = 5000
    assert {*ids(polled), *ids(poll(2))} >= {
        gid("pr", 1, "opened"),
        gid("pr", 2, "opened"),
        gid("release", 5, "published", ago(hours=2)),
    }


def test_a_link_to_another_host_is_not_followed(github: GitHub, poll: PollFunction) -> None:
    with run_fake_json_server(github) as elsewhere:
        answer = JsonReply([pull(1)], 200, {"Link": f'<{elsewhere.url}/repos/{REPO}/pulls?page=2>; rel="next"'})
        github.refuse[f"repos/{REPO}/pulls"] = answer
        for polled in (poll(), poll(5)):
            assert "does not send the token there" in polled.note
            assert not polled.has_more
        assert elsewhere.requests == []
    github.refuse.clear()
    github.put(REPO, "pulls", pull(2))
    assert (ids(polled := poll(10)), polled.note) == ([gid("pr", 2, "opened")], "")


# The test of a connection


def check(fake_server: FakeServer, **settings: Any) -> Any:
    """Test the connection."""
    assert TYPE.test_connection
    return TYPE.test_connection({**TYPE.defaults(), "base_url": fake_server.url, "token": TOKEN, **settings}, NOW)


def test_a_connection_test_reports_owner_access_and_what_is_missing(github: GitHub, fake_server: FakeServer) -> None:
    github.headers["X-OAuth-Scopes"] = "public_repo, read:org"
    github.refuse[f"repos/{REPO}/actions/runs"] = JsonReply({}, 403)
    github.refuse["users/acme/packages"] = JsonReply({}, 403)
    checked = check(fake_server, repos=[REPO, "acme/gone"])
    assert checked.ok
    assert checked.identity == "zoe (Zoe), personal access token (classic)"
    assert checked.sees[1:] == ("Scopes of the token: public_repo, read:org", REPO)
    assert [words.partition(":")[0] for words in checked.missing] == [
        "The scope repo",
        "acme/gone",
        f"Workflow runs of {REPO}",
        "Images of acme",
    ]


def test_a_connection_test_without_a_list_counts_the_repositories(github: GitHub, fake_server: FakeServer) -> None:
    github.add_repo("acme/web")
    checked = check(fake_server)
    assert (checked.ok, checked.missing) == (True, ())
    assert "9 repositories" in checked.sees, "as the link to the last page says"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": None}, "Enter one"),
        ({"token": "gh\u00fc"}, "Enter it again"),
        ({"token": "wrong"}, "rejected the token"),
        ({"repos": ["acme/gone"]}, "acme/gone"),
        ({"base_url": "http://127.0.0.1:9"}, "127.0.0.1"),
    ],
)
def test_a_failed_connection_test_gives_instructions(
    fake_server: FakeServer, settings: dict[str, Any], words: str
) -> None:
    checked = check(fake_server, **settings)
    assert not checked.ok
    assert words in " ".join(checked.missing)
