"""An Outlet: the worker's end of one run's relay. It orders it, and hears what it carried."""

import asyncio
import contextlib
import fcntl
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.command import Connection, Observe, Report, Traffic
from sandbox.errors import CellUnstartableError, RelayLostError
from sandbox.kernel.process import Child, HostUser
from sandbox.network.relays import Started
from sandbox.network_rules import NetworkRules

_READY_S = 15.0
_LAST_WORDS_S = 5.0
_NS_GET_USERNS = 0xB701


class Outlet:
    """The way out of one cell. Open it when the cell has said hello, close it when all is dead."""

    def __init__(
        self,
        child: Child,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        observe: Observe,
    ) -> None:
        self._child = child
        self._reader = reader
        self._writer = writer
        self._observe = observe
        self._told: list[Connection] = []
        self._totals: dict[str, int] | None = None
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        started: Started,
        rules: NetworkRules,
        *,
        cell_pid: int,
        user: HostUser | None,
        observe: Observe,
    ) -> "Outlet":
        """Order a relay to be the way out of the cell with this process; return when it is.

        `user` is who the relay is on the host, once it has no more need to be us. Raises
        CellUnstartableError; the relay is ended then.
        """
        try:
            _order(started, rules, cell_pid=cell_pid, user=user)
            reader, writer = await asyncio.open_unix_connection(sock=started.channel)
        except BaseException:
            await started.end()
            raise
        outlet = cls(started.child, reader, writer, observe)
        try:
            await outlet._be_ready()
        except BaseException:
            await outlet.kill()
            raise
        outlet._listening = asyncio.create_task(outlet._listen())
        return outlet

    async def kill(self) -> None:
        """End the relay of a run that nobody wants to hear of any more."""
        if self._listening is not None:
            self._listening.cancel()
        self._writer.close()
        await self._child.end()

    async def close(self) -> None:
        """End the relay, and take what it says last: `traffic`.

        Raises RelayLostError where it had ended by itself: the run missed its network then.
        """
        assert self._listening is not None  # noqa: S101 – open has made it
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write_eof()
            await asyncio.wait_for(self._listening, _LAST_WORDS_S)
        await self.kill()
        if self._totals is None:
            raise RelayLostError(
                "the relay of a run with network ended by itself",
                mend="see what it said in the worker's log",
            )

    @property
    def traffic(self) -> Traffic:
        """What was carried and refused, complete once the outlet is closed."""
        return Traffic(first=tuple(self._told), **self._totals or {})

    async def _be_ready(self) -> None:
        try:
            said = await asyncio.wait_for(self._hear(), _READY_S)
        except TimeoutError:
            said = {"fault": "it said nothing in time"}
        if "ready" not in said:
            raise CellUnstartableError(
                f"the relay of a run with network did not start: {said.get('fault', 'it ended')}",
                mend="run `fumehood doctor`, which tries it",
            )

    async def _listen(self) -> None:
        while said := await self._hear():
            if "totals" in said:
                self._totals = said["totals"]
            else:
                connection = Connection(**said["connection"])
                self._told.append(connection)
                self._observe(Report(kind="network", data=asdict(connection)))

    async def _hear(self) -> dict[str, Any]:
        """Return the next thing it says; nothing once it has ended."""
        line = await self._reader.readline()
        return json.loads(line) if line.endswith(b"\n") else {}


def _order(started: Started, rules: NetworkRules, *, cell_pid: int, user: HostUser | None) -> None:
    """Tell the relay what it is to be for which cell. Raises CellUnstartableError."""
    network_fd, user_fd = _namespaces(cell_pid)
    try:
        order = {"rules": asdict(rules), "user": user.uid if user else None}
        text = json.dumps(order).encode() + b"\n"
        socket.send_fds(started.channel, [text], [network_fd, user_fd])
    except OSError as fault:
        raise CellUnstartableError(
            f"the relay of a run with network takes no order: {fault}",
            mend="run `fumehood doctor`",
        ) from fault
    finally:
        os.close(network_fd)
        os.close(user_fd)


def _namespaces(cell_pid: int) -> tuple[int, int]:
    """Return descriptors of the cell's net namespace and the user namespace that owns it.

    ioctl_ns(2). Raises CellUnstartableError where it is the host's own: nothing goes in there.
    """
    try:
        network_fd = os.open(f"/proc/{cell_pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as fault:
        raise CellUnstartableError(
            f"the cell's net namespace cannot be opened: {fault}", mend="run `fumehood doctor`"
        ) from fault
    if os.fstat(network_fd).st_ino == Path("/proc/self/ns/net").stat().st_ino:
        os.close(network_fd)
        raise CellUnstartableError(
            "the cell has no net namespace of its own", mend="run `fumehood doctor`"
        )
    try:
        return network_fd, fcntl.ioctl(network_fd, _NS_GET_USERNS)
    except OSError as fault:
        os.close(network_fd)
        raise CellUnstartableError(
            f"nobody says who owns the cell's net namespace: {fault}",
            mend="use a kernel with NS_GET_USERNS (Linux 4.9)",
        ) from fault
