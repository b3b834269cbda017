"""Build full addresses of this server, with scheme and host, for people and sources."""

from __future__ import annotations

from flask import request, url_for

from painchain.core import runtime
from painchain.database.models import Connector


def absolute_url(path: str) -> str:
    """Return the full address of a path: under the public address, or under the host name of this request."""
    public_url = runtime.current().settings.public_url
    return (public_url or request.host_url.rstrip("/")) + path


def password_link(secret: str) -> str:
    """Return the address at which a person sets their password once."""
    return absolute_url(url_for("sign_in.link", secret=secret))


def webhook_address(connector: Connector) -> str:
    """Return the address to which a connector's source delivers webhooks."""
    return absolute_url(url_for("hooks.deliver", key=connector.type, connector_id=connector.id))
