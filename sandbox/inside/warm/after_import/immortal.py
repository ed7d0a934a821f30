"""Lets the code that a warm cell has imported last for ever (PEP 683).

CPython counts the uses of every object in the object itself, and what a fork writes to is
copied, page by page. Objects that last for ever are not counted: each run copies some fifty
pages less. Only code and what it is made of: functions, classes, their names and constants;
and what is the runner's own. A run that deletes one of them gets no memory back, which it would
not anyway, as the warm cell still has it.
"""

from __future__ import annotations

import _ctypes
import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class _Count(_ctypes._SimpleCData):  # pyright: ignore
    _type_ = "I"


_count_at: Callable[[int], Any] = _Count.from_address
_FOR_EVER: int = _count_at(id(None)).value
"""The count of what lasts for ever. Read before a package is imported: an extension for the
stable ABI of 3.11 or older counts None too, and its lower half may say anything after that."""


def keep(own: object) -> None:
    """Do so with all code that is imported now, and with `own` and all that it is made of.

    That is an object of the runner's, which holds nothing of a package's. Does nothing where
    this interpreter cannot.
    """
    if not _can_last():
        return
    code = [thing for thing in gc.get_objects() if _is_one_of(thing, _CODE)]
    while code:
        code = [part for part in _marked(code) if _is_one_of(part, _CODE_AND_PARTS)]
    mine = [own]
    while mine:  # ends at code, which is marked already
        mine = _marked(mine)


def _marked(things: list[Any]) -> list[Any]:
    """Mark those that are not yet; return what they are made of."""
    parts: list[Any] = []
    for address, thing in {id(thing): thing for thing in things}.items():
        count = _count_at(address)
        if count.value != _FOR_EVER:
            count.value = _FOR_EVER
            parts.extend(_parts(thing))
    return parts


def _can_last() -> bool:
    """Say whether objects begin with a count whose lower half tells it (PEP 683, object.h)."""
    is_plain = not set("td") & set(sys.abiflags)  # neither free-threaded nor a debug build
    is_known = sys.implementation.name == "cpython" and sys.version_info >= (3, 12)
    return is_known and is_plain and sys.byteorder == "little"


def _is_one_of(thing: object, kinds: frozenset[int]) -> bool:
    """Say whether it is a class or of one of these kinds, and let no code of a package's know.

    isinstance asks an object for its __class__, which settings read at first use answer with an
    error; a set hashes a class, which those of a metaclass with __eq__ refuse.
    """
    kind = type(thing)
    return id(kind) in kinds or issubclass(kind, type)


def _parts(thing: Any) -> Iterable[Any]:
    """Return what is used with it; names and the like are not, and would take twice as long."""
    if type(thing) is _FUNCTION:
        return (thing.__code__, thing.__defaults__, thing.__closure__)
    if type(thing) is _CODE_OBJECT:  # the collector does not know what it is made of
        return thing.co_consts
    return () if type(thing) is str else gc.get_referents(thing)


class _Sample:
    __slots__ = ("slot",)


_FUNCTION: Any = type(keep)
_CODE_OBJECT: Any = type(keep.__code__)
_SAMPLES: list[Any] = [
    *(keep, len, sys, str.join, object.__init__, dict.__dict__["fromkeys"]),
    *(_Sample.__dict__["slot"], type.__dict__["__dict__"]),
]
_CODE = frozenset(map(id, (*map(type, _SAMPLES), property, classmethod, staticmethod)))
"""Functions, methods and modules, written in Python and in C: by their addresses."""
_CODE_AND_PARTS = _CODE | set(map(id, (_CODE_OBJECT, str, bytes, int, float, tuple, frozenset)))
