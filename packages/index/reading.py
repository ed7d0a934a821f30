"""Reads what an index offers, one address at a time: bounded, never where it may not lead.

Each step of a redirect is judged as the first is: the address, what its name resolves to, and
whether the login is for it. What is connected to is the very address that was judged.
"""

import asyncio
import socket
import ssl
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import httpx2

from frozen.values import frozen
from packages.index.index import Index
from packages.index.leading import Origin

MOST_REDIRECTS = 5
QUIET_S = 30.0
REDIRECTS = (301, 302, 303, 307, 308)
PIECE_BYTES = 1 << 16
FLOOR_AFTER_S = 20.0
"""The floor of speed holds for each stretch of so long: a connection has to begin, after all."""


class LeadsElsewhereError(Exception):
    """The index leads to where nobody may go."""


class TooCostlyError(Exception):
    """What the index sends is longer, or slower, than it may be."""


@frozen
class Budget:
    """How much one answer may take: bytes as they are unpacked, seconds, and bytes a second."""

    most_bytes: int
    most_s: float
    least_bytes_s: int = 0


@frozen
class Answer:
    """What came back from `url`, at the end of all redirects; `chunks` can be read once."""

    url: str
    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


@frozen
class Reader:
    """Reads from `index` through `client`, which follows nothing by itself."""

    index: Index
    client: httpx2.AsyncClient

    @asynccontextmanager
    async def reading(
        self,
        url: str,
        *,
        budget: Budget,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Answer]:
        """Ask for `url`. Raises LeadsElsewhereError, TooCostlyError, httpx2.HTTPError."""
        has_left = False
        deadline = time.monotonic() + budget.most_s
        for _ in range(MOST_REDIRECTS + 1):
            request = await self._request(method, url, headers or {}, has_left=has_left)
            answer = await self._send(request, deadline, budget)
            try:
                if answer.status_code not in REDIRECTS:
                    chunks = _bounded(answer, budget, deadline)
                    yield Answer(
                        url=url,
                        status=answer.status_code,
                        headers=dict(answer.headers),
                        chunks=chunks,
                    )
                    return
                target = urljoin(url, answer.headers.get("location", ""))
            finally:
                await answer.aclose()
            if not self.index.leads.refusal(target):
                has_left = has_left or Origin.of(target) != Origin.of(url)
            url = target
        raise LeadsElsewhereError(f"it redirects more than {MOST_REDIRECTS} times")

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], *, has_left: bool
    ) -> httpx2.Request:
        """Return the request for `url` at the address that was judged. Raises LeadsElsewhere."""
        why = self.index.leads.refusal(url) or self.index.leads.literal_refusal(url)
        if why:
            raise LeadsElsewhereError(why)
        sent = {"Accept-Encoding": "identity", **headers}
        login = None if has_left else self.index.login_for(url)
        place = httpx2.URL(url).copy_with(username=None, password=None)
        extensions: dict[str, object] = {}
        if not self.index.proxy:  # else the proxy looks the name up, and the admin trusts it
            address = await self._judged_address(url)
            sent["Host"] = place.netloc.decode()
            extensions["sni_hostname"] = place.host
            place = place.copy_with(host=address)
        request = self.client.build_request(method, place, headers=sent, extensions=extensions)
        if login is not None:
            request = next(httpx2.BasicAuth(*login).auth_flow(request))
        return request

    async def _judged_address(self, url: str) -> str:
        """Return an address of the host of `url`, all of which may be reached."""
        origin = Origin.of(url)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx2.ConnectError(f"{origin.host}: {error}") from error
        addresses = [str(place[4][0]) for place in found]
        for address in addresses:
            if why := self.index.leads.address_refusal(url, address):
                raise LeadsElsewhereError(f"{origin.host} is at an address that may not be: {why}")
        return addresses[0]

    async def _send(
        self, request: httpx2.Request, deadline: float, budget: Budget
    ) -> httpx2.Response:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await self.client.send(request, stream=True, follow_redirects=False)
        except TimeoutError as error:
            raise TooCostlyError(f"it takes longer than {budget.most_s:.0f} s") from error


def client_of(index: Index) -> httpx2.AsyncClient:
    """Return a client for `index`: its authority, its proxy, and nothing of the environment's.

    Call it from a thread: it reads every authority, and imports a good deal (65 ms, measured).
    """
    context = ssl.create_default_context(cafile=str(index.ca_bundle) if index.ca_bundle else None)
    # Python 3.13 turned this on; many a company's authority lacks an extension, and uv, which
    # resolves against the same index, does not ask for it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return httpx2.AsyncClient(
        verify=context,
        proxy=index.proxy or None,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(QUIET_S),
    )


async def _bounded(
    answer: httpx2.Response, budget: Budget, deadline: float
) -> AsyncGenerator[bytes]:
    """Yield what is sent, unpacked, while it is neither too long nor too slow."""
    size = window = 0
    since = time.monotonic()
    pieces = _unpacked(answer)
    while True:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                piece = await anext(pieces, None)
        except TimeoutError as error:
            raise TooCostlyError(f"it takes longer than {budget.most_s:.0f} s") from error
        if piece is None:
            return
        size, window = size + len(piece), window + len(piece)
        if size > budget.most_bytes:
            raise TooCostlyError(f"it has more than {budget.most_bytes} bytes")
        passed = time.monotonic() - since
        if passed >= FLOOR_AFTER_S:
            if window < budget.least_bytes_s * passed:
                raise TooCostlyError(f"it comes slower than {budget.least_bytes_s} bytes a second")
            window, since = 0, time.monotonic()
        yield piece


async def _unpacked(answer: httpx2.Response) -> AsyncGenerator[bytes]:
    """Yield the content, of a gzip no more at a time than a piece: a client's own has no bound.

    7 MB of gzip held 7 GB of blanks, and whoever unpacks all that has arrived has them at once.
    """
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise LeadsElsewhereError(f"it is sent as {coding[:40]!r}, which nobody asked for")
    unpacking = zlib.decompressobj(wbits=31) if "gzip" in coding else None
    async for raw in answer.aiter_raw(PIECE_BYTES):
        rest = raw
        if unpacking is None:
            yield raw
            continue
        while rest:
            try:
                piece = unpacking.decompress(rest, PIECE_BYTES)
            except zlib.error as error:
                raise httpx2.DecodingError(f"it is no gzip: {error}") from error
            rest = unpacking.unconsumed_tail
            yield piece
