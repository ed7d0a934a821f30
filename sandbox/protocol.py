"""What a cell says, read as if an enemy wrote it: every frame bounded, every field checked.

A frame is a four-byte big-endian length and that many bytes of UTF-8 JSON (see
`inside/channel.py`; the way in is marshalled, since it is ours). Whatever does not fit raises
ProtocolFault, which ends the cell.
"""

import json
import marshal
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NoReturn, cast

from frozen.values import frozen
from sandbox.command import Ending, Json, Question, Report

_LENGTH = struct.Struct(">I")
TEXT_CHARS = 65_536
"""Of any text that a cell sends: the rest is cut off."""
_NAME_CHARS, _WHAT_CHARS, _TRACEBACK_CHARS = 100, 4_096, 16_000
"""Of what becomes a part of the artifact; the runner keeps to less."""
_MARKS = (b"[", b"{", b",", b":")
_HOST_CHARS = 300
_MODULE_CHARS = 200
_DEEPEST = 64
_MOST_VALUES = 101_000
"""Of one message, keys counted too; the runner takes a little less, without what is around it.
Five million lists are 15 MB of JSON, and 400 MB once parsed."""
_MOST_CPU_S, _MOST_BYTES = 1e7, 2**44
_LOG_LEVELS = frozenset({"debug", "info", "warning", "error"})
_PLAIN_HELLO = b'{"kind":"hello"}'
_DONE_ENDINGS = frozenset({"returned", "asked", "raised", "unloadable", "exited", "cancelled"})


class ProtocolFault(Exception):
    """The cell sent something that no honest runner sends."""


@frozen
class Hello:
    """The cell has shut its walls and waits for its run."""


@frozen
class Warm:
    """The warm cell has imported everything; `unfit` says why it must not be forked."""

    unfit: str
    word: str = ""
    """The same in a word (inside/warm/fitness.py), by which it is decided what to advise."""


@frozen
class Ended:
    """A fork of the warm cell ended: exit code, or minus the signal number."""

    run: str
    code: int
    cpu_s: float
    peak_rss_bytes: int


type Cause = Literal["", "module", "fork", "thread"]
"""What inside/failure/causes.py finds: a module that is not there, no more processes."""


@frozen
class Done:
    """How the run says that it ended."""

    ending: Ending
    value: Json = None
    question: Question | None = None
    exit_code: int | None = None
    code: str = ""
    what: str = ""
    traceback: str = ""
    errno: int | None = None
    errno_path: str = ""
    wanted: str = ""
    """The host and port that the run could not reach."""
    wall: str = ""
    """Which wall it ran into, in its own words."""
    cause: Cause = ""
    """Why it failed, where neither class nor number of the error tells."""
    missing: str = ""
    """The module that is not there."""
    reached: float | None = None


type Inward = Mapping[str, Inward] | Sequence[Inward] | Json | bytes
"""What may be sent into a cell: plain values and bytes."""

type Message = Hello | Warm | Ended | Done | Report


class Frames:
    """Cuts a byte stream into frames of at most `largest_bytes`."""

    def __init__(self, *, largest_bytes: int) -> None:
        self._largest_bytes = largest_bytes
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield each frame that `chunk` completes. Raises ProtocolFault for an oversized one."""
        self._rest += chunk
        while len(self._rest) >= _LENGTH.size:
            length = _LENGTH.unpack_from(self._rest)[0]
            if length > self._largest_bytes:
                raise ProtocolFault(f"a frame of {length} bytes (at most {self._largest_bytes})")
            end = _LENGTH.size + length
            if len(self._rest) < end:
                return
            frame = bytes(self._rest[_LENGTH.size : end])
            del self._rest[:end]
            yield frame

    @property
    def is_torn(self) -> bool:
        """Whether the stream ended in the middle of a frame."""
        return bool(self._rest)


def frame(message: Mapping[str, Inward]) -> bytes:
    """Return `message` as the bytes of one frame, for the way in (marshal, version 2)."""
    body = marshal.dumps(cast("Any", message), 2)
    return _LENGTH.pack(len(body)) + body


def read(body: bytes) -> Message:
    """Return the message in `body`. Raises ProtocolFault for anything unexpected."""
    fields = _Fields(_parse(body))
    kind = fields.text("kind")
    reader = _READERS.get(kind)
    if reader is None:
        raise ProtocolFault(f"an unknown kind of message: {kind[:40]!r}")
    return reader(fields)


def is_hello(body: bytes) -> bool:
    """Say whether the message is a hello. Raises ProtocolFault as `read` does."""
    return body == _PLAIN_HELLO or isinstance(read(body), Hello)


def _parse(body: bytes) -> dict[str, Json]:
    if has_more_values(body, most=_MOST_VALUES):
        raise ProtocolFault(f"more than {_MOST_VALUES} values in one message")
    containers = body.count(b"[") + body.count(b"{")
    try:
        parsed: Json = _DECODER.decode(body.decode("utf-8"))
        if b"\\u" in body:  # only an escape can smuggle a lone surrogate in
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as fault:
        raise ProtocolFault(f"not JSON: {str(fault)[:200]}") from None
    if not isinstance(parsed, dict):
        raise ProtocolFault("not a JSON object")
    if containers > _DEEPEST and _depth(parsed) > _DEEPEST:
        raise ProtocolFault(f"nested deeper than {_DEEPEST}")
    return parsed


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ProtocolFault(f"{text[:40]} is beyond any number")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ProtocolFault(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
"""Made once: json.loads would make one for each message."""


def _depth(value: Json) -> int:
    """Return how deeply `value` is nested, without recursion of our own."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def has_more_values(body: bytes, *, most: int) -> bool:
    """Say whether the JSON `body` has more than `most` values, keys counted too; without parsing.

    What parsing takes goes by their number: 16 MB of text in one value are read in 14 ms, 4 MB of
    200,000 keys in 165 ms (measured), and whoever parses them in C serves nobody else meanwhile,
    in whichever thread.

    >>> has_more_values(b'{"a": [1, 2, "x,y,z"]}', most=6), has_more_values(b"[1, 2, 3]", most=2)
    (False, True)
    """
    if _marks(body) <= most:
        return False
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') // 2 > 2 * most:
        return True  # each text is a key or a value: to split them would make as many objects
    return _marks(b"".join(plain.split(b'"')[::2])) > most


