"""Decide which addresses PainChain connects to: public ones, private ones if a setting allows them, and some never.

People who edit connectors choose the host. This module resolves its name and checks every address. The connection then
uses a checked address, so DNS rebinding (a name that resolves to another address a moment later) has no effect.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SETTING = "PAINCHAIN_ALLOW_PRIVATE_ADDRESSES"
EVERYWHERE: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))

# The metadata services of clouds, which return credentials. Most others are in 169.254.0.0/16.
METADATA = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS: metadata
        "fd00:ec2::23",  # AWS: credentials of pods
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
    )
)
SITE_NAT64 = IPv6Network("64:ff9b:1::/48")
TEREDO = IPv6Network("2001::/32")
# IPv6 networks whose addresses embed an IPv4 address, and by how many bits that one is shifted left.
CARRIERS: tuple[tuple[IPv6Network, int], ...] = (
    (IPv6Network("::/96"), 0),  # IPv4-compatible
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (SITE_NAT64, 0),
    (IPv6Network("2002::/16"), 80),  # 6to4
    (TEREDO, 64),
)
ISATAP = (0x00005EFE, 0x02005EFE)
LOWEST = 0xFFFFFFFF
THIS_NETWORK = IPv4Network("0.0.0.0/8")
CARRIER_GRADE = IPv4Network("100.64.0.0/10")
COMMON: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)

_allowed: tuple[Network, ...] = ()


class AddressRefused(OSError):
    """The policy blocks an address. The message gives the reason, and the setting that allows the address, if any."""


def allow_networks(networks: Iterable[Network]) -> None:
    """Allow this process to connect to these private networks, and to no others."""
    global _allowed
    _allowed = tuple(networks)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse a setting into networks: no, yes, or comma-separated networks such as 10.0.0.0/8.

    >>> parse_networks("no"), parse_networks("10.0.0.0/8, ::1")
    ((), (IPv4Network('10.0.0.0/8'), IPv6Network('::1/128')))
    """
    if text.lower() in ("no", "yes"):
        return EVERYWHERE if text.lower() == "yes" else ()
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("must be no, yes, or comma-separated networks such as 10.0.0.0/8") from None


def check_address(address: str, name: str = "") -> None:
    """Check that PainChain may connect to an address; `name` is the host name that resolved to it.

    :raises AddressRefused: if it is always blocked, or is in a private network that no setting allows.
    """
    subject = f"{name} is at {address}, " if name and name != address else f"{address} is "
    forms = list(_embedded_addresses(ip_address(address)))
    for reason in filter(None, map(_forbidden_reason, forms)):
        raise AddressRefused(f"{subject}{reason}. PainChain never connects to such addresses.")
    for form in forms:
        if (kind := _private_network(form)) and not any(form in network for network in _allowed):
            raise AddressRefused(
                f"{subject}an address of {kind}. To allow connections to it, set {SETTING}={form} on the server "
                f"(or a network such as {_common_network(form)}, or yes) and restart PainChain."
            )


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host after checking every one of them.

    :raises AddressRefused: if one of them is blocked.
    :raises OSError: if the name does not resolve.
    """
    return _check_all(host, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def resolve_async(host: str, port: int) -> list[str]:
    """Return the addresses of a host as `resolve` does, without blocking the event loop."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _check_all(host, answers)


def _check_all(host: str, answers: Iterable[tuple[object, object, object, str, tuple[object, ...]]]) -> list[str]:
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for address in addresses:
        check_address(address, host)
    return addresses


def _embedded_addresses(address: Address) -> Iterator[Address]:
    """Yield the address and each IPv4 address that a network may translate it to."""
    number = int(address)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    yield mapped or address
    if isinstance(address, IPv4Address) or mapped or number <= 1:
        return
    yield from (IPv4Address(number >> shift & LOWEST) for network, shift in CARRIERS if address in network)
    if address in TEREDO:
        yield IPv4Address(~number & LOWEST)
    if number >> 32 & LOWEST in ISATAP:
        yield IPv4Address(number & LOWEST)


def _forbidden_reason(address: Address) -> str:
    """Return why an address is always blocked; empty if it is not."""
    if isinstance(address, IPv6Address) and address.scope_id:
        address = IPv6Address(int(address))
    if address in METADATA:
        return "an address of a cloud's metadata service, which returns credentials"
    if address.is_link_local:
        return "a link-local address, where metadata services of clouds return credentials"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified or address in THIS_NETWORK:
        return "not the address of a host"
    if isinstance(address, IPv4Address) and address.is_reserved:  # with broadcast, 255.255.255.255
        return "a reserved or broadcast address"
    return ""


def _private_network(address: Address) -> str:
    """Return which kind of private network an address is in; empty if it is public."""
    if address.is_loopback:
        return "this machine itself"
    if isinstance(address, IPv4Address) and address in CARRIER_GRADE:
        return "a carrier's network (100.64.0.0/10)"
    if not address.is_global or (isinstance(address, IPv6Address) and (address.is_site_local or address in SITE_NAT64)):
        return "a private network"
    return ""


def _common_network(address: Address) -> Network:
    """Return the well-known private network that contains an address."""
    return next((network for network in COMMON if address in network), ip_network(int(address)))
