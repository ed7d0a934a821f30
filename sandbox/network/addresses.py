"""Which addresses a relay must not reach, whatever name led to them. Pure.

https://www.iana.org/assignments/iana-ipv4-special-registry and its IPv6 twin. Python's own
`is_global` changed with its versions (3.12.4), takes fec0::/10 and 192.88.99.0/24 for public,
and knows no cloud's metadata; so the networks are listed here, and it is asked besides.
"""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

_PUBLIC_IPV6 = IPv6Network("2000::/3")
_NOT_PUBLIC: tuple[tuple[str, Network], ...] = tuple(
    (kind, ip_network(network))
    for kind, networks in {
        "of this host itself": ("0.0.0.0/8", "127.0.0.0/8", "::/128", "::1/128"),
        "link-local, where clouds keep their metadata": ("169.254.0.0/16", "fe80::/10"),
        "a cloud's metadata": ("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),
        "of a private network": (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
            *("fc00::/7", "fec0::/10"),
        ),
        "multicast or broadcast": ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8"),
        "reserved": (
            *("192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
            *("192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "100::/64", "2001::/23"),
            *("2001:db8::/32", "3fff::/20", "5f00::/16"),
        ),
    }.items()
    for network in networks
)
_IPV4_WITHIN = tuple(
    ip_network(network) for network in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
"""Compatible, mapped, and both prefixes of NAT64: the last 32 bits are an IPv4 address."""
_ISATAP = (0x00005EFE, 0x02005EFE)
_LOW_32 = (1 << 32) - 1


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return what an admin's rule names, addresses and networks, as networks."""
    return tuple(ip_network(text) for text in texts)


def refusal(address: str, *, is_own: bool, allowed: Sequence[Network]) -> str:
    """Return why `address` must not be reached; nothing where it may.

    It has to be public and none of this host's own, or named by `allowed`. An IPv4 address
    within one of IPv6 is judged besides: whoever allows a prefix of NAT64 means no metadata.
    """
    parsed = ip_address(address.partition("%")[0])
    why = "" if _is_in(parsed, allowed) else _kind(parsed)
    if is_own and not why and not _is_in(parsed, allowed):
        why = "of this host itself"
    if why:
        return f"{parsed} is {why}"
    within = embedded(parsed)
    return "" if within is None else refusal(str(within), is_own=False, allowed=allowed)


def embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that one of IPv6 leads to, if any (RFC 4291, 6052, 3056, 5214)."""
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return None
    if any(address in network for network in _IPV4_WITHIN):
        return IPv4Address(int(address) & _LOW_32)
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    is_isatap = (int(address) >> 32) & _LOW_32 in _ISATAP
    return IPv4Address(int(address) & _LOW_32) if is_isatap else None


def _kind(address: Address) -> str:
    """Return what an address is that is not public."""
    for kind, network in _NOT_PUBLIC:
        if address in network:
            return kind
    if embedded(address) is not None:
        return "an IPv4 address in the form of IPv6"
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
        return "not public"
    return "" if address.is_global and not address.is_multicast else "not public"


def _is_in(address: Address, allowed: Sequence[Network]) -> bool:
    return any(address in network for network in allowed)
