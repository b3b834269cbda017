"""Read the host name of a request, and refuse unknown ones (DNS rebinding)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit
from wsgiref.types import WSGIEnvironment

from flask import abort, request

from painchain.core import logs, runtime

HEALTH = "meta_api.health"  # probes use an address, or no name at all
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


def host_of(environ: WSGIEnvironment) -> str:
    """Return the host of a request, with its port unless that is the default; an empty text without a valid one.

    Werkzeug does not accept an underscore, which names of Compose services and of machines on Windows may contain, and
    without a header it takes the name that the server was given.

    >>> host_of({"wsgi.url_scheme": "http", "HTTP_HOST": "pain_chain:8000"})
    'pain_chain:8000'
    """
    host = str(environ.get("HTTP_HOST", "")).removesuffix(DEFAULT_PORTS.get(environ["wsgi.url_scheme"], ""))
    return host if _HOST.fullmatch(host) else ""


def refuse_other_hosts() -> None:
    """Refuse unknown host names: another site can point its own name at this address (DNS rebinding).

    Flask's TRUSTED_HOSTS cannot hold an IPv6 address.
    """
    if request.endpoint == HEALTH:
        return
    if not request.host:
        logs.security("host_refused", "Request without a valid host name.", host="")
        abort(400, "The request has no valid host name. Send it in the header Host.")
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
