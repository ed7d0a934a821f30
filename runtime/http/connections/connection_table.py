"""Who is connected, and who gives way: bounds in all and for each address. Pure bookkeeping.

A connection waits until its head is whole, and again between requests; meanwhile it has a
descriptor of ours and has asked for nothing. Where there is no room, the one that has waited
longest gives way: so whoever holds a thousand half-sent heads keeps nobody out, not even from
the same address.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Protocol

from frozen.values import frozen

HOME_SOCKET = ""
"""The address of who comes by the socket in the home: the owner, for whom there is always room."""


PROXY_SOCKET = "proxy"
"""The address of a proxy that comes by the socket made for it, until it says whom it asks for."""


class Peer(Protocol):
    """One connection."""

    address: str

    def give_way(self) -> None:
        """Hang up, since another needs the room."""
        ...


@frozen
class ConnectionBounds:
    """How many connections there may be, and how long one may take over what it sends."""

    most: int = 1024
    most_of_one: int = 256
    head_s: float = 10.0
    idle_s: float = 15.0
    body_least_bytes_s: int = 4096
    stalled_s: float = 60.0
    proxies: tuple[str, ...] = ()
    """Networks of proxies, for which `most_of_one` does not hold: many come through each."""

    def is_proxy(self, address: str) -> bool:
        """Return whether `address` is a configured proxy's."""
        if address == PROXY_SOCKET:
            return True
        return any(ip_address(address) in ip_network(proxy) for proxy in self.proxies)


@dataclass(slots=True)
class ConnectionTable:
    """The connections that there are, within `bounds`."""

    bounds: ConnectionBounds
    _here: dict[Peer, None] = field(default_factory=dict[Peer, None])
    _waiting: dict[Peer, None] = field(default_factory=dict[Peer, None])
    _of: defaultdict[str, dict[Peer, None]] = field(
        default_factory=lambda: defaultdict(dict[Peer, None])
    )

    @property
    def is_shut(self) -> bool:
        """Return whether there is no room, and nobody who could give way."""
        return len(self._here) >= self.bounds.most and not self._waiting

    def __len__(self) -> int:
        return len(self._here)

    def enter(self, peer: Peer) -> bool:
        """Let `peer` in, at the cost of one that waits if need be; return whether it is in."""
        if peer.address == HOME_SOCKET:
            return True
        own = self._of[peer.address]
        is_one_too_many = len(own) >= self.bounds.most_of_one
        if is_one_too_many and not self.bounds.is_proxy(peer.address):
            if not self._let_go([one for one in own if one in self._waiting][:1]):
                return False
        elif len(self._here) >= self.bounds.most and not self._let_go(list(self._waiting)[:1]):
            return False
        self._here[peer] = self._of[peer.address][peer] = self._waiting[peer] = None
        return True

    def waits(self, peer: Peer) -> None:
        """Note that `peer` has nothing under way."""
        if peer in self._here:
            self._waiting.pop(peer, None)
            self._waiting[peer] = None  # last of those that wait

    def is_served(self, peer: Peer) -> None:
        """Note that a whole head of `peer` is here."""
        self._waiting.pop(peer, None)

    def leave(self, peer: Peer) -> None:
        """Forget `peer`."""
        self._here.pop(peer, None)
        self._waiting.pop(peer, None)
        own = self._of.get(peer.address)
        if own is not None:
            own.pop(peer, None)
            if not own:
                del self._of[peer.address]

    def _let_go(self, longest: list[Peer]) -> bool:
        for peer in longest:
            self.leave(peer)
            peer.give_way()
        return bool(longest)
