"""Sends one message to one address: judged, looked up once, and connected to that very address.

A name that leads elsewhere at the second look (DNS rebinding) is never looked up twice; a redirect
is followed nowhere; of the answer only its status counts.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtime.values.around.webhooks import SCHEMES, Delivery, Tried, judge_url, signature
from sandbox.network import addresses
from sandbox.network.relay import is_own
from sandbox.network_rules import NetworkRules

MOST_S = 10.0
"""From the look-up to the status: who takes longer has not taken it."""
MOST_ADDRESSES = 8


type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks up a name for a port: returns addresses in the order to try. Raises OSError."""


async def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host: getaddrinfo(3)."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


class RefusedError(Exception):
    """The rules say no."""


class ConnectError(OSError):
    """There is nobody to connect to."""


@dataclass(slots=True, kw_only=True)
class Messenger:
    """Sends what it is given, to whom the rules allow."""

    rules: NetworkRules
    ca_bundle: str = ""
    resolve: Resolve = look_up
    _tls: ssl.SSLContext | None = None

    async def send(self, delivery: Delivery, *, secret: str) -> Tried:
        """Try a delivery once; return what came of it. Raises nothing of the receiver's doing."""
        try:
            async with asyncio.timeout(MOST_S):
                return await self._send(delivery, secret=secret)
        except RefusedError as fault:
            return Tried(error=str(fault), is_final=True)
        except TimeoutError:
            return Tried(error=f"no answer within {MOST_S:.0f} s")
        except OSError as fault:
            return Tried(error=f"{type(fault).__name__}: {fault}"[:500])

    async def _send(self, delivery: Delivery, *, secret: str) -> Tried:
        for problem in judge_url(delivery.url, rules=self.rules):
            raise RefusedError(problem.what)
        at = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "fumehood",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(secret, message=delivery.id, at=at, body=delivery.body),
        }
        there = await self._judged_addresses(delivery.url)
        if self._tls is None:  # every authority is read (65 ms): not before somebody is told
            self._tls = await asyncio.to_thread(
                ssl.create_default_context, cafile=self.ca_bundle or None
            )
        # In a thread, since nobody is told for long: httpx2 is 60 ms of imports.
        post = await asyncio.to_thread(_post)
        return await post(delivery, addresses=there, headers=headers, tls=self._tls, most_s=MOST_S)

    async def _judged_addresses(self, url: str) -> list[str]:
        """Return the addresses of the host, all of which may be reached. Raises RefusedError."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or SCHEMES[parts.scheme]
        try:
            found = await self.resolve(host, port)
        except OSError as fault:
            raise ConnectError(f"{host} cannot be found: {fault}") from fault
        allowed = addresses.networks(self.rules.private)
        there = list(dict.fromkeys(found))[:MOST_ADDRESSES]
        for address in there:
            why = addresses.refusal(address, is_own=is_own(address, port), allowed=allowed)
            if why:
                raise RefusedError(f"{host} may not be told: {why}")
        if not there:
            raise ConnectError(f"{host} has no address")
        return there


def _post() -> "Callable[..., Awaitable[Tried]]":
    from runtime.jobs.webhooks.posting import post  # noqa: PLC0415

    return post
