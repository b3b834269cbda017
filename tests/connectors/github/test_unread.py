"""What GitHub does not answer, or shows for a while only, is told by a later poll or said to be missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from painchain.connectors.contract import PollContext, PollGap, PollResult, SourceEvent
from painchain.connectors.github import TYPE
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import JsonReply, ReceivedRequest, run_fake_json_server

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REPO = "acme/api"
TRIES = 4  # the last one sends no request


class Failing(GitHub):
    """A GitHub with one repository that answers 502 to some requests."""

    def __init__(self) -> None:
        super().__init__()
        self.add_repo(REPO, pushed_at=ago(minutes=3))
        self.fails: Callable[[str, dict[str, str]], bool] = lambda path, params: False

    def __call__(self, received: ReceivedRequest) -> JsonReply:
        """Answer one request."""
        if self.fails(received.path, received.params):
            return JsonReply({"message": "Server Error"}, 502)
        return super().__call__(received)


def ago(**past: float) -> str:
    """Return a time before NOW as GitHub writes it."""
    return (NOW - timedelta(**past)).isoformat().replace("+00:00", "Z")


def commit(sha: str) -> dict[str, Any]:
    """Return a commit."""
    author = {"name": "Ann", "date": ago(hours=1)}
    return {"sha": sha, "commit": {"message": f"Work {sha}", "author": author, "committer": author}}


def polls(github: GitHub, previous: PollResult | None = None, count: int = 1, minutes: int = 0) -> list[PollResult]:
    """Poll so many times, every five minutes."""
    results = [previous] if previous else []
    with run_fake_json_server(github) as server:
        settings = {**TYPE.defaults(), "base_url": "", "token": TOKEN, "repos": [REPO]}
        for number in range(count):
            cursor = json.loads(json.dumps(results[-1].cursor)) if results else {}
            now = NOW + timedelta(minutes=minutes + 5 * number)
            settings["base_url"] = server.url
            if results:
                cursor |= {"base": server.url, "server": ""}
            assert TYPE.poll
            results.append(TYPE.poll(PollContext(settings, cursor, now, connector_id=1)))
    return results[1:] if previous else results


def titles(results: list[PollResult]) -> list[list[str]]:
    """Return the titles of the events of each poll."""
    return [[event.title for event in result.events] for result in results]


def pushed_commits(results: list[PollResult]) -> Any:
    """Return how many commits the only push has, as its event says."""
    [push] = [event for result in results for event in result.events if event.event_type == "Push"]
    return push.facts.get("commits")


@pytest.mark.parametrize(
    ("failing", "said", "committed"),
    [
        ("compare", "could not be read", []),
        ("page=2", "2, not all could be read", ["[Commit] Work b"]),
        ("commits/c", 2, ["[Commit] Work b", "[Commit] Work c"]),
    ],
)
def test_a_push_says_that_its_commits_could_not_be_read(failing: str, said: str | int, committed: list[str]) -> None:
    github = Failing()
    github.push(REPO, ago(minutes=9), commit("a"))
    [first] = polls(github)
    github.push(REPO, ago(minutes=3), commit("c"), commit("b"))
    github.page = 1 if failing == "page=2" else 100

    def fails(path: str, params: dict[str, str]) -> bool:
        return failing in path or ("compare" in path and failing == f"page={params.get('page')}")

    github.fails = fails
    results = polls(github, first, TRIES + 1, minutes=5)
    assert pushed_commits(results) == said
    assert sorted({title for row in titles(results) for title in row if "Commit" in title}) == committed
    assert (results[-1].events, results[-1].note) == ([], "")


def test_commits_that_can_be_read_again_are_not_missing() -> None:
    github = Failing()
    github.push(REPO, ago(minutes=9), commit("a"))
    [first] = polls(github)
    github.push(REPO, ago(minutes=3), commit("c"), commit("b"))
    github.fails = lambda path, params: "compare" in path
    failed = polls(github, first, TRIES - 2, minutes=5)
    github.fails = lambda path, params: False
    results = [*failed, *polls(github, failed[-1], 2, minutes=15)]
    assert pushed_commits(results) == 2
    assert titles(results) == [[], [], ["[Push] main", "[Commit] Work b", "[Commit] Work c"], []]


def test_what_several_polls_could_not_read_is_a_data_gap() -> None:
    github = Failing()
    github.refuse[f"repos/{REPO}/activity"] = JsonReply({"message": "Not Found"}, 404)
    github.lists[f"repos/{REPO}/git/matching-refs/heads"] = [{"ref": "refs/heads/main", "object": {"sha": "a"}}]
    run = {"id": 8, "name": "CI", "head_branch": "main", "status": "completed", "conclusion": "success"}
    times = {"created_at": ago(hours=2), "run_started_at": ago(hours=1), "updated_at": ago(hours=1)}
    github.put(REPO, "actions/runs", {**run, **times, "run_attempt": 3})
    github.put(REPO, "deployments", {"id": 9, "environment": "prod", "created_at": ago(hours=1)})
    github.fails = lambda path, params: path.endswith(("/commits", "/attempts/1", "/statuses"))
    results = polls(github, None, TRIES + 1)
    assert [result.gap is None for result in results] == [True] * (TRIES - 1) + [False, True]
    assert titles(results)[TRIES - 1 :] == [
        ["[Workflow] CI - main", "[Workflow] CI - main", "[Deployment] prod pending"],
        [],
    ]
    gap = results[TRIES - 1].gap
    assert isinstance(gap, PollGap)
    assert gap.start <= NOW - timedelta(days=1)
    assert gap.end == NOW + timedelta(minutes=5 * (TRIES - 1))
    for what in (
        "earlier attempts of the workflow run 8 of acme/api",
        "the states of the deployment 9 of acme/api",
        "commits of the branch main of acme/api",
    ):
        assert f"Could not be read: {what}." in gap.reason


def release(number: int, **more: Any) -> dict[str, Any]:
    """Return a published release."""
    return {"id": number, "tag_name": f"v{number}", "prerelease": False, "published_at": ago(hours=1), **more}


def statuses(results: list[PollResult]) -> list[list[tuple[str, str | None]]]:
    """Return the title and status of the events of each poll, each once."""
    known, rows = set[str](), list[list[tuple[str, str | None]]]()
    for result in results:
        rows.append(sorted((event.title, event.status) for event in result.events if event.event_id not in known))
        known.update(event.event_id for event in result.events)
    return rows


def test_many_releases_that_are_deleted_at_once_are_all_told_also_if_a_poll_fails_between() -> None:
    github = Failing()
    github.put(REPO, "releases", *(release(number) for number in range(19, 0, -1)))
    [first] = polls(github)
    for number in range(1, 13):
        del github.things[f"repos/{REPO}/releases/{number}"]
    github.lists[f"repos/{REPO}/releases"][7:] = []
    github.fails = lambda path, params: path.endswith("/releases/9")
    [failed] = polls(github, first, minutes=5)
    github.fails = lambda path, params: False
    results = [first, failed, *polls(github, failed, 2, minutes=10)]
    told = sorted(row for rows in statuses(results)[1:] for row in rows)
    assert told == sorted((f"[Release] v{number}", "deleted") for number in range(1, 13))
    assert len(statuses(results)[1]) < 12
    assert statuses(results)[3] == []


@pytest.mark.parametrize("has_times", [True, False])  # older servers do not send updated_at
def test_a_release_that_becomes_a_prerelease_again_is_found(has_times: bool) -> None:
    github = Failing()
    github.put(REPO, "releases", release(5, prerelease=True))
    results = polls(github)
    listed = github.lists[f"repos/{REPO}/releases"]
    for minutes in (5, 10, 15):
        more = {"updated_at": ago(minutes=1 - minutes)} if has_times else {}
        listed[0] = {**listed[0], "prerelease": not listed[0]["prerelease"], **more}
        results += polls(github, results[-1], minutes=minutes)
    assert [row[0][1] for row in statuses(results)[: 4 if has_times else 3]] == [
        *("prerelease", "published", "prerelease"),
        *(["published"] if has_times else []),
    ]
    ids = [event.event_id for result in results[: 4 if has_times else 3] for event in result.events]
    assert len(set(ids)) == len(ids)
    assert statuses([*results, *polls(github, results[-1], minutes=20)])[-1] == []


def test_an_older_version_knew_the_newest_releases_but_not_how_they_were() -> None:
    github = Failing()
    github.put(REPO, "releases", release(5), release(6, prerelease=True))
    [first] = polls(github)
    for state in first.cursor["repos"].values():
        del state["published"]
    for item in github.lists[f"repos/{REPO}/releases"]:
        item.update(prerelease=True, updated_at=ago(minutes=-3))
    assert statuses([first, *polls(github, first, minutes=5)])[1] == [("[Release] v5", "prerelease")]


def test_a_run_that_waits_for_approval_twice_is_found_twice() -> None:
    github = Failing()
    run = {"id": 8, "name": "CI", "head_branch": "main", "status": "waiting", "conclusion": None, "run_attempt": 1}
    times = {"created_at": ago(minutes=9), "run_started_at": ago(minutes=9), "updated_at": ago(minutes=9)}
    github.put(REPO, "actions/runs", {**run, **times})
    results = polls(github)
    listed = github.lists[f"repos/{REPO}/actions/runs"]
    states = ["waiting", "in_progress", "waiting", "waiting", "in_progress", "success"]
    for minutes, status in enumerate(states, start=1):
        end = {"status": "completed", "conclusion": status} if status == "success" else {"status": status}
        listed[0] = {**listed[0], **end, "updated_at": ago(minutes=-minutes)}
        results += polls(github, results[-1], minutes=minutes)
    first: dict[str, SourceEvent] = {}
    for event in (event for result in results for event in result.events):
        first.setdefault(event.event_id, event)
    assert [(event.status, event.timestamp - NOW) for event in first.values()] == [
        ("waiting", timedelta(minutes=-9)),
        ("in_progress", timedelta(minutes=-9)),
        ("waiting", timedelta(minutes=3)),
        ("in_progress", timedelta(minutes=5)),
        ("success", timedelta(minutes=6)),
    ]


def test_an_old_image_that_gets_a_tag_is_an_event_each_time() -> None:
    github = Failing()
    package = {"name": "api", "owner": {"login": "acme"}, "repository": {"full_name": REPO}}
    github.lists["users/acme/packages"] = [{**package, "updated_at": ago(hours=1)}]
    created = {"created_at": ago(hours=2), "updated_at": ago(hours=2)}
    versions = [{"id": 78, "name": "sha256:b", **created}, {"id": 77, "name": "sha256:a", **created}]
    path = "users/acme/packages/container/api/versions"
    steps = [
        (["v2", "latest"], ["v1"]),
        (["v2"], ["v1", "latest"]),
        (["v2", "latest"], ["v1"]),
        (["v2"], ["v1", "latest"]),
    ]
    results: list[PollResult] = []
    for minutes, tags in enumerate(steps):
        for version, names in zip(versions, tags, strict=True):
            version |= {"metadata": {"container": {"tags": names}}, "updated_at": ago(minutes=-minutes)}  # type: ignore[dict-item]
        github.lists[path] = [dict(version) for version in versions]
        github.lists["users/acme/packages"] = [{**package, "updated_at": ago(minutes=-minutes)}]
        results += polls(github, results[-1] if results else None, minutes=minutes)
    assert statuses(results) == [
        [("[Image] api:v1", "published"), ("[Image] api:v2,latest", "published")],
        [("[Image] api:v1,latest", "published")],
        [("[Image] api:v2,latest", "published")],
        [("[Image] api:v1,latest", "published")],
    ]
    assert statuses([*results, *polls(github, results[-1], minutes=9)])[-1] == []


@pytest.mark.parametrize("told", [["1.0"], [], None, ["1.0", "latest"]])
def test_a_tag_that_the_webhook_of_a_new_image_did_not_name_is_an_event(told: list[str] | None) -> None:
    github = Failing()
    github.lists["users/acme/packages"] = [{"name": "api", "owner": {"login": "acme"}, "updated_at": ago(minutes=1)}]
    github.lists["users/acme/packages"][0]["repository"] = {"full_name": REPO}
    version = {"id": 77, "name": "sha256:a", "created_at": ago(minutes=2), "updated_at": ago(minutes=1)}
    tags = {"metadata": {"container": {"tags": ["1.0", "latest"]}}}
    github.lists["users/acme/packages/container/api/versions"] = [{**version, **tags}]
    recorded = {"github:1::image:77": {"tags": told} if told else {}} if told is not None else {}
    with run_fake_json_server(github) as server:
        settings = {**TYPE.defaults(), "base_url": server.url, "token": TOKEN, "repos": [REPO]}
        assert TYPE.poll
        context = PollContext(settings, {}, NOW, connector_id=1, recorded_facts=recorded.get)
        first = TYPE.poll(context)
        assert TYPE.poll(replace(context, cursor=first.cursor)).events == []
    events = [(event.event_id, event.title, event.timestamp) for event in first.events]
    published = ("github:1::image:77", "[Image] api:1.0,latest", NOW - timedelta(minutes=2))
    retagged = ("github:1::image:77:2026-03-04T11:59:00Z", "[Image] api:1.0,latest", NOW - timedelta(minutes=1))
    is_known = told is None or "latest" in told
    assert events == ([published] if is_known else [published, retagged])
