"""A relay's process: takes its order, enters, gives up what it needed for that, and serves.

One for each run, so that a run that floods its relay slows nobody's but its own. Nothing but our
own modules and the standard library, and everything is imported before the user changes: the
interpreter may lie where that user cannot look.
"""

import asyncio
import json
import os
import resource
import socket
from concurrent.futures import thread as _threads
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from sandbox.network.entrance import Sockets, enter
from sandbox.network.relay import Connection, Relay, Resolve
from sandbox.network_rules import NetworkRules

MOST_TOLD = 100
"""So many connections are told one by one; of the others there are the totals."""
_ORDER_BYTES = 1 << 20
_FDS = 2
_NICER = 5
_LOOK_UPS = 8
_MOST_OPEN_FILES = 512


def main(fd: int, *, resolve: Resolve | None = None) -> None:
    """Serve the run whose order comes over the socket `fd`, until that is closed; then end.

    `resolve` looks names up, the host's resolver where it is left out.
    """
    channel = socket.socket(fileno=fd)
    order, fds = _receive(channel)
    rules = NetworkRules(**{**order["rules"], **_tuples(order["rules"])})
    try:
        sockets = enter(network_fd=fds[0], user_fd=fds[1], ports=rules.ports)
        _give_up(order["user"])
    except OSError as fault:
        channel.sendall(_line({"fault": str(fault)}))
        os._exit(1)
    for namespace_fd in fds:
        os.close(namespace_fd)
    asyncio.run(_serve(channel, sockets, rules, resolve or _look_ups_of_the_host()))


async def _serve(
    channel: socket.socket, sockets: Sockets, rules: NetworkRules, resolve: Resolve
) -> None:
    """Serve until the worker closes its end, or dies; tell the totals, and end at once.

    A look-up may still be under way in a thread, and nobody waits for it.
    """
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    book = _Book(writer)
    relay = Relay(rules, resolve=resolve, report=book.enter)
    writer.write(_line({"ready": True}))
    serving = asyncio.create_task(relay.serve(sockets))
    closed = asyncio.create_task(reader.read())
    await asyncio.wait((serving, closed), return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    await asyncio.wait((serving,))
    if not serving.cancelled():
        serving.result()  # its fault is ours: it ends the process without totals
    writer.write(_line({"totals": asdict(book.totals)}))
    await writer.drain()
    os._exit(0)


@dataclass(slots=True)
class _Totals:
    connections: int = 0
    refused: int = 0
    failed: int = 0
    in_bytes: int = 0
    out_bytes: int = 0


@dataclass(slots=True)
class _Book:
    """What was carried and refused, told as it happens; bounded however much that is."""

    _writer: asyncio.StreamWriter
    totals: _Totals = field(default_factory=_Totals)

    def enter(self, connection: Connection) -> None:
        """Count a connection that is over, and tell it if it is one of the first."""
        totals, carried = self.totals, connection.carried
        totals.connections += 1
        totals.refused += connection.state == "refused"
        totals.failed += connection.state == "failed"
        totals.in_bytes += carried.in_bytes
        totals.out_bytes += carried.out_bytes
        if totals.connections <= MOST_TOLD:
            told = asdict(connection)
            self._writer.write(_line({"connection": told | told.pop("carried")}))


def _look_ups_of_the_host() -> Resolve:
    """Return a resolver by getaddrinfo(3), with threads of its own since it cannot be stopped."""
    pool = _threads.ThreadPoolExecutor(_LOOK_UPS, "fumehood-look-up")

    async def look_up(host: str, port: int) -> list[str]:
        # As bytes: for text, Python imports its idna codec, which may be out of reach by now.
        ask = socket.getaddrinfo
        found = await asyncio.get_running_loop().run_in_executor(
            pool, lambda: ask(host.encode(), port, type=socket.SOCK_STREAM)
        )
        return [str(place[4][0]) for place in found]

    return look_up


def _give_up(user: int | None) -> None:
    """Become an ordinary user, where we are root; step behind the cells for CPU; open little."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    os.nice(_NICER)
    _, highest = resource.getrlimit(resource.RLIMIT_CORE)
    least = 1 if highest else 0  # 1 alone keeps a piped core_pattern out (sandbox/walls/layout.py)
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_OPEN_FILES if highest < 0 else min(highest, _MOST_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return the order, one line of JSON, and the descriptors that came with it."""
    text, fds, _, _ = socket.recv_fds(channel, _ORDER_BYTES, _FDS)
    while not text.endswith(b"\n"):
        more = channel.recv(_ORDER_BYTES)
        if not more:
            os._exit(0)
        text += more
    return json.loads(text), list(fds)


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the lists of JSON as what they were."""
    return {
        name: tuple(cast("list[object]", value))
        for name, value in fields.items()
        if isinstance(value, list)
    }


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"
