"""A poll of GitLab that cannot read everything keeps what it has read, and says what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from painchain.connectors.contract import (
    ErrorKind,
    PollError,
    RateLimit,
)
from painchain.connectors.gitlab.client import GitLabClient, open_client
from painchain.connectors.gitlab.payloads import Project
from painchain.connectors.gitlab.project import ProjectReader
from tests.connectors.gitlab.polls import (
    NOW,
    ago,
    ids,
    merge_request,
    poll_context,
    polled,
    requested_paths,
    second,
)
from tests.counterparts import Reply, as_json


def test_a_missing_project_is_a_note_and_all_missing_an_error(fake_server, gitlab):
    gitlab.add_project(7, "g/sub/p", merge_requests=[merge_request(1)])
    result = polled(fake_server, projects=["g/gone", "g/sub/p"])
    assert ids(result) == ["7:mr:1:opened"]
    assert result.note == "Not found, or not accessible with this token: g/gone."
    assert "/api/v4/projects/g%2Fsub%2Fp" in requested_paths(fake_server)
    gitlab.refuse["projects/8"] = as_json({"message": "403 Forbidden"}, 403)
    result = polled(fake_server, projects=["8", "7"])
    assert (ids(result), result.note) == (["7:mr:1:opened"], "Could not read: 8.")
    with pytest.raises(PollError, match="None of the projects") as failed:
        polled(fake_server, projects=["g/gone", "99"])
    assert failed.value.kind is ErrorKind.NOT_FOUND


def test_a_list_that_the_token_may_not_read_is_a_note_and_all_of_them_an_error(fake_server, gitlab):
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(1)])
    gitlab.refuse["projects/7/pipelines"] = as_json({"message": "403 Forbidden"}, 403)
    gitlab.refuse["projects/7/registry/repositories"] = as_json({"message": "404 Not found"}, 404)  # it has none
    gitlab.refuse["projects/7/deployments"] = as_json({"message": "500"}, 500)
    result = polled(fake_server)
    assert ids(result) == ["7:mr:1:opened"]
    assert result.note == "Could not read: pipelines, deployments of g/p."
    for name in ("merge_requests", "releases", "events", "repository/branches/main"):
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
    result = polled(fake_server)
    assert ids(result) == ["8:mr:1:opened", "9:mr:1:opened"]
    assert (result.has_more, result.note) == (False, "Could not read: g/p7.")
    gitlab.refuse |= {f"projects/8/{name}": broken for name in ("merge_requests", "pipelines")}
    with pytest.raises(PollError) as failed:
        polled(fake_server)
    assert failed.value.kind is ErrorKind.SERVER_ERROR
    gitlab.refuse.clear()
    assert ids(polled(fake_server, result.cursor)) == ["7:mr:1:opened"]


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
    assert ids(first) == ["7:mr:1:opened"]
    assert first.has_more
    assert "Rate limit" in first.note
    assert first.rate_limit == RateLimit(2000, 0, NOW + timedelta(seconds=60))  # so long the next poll waits
    with pytest.raises(PollError, match="Rate limit") as failed:
        polled(fake_server, first.cursor)
    assert failed.value.kind is ErrorKind.RATE_LIMITED
    assert failed.value.retry_at == NOW + timedelta(seconds=60)
    gitlab.refuse = {"projects/8/registry/repositories": limited}
    later = polled(fake_server, first.cursor)
    assert ids(later) == [
        *("8:mr:1:opened", f"8:release:v1:{second(hours=1)}", f"8:deployment:5:failed:{second(hours=1)}"),
    ]
    with pytest.raises(PollError, match="Rate limit"):  # though the overlap finds the same again
        polled(fake_server, later.cursor)


class OddReader(ProjectReader):
    """A reader one of whose lists has an item that nobody expects."""

    def _lists(self):
        def read_odd():
            raise ValueError("secret")

        return {**super()._lists(), "merge requests": read_odd}


def test_an_unexpected_error_stops_only_one_list(fake_server, gitlab, caplog):
    release = {"tag_name": "v1", "created_at": ago(hours=1)}
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(1)], releases=[release])
    context = poll_context(fake_server)
    with open_client(context.settings, NOW) as http:
        api = GitLabClient(http, context)
        refused = OddReader(api, Project("7", "g/p", connector_id=1), (), {}).read()
        assert {name: error.kind for name, error in refused.items()} == {"merge requests": ErrorKind.INTERNAL}
        assert [event.title for event in api.events.values()] == ["[Release] v1"]
    assert "Reading merge requests of project 7 failed: ValueError" in caplog.text
    assert "secret" not in caplog.text
