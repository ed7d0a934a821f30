"""Names that a run asked for, and the address that stands for each inside its namespace."""

import socket
import struct

from sandbox.network_rules import is_name

FIRST, PREFIX_BITS = "198.18.0.0", 15
"""For benchmarks of networks (RFC 2544), so nothing on the internet is there."""
_MOST_NAMES = 4096


class Names:
    """A name's address is the same for as long as its run lasts. There is an end of them."""

    def __init__(self, *, most: int = _MOST_NAMES) -> None:
        self._most = most
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def address_of(self, name: str) -> str | None:
        """Return what stands for `name`; None where there is no more room. LookupError for none.

        What is not on the admin's list gets one too: only then the run says the port that it
        wanted, and the admin reads both.
        """
        if not is_name(name):
            raise LookupError(name)
        if name not in self._addresses:
            if len(self._addresses) >= self._most:
                return None
            address = _address(len(self._addresses) + 1)
            self._addresses[name], self._names[address] = address, name
        return self._addresses[name]

    def name_of(self, address: str) -> str:
        """Return the name that was meant by `address`; nothing for an address of nobody."""
        return self._names.get(address, "")


def _address(number: int) -> str:
    (first,) = struct.unpack("!I", socket.inet_aton(FIRST))
    return socket.inet_ntoa(struct.pack("!I", first + number))
