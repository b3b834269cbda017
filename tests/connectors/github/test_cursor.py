"""A poll resumes where the last one ended, for every repository it reads."""

from __future__ import annotations

import pytest

from painchain.connectors.github import client
from tests.connectors.github.polls import REPO, PollFunction, ago, commit, gid, ids, pull
from tests.counterparts.github import GitHub
from tests.counterparts.server import FakeServer, JsonReply, run_fake_json_server


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
