"""Polling a fake GitHub finds each kind of event, and an odd item stops no poll."""

from __future__ import annotations

from datetime import timedelta

import pytest

from painchain.connectors.contract import ErrorKind, PollContext
from painchain.connectors.github import TYPE, client
from painchain.connectors.github.pagination import PollSession
from painchain.connectors.poll_budget import PollBudgetExceeded
from tests.connectors.github.polls import NOW, REPO, PollFunction, ago, by_id, gid, ids, pull, run
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import FakeServer


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
