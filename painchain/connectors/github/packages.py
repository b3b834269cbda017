"""Read the images that the owners of repositories have published on GitHub."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from painchain.connectors.code_hosts import parse_time, strings, text
from painchain.connectors.github.events import images
from painchain.connectors.github.pagination import ListPosition, PollSession, cursor_time, list_items, read_since
from painchain.connectors.http_client import Response, next_page

MAX_OWNERS = 50
MANY = {"per_page": 100}
MAX_TAGGED = 100  # versions of a package whose tags are compared


def read(
    session: PollSession, owners: Mapping[str, bool], positions: dict[str, ListPosition], repositories: Collection[str]
) -> None:
    """Read the new images of `owners` (True: an organization); `positions` are those of the previous poll, by owner.

    `repositories` are the names in lower case and the ids of the listed repositories; if it is empty, all are wanted.
    """
    for owner, organization in list(owners.items())[:MAX_OWNERS]:
        position = positions.setdefault(owner, {"since": cursor_time(session.context.since)})
        with session.attempt(f"images of {owner}, for which the token needs read:packages"):
            path = f"{'orgs' if organization else 'users'}/{quote(owner, safe='')}/packages"
            _read_owner(session, path, position, repositories)


def _read_owner(session: PollSession, path: str, position: ListPosition, repositories: Collection[str]) -> None:
    since = read_since(position)
    first = session.api.get_changed(path, path, {"package_type": "container", **MANY})
    packages = [
        package
        for package in _list_packages(session, first)
        if (parse_time(package, "updated_at") or since) >= since and _is_wanted(package, repositories)
    ]
    for package in sorted(packages, key=lambda package: text(package, "updated_at")):
        _read_package(session, path, package, position)
    if not first.is_unchanged:
        session.api.store_etag(path, first)


def _list_packages(session: PollSession, first: Response) -> Iterator[Any]:
    response = first
    while not response.is_unchanged:
        yield from list_items(response)
        following = next_page(response)
        if following is None:
            return
        response = session.api.get(following)


def _read_package(session: PollSession, path: str, package: Any, position: ListPosition) -> None:
    """Read the new versions of one package. Packages come oldest change first, so that `position` can follow."""
    reached, name = {"since": position["since"]}, quote(text(package, "name"), safe="")
    versions = f"{path}/container/{name}/versions"
    since = read_since(position)
    context = session.context
    read_versions: dict[str, Any] = {}
    new: dict[str, str] = {}  # the ids of the events of new versions

    def created_at(version: Any) -> datetime | None:
        read_versions[text(version, "id")] = version
        return images.created_at(version)

    for version in session.newest_first(reached, versions, MANY, created_at):
        event = images.listed(session.connector_key, context.settings["base_url"], package, version, context.now)
        if event.timestamp >= since:
            session.add(event)
            new[text(version, "id")] = event.event_id
    _read_tags(session, package, read_versions, new, position)
    if (updated := parse_time(package, "updated_at")) and cursor_time(updated) > position["since"]:
        position["since"] = cursor_time(min(updated, session.context.now))


def _read_tags(
    session: PollSession, package: Any, versions: Mapping[str, Any], new: Mapping[str, str], position: ListPosition
) -> None:
    """Record the versions that have got a tag since they were recorded, and note all tags.

    A webhook names only one tag of a new version, and an event that a crashed poll has recorded can lack newer ones.
    """
    if not versions:
        return
    context, tags = session.context, position.setdefault("tags", {})
    known = tags.get(text(package, "name"), {})
    for number, version in versions.items():
        told = known.get(number)
        if told is None and number in new and (facts := context.recorded_facts(new[number])) is not None:
            told = strings(facts, "tags")
        if told is not None and not set(images.tags_of(version)) <= set(told):
            base_url = context.settings["base_url"]
            session.add(images.retagged(session.connector_key, base_url, package, version, context.now))
    newest = list(versions.items())[:MAX_TAGGED]
    tags[text(package, "name")] = {number: images.tags_of(version) for number, version in newest if number}


def _is_wanted(package: Any, repositories: Collection[str]) -> bool:
    names = (text(package, "repository", "full_name").casefold(), text(package, "repository", "id"))
    return not repositories or any(name in repositories for name in names if name)
