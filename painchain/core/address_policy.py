"""Which addresses are asked for others: public ones; private ones where a setting allows it; some never.

Whoever may edit a connector chooses a host. A name is looked up here, every address that it has is judged, and the
connection goes to an address that was judged: a name that leads elsewhere a moment later gains nothing.
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

# Where clouds tell a machine its credentials, beside 169.254.0.0/16, which holds most of them.
METADATA = frozenset(
    ip_address(one)
    for one in (
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
# Forms in which an IPv6 address holds one of IPv4: the network, and how far left from its end that one stands.
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
    ip_network(one)
    for one in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)

_allowed: tuple[Network, ...] = ()


class AddressRefused(OSError):
    """An address that is not asked. The message says why, and what to set where something can be set."""


def allow_networks(networks: Iterable[Network]) -> None:
    """Let addresses of these private networks be asked by this process, and of no others."""
    global _allowed
    _allowed = tuple(networks)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks that a setting names: no, yes, or networks such as 10.0.0.0/8, comma-separated.

    >>> parse_networks("no"), parse_networks("10.0.0.0/8, ::1")
    ((), (IPv4Network('10.0.0.0/8'), IPv6Network('::1/128')))
    """
    if text.lower() in ("no", "yes"):
        return EVERYWHERE if text.lower() == "yes" else ()
    try:
        return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError:
        raise ValueError("must be no, yes, or comma-separated networks such as 10.0.0.0/8") from None


def check_address(address: str, name: str = "") -> None:
    """Refuse an address that is not asked; `name` is the one that led there.

    :raises AddressRefused: if it is never asked, or is of a private network and no setting allows that.
    """
    where = f"{name} is at {address}" if name and name != address else address
    says = f"{where}, " if name and name != address else f"{where} is "
    forms = list(_embedded_addresses(ip_address(address)))
    for reason in filter(None, map(_forbidden_reason, forms)):
        raise AddressRefused(f"{says}{reason}. PainChain never connects to such an address.")
    for one in forms:
        if (kind := _private_network(one)) and not any(one in network for network in _allowed):
            raise AddressRefused(
                f"{says}an address of {kind}. Connecting there has to be allowed: whoever runs PainChain sets "
                f"{SETTING}={one} (or a network such as {_common_network(one)}, or yes) and starts it anew."
            )


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, every one of them checked.

    :raises AddressRefused: if one of them is not asked.
    :raises OSError: if there is no such host.
    """
    return _check_all(host, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def resolve_async(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as `resolved` does, without holding up others meanwhile."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _check_all(host, found)


def _check_all(host: str, found: Iterable[tuple[object, object, object, str, tuple[object, ...]]]) -> list[str]:
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        check_address(address, host)
    return addresses


def _embedded_addresses(address: Address) -> Iterator[Address]:
    """Yield the address, and those of IPv4 that a network would make of it on its way."""
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
    """Return why an address is never asked; nothing if it may be."""
    if isinstance(address, IPv6Address) and address.scope_id:
        address = IPv6Address(int(address))
    if address in METADATA:
        return "an address where clouds keep the credentials of their machines"
    if address.is_link_local:
        return "a link-local address, where clouds keep the credentials of their machines"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified or address in THIS_NETWORK:
        return "no address of a host"
    if isinstance(address, IPv4Address) and address.is_reserved:  # with broadcast, 255.255.255.255
        return "a reserved or broadcast address"
    return ""


def _private_network(address: Address) -> str:
    """Return what kind of private network an address is of; nothing if it is public."""
    if address.is_loopback:
        return "this machine itself"
    if isinstance(address, IPv4Address) and address in CARRIER_GRADE:
        return "a carrier's network (100.64.0.0/10)"
    if not address.is_global or (isinstance(address, IPv6Address) and (address.is_site_local or address in SITE_NAT64)):
        return "a private network"
    return ""


def _common_network(address: Address) -> Network:
    """Return the network that is commonly meant with an address."""
    return next((network for network in COMMON if address in network), ip_network(int(address)))
