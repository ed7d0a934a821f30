"""The listener of the API: what each accepted connection gets."""

import asyncio
import socket

import pytest

from runtime.serve import listening_on
from runtime.settings import load


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_answers_are_not_held_back_for_more(host: str) -> None:
    """Nagle's algorithm is off: it cost each answer on a kept connection 43 ms."""
    told: asyncio.Queue[int] = asyncio.Queue()

    def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        told.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    settings = load({"host": host, "port": 0}, environ={}).settings
    with listening_on(settings) as listener:
        async with await asyncio.start_server(serve, sock=listener):
            _, writer = await asyncio.open_connection(host, listener.getsockname()[1])
            assert await told.get() != 0
            writer.close()
