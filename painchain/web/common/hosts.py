"""Refuse requests for unknown host names (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import abort, request

from painchain.core import logs, runtime


def refuse_other_hosts() -> None:
    """Refuse unknown host names: another site can point its own name at this address (DNS rebinding).

    Flask's TRUSTED_HOSTS cannot hold an IPv6 address.
    """
    if not is_known(runtime.current().settings.trusted_hosts, request.host):
        name = host_name(request.host)
        logs.security("host_refused", "Request for an unknown host name.", host=name[:100])
        abort(400, f"Unknown host name {name!r}. To allow it, add it to PAINCHAIN_TRUSTED_HOSTS.")


def is_known(trusted: Sequence[str], host: str) -> bool:
    """Return whether `host`, with or without a port, is a trusted name. If `trusted` is empty, every host is."""
    name = host_name(host) if trusted else ""
    return not trusted or name in trusted or any(f".{name}".endswith(suffix) for suffix in trusted if suffix[0] == ".")


def host_name(host: str) -> str:
    """Return the name in a Host header; an empty text if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
