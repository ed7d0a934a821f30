"""Reads request bodies as streams: raw, or the parts of multipart/form-data one by one.

Nothing is spooled on the way: a part's bytes go where they belong while they arrive.
"""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from runtime.faults.errors import Malformed, TooLarge, UnknownMediaType
from sandbox.limits import MIB

FIELD_MOST_BYTES = MIB
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class _Begin:
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Data:
    chunk: bytes


@dataclass(frozen=True, slots=True)
class _End:
    pass


class Part:
    """One part of a form. Its `chunks` can be read once, before the next part is asked for."""

    def __init__(self, headers: dict[str, str], *, chunks: AsyncIterator[bytes]) -> None:
        disposition = _parsed("content-disposition", headers.get("content-disposition", ""))
        self.field = _parameter(disposition, "name")
        self.filename = _parameter(disposition, "filename")
        self.media_type = headers.get("content-type", "application/octet-stream")
        self.chunks = chunks

    async def text(self) -> str:
        """Return a small part as text; raise TooLarge or Malformed."""
        content = bytearray()
        async for chunk in self.chunks:
            content += chunk
            if len(content) > FIELD_MOST_BYTES:
                raise TooLarge(f"The field {self.field} is too long", where=self.field)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"{self.field} is not UTF-8", where=self.field) from error


def is_multipart(request: Request) -> bool:
    """Return whether the body is a form with parts."""
    return request.headers.get("content-type", "").partition(";")[0].strip() == MULTIPART


async def whole_body(request: Request, *, most_bytes: int) -> bytes:
    """Return the body; raise TooLarge as soon as it is longer than `most_bytes`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge(f"The body may have {most_bytes} bytes", where="body")
    return bytes(body)


async def form_parts(request: Request) -> AsyncIterator[Part]:
    """Yield the parts of a multipart body as they arrive; what a caller leaves is skipped."""
    happenings = _happenings(request)
    async for happening in happenings:
        if isinstance(happening, _Begin):
            part = Part(happening.headers, chunks=_chunks(happenings))
            yield part
            async for _ in part.chunks:
                pass


async def _chunks(happenings: AsyncIterator[_Begin | _Data | _End]) -> AsyncIterator[bytes]:
    async for happening in happenings:
        if isinstance(happening, _End):
            return
        if isinstance(happening, _Data):
            yield happening.chunk


async def _happenings(request: Request) -> AsyncIterator[_Begin | _Data | _End]:
    reader = _Reader(_boundary(request))
    async for chunk in request.stream():
        for happening in reader.feed(chunk):
            yield happening
    for happening in reader.close():
        yield happening


class _Reader:
    """Turns the callbacks of the parser into a row of happenings."""

    def __init__(self, boundary: str) -> None:
        self._row: deque[_Begin | _Data | _End] = deque()
        self._headers: dict[str, str] = {}
        self._name = b""
        self._value = b""
        self._is_whole = False
        self._parser = MultipartParser(
            boundary,
            callbacks={
                "on_part_begin": self._headers_anew,
                "on_header_field": self._name_part,
                "on_header_value": self._value_part,
                "on_header_end": self._header,
                "on_headers_finished": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._whole,
            },
        )

    def feed(self, chunk: bytes) -> deque[_Begin | _Data | _End]:
        """Return what `chunk` brings."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Malformed(f"The form is broken: {error}", where="body") from error
        row, self._row = self._row, deque()
        return row

    def close(self) -> deque[_Begin | _Data | _End]:
        """Return what the end brings; raise Malformed when it came too early."""
        row = self.feed(b"\r\n") if not self._is_whole else deque[_Begin | _Data | _End]()
        if not self._is_whole:
            raise Malformed("The form broke off before its last boundary", where="body")
        return row

    def _headers_anew(self) -> None:
        self._headers = {}

    def _name_part(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _value_part(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        name = self._name.decode("latin-1").lower()
        self._headers[name] = self._value.decode(errors="replace")
        self._name = self._value = b""

    def _begin(self) -> None:
        self._row.append(_Begin(self._headers))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._row.append(_Data(bytes(data[start:end])))

    def _end(self) -> None:
        self._row.append(_End())

    def _whole(self) -> None:
        self._is_whole = True


def _boundary(request: Request) -> str:
    content_type = request.headers.get("content-type", "")
    boundary = _parameter(_parsed("content-type", content_type), "boundary", header="content-type")
    if not is_multipart(request) or not boundary:
        raise UnknownMediaType(
            f"The body is {content_type or 'of no type'}",
            where="header: Content-Type",
            mend=f"send {MULTIPART} with a boundary",
        )
    return boundary


def _parsed(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message


def _parameter(message: Message, name: str, *, header: str = "content-disposition") -> str:
    value = message.get_param(name, "", header=header)
    return value[2] if isinstance(value, tuple) else str(value)
