"""Lists are read to their last page, old items are found, and a completed delivery has the facts of a poll."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from painchain.connectors.contract import Delivery, ErrorKind, PollContext, PollError, PollResult, WebhookContext
from painchain.connectors.github import TYPE
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import FakeServer, JsonReply, run_fake_json_server

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REPO = "acme/api"
ABOUT = {"id": 1, "full_name": REPO, "default_branch": "main", "owner": {"login": "acme", "type": "User"}}
# What a poll of one repository at rest asked before it knew pushes: the repository, events of issues, pull requests,
# runs, releases, deployments, the head of a branch, and the packages of the owner.
REQUESTS_AT_REST = 8


def ago(**past: float) -> str:
    """Return a time before NOW as GitHub writes it."""
    return (NOW - timedelta(**past)).isoformat().replace("+00:00", "Z")


@pytest.fixture
def github() -> GitHub:
    """A GitHub with one repository."""
    github = GitHub()
    github.add_repo(REPO, pushed_at=ago(minutes=3))
    return github


@pytest.fixture
def server(github: GitHub) -> Iterator[FakeServer]:
    """Its server."""
    with run_fake_json_server(github) as running:
        yield running


def settings(server: FakeServer, **more: Any) -> dict[str, Any]:
    """Return the settings of a connector."""
    return {**TYPE.defaults(), "base_url": server.url, "token": TOKEN, "repos": [REPO], **more}


def poll(server: FakeServer, previous: PollResult | None = None, minutes: float = 0, **more: Any) -> PollResult:
    """Poll, from where a previous poll ended."""
    assert TYPE.poll
    cursor = json.loads(json.dumps(previous.cursor)) if previous else {}
    server.requests.clear()
    now = NOW + timedelta(minutes=minutes)
    return TYPE.poll(PollContext(settings(server, **more), cursor, now, connector_id=1))


def deliver(server: FakeServer, topic: str, recorded: Collection[str] = (), **body: Any) -> list[Any]:
    """Return the events of a delivery, completed through the API. `recorded` are the ids in the log."""
    hook = TYPE.webhook
    assert hook
    assert hook.complete
    context = WebhookContext(1, settings(server), NOW, is_recorded=lambda event_id: event_id in recorded)
    raw = json.dumps({"repository": ABOUT, "sender": {"login": "ann"}, **body}).encode()
    requests = len(server.requests)
    events = hook.read(Delivery({"x-github-event": topic}, raw), context)
    assert len(server.requests) == requests, "reading a delivery sends no request"
    return [hook.complete(context, event) for event in events]


def pull_request(github: GitHub, files: int) -> dict[str, Any]:
    """Put a pull request with 120 reviews, the two approvals last, and many files."""
    pull = {
        **{"number": 7, "title": "Change", "state": "open", "user": {"login": "ann"}, "created_at": ago(hours=1)},
        **{"updated_at": ago(hours=1), "head": {"ref": "fix"}, "base": {"ref": "main"}},
    }
    github.put(REPO, "pulls", pull)
    github.things[f"repos/{REPO}/pulls/7"] = {**pull, "additions": 1, "changed_files": files, "comments": 2}
    reviews = [("dot", "COMMENTED")] * 118 + [("bob", "APPROVED"), ("cy", "APPROVED")]
    github.lists[f"repos/{REPO}/pulls/7/reviews"] = [
        {"user": {"login": login}, "state": state} for login, state in reviews
    ]
    github.lists[f"repos/{REPO}/pulls/7/files"] = [{"filename": f"f{number}.py"} for number in range(min(files, 3000))]
    return pull


@pytest.mark.parametrize(("files", "total"), [(250, None), (1204, "first 300 of 1,204 files")])
def test_reviews_and_files_are_read_to_the_last_page_and_a_cut_is_noted(
    github: GitHub, server: FakeServer, files: int, total: str | None
) -> None:
    pull = pull_request(github, files)
    [event] = poll(server).events
    assert event.facts["approvals"] == 2
    assert event.facts["reviewers"] == ["dot", "bob", "cy"]
    assert len(event.facts["files_changed"]) == min(files, 300)
    assert event.facts.get("files_total") == total
    [completed] = deliver(server, "pull_request", action="opened", pull_request=pull)
    assert (completed.event_id, completed.facts, completed.details) == (event.event_id, event.facts, None)


def test_a_number_that_is_not_known_is_absent(github: GitHub, server: FakeServer) -> None:
    pull_request(github, 3)
    github.refuse[f"repos/{REPO}/pulls/7/reviews"] = JsonReply({"message": "Forbidden"}, 403)
    [event] = poll(server).events
    assert not {"approvals", "changes_requested", "files_total"} & set(event.facts)


def run(number: int, conclusion: str | None = "success", attempt: int = 1, **more: Any) -> dict[str, Any]:
    """Return a workflow run."""
    return {
        **{"id": number, "name": "CI", "head_branch": "main", "head_sha": "5ha", "run_attempt": attempt},
        **{"status": "completed" if conclusion else "in_progress", "conclusion": conclusion, "event": "push"},
        **{"actor": {"login": "ann"}, "created_at": ago(days=9), "run_started_at": ago(days=9)},
        **{"updated_at": ago(days=9), "html_url": f"https://git.example/{REPO}/actions/runs/{number}", **more},
    }


def test_the_jobs_of_a_run_are_read_to_the_last_page(github: GitHub, server: FakeServer) -> None:
    failed = run(3, "failure", run_started_at=ago(minutes=9), updated_at=ago(minutes=4))
    github.put(REPO, "actions/runs", failed)
    jobs = [{"name": f"job {number}", "conclusion": "success"} for number in range(128)]
    jobs += [{"name": "deploy", "conclusion": "failure"}, {"name": "smoke", "conclusion": "timed_out"}]
    github.lists[f"repos/{REPO}/actions/runs/3/attempts/1/jobs"] = jobs
    event = poll(server).events[-1]
    assert event.facts["failed_jobs"] == ["deploy", "smoke"]
    [completed] = deliver(server, "workflow_run", action="completed", workflow_run=failed)
    assert (completed.event_id, completed.facts, completed.details) == (event.event_id, event.facts, None)


def test_a_push_and_its_commits_have_the_same_facts_both_ways(github: GitHub, server: FakeServer) -> None:
    commits = []
    for number in range(120):
        author = {"name": "Ann", "date": ago(days=40)}
        commit = {"sha": f"c{number}", "commit": {"message": "Work", "author": author, "committer": author}}
        commits.append({**commit, "author": {"login": "ann"}})
    github.put(REPO, "commits", *commits[119:])
    github.push(REPO, ago(minutes=3), *commits[:119])
    for commit in commits:
        stats = {"stats": {"additions": 3, "deletions": 1}, "files": [{"filename": "a.py"}]}
        github.things[f"repos/{REPO}/commits/{commit['sha']}"] = {**commit, **stats}
    polled = {event.event_id: event for event in poll(server).events}
    assert len(polled) == 120, "the push and every commit of it"
    body = {"before": "c119", "after": "c0", "ref": "refs/heads/main"}
    listed = [{"id": "c0", "message": "Work", "author": {"username": "ann"}, "modified": ["a.py"]}]
    about = {**ABOUT, "pushed_at": int((NOW - timedelta(minutes=3)).timestamp()) + 1}
    push, commit = deliver(server, "push", **body, commits=listed, repository=about)
    known = [event for event in polled.values() if event.event_type == "Push"]
    assert known[0].event_id == push.event_id, "GitHub's clocks differ by a second; its list has the right time"
    assert (push.facts, push.timestamp, push.author) == (known[0].facts, known[0].timestamp, known[0].author)
    assert push.facts["commits"] == 119
    event = polled[commit.event_id]
    assert (commit.facts, commit.text, commit.author) == (event.facts, event.text, event.author)


def test_a_delivered_push_has_the_id_of_its_own_entry_in_the_list(github: GitHub, server: FakeServer) -> None:
    author = {"name": "Ann", "date": ago(days=40)}
    body = {"before": "a0", "after": "a1", "ref": "refs/heads/main"}

    def deliver_push(pushed_at: str | None, recorded: Collection[str] = ()) -> Any:
        return deliver(server, "push", recorded, **body, repository={**ABOUT, "pushed_at": pushed_at})[0]

    with pytest.raises(PollError) as failed:
        deliver_push(ago(minutes=3))
    assert failed.value.kind is ErrorKind.NOT_FOUND, "the list lags behind: this is tried again"
    commits = [
        {"sha": sha, "commit": {"message": "Work", "author": author, "committer": author}} for sha in ("a1", "a0")
    ]
    github.put(REPO, "commits", commits[1])
    github.push(REPO, ago(minutes=3), commits[0])
    [listed] = [event for event in poll(server).events if event.event_type == "Push"]
    # The delivery has the time of a later push, or none.
    for pushed_at in (ago(minutes=3), ago(minutes=2), None):
        push = deliver_push(pushed_at)
        assert (push.event_id, push.timestamp) == (listed.event_id, NOW - timedelta(minutes=3))
    # The same commit is pushed again after a step back: the entry that is not recorded yet is the right one.
    ends = {"before": "a0", "after": "a1", "ref": "refs/heads/main", "activity_type": "push"}
    github.put(REPO, "activity", {"id": 9, "timestamp": ago(minutes=1), **ends})
    again = deliver_push(ago(minutes=1))
    assert again.timestamp == NOW - timedelta(minutes=1)
    assert listed.event_id not in again.former_ids
    assert deliver_push(ago(seconds=30), {listed.event_id}).event_id == again.event_id
    assert deliver_push(ago(seconds=30), {again.event_id}).event_id == listed.event_id
    assert deliver_push(ago(seconds=30), {again.event_id, listed.event_id}).event_id == again.event_id


def test_an_api_that_lags_or_fails_raises_an_error_for_a_later_try(github: GitHub, server: FakeServer) -> None:
    pull = {"number": 7, "base": {"ref": "main"}, "created_at": ago(hours=1)}
    for answer, kind in [(JsonReply({}, 404), ErrorKind.NOT_FOUND), (JsonReply({}, 502), ErrorKind.SERVER_ERROR)]:
        github.refuse[f"repos/{REPO}/pulls/7"] = answer
        with pytest.raises(PollError) as failed:
            deliver(server, "pull_request", action="opened", pull_request=pull)
        assert failed.value.kind is kind


def test_a_poll_at_rest_sends_no_more_requests_than_before(github: GitHub, server: FakeServer) -> None:
    github.put(REPO, "actions/runs", run(1, run_started_at=ago(minutes=9), updated_at=ago(minutes=4)))
    first = poll(server)
    quiet = poll(server, first, 5)
    assert (quiet.events, quiet.requests) == ([], len(server.requests))
    assert quiet.requests is not None
    assert quiet.requests < REQUESTS_AT_REST
    # With more than one page of runs, deployments and releases, one older page is read in turn.
    github.page = 1
    for kind in ("actions/runs", "deployments", "releases"):
        github.put(REPO, kind, *[run(number) for number in (5, 4, 3)])
    polled = poll(server, quiet, 10)
    for minutes in range(15, 60, 5):
        polled = poll(server, polled, minutes)
        assert (polled.events, polled.requests) == ([], REQUESTS_AT_REST)
    # A list that the token cannot read is no news either.
    github.refuse[f"repos/{REPO}/deployments"] = JsonReply({"message": "Forbidden"}, 403)
    for minutes in (60, 65, 70):
        polled = poll(server, polled, minutes)
        assert (polled.events, polled.requests) == ([], REQUESTS_AT_REST)


def test_old_items_that_change_are_found(github: GitHub, server: FakeServer) -> None:
    github.page = 2
    runs = [run(number) for number in range(20, 0, -1)]
    deployments = [
        {"id": number, "environment": f"env{number}", "created_at": ago(days=9), "updated_at": ago(days=9)}
        for number in range(20, 0, -1)
    ]
    drafts = [
        {"id": number, "tag_name": f"v{number}", "draft": True, "created_at": ago(days=9)} for number in (3, 2, 1)
    ]
    for kind, items in [("actions/runs", runs), ("deployments", deployments), ("releases", drafts)]:
        github.put(REPO, kind, *items)
    polled = poll(server)
    assert polled.events == []
    github.lists[f"repos/{REPO}/actions/runs"][-1] = run(
        1, attempt=3, run_started_at=ago(minutes=-3), updated_at=ago(minutes=-4)
    )
    second = run(1, "failure", 2, run_started_at=ago(minutes=-1), updated_at=ago(minutes=-2))
    github.things[f"repos/{REPO}/actions/runs/1/attempts/2"] = second
    deployments[-1]["updated_at"] = ago(minutes=-3)
    states = [{"id": 77, "state": "success", "created_at": ago(minutes=-3), "creator": {"login": "bob"}}]
    github.lists[f"repos/{REPO}/deployments/1/statuses"] = states
    drafts[-1].update(draft=False, published_at=ago(minutes=-2))
    found: set[tuple[str, str | None, datetime]] = set()
    for minutes in range(5, 125, 5):
        polled = poll(server, polled, minutes)
        found |= {(event.title, event.status, event.timestamp) for event in polled.events}
    assert found == {
        ("[Workflow] CI - main", "in_progress", NOW + timedelta(minutes=1)),
        ("[Workflow] CI - main", "failure", NOW + timedelta(minutes=2)),
        ("[Workflow] CI - main", "in_progress", NOW + timedelta(minutes=3)),
        ("[Workflow] CI - main", "success", NOW + timedelta(minutes=4)),
        ("[Deployment] env1 success", "success", NOW + timedelta(minutes=3)),
        ("[Release] v1", "published", NOW + timedelta(minutes=2)),
    }


def test_releases_that_are_promoted_or_deleted_are_found(github: GitHub, server: FakeServer) -> None:
    release = {"id": 5, "tag_name": "v1", "prerelease": True, "published_at": ago(hours=1)}
    github.put(REPO, "releases", release)
    first = poll(server)
    release.update(prerelease=False, updated_at=ago(minutes=-3))
    second = poll(server, first, 5)
    [promoted] = deliver(server, "release", action="released", release=release)
    assert promoted.event_id == second.events[0].event_id
    github.lists[f"repos/{REPO}/releases"].clear()
    del github.things[f"repos/{REPO}/releases/5"]
    third = poll(server, second, 10)
    events = [*first.events, *second.events, *third.events]
    assert [(event.status, event.timestamp - NOW) for event in events] == [
        ("prerelease", timedelta(hours=-1)),
        ("published", timedelta(minutes=3)),
        ("deleted", timedelta(minutes=10)),
    ]
    assert len({event.event_id for event in events}) == 3
    assert poll(server, third, 15).events == []


def test_a_renamed_repository_is_followed_and_the_card_notes_its_name(github: GitHub, server: FakeServer) -> None:
    github.put(REPO, "releases", {"id": 5, "tag_name": "v1", "published_at": ago(hours=1)})
    first = poll(server)
    for answers in (github.lists, github.things):
        for path in [path for path in answers if path.startswith(f"repos/{REPO}")]:
            answers[path.replace(REPO, "acme/core")] = answers.pop(path)  # type: ignore[attr-defined]
    github.things["repos/acme/core"]["full_name"] = "acme/core"
    github.refuse[f"repos/{REPO}"] = JsonReply({}, 301, {"Location": f"{server.url}/repos/acme/core"})
    github.put("acme/core", "releases", {"id": 6, "tag_name": "v2", "published_at": ago(minutes=-1)})
    second = poll(server, first, 5)
    assert second.note == "acme/api is now called acme/core. Enter the new name."
    known = {event.event_id for event in first.events}
    new = [event for event in second.events if event.event_id not in known]
    assert [(event.title, event.facts["repository"]) for event in new] == [("[Release] v2", "acme/core")]
    # Without a list, nothing is recorded twice either.
    everything = poll(server, repos=[])
    github.lists["user/repos"][0]["full_name"] = "acme/again"
    for answers in (github.lists, github.things):
        for path in [path for path in answers if path.startswith("repos/acme/core")]:
            answers[path.replace("acme/core", "acme/again")] = answers.pop(path)  # type: ignore[attr-defined]
    again = poll(server, everything, 5, repos=[])
    assert {event.event_id for event in again.events} <= {event.event_id for event in everything.events}
    assert again.note == "acme/core is now called acme/again."


def test_a_repository_that_is_created_again_is_another_one(github: GitHub, server: FakeServer) -> None:
    pull_request(github, 1)
    first = poll(server)
    github.things[f"repos/{REPO}"]["id"] = 2
    second = poll(server, first, 5)
    assert [event.title for event in second.events] == [event.title for event in first.events]
    assert not {event.event_id for event in second.events} & {event.event_id for event in first.events}


def test_an_item_that_fails_is_tried_again_and_then_recorded_with_what_its_list_has(
    github: GitHub, server: FakeServer
) -> None:
    pull_request(github, 1)
    github.put(REPO, "releases", {"id": 5, "tag_name": "v1", "published_at": ago(hours=1)})
    github.refuse[f"repos/{REPO}/pulls/7"] = JsonReply({"message": "Server Error"}, 502)
    polled = poll(server)
    assert [event.title for event in polled.events] == ["[Release] v1"]
    assert polled.note == "Could not read: pull request 7 of acme/api (502)."
    titles = []
    for minutes in (5, 10, 15, 20):
        polled = poll(server, polled, minutes)
        titles.append([event.title for event in polled.events])
    assert titles == [[], [], ["[PR] Change"], []]
    assert polled.note == ""