def _marks(body: bytes) -> int:
    return sum(map(body.count, _MARKS))


class _Fields:
    """Typed access to the fields of a message."""

    def __init__(self, fields: dict[str, Json]) -> None:
        self._fields = fields

    def has(self, name: str) -> bool:
        return name in self._fields

    def raw(self, name: str) -> Json:
        return self._fields.get(name)

    def text(self, name: str, *, default: str | None = None) -> str:
        value = self._fields.get(name, default)
        if not isinstance(value, str):
            raise ProtocolFault(f"{name} is not text")
        return value[:TEXT_CHARS].encode("utf-8", "replace").decode("utf-8")

    def number(self, name: str) -> float | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 2**63:
            raise ProtocolFault(f"{name} is not a number")
        return value

    def integer(self, name: str) -> int | None:
        value = self.number(name)
        if value is not None and not isinstance(value, int):
            raise ProtocolFault(f"{name} is not a whole number")
        return value

    def table(self, name: str) -> dict[str, Json]:
        value = self._fields.get(name)
        if not isinstance(value, dict):
            raise ProtocolFault(f"{name} is not an object")
        return value


def _hello(_fields: _Fields) -> Hello:
    return Hello()


def _warm(fields: _Fields) -> Warm:
    word = fields.text("word", default="")[:_NAME_CHARS]
    return Warm(unfit=fields.text("unfit"), word=word)


def _ended(fields: _Fields) -> Ended:
    return Ended(
        run=fields.text("run"),
        code=fields.integer("code") or 0,
        cpu_s=min(max(0, fields.integer("cpu_us") or 0) / 1e6, _MOST_CPU_S),
        peak_rss_bytes=min(max(0, fields.integer("peak_rss_kb") or 0) * 1024, _MOST_BYTES),
    )


def _done(fields: _Fields) -> Done:
    ending = fields.text("ending")
    if ending not in _DONE_ENDINGS:
        raise ProtocolFault(f"an unknown ending: {ending[:40]!r}")
    return Done(
        ending=Ending(ending),
        value=fields.raw("value"),
        question=_question(fields) if ending == "asked" else None,
        exit_code=fields.integer("exit_code"),
        code=fields.text("code", default="")[:_NAME_CHARS],
        what=fields.text("what", default="")[:_WHAT_CHARS],
        traceback=fields.text("traceback", default="")[-_TRACEBACK_CHARS:],
        errno=fields.integer("errno"),
        errno_path=fields.text("errno_path", default="")[:_WHAT_CHARS],
        wanted=fields.text("wanted", default="")[:_HOST_CHARS],
        wall=fields.text("wall", default="")[:_NAME_CHARS],
        cause=_cause(fields),
        missing=fields.text("missing", default="")[:_MODULE_CHARS],
        reached=fields.number("reached"),
    )


def _cause(fields: _Fields) -> Cause:
    """Return the word, or none where it is unknown: nothing rests on it but what is advised."""
    match fields.text("cause", default=""):
        case "module" | "fork" | "thread" as word:
            return word
        case _:
            return ""


def _question(fields: _Fields) -> Question:
    question = _Fields(fields.table("question"))
    return Question(
        key=question.text("key")[:_WHAT_CHARS],
        prompt=question.text("prompt"),
        schema=question.table("schema"),
        within_s=question.number("within_s"),
        has_fallback=question.has("fallback"),
        fallback=question.raw("fallback"),
    )


def _log(fields: _Fields) -> Report:
    level = fields.text("level")
    if level not in _LOG_LEVELS:
        raise ProtocolFault(f"an unknown log level: {level[:40]!r}")
    return Report(kind="log", data={"level": level, "message": fields.text("message")})


def _progress(fields: _Fields) -> Report:
    data: dict[str, Json] = {
        "done": fields.number("done"),
        "total": fields.number("total"),
        "message": fields.text("message", default=""),
    }
    return Report(kind="progress", data=data)


def _event(fields: _Fields) -> Report:
    data: dict[str, Json] = {"name": fields.text("name"), "data": fields.table("data")}
    return Report(kind="event", data=data)


_READERS = {
    "hello": _hello,
    "warm": _warm,
    "ended": _ended,
    "done": _done,
    "log": _log,
    "progress": _progress,
    "event": _event,
}


def stream_report(stream: Literal["stdout", "stderr"], line: bytes) -> Report:
    """Return one line of a standard stream as a report; bytes that are not UTF-8 are marked."""
    return Report(kind=stream, data={"line": line.decode("utf-8", "backslashreplace")})
