"""The listener of the API: what each accepted connection gets."""

import asyncio
import errno
import socket

import pytest

from runtime.appliance.serve import listening_on
from runtime.http.connections.accept_loop import PAUSE_S, accept_on
from runtime.http.connections.connection_table import ConnectionBounds, ConnectionTable
from runtime.settings.settings import load


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_answers_are_not_held_back_for_more(host: str) -> None:
    """Nagle's algorithm is off: it cost each answer on a kept connection 43 ms."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    class Looking(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = transport.get_extra_info("socket")
            told.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    settings = load({"host": host, "port": 0}, environ={}).settings
    with listening_on(settings) as listener:
        listener.listen(8)
        table = ConnectionTable(ConnectionBounds())
        accepting = asyncio.create_task(accept_on(listener, table=table, make=Looking))
        _, writer = await asyncio.open_connection(host, listener.getsockname()[1])
        assert await told != 0
        writer.close()
        accepting.cancel()


async def test_accepting_pauses_while_descriptors_are_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """asyncio's own servers try 2,048 times for each that waits, and log each."""
    tries: list[float] = []

    async def none_left(_: socket.socket) -> None:
        tries.append(asyncio.get_running_loop().time())
        raise OSError(errno.EMFILE, "Too many open files")

    pauses: list[float] = []
    real = asyncio.sleep

    async def noting(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", none_left)
    monkeypatch.setattr("runtime.http.connections.accept_loop.asyncio.sleep", noting)
    with socket.socket() as listener:
        table = ConnectionTable(ConnectionBounds())
        accepting = asyncio.create_task(accept_on(listener, table=table, make=asyncio.Protocol))
        while len(tries) < 5:
            await real(0)
        accepting.cancel()
    assert len(pauses) >= len(tries) - 1 and set(pauses) == {PAUSE_S}
