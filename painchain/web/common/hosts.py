"""Refuse requests for host names that are not ours (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import abort, request

from painchain.core import logs, runtime


def refuse_other_hosts() -> None:
    """Refuse host names that are not ours: another site can let its own name lead to this address (DNS rebinding).

    Flask's TRUSTED_HOSTS cannot hold an IPv6 address.
    """
    if not is_known(runtime.current().settings.trusted_hosts, request.host):
        name = host_name(request.host)
        logs.security("host_refused", "A request came for a host name that is not ours.", host=name[:100])
        abort(400, f"This server is not known as {name!r}. Add the name to PAINCHAIN_TRUSTED_HOSTS if it should be.")


def is_known(trusted: Sequence[str], host: str) -> bool:
    """Say whether `host`, with or without a port, is a name of ours; any is if none is `trusted`."""
    name = host_name(host) if trusted else ""
    return not trusted or name in trusted or any(f".{name}".endswith(one) for one in trusted if one[0] == ".")


def host_name(host: str) -> str:
    """Return the name in a Host header; none if it is not well formed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
