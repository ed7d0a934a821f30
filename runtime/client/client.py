"""Asks an appliance: `Client` at once, `AsyncClient` with asyncio.

from runtime.client.client import Client
from runtime.client.operations import submit_job

with Client("https://fumehood.example", token="fmh_…") as appliance:
    job = appliance.ask(submit_job("hello", parameters={"name": "Ada"}))
    for event in appliance.follow(job["id"]):
        print(event["event"], event["data"])
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import httpx2

from runtime.client.operations import Call
from runtime.client.views import Event, PageOf, ProblemView

TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
PAGE = 200


class Refused(Exception):
    """The appliance refused, and said why: `code` is stable, `problems` say what to mend."""

    def __init__(self, document: Mapping[str, Any], *, status: int) -> None:
        super().__init__(str(document.get("detail") or f"the appliance answered {status}"))
        self.document = document
        self.status = status
        self.code = str(document.get("code", ""))
        self.problems: Sequence[ProblemView] = document.get("problems", ())


class Unreachable(Exception):
    """No appliance answers, or the connection to it broke off."""

    def __init__(self, url: str, *, is_away: bool, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.is_away = is_away
        self.why = why


class Tagged[T](NamedTuple):
    """What was read, and its tag: with that as `if_match` it is changed only as it was read."""

    value: T
    tag: str


class Client:
    """An appliance at `url`, or behind the unix socket `socket`. No proxy is asked."""

    def __init__(
        self,
        url: str = "http://localhost",
        *,
        token: str = "",
        socket: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self._http = httpx2.Client(
            base_url=url,
            timeout=TIMEOUT,
            trust_env=False,
            transport=httpx2.HTTPTransport(uds=socket) if socket else None,
            headers=_headers(token, headers),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def ask[T](self, call: Call[T]) -> T:
        """Return the answer. Raises Refused or Unreachable."""
        return self.tagged(call).value

    def tagged[T](self, call: Call[T]) -> Tagged[T]:
        """Return the answer and its tag. Raises Refused or Unreachable."""
        try:
            answer = self._http.request(call.method, call.path, **_options(call))
        except httpx2.TransportError as error:
            raise _unreachable(self.url, error) from error
        return _read(answer, call=call)

    def every[T](self, call: Call[PageOf[T]], *, most: int | None = None) -> Iterator[T]:
        """Yield the items of a list, page after page, `most` of them at most."""
        left, cursor = most, None
        while left is None or left > 0:
            page = self.ask(_page(call, left=left, cursor=cursor))
            yield from page["items"] if left is None else page["items"][:left]
            left = None if left is None else left - len(page["items"])
            if (cursor := page["next_cursor"]) is None:
                return

    def follow(
        self, job_id: str, *, after: int = 0, quiet_s: float | None = None
    ) -> Iterator[Event]:
        """Yield the events of a job as they happen, until it has ended.

        Raises Unreachable where nothing comes for `quiet_s` seconds, too.
        """
        asked = _following(job_id, after=after, quiet_s=quiet_s)
        try:
            with self._http.stream("GET", **asked) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                for line in answer.iter_lines():
                    yield json.loads(line)
        except httpx2.TransportError as error:
            raise _unreachable(self.url, error) from error

    def download(self, call: Call[Any], *, to: BinaryIO) -> None:
        """Write what is asked for to a file, in pieces."""
        try:
            with self._http.stream(call.method, call.path, **_options(call)) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                for piece in answer.iter_bytes():
                    to.write(piece)
        except httpx2.TransportError as error:
            raise _unreachable(self.url, error) from error

    def save(self, call: Call[Any], *, to: Path) -> None:
        """Write what is asked for to the file `to`, whole or not at all."""
        to.parent.mkdir(parents=True, exist_ok=True)
        aside = to.with_name(f".{to.name}.part")
        with aside.open("wb") as file:
            self.download(call, to=file)
        aside.replace(to)


class AsyncClient:
    """The same with asyncio."""

    def __init__(
        self,
        url: str = "http://localhost",
        *,
        token: str = "",
        socket: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self._http = httpx2.AsyncClient(
            base_url=url,
            timeout=TIMEOUT,
            trust_env=False,
            transport=httpx2.AsyncHTTPTransport(uds=socket) if socket else None,
            headers=_headers(token, headers),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def ask[T](self, call: Call[T]) -> T:
        """Return the answer. Raises Refused or Unreachable."""
        return (await self.tagged(call)).value

    async def tagged[T](self, call: Call[T]) -> Tagged[T]:
        """Return the answer and its tag. Raises Refused or Unreachable."""
        try:
            answer = await self._http.request(call.method, call.path, **_options(_in_memory(call)))
        except httpx2.TransportError as error:
            raise _unreachable(self.url, error) from error
        return _read(answer, call=call)

    async def every[T](self, call: Call[PageOf[T]], *, most: int | None = None) -> AsyncIterator[T]:
        """Yield the items of a list, page after page, `most` of them at most."""
        left, cursor = most, None
        while left is None or left > 0:
            page = await self.ask(_page(call, left=left, cursor=cursor))
            for item in page["items"] if left is None else page["items"][:left]:
                yield item
            left = None if left is None else left - len(page["items"])
            if (cursor := page["next_cursor"]) is None:
                return

    async def follow(self, job_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """Yield the events of a job as they happen, until it has ended."""
        try:
            async with self._http.stream("GET", **_following(job_id, after=after)) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(answer)
                async for line in answer.aiter_lines():
                    yield json.loads(line)
        except httpx2.TransportError as error:
            raise _unreachable(self.url, error) from error

    async def download(self, call: Call[Any], *, to: BinaryIO) -> None:
        """Write what is asked for to a file, in pieces."""
        try:
            async with self._http.stream(call.method, call.path, **_options(call)) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(answer)
                async for piece in answer.aiter_bytes():
                    to.write(piece)
        except httpx2.TransportError as error:
            raise _unreachable(self.url, error) from error


def _headers(token: str, more: Mapping[str, str] | None) -> dict[str, str]:
    return {**({"Authorization": f"Bearer {token}"} if token else {}), **(more or {})}


def _options(call: Call[Any]) -> dict[str, Any]:
    """Return what a call is sent with."""
    files = [("input", (one.name, one.content, one.media_type)) for one in call.inputs]
    given = {
        "params": call.query,
        "headers": call.headers,
        "json": call.body,
        "content": call.content,
        "data": call.form,
        "files": files,
    }
    return {name: value for name, value in given.items() if value}


def _in_memory[T](call: Call[T]) -> Call[T]:
    """Return `call` with its file read: httpx2 sends no file of the other kind."""
    if call.content is None or isinstance(call.content, bytes):
        return call
    return replace(call, content=call.content.read())


def _following(job_id: str, *, after: int, quiet_s: float | None = None) -> dict[str, Any]:
    query = {"after": after, "follow": "true"}
    timeout = httpx2.Timeout(60.0, read=quiet_s)
    return {"url": f"/v1/jobs/{job_id}/events", "params": query, "timeout": timeout}


def _page[T](call: Call[PageOf[T]], *, left: int | None, cursor: str | None) -> Call[PageOf[T]]:
    place = {"cursor": cursor} if cursor else {}
    return replace(call, query={**call.query, "limit": min(PAGE, left or PAGE), **place})


def _read[T](answer: httpx2.Response, *, call: Call[T]) -> Tagged[T]:
    if answer.is_error:
        raise _refusal(answer)
    value: Any = answer.text if call.answer == "text" else answer.content
    if call.answer == "json":
        value = answer.json() if answer.content else None
    return Tagged(value=value, tag=answer.headers.get("etag", ""))


def _refusal(answer: httpx2.Response) -> Refused:
    try:
        document = answer.json()
    except ValueError:
        document = {"detail": f"{answer.url} answered {answer.status_code}"}
    return Refused(document, status=answer.status_code)


def _unreachable(url: str, error: httpx2.TransportError) -> Unreachable:
    is_away = isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout))
    return Unreachable(url, is_away=is_away, why=str(error))
