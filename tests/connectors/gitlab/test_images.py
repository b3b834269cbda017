"""New and moved tags of the container registry are images."""

from __future__ import annotations

from datetime import timedelta

from tests.connectors.gitlab.polls import NOW, ago, event_key, ids, polled, recorded, requested_paths


def test_new_and_moved_tags_are_new_images_and_others_are_not_requested_again(fake_server, gitlab):
    repository = recorded("repositories.json")[0]
    gitlab.add_project(7, "group/project", **{"registry/repositories": [repository]})
    tags = "projects/7/registry/repositories/1/tags"

    def tag(name: str, digest: str, **times: float) -> None:
        gitlab.things[f"{tags}/{name}"] = {"name": name, "digest": digest, "created_at": ago(**times)}
        gitlab.lists[tags] = [{"name": path.rpartition("/")[2]} for path in gitlab.things if path.startswith(tags)]

    tag("v1", "sha256:1", days=9)
    tag("latest", "sha256:1", days=9)
    first = polled(fake_server)
    assert ids(first) == []
    tag("v2", "sha256:2", days=8)
    tag("latest", "sha256:2", minutes=1)
    requested_paths(fake_server)
    later = polled(fake_server, first.cursor)
    images = ["7:image:1:latest:sha256%3A2:1", "7:image:1:v2:sha256%3A2"]
    assert sorted(ids(later)) == images
    assert f"/api/v4/{tags}/v1" not in requested_paths(fake_server)
    assert {event_key(event): event.timestamp for event in later.events}[
        images[1]
    ] == NOW  # an old image under a new name
    third = polled(fake_server, later.cursor)
    assert ids(third) == []
    put_back = []
    for digest in ("sha256:1", "sha256:2", "sha256:1"):
        tag("latest", digest, days=8)
        third = polled(fake_server, third.cursor)
        put_back += ids(third)
    assert put_back == [f"7:image:1:latest:sha256%3A{part}" for part in ("1:2", "2:3", "1:4")]


def test_each_known_tag_is_read_again_in_turn_and_is_a_new_image_when_it_moved(fake_server, gitlab):
    gitlab.add_project(7, "group/project", **{"registry/repositories": [recorded("repositories.json")[0]]})
    tags = "projects/7/registry/repositories/1/tags"
    names = [f"v{number}" for number in range(5)]
    gitlab.lists[tags] = [{"name": name} for name in names]
    for name in names:
        gitlab.things[f"{tags}/{name}"] = {"name": name, "digest": "sha256:1", "created_at": ago(days=9)}
    result = polled(fake_server)
    gitlab.things[f"{tags}/v4"] |= {"digest": "sha256:2", "created_at": ago(minutes=-30)}
    gitlab.things[f"{tags}/v3"] |= {"digest": "sha256:3"}  # an old image
    requested, found = [], []
    for minutes in (30, 60, 61, 62, 63):
        requested_paths(fake_server)
        result = polled(fake_server, result.cursor, now=NOW + timedelta(minutes=minutes))
        paths = requested_paths(fake_server)
        requested.append([name for name in names if f"/api/v4/{tags}/{name}" in paths])
        found += [(event_key(event), event.timestamp) for event in result.events]
    assert requested == [[], ["v0", "v1"], ["v2", "v3"], ["v4"], []]
    assert found == [
        ("7:image:1:v3:sha256%3A3:1", NOW + timedelta(minutes=61)),
        ("7:image:1:v4:sha256%3A2:1", NOW + timedelta(minutes=30)),
    ]
    repository = result.cursor["projects"]["7"]["images"]["known"]["1"]
    del repository["checked"]  # as older versions stored it: what is read first is not new
    gitlab.things[f"{tags}/v0"] |= {"digest": "sha256:4"}
    result = polled(fake_server, result.cursor, now=NOW + timedelta(minutes=64))
    assert ids(result) == []
