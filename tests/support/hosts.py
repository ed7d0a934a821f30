"""Hosts of their own on this machine: network namespaces with a cable between them."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from .lacking import lacking

NUMBERS = count(os.getpid() % 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A network namespace with one address; `within` starts a command in it."""

    name: str
    address: str
    cable: str

    @property
    def within(self) -> tuple[str, ...]:
        """Return the command that starts another one on this host."""
        return ("ip", "netns", "exec", self.name)

    def unplug(self) -> None:
        """Cut the host off: what is sent is lost, and nobody is told."""
        _ip("-n", self.name, "link", "set", self.cable, "down")

    def plug_in(self) -> None:
        """Let the host be reached again."""
        _ip("-n", self.name, "link", "set", self.cable, "up")


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Offer two hosts that reach each other, and nothing else."""
    if os.geteuid() != 0:
        lacking("a user who may make network namespaces")
    number = next(NUMBERS)
    hosts = [
        Host(name=f"fh{number}{side}", address=f"10.77.{number}.{at}", cable=f"fh{number}{side}0")
        for at, side in ((1, "a"), (2, "b"))
    ]
    try:
        for host in hosts:
            _ip("netns", "add", host.name)
            _ip("-n", host.name, "link", "set", "lo", "up")
        one, other = hosts
        _ip("link", "add", one.cable, "type", "veth", "peer", "name", other.cable)
        for host in hosts:
            _ip("link", "set", host.cable, "netns", host.name)
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", host.cable)
            host.plug_in()
        yield one, other
    finally:
        for host in hosts:
            _ip("netns", "del", host.name, check=False)


def _ip(*words: str, check: bool = True) -> None:
    try:
        done = subprocess.run(["ip", *words], capture_output=True, check=False)
    except FileNotFoundError:
        lacking("iproute2 (apt-get install iproute2)")
    assert not check or done.returncode == 0, (words, done.stderr.decode())
