"""NetworkRules: which hosts and ports a run may reach, and how one list narrows another. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Self

from frozen.values import frozen

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MOST_NAME_CHARS = 253
MOST_PORTS = 32
"""For each there is a listener in every run's namespace."""
RESOLVER_PORT = 53


@frozen
class NetworkRules:
    """What a run may reach: these hosts, at these ports, and no address that is not public.

    A host is a name (`api.example.org`), all names below one (`*.example.org`) or any (`*`).

    >>> NetworkRules(hosts=("*.example.org",)).refusal("api.example.org", 443)
    ''
    >>> NetworkRules(hosts=("*.example.org",)).refusal("example.org", 443)
    'example.org is not on the list of hosts'
    """

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = (443, 80)
    private: tuple[str, ...] = ()
    """Addresses and networks (CIDR) that may be reached although they are not public."""
    most_mb: int = 4096
    """What all connections of a run may carry together, there and back, in MiB."""
    ca_bundle: str = ""
    """The file of certificates that the run trusts; the host's own where it is empty."""

    def __post_init__(self) -> None:
        """Raise ValueError for a host, port or network that could never be meant."""
        for host in self.hosts:
            check_host(host)
        for network in self.private:
            ipaddress.ip_network(network)
        if len(self.ports) > MOST_PORTS:
            raise ValueError(f"there may be {MOST_PORTS} ports at most, not {len(self.ports)}")
        for port in self.ports:
            check_port(port)
        if self.most_mb <= 0:
            raise ValueError(f"most_mb must be above 0, not {self.most_mb}")

    def refusal(self, host: str, port: int) -> str:
        """Return why `host` may not be reached at `port`; nothing where it may."""
        if not is_name(host):
            return f"{host[:_MOST_NAME_CHARS]} is not the name of a host"
        if not any(covers(pattern, host) for pattern in self.hosts):
            return f"{host} is not on the list of hosts"
        return "" if port in self.ports else f"{port} is not on the list of ports"

    def narrowed_to(self, hosts: Iterable[str]) -> Self:
        """Return the rules for those hosts only that both these rules and `hosts` name."""
        wished = tuple(hosts)
        kept = [host for host in wished if any(covers(pattern, host) for pattern in self.hosts)]
        kept += [host for host in self.hosts if any(covers(wish, host) for wish in wished)]
        return replace(self, hosts=tuple(dict.fromkeys(kept)))

    def to_dict(self) -> dict[str, object]:
        """Return the rules as plain JSON, without what is a path of this host."""
        plain = {name: list(getattr(self, name)) for name in ("hosts", "ports", "private")}
        return {**plain, "most_mb": self.most_mb}

    def __str__(self) -> str:
        """Return the rules as people read them."""
        hosts = "any public host" if "*" in self.hosts else f"hosts {', '.join(self.hosts) or '–'}"
        private = f"; not public, allowed: {', '.join(self.private)}" if self.private else ""
        return f"{hosts}; ports {', '.join(map(str, self.ports))}{private}"


def covers(pattern: str, host: str) -> bool:
    """Say whether all that `host`, a name or a pattern, stands for is covered by `pattern`."""
    if pattern in {"*", host}:
        return True
    return pattern.startswith("*.") and host.endswith(pattern[1:])


def is_name(text: str) -> bool:
    """Say whether `text` is a host's name in lower case, and no address in any spelling.

    A last label that is a number makes an address of the whole, in every spelling that
    inet_aton(3) takes: 127.1, 0x7f000001, 2130706433 (as the URL standard has it too).
    """
    if len(text) > _MOST_NAME_CHARS or not _NAME.fullmatch(text):
        return False
    return not _NUMBER.fullmatch(text.rpartition(".")[2])


def check_host(text: str) -> str:
    """Return `text` if it is a name or a pattern of names; raise ValueError."""
    if text == "*" or is_name(text.removeprefix("*.")):
        return text
    raise ValueError(
        f"{text!r} is not a host, such as api.example.org, *.example.org or *, in lower case"
    )


def check_port(port: int) -> int:
    """Return `port` if a run may be allowed it; raise ValueError."""
    if not 0 < port < 1 << 16 or port == RESOLVER_PORT:
        raise ValueError(f"{port} is not a port, or is the resolver's own ({RESOLVER_PORT})")
    return port
