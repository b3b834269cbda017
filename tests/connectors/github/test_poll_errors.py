"""A failed poll gives the reason, and what can be read is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from painchain.connectors.contract import ErrorKind, PollError
from tests.connectors.github.polls import REPO, PollFunction, ago, gid, ids, pull
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import FakeServer, JsonReply, run_fake_json_server


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
