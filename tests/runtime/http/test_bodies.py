"""Forms are read as they arrive, in whatever pieces the network makes of them."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from runtime.faults.errors import Malformed, RuntimeFault
from runtime.http.bodies.bodies import form_parts

BOUNDARY = "0123456789abcdef"


def request_of(chunks: list[bytes], *, boundary: str = BOUNDARY) -> Request:
    left = list(chunks)

    async def receive() -> dict[str, object]:
        if not left:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    content_type = f"multipart/form-data; boundary={boundary}".encode()
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type)]}
    return Request(scope, receive)


def form(*parts: tuple[str, str, bytes]) -> bytes:
    body = b""
    for field, filename, content in parts:
        name = f'; filename="{filename}"' if filename else ""
        body += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{name}\r\n\r\n'.encode()
            + content
            + b"\r\n"
        )
    return body + f"--{BOUNDARY}--\r\n".encode()


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(places)]


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@given(st.lists(st.binary(max_size=80), max_size=4), st.lists(st.integers(0, 2000), max_size=12))
async def test_any_content_in_any_pieces_is_read_as_it_was_sent(
    contents: list[bytes], cuts: list[int]
) -> None:
    sent = [("input", f"file {n} é.bin", content) for n, content in enumerate(contents)]
    request = request_of(pieces(form(("job", "", b"{}"), *sent), cuts))
    read = [
        (part.field, part.filename, await joined(part.chunks)) async for part in form_parts(request)
    ]
    assert read == [("job", "", b"{}"), *sent]


@given(st.lists(st.integers(0, 2000), max_size=5), st.integers(1, 60))
async def test_a_form_that_breaks_off_is_never_taken_for_a_whole_one(
    cuts: list[int], missing: int
) -> None:
    body = form(("job", "", b"{}"), ("input", "a", b"content"))[: -min(missing, 60) - 2]
    with pytest.raises(Malformed):
        async for part in form_parts(request_of(pieces(body, cuts))):
            await joined(part.chunks)


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=5))
async def test_noise_is_refused_and_nothing_else(noise: bytes, cuts: list[int]) -> None:
    try:
        async for part in form_parts(request_of(pieces(noise, cuts))):
            await part.text()
    except RuntimeFault as refused:
        assert refused.problems


async def test_what_a_reader_leaves_is_skipped() -> None:
    request = request_of([form(("a", "a", b"x" * 5000), ("b", "b", b"y"))])
    assert [part.field async for part in form_parts(request)] == ["a", "b"]
