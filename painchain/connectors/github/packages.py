"""Read the images that the owners of repositories have published on GitHub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from painchain.connectors.code_hosts import moment, text
from painchain.connectors.github import events
from painchain.connectors.github.pagination import Place, PollSession, listed, since_of, stamp
from painchain.connectors.http_client import Answer, next_page

MOST_OWNERS = 50
MANY = {"per_page": 100}


def read(walk: PollSession, owners: Mapping[str, bool], places: dict[str, Place]) -> None:
    """Read the new images of `owners` (True: an organization); `places` are where the last poll left off."""
    for owner, organization in list(owners.items())[:MOST_OWNERS]:
        place = places.setdefault(owner, {"since": stamp(walk.turn.since)})
        with walk.reading(f"images of {owner}, for which the token needs read:packages"):
            _of_owner(walk, f"{'orgs' if organization else 'users'}/{quote(owner, safe='')}/packages", place)


def _of_owner(walk: PollSession, path: str, place: Place) -> None:
    since = since_of(place)
    first = walk.asking.get_changed(path, path, {"package_type": "container", **MANY})
    packages = [
        one for one in _all(walk, first) if (moment(one, "updated_at") or since) >= since and _wanted(one, walk)
    ]
    for package in sorted(packages, key=lambda package: text(package, "updated_at")):
        _of_package(walk, path, package, place)
    if not first.unchanged:
        walk.asking.store_etag(path, first)


def _all(walk: PollSession, first: Answer) -> Iterator[Any]:
    answer = first
    while not answer.unchanged:
        yield from listed(answer)
        following = next_page(answer)
        if following is None:
            return
        answer = walk.asking.get(following)


def _of_package(walk: PollSession, path: str, package: Any, place: Place) -> None:
    """Read the versions of one package: the oldest change first, so that `place` can follow."""
    reached, name = {"since": place["since"]}, quote(text(package, "name"), safe="")
    versions = f"{path}/container/{name}/versions"
    since = since_of(place)
    for version in walk.newest_first(reached, versions, MANY, lambda version: moment(version, "created_at")):
        found = events.image(walk.turn.settings["base_url"], package, version, walk.turn.now)
        if found.timestamp >= since:
            walk.add(found)
    if (updated := moment(package, "updated_at")) and stamp(updated) > place["since"]:
        place["since"] = stamp(min(updated, walk.turn.now))


def _wanted(package: Any, walk: PollSession) -> bool:
    listed = [name.casefold() for name in walk.turn.settings.get("repos") or []]
    return not listed or text(package, "repository", "full_name").casefold() in listed
