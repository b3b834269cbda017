"""Each occurrence in GitLab is an event of its own, however old the thing is and however often it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from painchain.connectors.gitlab.poll import poll
from tests.connectors.gitlab.polls import NOW, ago, event_key, ids, merge_request, poll_context, polled, second
from tests.counterparts import as_json


def test_a_renamed_project_is_followed_and_the_note_names_its_new_path(fake_server, gitlab):
    gitlab.add_project(7, "g/old", merge_requests=[merge_request(1)])
    for projects in (["g/old"], ["7"], []):
        first = polled(fake_server, projects=projects)
        assert (ids(first), first.note) == (["7:mr:1:opened"], "")
        assert [event.facts["repository"] for event in first.events] == ["g/old"]
        gitlab.rename("g/old", "h/new")
        renamed = polled(fake_server, first.cursor, projects=projects)
        assert ids(renamed) == []
        assert renamed.note.startswith("g/old is now h/new.")
        gitlab.moved.clear()
        unredirected = polled(fake_server, renamed.cursor, projects=projects)
        assert ids(unredirected) == []
        assert ("g/old is now h/new. Change the path in the settings." in unredirected.note) is (projects == ["g/old"])
        gitlab.rename("h/new", "g/old", redirects=False)


def test_a_project_made_again_under_its_path_is_another_one(fake_server, gitlab):
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(1)])
    first = polled(fake_server, projects=["g/p"])
    gitlab.lists["projects"].clear()
    gitlab.add_project(8, "g/p", merge_requests=[merge_request(1)])
    assert (ids(first), ids(polled(fake_server, first.cursor, projects=["g/p"]))) == (
        ["7:mr:1:opened"],
        ["8:mr:1:opened"],
    )


def test_two_connectors_have_different_ids_for_the_same_path(fake_server, gitlab):
    gitlab.add_project(7, "g/p", merge_requests=[merge_request(1)])
    contexts = [replace(poll_context(fake_server), connector_id=number) for number in (1, 2)]
    keys = [[event.event_id for event in poll(context).events] for context in contexts]
    assert keys == [["gitlab:1:7:mr:1:opened"], ["gitlab:2:7:mr:1:opened"]]


def test_an_old_pipeline_that_runs_again_and_fails_again_is_found(fake_server, gitlab):
    pipeline = {"id": 31, "ref": "main", "created_at": ago(days=90), "status": "failed", "updated_at": ago(days=90)}
    gitlab.add_project(7, "g/p", pipelines=[pipeline])
    whole = {"started_at": ago(days=90), "finished_at": ago(days=90)}
    gitlab.things["projects/7/pipelines/31"] = {**pipeline, **whole}
    cursor, keys = polled(fake_server).cursor, []
    for minute, status in enumerate(["running", "failed", "running", "failed", "running", "success"]):
        pipeline |= {"status": status, "updated_at": ago(minutes=50 - minute)}
        whole |= {"finished_at": pipeline["updated_at"]} if status != "running" else {}
        gitlab.things["projects/7/pipelines/31"] = {**pipeline, **whole}
        result = polled(fake_server, cursor)
        cursor, keys = result.cursor, keys + [(event.status, event.timestamp) for event in result.events]
    assert keys == [
        (status, NOW - timedelta(minutes=50 - minute))
        for minute, status in enumerate(["running", "failed", "running", "failed", "running", "success"])
    ]


def test_a_late_approval_and_a_release_for_a_later_date_are_found_however_old(fake_server, gitlab):
    deployment = {"id": 5, "status": "blocked", "created_at": ago(days=60), "updated_at": ago(days=60)}
    future = {"tag_name": "v2", "created_at": ago(days=60), "released_at": ago(minutes=-30)}
    historical = {"tag_name": "v0", "created_at": ago(days=60), "released_at": ago(days=900)}
    gitlab.add_project(7, "g/p", deployments=[deployment], releases=[future, historical])
    first = polled(fake_server)
    assert ids(first) == []
    deployment |= {"status": "success", "updated_at": ago(minutes=-20)}
    backdated = {"tag_name": "v1", "created_at": ago(minutes=-10), "released_at": ago(days=800)}
    gitlab.lists["projects/7/releases"].append(backdated)
    times = []
    cursor = first.cursor
    for minutes in (20, 25, 35, 40):
        result = polled(fake_server, cursor, now=NOW + timedelta(minutes=minutes))
        times += [(event_key(event), event.timestamp) for event in result.events]
        cursor = result.cursor
    assert dict(times) == {
        f"7:deployment:5:success:{second(minutes=-20)}": NOW + timedelta(minutes=20),
        f"7:release:v1:{second(minutes=-10)}": NOW + timedelta(minutes=10),
        f"7:release:v2:{second(days=60)}": NOW + timedelta(minutes=30),
    }


def test_a_release_made_again_is_another_event(fake_server, gitlab):
    release = {"tag_name": "nightly", "created_at": ago(hours=2), "released_at": ago(hours=2)}
    gitlab.add_project(7, "g/p", releases=[release])
    first = polled(fake_server)
    release |= {"created_at": ago(hours=1), "released_at": ago(hours=1)}
    again = polled(fake_server, first.cursor)
    assert (ids(first), ids(again)) == (
        [f"7:release:nightly:{second(hours=2)}"],
        [f"7:release:nightly:{second(hours=1)}", f"7:release:nightly:{second(hours=2)}:deleted"],
    )
    assert again.events[1].timestamp < again.events[0].timestamp


def test_a_release_that_is_deleted_is_an_event_and_one_that_is_only_listed_later_is_not(fake_server, gitlab):
    def release(number: int) -> dict[str, str]:
        at = ago(hours=100 - number)
        return {"tag_name": f"v{number}", "name": f"Version {number}", "created_at": at, "released_at": at}

    releases = [release(number) for number in range(30)]
    gitlab.add_project(7, "g/p", releases=releases)
    gitlab.things |= {f"projects/7/releases/{row['tag_name']}": row for row in releases}
    cursor = polled(fake_server).cursor
    for removed in (releases[29], releases[28]):
        gitlab.lists["projects/7/releases"].remove(removed)
        del gitlab.things[f"projects/7/releases/{removed['tag_name']}"]
        result = polled(fake_server, cursor)
        [event] = result.events
        assert event_key(event) == f"7:release:{removed['tag_name']}:{removed['created_at'][:19]}Z:deleted"
        assert (event.title, event.status) == (f"[Release] {removed['name']}", "deleted")
        assert (event.timestamp, event.author) == (NOW, "unknown")
        cursor = result.cursor
    gitlab.page = 5  # the others are still there
    assert polled(fake_server, cursor).events == []


def test_a_release_that_cannot_be_read_is_not_deleted(fake_server, gitlab):
    gitlab.add_project(7, "g/p", releases=[{"tag_name": "v1", "created_at": ago(hours=1)}])
    cursor = polled(fake_server).cursor
    gitlab.lists["projects/7/releases"].clear()
    for status in (500, 403):
        gitlab.refuse["projects/7/releases/v1"] = as_json({}, status)
        result = polled(fake_server, cursor)
        assert ids(result) == []
        cursor = result.cursor
    gitlab.refuse.clear()
    assert ids(polled(fake_server, cursor)) == [f"7:release:v1:{second(hours=1)}:deleted"]


def test_a_pipeline_that_waits_for_a_manual_job_twice_is_found_twice(fake_server, gitlab):
    pipeline = {"id": 31, "ref": "main", "created_at": ago(hours=1), "status": "running", "updated_at": ago(hours=1)}
    gitlab.add_project(7, "g/p", pipelines=[pipeline])
    cursor, rows, keys = None, [], []
    for minute, status in enumerate(["running", "manual", "manual", "running", "manual", "success"]):
        pipeline |= {"status": status, "updated_at": ago(minutes=50 - minute)}
        finished = {"finished_at": ago(minutes=45)} if status == "success" else {}
        gitlab.things["projects/7/pipelines/31"] = {**pipeline, "started_at": ago(minutes=50), **finished}
        result = polled(fake_server, cursor)
        cursor = result.cursor
        rows += [(event.status, event.timestamp) for event in result.events if event.event_id not in keys]
        keys += [event.event_id for event in result.events]
        assert ids(polled(fake_server, cursor)) == []
    assert rows == [
        ("running", NOW - timedelta(minutes=50)),
        ("manual", NOW - timedelta(minutes=49)),
        ("running", NOW - timedelta(minutes=47)),
        ("manual", NOW - timedelta(minutes=46)),
        ("success", NOW - timedelta(minutes=45)),
    ]
