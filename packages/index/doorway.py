"""The doorway: all that uv sees of the index, one process for each lock, and bounded.

uv is given an address of this host's loopback and a page for each name. It gets no login, no
proxy and no address of the index's, and what it asks for is judged, fetched, counted and cut
here. A page is parsed here too: never by the appliance, which has others to serve.

The order is one line of JSON at stdin, and the end of stdin is the end. At stdout are lines: the
address first, then what was refused and each metadata that was handed out.
"""

import asyncio
import contextlib
import hashlib
import json
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
from packaging.utils import canonicalize_name

from packages.index.index import Bounds, Index
from packages.index.listing import (
    ACCEPT,
    JSON_TYPE,
    UnreadableError,
    address_at,
    address_within,
    read_listing,
    told_again,
)
from packages.index.reading import (
    Answer,
    Budget,
    LeadsElsewhereError,
    Reader,
    TooCostlyError,
    client_of,
)
from sandbox.limits import MIB

HEAD_BYTES = 32 * 1024
PASSED_ON = ("content-type", "content-range", "accept-ranges", "content-length", "etag")


class OverdrawnError(TooCostlyError):
    """All answers of one lock together are more than it may have."""


@dataclass(slots=True, kw_only=True)
class Doorway:
    """Answers uv from `reader`, below the secret path of `base`, but for names in `kept_out`."""

    reader: Reader
    base: str
    kept_out: frozenset[str]
    spent_bytes: int = 0
    told: set[str] = field(default_factory=set[str])
    unhashed: set[str] = field(default_factory=set[str])

    async def serve(self, asked: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and hang up."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
            head = await asked.readuntil(b"\r\n\r\n")
            method, path, headers = _parsed(head)
            if path.startswith(f"{urlsplit(self.base).path}/"):
                await self._answer(method, path, headers, writer)
            else:
                writer.write(_head(404, {}))
            await writer.drain()
        writer.close()

    async def _answer(
        self, method: str, path: str, headers: Mapping[str, str], writer: asyncio.StreamWriter
    ) -> None:
        parts = path.removeprefix(urlsplit(self.base).path).strip("/").split("/")
        try:
            if parts[0] == "simple" and len(parts) == 2:
                await self._page(canonicalize_name(parts[1]), writer)
            elif parts[0] == "f" and len(parts) == 3:
                await self._file(method, path, headers, writer)
            else:
                writer.write(_head(404, {}))
        except (LeadsElsewhereError, UnreadableError) as error:
            self._note_problem("leads-elsewhere", parts[-1], str(error))
            writer.write(_head(404, {}))
        except TooCostlyError as error:
            self._note_problem("too-costly", parts[-1], str(error))
            writer.write(_head(502, {}))
        except httpx2.HTTPError as error:
            what = self.reader.index.redact(f"{type(error).__name__} {error}")
            self._note_problem("index-unreachable", parts[-1], what)
            writer.write(_head(502, {}))

    async def _page(self, name: str, writer: asyncio.StreamWriter) -> None:
        if any(fnmatchcase(name, pattern) for pattern in self.kept_out):
            writer.write(_head(404, {}))
            return
        place = self.reader.index.place
        url = urljoin(place if place.endswith("/") else f"{place}/", f"{name}/")
        wanted = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
        async with self.reader.reading(url, budget=self._budget(), headers=wanted) as answer:
            if answer.status != 200:
                self._refused(name, answer.status, writer)
                return
            content = b"".join([chunk async for chunk in self._counted(answer)])
            kind = answer.headers.get("content-type", "text/html")
            leads = self.reader.index.leads
            listing = read_listing(content, media_type=kind, url=answer.url, leads=leads)
        for why in listing.left_out:
            self._note_problem("leads-elsewhere", name, why)
        for file in listing.files:
            if file["filename"].endswith(".whl") and "sha256" not in file["hashes"]:
                self.unhashed.add(file["filename"])
        body = told_again(listing, name=name, address=self._address)
        writer.write(_head(200, {"content-type": JSON_TYPE, "content-length": str(len(body))}))
        writer.write(body)

    async def _file(
        self, method: str, path: str, headers: Mapping[str, str], writer: asyncio.StreamWriter
    ) -> None:
        is_metadata = path.endswith(".metadata")
        # uv makes the address of a wheel's metadata by adding to the wheel's (PEP 658).
        url, filename = address_within(path.removesuffix(".metadata"))
        url = f"{url}.metadata" if is_metadata else url
        if filename in self.unhashed:
            _say({"unhashed": filename})
        wanted = {"Range": headers["range"]} if "range" in headers else {}
        budget = self._budget(is_page=is_metadata)
        async with self.reader.reading(url, budget=budget, method=method, headers=wanted) as answer:
            if answer.status not in (200, 206):
                self._refused(filename, answer.status, writer)
                return
            passed = {k: answer.headers[k] for k in PASSED_ON if k in answer.headers}
            writer.write(_head(answer.status, passed))
            digest = hashlib.sha256()
            if method != "HEAD":
                async for chunk in self._counted(answer):
                    digest.update(chunk)
                    writer.write(chunk)
                    await writer.drain()
        if is_metadata and method == "GET":
            _say({"metadata": filename, "sha256": digest.hexdigest()})

    def _refused(self, what: str, status: int, writer: asyncio.StreamWriter) -> None:
        if status not in (404, 410):
            self._note_problem("index-unreachable", what, f"it answers {status}")
        writer.write(_head(status if status >= 400 else 502, {}))

    async def _counted(self, answer: Answer) -> AsyncIterator[bytes]:
        most = self.reader.index.bounds.lock_mb * MIB
        async for chunk in answer.chunks:
            self.spent_bytes += len(chunk)
            if self.spent_bytes > most:
                raise OverdrawnError(f"all pages of a lock have more than {most} bytes")
            yield chunk

    def _budget(self, *, is_page: bool = True) -> Budget:
        bounds = self.reader.index.bounds
        return Budget(
            most_bytes=(bounds.page_mb if is_page else bounds.wheel_mb) * MIB,
            most_s=bounds.page_s if is_page else bounds.lock_s,
            least_bytes_s=bounds.least_kb_s * 1024,
        )

    def _address(self, url: str, filename: str) -> str:
        return address_at(self.base, url, filename)

    def _note_problem(self, code: str, where: str, what: str) -> None:
        line = json.dumps({"code": code, "where": where[:200], "what": what[:500]})
        if line not in self.told and len(self.told) < 200:
            self.told.add(line)
            _say(json.loads(line))


def main() -> None:
    """Serve what stdin orders until it ends."""
    asyncio.run(_serve(json.loads(sys.stdin.readline())))


async def _serve(order: dict[str, Any]) -> None:
    index = _index_of(order["index"])
    token = secrets.token_urlsafe(24)
    async with client_of(index) as client:
        door = Doorway(
            reader=Reader(index=index, client=client),
            base="",
            kept_out=frozenset(order["kept_out"]),
        )
        server = await asyncio.start_server(door.serve, "127.0.0.1", 0, limit=HEAD_BYTES)
        door.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{token}"
        _say({"base": door.base})
        await asyncio.to_thread(sys.stdin.read)
        server.close()


def _index_of(told: dict[str, Any]) -> Index:
    return Index(
        url=told["url"],
        username=told["username"],
        password=told["password"],
        ca_bundle=Path(told["ca_bundle"]) if told["ca_bundle"] else None,
        proxy=told["proxy"],
        hosts=tuple(told["hosts"]),
        private=tuple(told["private"]),
        bounds=Bounds(**told["bounds"]),
    )


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    return method, path.partition("?")[0], {k.strip().lower(): v.strip() for k, _, v in pairs}


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    told = {"content-length": "0", **headers} if status >= 400 else dict(headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status} x\r\nconnection: close\r\n{lines}\r\n".encode("latin-1")


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
