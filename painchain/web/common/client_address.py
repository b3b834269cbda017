"""Write each client address in one way, so that one client counts once in the limit of sign-ins and in the log."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

UNKNOWN = "unknown"


class ClientAddressMiddleware:
    """WSGI middleware that normalizes ``REMOTE_ADDR``, which the server or a trusted proxy has set."""

    def __init__(self, app: WSGIApplication):
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        environ["REMOTE_ADDR"] = normalized(environ.get("REMOTE_ADDR", ""))
        return self._app(environ, start_response)


@lru_cache(1024)
def normalized(text: str) -> str:
    """Return an IP address without port and zone; "unknown" for a text that is none.

    Some proxies add the port of the connection, which differs each time (Azure Application Gateway). A server that
    listens on IPv6 sees IPv4 clients as ::ffff:a.b.c.d.

    >>> normalized("198.51.100.7:49152"), normalized("::ffff:198.51.100.7"), normalized("[2001:DB8::1]:443")
    ('198.51.100.7', '198.51.100.7', '2001:db8::1')
    >>> normalized("fe80::1%eth0"), normalized("_hidden"), normalized("")
    ('fe80::1', 'unknown', 'unknown')
    """
    host = text.strip(' "')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return UNKNOWN
    return str(getattr(address, "ipv4_mapped", None) or address)
