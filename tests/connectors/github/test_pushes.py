"""Polling a fake GitHub finds pushes and commits, also where lists of activities are missing."""

from __future__ import annotations

from datetime import timedelta

from tests.connectors.github.polls import NOW, REPO, PollFunction, ago, by_id, commit, gid, ids, pull, run
from tests.counterparts.github import GitHub
from tests.counterparts.server import FakeServer, JsonReply


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
