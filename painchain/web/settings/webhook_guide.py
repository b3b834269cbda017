"""Say how to set up a connector's webhook at its source."""

from __future__ import annotations

import json
from typing import Any

from flask import g
from markupsafe import Markup

from painchain.configuration import connector_store
from painchain.configuration.connector_store import type_of
from painchain.configuration.stored_connector import StoredConnector
from painchain.connectors.contract import SetupGuide
from painchain.database.models import Connector
from painchain.ingestion import kept_deliveries
from painchain.presentation.formatting import pretty
from painchain.web.common.links import webhook_address
from painchain.web.help.documents import markdown

SECRET = "SECRET"  # noqa: S105  in place of a secret that cannot be shown again


def values(connector: Connector, secret: str = SECRET) -> dict[str, Any]:
    """Return the template values of the pages and sections about a connector's webhook."""
    connector_type = type_of(connector)
    handler, guide = connector_type.webhook, of(connector)
    return {
        "type": connector_type,
        "url": webhook_address(connector),
        "sender": guide.sender if guide else connector_type.label,
        "instructions": handler.instructions if handler else "",
        "steps": _rendered(guide, webhook_address(connector), secret) if guide else "",
        "gives_secret": guide is not None and guide.gives_secret,
        "takes_own_secret": guide is not None,
    }


def section(stored: StoredConnector) -> dict[str, Any]:
    """Return the template values of the section on a connector's page; none if its type has no webhook.

    `deliveries` are the last ones, each with its payload as text.
    """
    handler = type_of(stored.connector).webhook
    if handler is None:
        return {}
    kept = kept_deliveries.of(stored.connector.id, g.now) if handler.configured and stored.webhook else []
    deliveries = [(each, pretty(json.loads(each.body)) if each.body else "") for each in kept]
    return {**values(stored.connector), "deliveries": deliveries}


def of(connector: Connector) -> SetupGuide | None:
    """Return how to set up the webhook of a connector, if that depends on its settings."""
    handler = type_of(connector).webhook
    return handler.configured.guide(connector_store.values(connector)) if handler and handler.configured else None


def _rendered(guide: SetupGuide, url: str, secret: str) -> Markup:
    text = guide.steps.replace("{url}", url).replace("{secret}", secret)
    # The renderer escapes text and the parser passes no HTML through.
    return Markup(markdown().render(text))  # noqa: S704
