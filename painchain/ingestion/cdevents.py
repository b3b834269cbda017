"""Read CDEvents, the vocabulary of the Continuous Delivery Foundation, as members of a change event."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from painchain.connectors.http_client import link
from painchain.core.redaction import holds_credentials
from painchain.core.text import is_blank

# kind of the change event, by subject and predicate of the CDEvent; every other one is of kind `other`
KINDS = {
    "service.deployed": "deployment",
    "service.upgraded": "deployment",
    "service.rolledback": "deployment",
    "service.removed": "deployment",
    "artifact.published": "release",
    "incident.detected": "incident",
    "incident.reported": "incident",
    "incident.resolved": "incident",
    "pipelinerun.finished": "pipeline",
}
_TYPE = re.compile(r"dev\.cdevents\.([a-z]+)\.([a-z]+)\.\d.*")
_PURL = re.compile(r"pkg:[^/?#]+/([^?#]+?)(?:(?<!/)@([^@?#]+))?(?:\?([^#]*))?(?:#.*)?")
_DIGEST = re.compile(r"sha\d+:[0-9a-f]{32,}")
_LINE, _STATUS, _TEXT = 200, 60, 20_000  # characters of a member of a change event


@dataclass(frozen=True)
class Artifact:
    """An artifact, as its package URL (purl) names it."""

    name: str | None = None
    version: str | None = None
    digest: str | None = None


def members(cloud_event_type: str, data: Any) -> dict[str, Any] | None:
    """Return the members of the change event for a CDEvent; None if it is not a CDEvent."""
    match = _TYPE.fullmatch(cloud_event_type)
    subject = data.get("subject") if isinstance(data, dict) else None
    if not match or not isinstance(subject, dict) or not _line(subject.get("id")):
        return None
    noun, predicate = match.groups()
    content = subject.get("content")
    content = content if isinstance(content, dict) else {}
    kind = KINDS.get(f"{noun}.{predicate}", "other")
    found = artifact(subject["id"] if noun == "artifact" else content.get("artifactId"))
    about = {
        "kind": kind,
        "service": _line(subject["id"]) if noun == "service" else _id(content.get("service")),
        "environment": _environment(subject) if noun == "environment" else _id(content.get("environment")),
        "version": found.version,
        "digest": found.digest,
        "repository": _id(content.get("repository")),
        "status": _line(content.get("outcome"), _STATUS) or (None if kind == "other" else predicate),
        "actor": _line(content.get("user")),
        "url": next(filter(None, (_url(content.get(name)) for name in ("uri", "url", "ticketURI"))), None),
        "description": (_text(content.get("description")) or _text(content.get("errors")) or "")[:_TEXT],
        "data": data,
    }
    names = (found.name if noun == "artifact" else None, content.get("pipelineName"), content.get("name"))
    about["title"] = _title(noun, predicate, next(filter(None, map(_line, names)), subject["id"]), about)
    return about


def artifact(identifier: Any) -> Artifact:
    """Return what a package URL says about an artifact. Other identifiers say nothing.

    >>> artifact("pkg:oci/myapp@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa?tag=1.4")
    Artifact(name='myapp', version='1.4', digest='sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa')
    >>> artifact("pkg:npm/%40acme/shop@1.4.2").version
    '1.4.2'
    """
    match = _PURL.fullmatch(identifier) if isinstance(identifier, str) else None
    if not match:
        return Artifact()
    name, version = _line(unquote(match[1])), _line(unquote(match[2] or ""))
    if not version or not _DIGEST.fullmatch(version):
        return Artifact(name, version)
    tags = parse_qs(match[3] or "").get("tag", [])
    return Artifact(name, _line(tags[0]) if tags else None, version)


def _title(noun: str, predicate: str, name: str, about: dict[str, Any]) -> str:
    kind, verb = about["kind"], {"rolledback": "Rolled back"}.get(predicate, predicate.capitalize())
    if kind in ("deployment", "release"):
        words = [verb, name, about["version"], about["environment"] and f"in {about['environment']}"]
        return " ".join(filter(None, words))
    if kind == "incident":
        return f"Incident {predicate}: {about['description'] or name}"
    if kind == "pipeline":
        return f"Pipeline {name}: {about['status']}"
    return f"{noun.capitalize()} {predicate}: {name}"


def _environment(subject: dict[str, Any]) -> str | None:
    content = subject.get("content")
    name = content.get("name") if isinstance(content, dict) else None
    return _line(name) or _line(subject["id"])


def _url(address: Any) -> str | None:
    address = link(address)
    return None if address is None or holds_credentials(address) else address


def _id(reference: Any) -> str | None:
    """Return the id of a referenced subject: `{"id": …}`."""
    return _line(reference.get("id")) if isinstance(reference, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and not is_blank(value) else None


def _line(value: Any, longest: int = _LINE) -> str | None:
    """Return a text that a member of a change event can have, else None. `data` has it in any case."""
    text = _text(value)
    return text if text and len(text) <= longest else None
