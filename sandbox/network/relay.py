"""The relay: what is left of the network for a run. It answers names, and carries connections.

Runs in a process of its own with the host's network (see process.py). A cell connects to the
address that stands for a name; the relay finds which name that was, judges it, looks it up
itself, judges what it found, and connects to that very address: a name that leads elsewhere at
the second look (DNS rebinding) is never looked up twice.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from frozen.values import frozen
from sandbox.network import addresses, dns
from sandbox.network.entrance import Sockets, fix_buffers
from sandbox.network.names import Names
from sandbox.network.pump import Budget, Carried, OutOfBudgetError, carry
from sandbox.network_rules import NetworkRules

_MIB = 1 << 20
_QUESTIONS_AT_ONCE = 32
_RESPITE_S = 0.02
"""After so many questions the resolver rests: a flood takes a tenth of one CPU (measured)."""
_QUESTION_S = 5.0
_MOST_ADDRESSES = 8
_NO_LINGER = struct.pack("ii", 1, 0)

type Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Looks up a name for a port: returns addresses in the order to try. Raises OSError."""


@frozen
class Bounds:
    """How much a relay takes upon itself for its run."""

    connections: int = 64
    """At a time; more wait in the backlog, or for a slot."""
    at_least_s: float = 0.1
    """For so long each connection keeps its slot, so that floods are 640 a second at most."""
    resolve_s: float = 10.0
    connect_s: float = 10.0
    idle_s: float = 300.0


@dataclass(slots=True, kw_only=True)
class Connection:
    """One connection that a run made, or wanted to make."""

    host: str
    port: int
    state: Literal["carried", "refused", "failed"] = "carried"
    why: str = ""
    address: str = ""
    carried: Carried = field(default_factory=Carried)


class _RefusedError(Exception):
    """The rules say no."""


class _FailedError(Exception):
    """The rules say yes, and the network says no."""


