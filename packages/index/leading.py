"""Where an index may lead: its own origin, and what the admin names besides. Pure.

An index's page is somebody else's text. It may link to this host's files, to a cloud's metadata,
to a neighbour behind the firewall; a redirect may do so one step later.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from frozen.values import frozen
from sandbox.network.addresses import networks, refusal

SCHEMES = {"https": 443, "http": 80}


class Origin(NamedTuple):
    """Scheme, host and port: who is asked (RFC 6454). Credentials are for one of these."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the origin of `url`. Raises ValueError where it is no address of the web."""
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise ValueError(f"{url[:200]} is no http or https address")
        return cls(parts.scheme, parts.hostname.rstrip("."), parts.port or SCHEMES[parts.scheme])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@frozen
class Leads:
    """Where the index at `own` may lead: to itself, and to `hosts`, if their address is public.

    A host is a name, or a name and a port (`files.example.org:8443`); without one the port is
    its scheme's. `private` has the addresses and networks that may be reached all the same.

    >>> Leads(own=(Origin.of("https://index.example/"),)).refusal("http://index.example/x")
    'http://index.example:80 is neither the index nor on the list of hosts (index.hosts)'
    """

    own: tuple[Origin, ...]
    hosts: tuple[str, ...] = ()
    private: tuple[str, ...] = ()

    def refusal(self, url: str) -> str:
        """Return why `url` may not be asked for; nothing where it may."""
        try:
            origin = Origin.of(url)
        except ValueError as error:
            return str(error)
        if origin in self.own or self._is_listed(origin):
            return ""
        return f"{origin} is neither the index nor on the list of hosts (index.hosts)"

    def address_refusal(self, url: str, address: str) -> str:
        """Return why `address`, which the host of `url` has, may not be connected to."""
        if Origin.of(url) in self.own:
            return ""  # the admin chose it, wherever it is
        return refusal(address, is_own=False, allowed=networks(self.private))

    def literal_refusal(self, url: str) -> str:
        """Return why the host of `url`, where it is an address itself, may not be asked for."""
        try:
            address = ip_address(urlsplit(url).hostname or "")
        except ValueError:
            return ""
        return self.address_refusal(url, str(address))

    def _is_listed(self, origin: Origin) -> bool:
        usual = SCHEMES[origin.scheme]
        return any(Leads._place(entry, usual) == (origin.host, origin.port) for entry in self.hosts)

    @staticmethod
    def _place(entry: str, usual: int) -> tuple[str, int]:
        host, _, port = entry.rpartition(":")
        is_with_port = bool(host) and port.isdecimal() and not (":" in host and host[0] != "[")
        name, number = (host, int(port)) if is_with_port else (entry, usual)
        return name.strip("[]").lower(), number


def origins(urls: Iterable[str]) -> tuple[Origin, ...]:
    """Return the origin of each address. Raises ValueError."""
    return tuple(Origin.of(url) for url in urls)
