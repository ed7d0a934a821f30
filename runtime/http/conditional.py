"""Conditional reads (RFC 9110, 13): an ETag for what is read, 304 for who has it already.

The tag is a digest of what is sent, so nobody has to count revisions. What is streamed gets none
here: outputs and wheels have the digest of their bytes, and are asked before they are opened.
"""

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDERS = ("/v1/", "/simple/", "/openapi.json")
NOT_SENT = frozenset({"content-length", "content-type", "content-disposition"})


def is_tagged(path: str) -> bool:
    """Return whether what is read at `path` has a tag: all but the pages and the probes."""
    return path.startswith(FOLDERS)


def tag_of(content: bytes) -> str:
    """Return the entity tag of `content`."""
    return f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def is_known(tag: str, *, said: str) -> bool:
    """Return whether an If-None-Match field that says `said` names `tag` (RFC 9110, 13.1.2).

    >>> is_known('"a"', said='W/"a", "b"'), is_known('"a"', said="*"), is_known('"a"', said="a")
    (True, True, False)
    """
    if said.strip() == "*":
        return True
    return tag.removeprefix("W/") in {one.strip().removeprefix("W/") for one in said.split(",")}


class Conditional:
    """Gives what is read in one piece its tag, and answers 304 where the caller has it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] == "GET" and is_tagged(scope["path"]):
            said = Headers(scope=scope).get("if-none-match", "")
            send = _Answer(send, said=said)
        await self._app(scope, receive, send)


def _is_whole(head: Message) -> bool:
    """Return whether the length is known; the head of a stream must not wait for what comes."""
    return any(name == b"content-length" for name, _ in head["headers"])


class _Answer:
    """Holds the head of an answer back until its first piece shows whether it has others."""

    def __init__(self, send: Send, *, said: str) -> None:
        self._send = send
        self._field = said
        self._head: Message | None = None
        self._is_told = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == 200 and _is_whole(message):
                self._head = message
                return
        elif self._head is not None:
            head, self._head = self._head, None
            await self._begin(head, message)
        if not self._is_told:
            await self._send(message)

    async def _begin(self, head: Message, message: Message) -> None:
        headers = MutableHeaders(scope=head)
        if "etag" not in headers and not message.get("more_body") and "body" in message:
            headers["etag"] = tag_of(message["body"])
            headers.setdefault("cache-control", "private, no-cache")
        if self._field and is_known(headers.get("etag", ""), said=self._field):
            self._is_told = True
            kept = [one for one in head["headers"] if one[0].decode() not in NOT_SENT]
            await self._send({**head, "status": 304, "headers": kept})
            await self._send({"type": "http.response.body", "body": b""})
            return
        await self._send(head)
