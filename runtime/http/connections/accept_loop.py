"""Accepts connections while there is room for them and descriptors are not short.

asyncio's own servers try again for each place of the backlog where accept(2) fails for lack of
descriptors, and log each: a core at 100 % (2,048 tries a second, measured).
"""

import asyncio
import errno
import logging
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable

from runtime.http.connections.connection_table import ConnectionTable
from runtime.http.connections.tls import HANDSHAKE_S, HANDSHAKES_MOST

RESERVE = 256
"""Descriptors kept back for the worker: cells, the store, uploads."""
LEAST = 16
PAUSE_S = 0.25
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = logging.getLogger("fumehood.accept")


def room_for(most: int) -> int:
    """Return how many of `most` connections our descriptors allow (getrlimit(2))."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft < 0 else max(LEAST, min(most, soft - RESERVE))


async def accept_on(
    listener: socket.socket,
    *,
    table: ConnectionTable,
    make: Callable[[], asyncio.Protocol],
    tls: ssl.SSLContext | None = None,
    is_for_all: bool = True,
) -> None:
    """Give each connection a protocol that `make` makes, until cancelled.

    `is_for_all`: where there is no room, it waits; the owner at home does not.
    """
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    begin = _plainly if tls is None else _handshakes(tls)
    while True:
        if is_for_all and table.is_shut:
            await asyncio.sleep(PAUSE_S)  # the rest waits in the kernel's backlog
            continue
        try:
            accepted, _ = await loop.sock_accept(listener)
        except OSError as error:
            if error.errno in SHORT:
                log.warning("no connection is accepted for a moment: %s", error)
                await asyncio.sleep(PAUSE_S)
            elif error.errno == errno.EBADF:
                return
            continue
        await begin(accepted, make)


type Begin = Callable[[socket.socket, Callable[[], asyncio.Protocol]], Awaitable[None]]


async def _plainly(accepted: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(make, accepted)
    except OSError:
        accepted.close()  # it has gone already


def _handshakes(tls: ssl.SSLContext) -> Begin:
    """Return what begins TLS, beside the accepting: a slow handshake keeps nobody else out.

    A connection is in no table before its handshake is done; so many of them may be under way.
    """
    room = asyncio.Semaphore(HANDSHAKES_MOST)
    under_way: set[asyncio.Task[None]] = set()

    async def shake(accepted: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                make, accepted, ssl=tls, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError:  # ssl.SSLError and time-outs among them
            accepted.close()
        finally:
            room.release()

    async def begin(accepted: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        await room.acquire()
        task = asyncio.create_task(shake(accepted, make))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    return begin
