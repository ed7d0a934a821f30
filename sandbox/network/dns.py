"""The resolver's half of DNS: one question in, one answer out, no look-up (RFC 1035). Pure."""

import socket
import struct
from collections.abc import Callable

MOST_BYTES = 1232
"""No honest question is larger (https://www.dnsflagday.net/2020/)."""
_HEADER = struct.Struct("!6H")
_ANSWER = struct.Struct("!HHHIH")
_IS_ANSWER, _IS_WANTED_RECURSIVE, _IS_RECURSIVE = 0x8000, 0x0100, 0x0080
_OPCODE = 0x7800
_MALFORMED, _OUT_OF_ROOM, _NO_SUCH_NAME, _NOT_HERE = 1, 2, 3, 4
_A, _IN = 1, 1
_NAME_OF_QUESTION = 0xC00C
_TTL_S = 300
_MOST_LABEL_BYTES = 63

type Find = Callable[[str], str | None]
"""Returns a name's IPv4 address, None for want of room; raises LookupError for no name."""


def answer(question: bytes, *, find: Find) -> bytes | None:
    """Return the answer to one question, None where there is nothing to say to.

    Only A records are here. What else is asked of a name that is there has the answer
    "nothing of that kind" (RFC 2308), so that a program goes on to ask for A.
    """
    if len(question) < _HEADER.size or len(question) > MOST_BYTES:
        return None
    number, flags, questions, *_ = _HEADER.unpack_from(question)
    if flags & _IS_ANSWER:
        return None
    if flags & _OPCODE:
        return _response(number, flags, _NOT_HERE)
    asked = _asked(question) if questions == 1 else None
    if asked is None:
        return _response(number, flags, _MALFORMED)
    name, kind, end = asked
    echoed = question[_HEADER.size : end]
    try:
        address = find(name)
    except LookupError:
        return _response(number, flags, _NO_SUCH_NAME, echoed)
    if address is None:
        return _response(number, flags, _OUT_OF_ROOM, echoed)
    record = _record(address) if kind == (_A, _IN) else b""
    return _response(number, flags, 0, echoed, record)


def _asked(question: bytes) -> tuple[str, tuple[int, int], int] | None:
    """Return the name in lower case, type and class, and where the question ends."""
    labels: list[str] = []
    at = _HEADER.size
    while at < len(question) and (length := question[at]):
        if length > _MOST_LABEL_BYTES:  # a pointer: nothing was named before
            return None
        labels.append(question[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    if len(question) < at + 5:
        return None
    kind = struct.unpack_from("!HH", question, at + 1)
    return ".".join(labels).lower(), (kind[0], kind[1]), at + 5


def _record(address: str) -> bytes:
    packed = socket.inet_aton(address)
    return _ANSWER.pack(_NAME_OF_QUESTION, _A, _IN, _TTL_S, len(packed)) + packed


def _response(
    number: int, flags: int, code: int, echoed: bytes = b"", record: bytes = b""
) -> bytes:
    told = _IS_ANSWER | _IS_RECURSIVE | flags & _IS_WANTED_RECURSIVE | code
    return _HEADER.pack(number, told, bool(echoed), bool(record), 0, 0) + echoed + record
