"""Events are shown by day, by action, and in rows of events that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from painchain.presentation.event_groups import EventRow, by_day, rows_of
from painchain.presentation.event_view import ShownEvent
from painchain.timeline.visibility import Hidden
from tests.presentation.events import NOON, UTC_ZONE, event

KOLKATA = ZoneInfo("Asia/Kolkata")
NOTHING_HIDDEN = Hidden(frozenset(), {})
MINUTE = timedelta(minutes=1)


def rows(*events: Any) -> list[EventRow]:
    """Return the rows of some events. Each event is one minute older than the one before."""
    return rows_of([ShownEvent(each, frozenset(), UTC_ZONE) for each in events])


def ids(rows: Sequence[EventRow]) -> list[Any]:
    """Return the event ID of each row; of a group, its ID and those of its parts."""
    return [
        [row.view.event.event_id, *(part.view.event.event_id for part in row.parts)]
        if row.parts
        else row.view.event.event_id
        for row in rows
    ]


def at(minutes: int, event_type: str, event_id: str, source: str = "github", **members: Any) -> Any:
    """Return an event some minutes before noon."""
    timestamp = NOON - minutes * MINUTE
    return event(event_type, source, event_id=event_id, timestamp=timestamp, connector_id=3, **members)


def run(minutes: int, status: str, attempt: int = 1, repository: int = 4711, **members: Any) -> Any:
    return at(minutes, "WorkflowRun", f"github:3:{repository}:run:99:{attempt}:{status}", status=status, **members)


# Days and actions


def test_events_are_grouped_by_day_and_action():
    newest_first = [
        event(event_id="d", request_id="two", timestamp=NOON),
        event(event_id="c", request_id="one", timestamp=NOON - timedelta(seconds=1)),
        event(event_id="b", request_id="one", timestamp=NOON - timedelta(seconds=2)),
        event(event_id="a", request_id="zero", timestamp=NOON - timedelta(days=1)),
    ]
    days = [
        (
            day.date.isoformat(),
            [(group.request_id, [row.view.event.event_id for row in group.rows]) for group in day.groups],
        )
        for day in by_day(newest_first, NOTHING_HIDDEN, UTC_ZONE)
    ]
    assert days == [
        ("2026-03-10", [("two", ["d"]), ("one", ["c", "b"])]),
        ("2026-03-09", [("zero", ["a"])]),
    ]


def test_events_of_sources_stay_apart_even_with_the_request_id_of_one_poll():
    polled = [event("Commit", "github", event_id=name) for name in "cba"]
    saved = [event(event_id=name) for name in "zy"]
    [day] = by_day([polled[0], *saved, *polled[1:]], NOTHING_HIDDEN, UTC_ZONE)
    groups = [[row.view.event.event_id for row in group.rows] for group in day.groups]
    assert groups == [["c"], ["z", "y"], ["b"], ["a"]]


def test_day_starts_at_the_viewers_midnight():
    evening = [event(timestamp=NOON.replace(hour=18, minute=30)), event(timestamp=NOON.replace(hour=18, minute=29))]
    assert [day.date.day for day in by_day(evening, NOTHING_HIDDEN, UTC_ZONE)] == [10]
    assert [day.date.day for day in by_day(evening, NOTHING_HIDDEN, KOLKATA)] == [11, 10]


def test_hidden_fields_apply_to_one_connector_only():
    two = [event("Commit", "github", connector_id=number, metadata={"sha": "abc"}) for number in (7, 8)]
    hidden = Hidden(frozenset(), {7: frozenset({("Commit", "sha")})})
    [day] = by_day(two, hidden, UTC_ZONE)
    assert [[fact.key for fact in row.view.rows] for row in day.groups[0].rows] == [[], ["sha"]]


def test_audit_events_use_the_toggles_of_the_audit_trail():
    about = event(connector_id=7, metadata={"action": "config_change"})
    own = Hidden(frozenset({("ConfigChanged", "action")}), {})
    of_the_other = Hidden(frozenset(), {7: frozenset({("ConfigChanged", "action")})})
    for hidden, keys in ((own, []), (of_the_other, ["action"])):
        [day] = by_day([about], hidden, UTC_ZONE)
        assert [fact.key for fact in day.groups[0].rows[0].view.rows] == keys


# The states of a run


def test_states_of_one_run_are_one_row_at_the_newest_with_count_and_times():
    other = at(1, "Release", "github:3:4711:release:v1")
    [group, alone] = rows(run(0, "failure"), other, run(7, "in_progress"))
    assert ids([group, alone]) == [
        ["github:3:4711:run:99:1:failure", "github:3:4711:run:99:1:in_progress"],
        "github:3:4711:release:v1",
    ]
    assert group.count == "2 states, 11:53–12:00"
    assert alone.count == ""


def test_states_within_one_minute_have_no_time_span():
    assert rows(run(0, "success"), run(0, "in_progress"))[0].count == "2 states"


@pytest.mark.parametrize(
    "other",
    [
        run(1, "in_progress", attempt=2),
        run(1, "in_progress", repository=4712),
        at(1, "WorkflowRun", "github:3:4711:run:98:1:in_progress"),
        at(1, "WorkflowRun", "github:3:4711:run:99"),
        at(1, "WorkflowRun", "workflow-acme/api-99-1-in_progress"),
        at(1, "Pipeline", "gitlab:3:4711:pipeline:99:running", "gitlab"),
    ],
)
def test_other_runs_attempts_and_repositories_stay_rows(other):
    assert [len(row.parts) for row in rows(run(0, "failure"), other)] == [0, 0]


def test_events_with_ids_of_older_versions_stay_rows():
    old = [at(n, "WorkflowRun", f"workflow-acme/api-99-1-{status}") for n, status in enumerate(("success", "queued"))]
    assert [len(row.parts) for row in rows(*old)] == [0, 0]


@pytest.mark.parametrize(
    ("event_type", "source", "event_ids"),
    [
        (
            "Pipeline",
            "gitlab",
            [
                "gitlab:3:12:pipeline:88:success:2026-03-10T12%3A00%3A00Z",
                "gitlab:3:12:pipeline:88:failed:2026-03-10T11%3A00%3A00Z",
                "gitlab:3:12:pipeline:88:running",
            ],
        ),
        (
            "Deployment",
            "gitlab",
            ["gitlab:3:12:deployment:5:success:2026-03-10T12%3A00%3A00Z", "gitlab:3:12:deployment:5:running"],
        ),
        (
            "Deployment",
            "github",
            [
                "github:3:4711:deployment:5:status:9",
                "github:3:4711:deployment:5:status:8",
                "github:3:4711:deployment:5:requested",
            ],
        ),
    ],
)
def test_states_of_pipelines_and_deployments_are_one_row(event_type, source, event_ids):
    events = [at(number, event_type, event_id, source) for number, event_id in enumerate(event_ids)]
    assert ids(rows(*events)) == [event_ids]


def test_row_names_the_other_authors_of_its_states():
    [row] = rows(run(0, "failure", author="ann"), run(1, "in_progress", author="bob"), run(2, "queued", author="ann"))
    assert (row.view.event.author, row.other_authors) == ("ann", ["bob"])


# A push and its commits


def push(minutes: int, after: str, **facts: Any) -> Any:
    metadata = {"repository": "acme/api", "branch": "main", "after": after, **facts}
    return at(minutes, "Push", f"github:3:4711:push:main:{after}:{minutes}", metadata=metadata)


def commit(minutes: int, sha: str, after: str, **facts: Any) -> Any:
    metadata = {"repository": "acme/api", "branch": "main", "sha": sha, "push": after, **facts}
    return at(minutes, "Commit", f"github:3:4711:commit:{sha}", metadata=metadata)


def test_push_unfolds_to_its_commits():
    [row] = rows(commit(0, "c2", "c2"), push(0, "c2", commits=2), commit(0, "c1", "c2"))
    assert ids([row]) == [["github:3:4711:push:main:c2:0", "github:3:4711:commit:c2", "github:3:4711:commit:c1"]]
    assert (row.count, row.words) == ("2 commits", [])


def test_push_says_how_many_of_its_commits_are_here():
    [row] = rows(push(0, "c9", commits=40), commit(0, "c9", "c9"))
    assert (row.words, row.count) == (["40 commits"], "1 shown here")


@pytest.mark.parametrize(
    "stranger",
    [
        commit(1, "c1", "c8"),
        commit(1, "c1", "c9", branch="release"),
        commit(1, "c1", "c9", repository="acme/web"),
        at(1, "Commit", "commit-acme/api-c1", metadata={"repository": "acme/api", "branch": "main", "sha": "c1"}),
    ],
)
def test_commits_without_their_push_stay_rows(stranger):
    assert [len(row.parts) for row in rows(push(0, "c9"), stranger)] == [0, 0]


def test_commits_without_any_push_stay_rows():
    assert [len(row.parts) for row in rows(commit(0, "c2", "c2"), commit(0, "c1", "c2"))] == [0, 0]


def test_commit_belongs_to_the_push_of_its_time():
    later, earlier = push(0, "c9", forced=True), push(60, "c9")
    assert ids(rows(later, earlier, commit(60, "c9", "c9"))) == [
        later.event_id,
        [earlier.event_id, "github:3:4711:commit:c9"],
    ]


# A save and its settings


def saved(event_id: str, event_type: str = "ConfigChanged", minutes: int = 0, **members: Any) -> Any:
    return at(minutes, event_type, event_id, "painchain", **{"request_id": "save", **members})


def test_save_unfolds_to_its_settings():
    save = saved("u", "ConnectorUpdated")
    [row] = rows(save, saved("v", "FieldVisibilityChanged"), saved("c"))
    assert (ids([row]), row.count) == ([["u", "v", "c"]], "")


def test_settings_of_another_save_or_connector_stay_rows():
    other_save, other_connector = saved("c", request_id="other"), event(event_id="d", request_id="save", connector_id=4)
    assert ids(rows(saved("u", "ConnectorUpdated"), other_save, other_connector)) == ["u", "c", "d"]


def test_settings_without_their_save_stay_rows():
    assert ids(rows(saved("c"), saved("d"))) == ["c", "d"]


def test_creating_and_enabling_a_connector_are_two_rows_of_one_action():
    both = [saved("e", "ConnectorEnabled"), saved("c", "ConnectorCreated")]
    [day] = by_day(both, NOTHING_HIDDEN, UTC_ZONE)
    assert [ids(group.rows) for group in day.groups] == [["e", "c"]]


def test_groups_end_at_midnight_of_the_viewer():
    events = [run(0, "success"), run(13 * 60, "in_progress")]
    assert [[ids(group.rows) for group in day.groups] for day in by_day(events, NOTHING_HIDDEN, UTC_ZONE)] == [
        [["github:3:4711:run:99:1:success"]],
        [["github:3:4711:run:99:1:in_progress"]],
    ]
