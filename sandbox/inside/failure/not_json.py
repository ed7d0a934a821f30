"""Finds in a value what is no JSON: where it is, what it is, and what to write instead.

Imported when a run has failed at it, and only then: the encoder says neither.
"""

from __future__ import annotations

from .. import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


_MOST_LOOKED_AT = 200_000
_PATH_CHARS = 200
_BEYOND = 10**channel.MOST_DIGITS
_HOLDERS: Any = (dict, list, tuple)
_DICT: Any = dict
_KEYS = (str, int, float, bool, type(None))
_MENDS = {
    "set": "list(x)",
    "frozenset": "list(x)",
    "bytes": "x.decode(), or base64 of it",
    "bytearray": "x.decode(), or base64 of it",
    "complex": "[x.real, x.imag]",
    "ndarray": "x.tolist()",
    "Series": "x.tolist()",
    "Index": "x.tolist()",
    "DataFrame": 'x.to_dict("records")',
    "generator": "list(x)",
    "map": "list(x)",
    "filter": "list(x)",
    "zip": "list(x)",
    "range": "list(x)",
    "dict_keys": "list(x)",
    "dict_values": "list(x)",
    "dict_items": "list(x)",
    "deque": "list(x)",
    "timedelta": "x.total_seconds()",
}


def first_fault(value: object) -> str:
    """Return `rows[0].n is a set: list(x)`, or nothing where no part of the value is at fault."""
    todo: list[tuple[str, Any, tuple[int, ...]]] = [("", value, ())]
    for _ in range(_MOST_LOOKED_AT):
        if not todo:
            return ""
        path, part, around = todo.pop()
        if id(part) in around:
            return "%s holds what it is in: return it once" % (_shown(path),)
        if isinstance(part, _HOLDERS):
            if len(around) > channel.DEEPEST:
                return ""
            fault = _fault_of_keys(path, part)
            inner = list(_children(path, part))
            todo += [(at, child, (*around, id(part))) for at, child in reversed(inner)]
        else:
            fault, made = _fault_of_one(path, part)
            if made is not None:
                todo.append((path, made, (*around, id(part))))
        if fault:
            return fault
    return ""


def _children(path: str, part: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(part, _DICT):
        for number, child in enumerate(part):
            yield "%s[%d]" % (path, number), child
        return
    for key, child in part.items():
        is_plain = isinstance(key, str) and key.isidentifier()
        yield (path + "." + key if is_plain else "%s[%.40r]" % (path, key)), child


def _fault_of_keys(path: str, part: Any) -> str:
    keys: Any = part if isinstance(part, _DICT) else ()
    for key in keys:
        if not isinstance(key, _KEYS):
            kind = type(key).__name__
            return "%s has a key of type %s: {str(key): …}" % (_shown(path), kind)
    return ""


def _fault_of_one(path: str, part: Any) -> tuple[str, Any]:
    """Return what is wrong with a value that holds no others, or what stands for it in JSON."""
    if part is None or isinstance(part, bool):
        return "", None
    if isinstance(part, str):
        return _fault_of_text(path, part), None
    if isinstance(part, int):
        is_right = -_BEYOND < part < _BEYOND
        what = "a whole number of more than %d digits: str(x)" % (channel.MOST_DIGITS,)
        return ("" if is_right else "%s is %s" % (_shown(path), what)), None
    if isinstance(part, float):
        is_right = part - part == 0
        return ("" if is_right else "%s is %r: None, or text" % (_shown(path), part)), None
    try:
        return "", channel.plain(part)
    except BaseException:  # there is no rule for it, or its own code fails
        return _fault_of_kind(path, type(part).__name__), None


def _fault_of_kind(path: str, kind: str) -> str:
    what = "a set" if kind in {"set", "frozenset"} else "of type %s" % (kind,)
    return "%s is %s: %s" % (_shown(path), what, _MENDS.get(kind, "its fields, or str(x)"))


def _fault_of_text(path: str, text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        how = 'x.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), without surrogates'
        return "%s is text with half a character: %s" % (_shown(path), how)
    return ""


def _shown(path: str) -> str:
    return path.lstrip(".")[:_PATH_CHARS] or "it"
