"""Look up the addresses of database servers, and wait no longer than a limit: the resolver of the system has none."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from threading import Event, Lock, Thread
from typing import Any

_lock = Lock()
_running: dict[str, _Lookup] = {}


@dataclass
class _Lookup:
    """A lookup of one name, which all threads that need it wait for."""

    done: Event = field(default_factory=Event)
    addresses: list[str] = field(default_factory=list)
    error: OSError | None = None


def with_addresses(parameters: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return the parameters of a connection with the addresses of its hosts, one host for each address.

    :raises TimeoutError: when the resolver does not answer within `seconds`.
    :raises OSError: when none of the names has an address.
    """
    if not parameters.get("host") or parameters.get("hostaddr"):
        return parameters
    hosts = str(parameters["host"]).split(",")
    ports = str(parameters.get("port", "")).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    if len(ports) != len(hosts):
        return parameters  # which the driver refuses
    found: list[tuple[str, str, str]] = []
    failure: OSError | None = None
    for host, port in zip(hosts, ports, strict=True):
        try:
            found += [(host, port, address) for address in _addresses(host, seconds / len(hosts))]
        except TimeoutError:
            raise
        except OSError as error:
            failure = error
    if failure and not found:
        raise failure
    names = ("host", "port", "hostaddr")
    lists = {name: ",".join(values) for name, values in zip(names, zip(*found, strict=True), strict=True)}
    return {**parameters, **{name: text for name, text in lists.items() if text.strip(",")}}


def _addresses(host: str, seconds: float) -> list[str]:
    """Return the addresses of a host: none for a socket in a folder."""
    if not host or host.startswith(("/", "@")):
        return [""]
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    with _lock:
        lookup = _running.get(host)
        if lookup is None:
            lookup = _running[host] = _Lookup()
            Thread(target=_look_up, args=(host, lookup), name="name lookup", daemon=True).start()
    if not lookup.done.wait(seconds):
        raise TimeoutError(f"the name {host!r} was not resolved within {seconds:.0f} seconds")
    if lookup.error:
        raise lookup.error
    return lookup.addresses


def _look_up(host: str, lookup: _Lookup) -> None:
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP, type=socket.SOCK_STREAM)
        lookup.addresses = [str(address[0]) for *_, address in found]
    except (OSError, UnicodeError) as error:
        lookup.error = error if isinstance(error, OSError) else OSError(str(error))
    finally:
        with _lock:
            _running.pop(host, None)
        lookup.done.set()
