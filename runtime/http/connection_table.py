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

HOME = ""
"""The address of who comes by the socket in the home: the owner, for whom there is always room."""


class Guest(Protocol):
    """One connection."""

    address: str

    def give_way(self) -> None:
        """Hang up, since another needs the room."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
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
        return any(ip_address(address) in ip_network(proxy) for proxy in self.proxies)


@dataclass(slots=True)
class Room:
    """The connections that there are, within `bounds`."""

    bounds: ConnectionBounds
    _here: dict[Guest, None] = field(default_factory=dict[Guest, None])
    _waiting: dict[Guest, None] = field(default_factory=dict[Guest, None])
    _of: defaultdict[str, dict[Guest, None]] = field(
        default_factory=lambda: defaultdict(dict[Guest, None])
    )

    @property
    def is_shut(self) -> bool:
        """Return whether there is no room, and nobody who could give way."""
        return len(self._here) >= self.bounds.most and not self._waiting

    def __len__(self) -> int:
        return len(self._here)

    def enter(self, guest: Guest) -> bool:
        """Let `guest` in, at the cost of one that waits if need be; return whether it is in."""
        if guest.address == HOME:
            return True
        own = self._of[guest.address]
        is_one_too_many = len(own) >= self.bounds.most_of_one
        if is_one_too_many and not self.bounds.is_proxy(guest.address):
            if not self._let_go([one for one in own if one in self._waiting][:1]):
                return False
        elif len(self._here) >= self.bounds.most and not self._let_go(list(self._waiting)[:1]):
            return False
        self._here[guest] = self._of[guest.address][guest] = self._waiting[guest] = None
        return True

    def waits(self, guest: Guest) -> None:
        """Note that `guest` has nothing under way."""
        if guest in self._here:
            self._waiting.pop(guest, None)
            self._waiting[guest] = None  # last of those that wait

    def is_served(self, guest: Guest) -> None:
        """Note that a whole head of `guest` is here."""
        self._waiting.pop(guest, None)

    def leave(self, guest: Guest) -> None:
        """Forget `guest`."""
        self._here.pop(guest, None)
        self._waiting.pop(guest, None)
        own = self._of.get(guest.address)
        if own is not None:
            own.pop(guest, None)
            if not own:
                del self._of[guest.address]

    def _let_go(self, longest: list[Guest]) -> bool:
        for guest in longest:
            self.leave(guest)
            guest.give_way()
        return bool(longest)
