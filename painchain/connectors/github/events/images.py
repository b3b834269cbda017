"""The events of container images in GitHub's registry."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from painchain.connectors.code_hosts import dig, event_id, integer, non_empty, objects, parse_time, strings, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github.repository import item_id
from painchain.connectors.http_client import link

KINDS = ("container", "docker")
ABSURD_YEAR = 1980


def registry(base_url: str) -> str:
    """Return the host of the image registry of an API URL.

    >>> registry("https://api.github.com"), registry("https://git.example/api/v3")
    ('ghcr.io', 'containers.git.example')
    """
    host = urlsplit(base_url).hostname or ""
    return "ghcr.io" if host == "api.github.com" else f"containers.{host.removeprefix('api.')}"


def listed(connector_id: int | str, base_url: str, package: Any, version: Any, now: datetime) -> SourceEvent:
    """Return the event of a published image version from the API."""
    return _event(connector_id, base_url, package, version, tags_of(version), text(version, "name"), None, now)


def retagged(connector_id: int | str, base_url: str, package: Any, version: Any, now: datetime) -> SourceEvent:
    """Return the event that an image version, which was published before, has got another tag."""
    time = parse_time(version, "updated_at") or now
    event = listed(connector_id, base_url, package, version, now)
    number = item_id(version)
    return replace(
        event,
        event_id=event_id("github", connector_id, "", "image", number, time),
        timestamp=time,
        former_ids={},
    )


def tags_of(version: Any) -> list[str]:
    """Return the tags of an image version from the API."""
    return strings(version, "metadata", "container", "tags")


def is_image(package: Any) -> bool:
    """Return whether the package of a webhook is a container image."""
    kinds = {text(package, "package_type").lower(), text(package, "ecosystem").lower()}
    return bool(kinds & {*KINDS}) or dig(package, "package_version", "container_metadata") is not None


def delivered(connector_id: int | str, base_url: str, package: Any, now: datetime) -> SourceEvent:
    """Return the event of a published image version from a webhook."""
    version = dig(package, "package_version")
    container = dig(version, "container_metadata")
    tags = [tag] if (tag := text(container, "tag", "name")) else []
    hashes = (text(container, "tag", "digest"), text(version, "version"), text(version, "name"))
    digest = next((candidate for candidate in hashes if candidate.startswith("sha256:")), "")
    layers = [integer(layer, "size") or 0 for layer in objects(container, "manifest", "layers")]
    size = sum(layers) or None
    return _event(connector_id, base_url, package, version, tags, digest, size, now)


def created_at(version: Any) -> datetime | None:
    """Return when an image version was created; None for the years 1 and 1970, which reproducible builds set."""
    time = parse_time(version, "created_at")
    return time if time and time.year > ABSURD_YEAR else None


def _event(
    connector_id: int | str,
    base_url: str,
    package: Any,
    version: Any,
    tags: list[str],
    digest: str,
    size: int | None,
    now: datetime,
) -> SourceEvent:
    host, name, number = registry(base_url), text(package, "name"), item_id(version)
    path = f"{host}/{text(package, 'owner', 'login')}/{name}"
    return SourceEvent(
        # The number of a version is unique on the server; a package can belong to no repository.
        event_id=event_id("github", connector_id, "", "image", number),
        event_type="Image",
        title=f"[Image] {name}:{','.join(tags)}" if tags else f"[Image] {name}",
        timestamp=created_at(version) or parse_time(package, "updated_at") or now,
        author=text(version, "author", "login") or "unknown",
        status="published",
        url=link(dig(version, "html_url")) or link(dig(package, "html_url")),
        facts=non_empty(
            repository=text(package, "repository", "full_name"),
            registry=host,
            image=path.lower(),  # registries require lower case
            digest=digest,
            tags=tags,
            size=size,
            package=name,
        ),
        former_ids={f"image-{path}-{number}": None},
    )
