"""How connectors do, as pages and the API say it; kept fresh while a page is open."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration import connector_store
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused
from painchain.database.models import Connector
from painchain.ingestion import health as connector_polls
from painchain.ingestion import polling
from painchain.ingestion.health import Health
from painchain.web.common import responses
from painchain.web.common.responses import Toast, join
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("health", __name__, url_prefix="/settings/integrations")

MOST_WATCHED = 500


@dataclass(frozen=True)
class FailingConnector:
    """A connector that gives no news, and why."""

    connector: Connector
    label: str
    how: Health


@blueprint.get("/health")
def watch() -> ResponseReturnValue:
    """Return how the connectors of `ids` do, unless that is what the page has `seen`."""
    wanted = [int(one) for one in request.args.get("ids", "").split(",")[:MOST_WATCHED] if _is_id(one)]
    there = connector_store.get_many(wanted)
    values = watched(there)
    if values["seen"] == request.args.get("seen"):
        return ""
    shown = [
        responses.fragment("settings/health", connector=one, how=values["health"][one.id], oob=True)
        for one in there
        if one.id in values["health"]
    ]
    return join(*shown, responses.fragment("settings/watching", oob=True, **values))


@blueprint.post("/<int:connector_id>/sync")
def sync(connector_id: int) -> ResponseReturnValue:
    """Make the next poll of a connector due at once."""
    try:
        with audited_transaction() as trail:
            one = connector_store.get(connector_id) if connector_id < 2**63 else None
            if one is None:
                abort(404, "There is no connector here any more. What became of it is on the timeline.")
            polling.sync_now(one, trail)
    except ChangeRefused as refusal:
        return responses.error(409, "Not synced", str(refusal))
    toast = Toast(f"“{one.name}” is asked for news at once.")
    health = connector_polls.read([one], g.now)
    if responses.is_htmx() and one.id in health:
        shown = responses.fragment("settings/health", connector=one, how=health[one.id])
        return join(shown, responses.fragment("shared/toast", oob=True, toasts=[toast]))
    on_list = request.form.get("at") == "list"
    listed, alone = url_for("settings.integrations"), url_for("settings.connector", connector_id=connector_id)
    return responses.go_to(listed if on_list else alone, toast)


def watched(connectors: Sequence[Connector], health: Mapping[int, Health] | None = None) -> dict[str, Any]:
    """Return what a page needs to show how these connectors do, and to keep it fresh."""
    health = connector_polls.read(connectors, g.now) if health is None else health
    return {"health": health, "watched": list(health), "seen": _fingerprint(health)}


def troubled() -> list[FailingConnector]:
    """Return the connectors that fail or have reached a rate limit."""
    there = connector_store.list_all()
    health = connector_polls.read(there, g.now)
    return [
        FailingConnector(one, type_of(one).label, health[one.id])
        for one in there
        if one.id in health and health[one.id].state in ("failing", "rate_limited")
    ]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _fingerprint(health: Mapping[int, Health]) -> str:
    """Return what differs where the page would: times such as "2 min ago" move on every minute."""
    shown = (int(g.now.timestamp()) // 60, *sorted(health.items(), key=lambda pair: pair[0]))
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