class Relay:
    """Serves one run until it is cancelled; each connection is told when it is over."""

    def __init__(
        self,
        rules: NetworkRules,
        *,
        resolve: Resolve,
        report: Callable[[Connection], None],
        bounds: Bounds | None = None,
    ) -> None:
        self._rules = rules
        self._allowed = addresses.networks(rules.private)
        self._resolve = resolve
        self._report = report
        self._bounds = bounds or Bounds()
        self._names = Names()
        self._budget = Budget(rules.most_mb * _MIB)
        self._slots = asyncio.Semaphore(self._bounds.connections)

    async def serve(self, sockets: Sockets) -> None:
        """Answer questions and carry connections, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer_datagrams(sockets.datagrams))
            group.create_task(self._accept(group, sockets.resolver, self._answer_stream))
            for port, listener in sockets.listeners:
                group.create_task(self._accept(group, listener, self._serve_at(port)))

    async def _accept(
        self,
        group: asyncio.TaskGroup,
        listener: socket.socket,
        serve: Callable[[socket.socket], Awaitable[None]],
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            self._slots.release()
            try:
                inner, _ = await loop.sock_accept(listener)
            except OSError:  # it was gone again, or there are no descriptors: accept(2)
                await asyncio.sleep(_RESPITE_S)
                continue
            await self._slots.acquire()
            group.create_task(self._hold_slot(inner, serve))

    async def _hold_slot(
        self, inner: socket.socket, serve: Callable[[socket.socket], Awaitable[None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        may_go_at = loop.time() + self._bounds.at_least_s
        try:
            with inner:
                await serve(inner)
            await asyncio.sleep(may_go_at - loop.time())
        finally:
            self._slots.release()

    def _serve_at(self, port: int) -> Callable[[socket.socket], Awaitable[None]]:
        async def serve(inner: socket.socket) -> None:
            await self._serve_connection(inner, port)

        return serve

    async def _serve_connection(self, inner: socket.socket, port: int) -> None:
        meant: str = inner.getsockname()[0]
        told = Connection(host=self._names.name_of(meant) or meant, port=port)
        try:
            await self._carry(inner, told)
        except _RefusedError as fault:
            told.state, told.why = "refused", str(fault)
        except OutOfBudgetError:
            told.state, told.why = "refused", f"the run has carried its {self._rules.most_mb} MiB"
        except _FailedError as fault:
            told.state, told.why = "failed", str(fault)
        except TimeoutError:
            told.why = f"nothing moved for {self._bounds.idle_s:g} s"
        except OSError as fault:
            told.why = f"it broke off: {fault.strerror or fault}"
        finally:
            if told.state != "carried":  # an end would look as if all had been said
                inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._report(told)

    async def _carry(self, inner: socket.socket, told: Connection) -> None:
        if why := self._rules.refusal(told.host, told.port):
            raise _RefusedError(why)
        with await self._connect(told) as outer:
            for sock in (inner, outer):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await carry(
                inner,
                outer,
                carried=told.carried,
                budget=self._budget,
                idle_s=self._bounds.idle_s,
            )

    async def _connect(self, told: Connection) -> socket.socket:
        """Connect to the first judged address that answers; there is no second look-up."""
        found = await self._look_up(told.host, told.port)
        refusals = {address: self._refusal_of(address, told.port) for address in found}
        allowed = [address for address, why in refusals.items() if not why]
        if not allowed:
            told.address = found[0]
            raise _RefusedError(refusals[found[0]])
        fault: OSError | None = None
        for address in allowed:
            told.address = address
            try:
                return await self._connect_to(address, told.port)
            except OSError as error:
                fault = error
        raise _FailedError(f"{told.address} cannot be reached: {_cause_of(fault)}")

    async def _look_up(self, host: str, port: int) -> list[str]:
        try:
            async with asyncio.timeout(self._bounds.resolve_s):
                found = await self._resolve(host, port)
        except OSError as fault:  # TimeoutError is one
            raise _FailedError(f"{host} cannot be found: {_cause_of(fault)}") from None
        if not found:
            raise _FailedError(f"{host} cannot be found: it has no address")
        return list(dict.fromkeys(found))[:_MOST_ADDRESSES]

    def _refusal_of(self, address: str, port: int) -> str:
        return addresses.refusal(address, is_own=is_own(address, port), allowed=self._allowed)

    async def _connect_to(self, address: str, port: int) -> socket.socket:
        outer = socket.socket(_family(address), socket.SOCK_STREAM)
        try:
            outer.setblocking(False)
            fix_buffers(outer)
            async with asyncio.timeout(self._bounds.connect_s):
                await asyncio.get_running_loop().sock_connect(outer, (address, port))
        except BaseException:
            outer.close()
            raise
        return outer

    async def _answer_datagrams(self, datagrams: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(_QUESTIONS_AT_ONCE):
                try:
                    question, sender = await loop.sock_recvfrom(datagrams, dns.MOST_BYTES + 1)
                except OSError:  # an answer that nobody took, told late (udp(7))
                    break
                answer = dns.answer(question, find=self._names.address_of)
                if answer is not None:
                    _send(datagrams, answer, sender)
            await asyncio.sleep(_RESPITE_S)

    async def _answer_stream(self, asker: socket.socket) -> None:
        """Answer a question over TCP, and one only: whoever has more connects again."""
        loop = asyncio.get_running_loop()
        asker.setblocking(False)
        try:
            async with asyncio.timeout(_QUESTION_S):
                length = int.from_bytes(await _exactly(asker, 2), "big")
                if length > dns.MOST_BYTES:
                    return
                answer = dns.answer(await _exactly(asker, length), find=self._names.address_of)
                if answer is not None:
                    await loop.sock_sendall(asker, len(answer).to_bytes(2, "big") + answer)
        except OSError:  # it is gone, or did not ask in time: nobody's loss
            return


def is_own(address: str, port: int) -> bool:
    """Say whether the address is one of this host's own, whatever interface it is of.

    To such a one the kernel connects from itself; a datagram socket sends nothing for it.
    """
    with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, port))
        except OSError:  # no route: it cannot be reached at all
            return False
        return probe.getsockname()[0] == probe.getpeername()[0]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    got = b""
    while len(got) < count:
        chunk = await loop.sock_recv(sock, count - len(got))
        if not chunk:
            raise ConnectionError("it ended in the middle")
        got += chunk
    return got


def _send(datagrams: socket.socket, answer: bytes, receiver: tuple[str, int]) -> None:
    """Send one datagram at once or not at all: who does not read its answers goes without."""
    try:
        datagrams.sendto(answer, receiver)
    except OSError:
        return


def _cause_of(fault: OSError | None) -> str:
    return "no answer in time" if isinstance(fault, TimeoutError) else str(fault)
