"""Values: frozen dataclasses that cost little until there is one.

`dataclass(frozen=True, slots=True, kw_only=True)` writes and compiles six functions for a class
when its module is imported: 0.8 ms in CPython 3.12, and a command imports hundreds of such classes
(0.27 of the 0.87 s that the imports of `fumehood try` took). `frozen` leaves fields and slots to
`dataclasses`, so that `replace`, `fields`, `asdict` and pydantic know the class; five of the six
functions are the same for all classes here, and `__init__` is written with the first value (0.07 ms
a class).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, dataclass_transform

type Made = Any
"""An instance of any class that `frozen` has made."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen[T](cls: type[T]) -> type[T]:
    """Return `cls` as a frozen dataclass with slots, whose fields are given by name.

    What the class defines itself stays: `__post_init__`, `__eq__`, `__repr__` and the rest.

    >>> @frozen
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(x=1), Point(x=1) == Point(x=1, y=0)
    (Point(x=1, y=0), True)
    """
    own = vars(cls)
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=True)(cls)
    for name, function in SHARED.items():
        if own.get(name) is None:
            setattr(made, name, function)
    made.__init__ = _written_first(made)
    return made


def changed[T](one: T, **changes: Any) -> T:
    """Return a copy of a value of `frozen` with other content in some fields.

    What `dataclasses.replace` does, in 10 us instead of 17 for a job of 41 fields: nothing is
    looked at twice. Not for fields that are given by nobody (`init=False`), or looked at by
    `__post_init__`.

    >>> @frozen
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> changed(Point(x=1), y=2)
    Point(x=1, y=2)
    """
    return _copied_by(one.__class__)(one, **changes)


@cache
def _copied_by(made: Made) -> Callable[..., Any]:
    """Write what copies a value of this class."""
    seen: dict[str, Any] = {"_put": object.__setattr__, "_new": object.__new__, "_made": made}
    seen["_absent"] = MISSING
    names = [one.name for one in fields(made)]
    if hasattr(made, "__post_init__") or not all(one.init for one in fields(made)):
        raise TypeError(
            f"{made.__qualname__} is not copied field by field: use dataclasses.replace"
        )
    taken = ", ".join(["_one", "*", *(f"{name}=_absent" for name in names)])
    body = [f"_put(copy, {name!r}, _one.{name} if {name} is _absent else {name})" for name in names]
    body = ["copy = _new(_made)", *body, "return copy"]
    exec(f"def copied({taken}):\n " + "\n ".join(body), seen)  # noqa: S102
    return seen["copied"]


def _written_first(made: Made) -> Callable[..., None]:
    """Return an `__init__` that writes the real one in its own place, and calls it."""

    def init(self: Made, *unnamed: Any, **given: Any) -> None:
        made.__init__ = _init(made)
        made.__init__(self, *unnamed, **given)

    return init


def _init(made: Made) -> Callable[..., None]:
    """Write the function that gives each field what was named, or its default, as dataclasses do.

    `object.__setattr__` goes past `_refuse_to_set`.
    """
    seen: dict[str, Any] = {"_put": object.__setattr__, "_absent": MISSING}
    named = [one.name + _default(one, seen=seen) for one in fields(made) if one.init]
    taken = ", ".join(["self", *(["*"] if named else []), *named])
    body = [*_body(made, seen=seen)]
    if hasattr(made, "__post_init__"):
        body.append("self.__post_init__()")
    exec(f"def __init__({taken}):\n " + "\n ".join(body or ["pass"]), seen)  # noqa: S102
    seen["__init__"].__qualname__ = f"{made.__qualname__}.__init__"  # a TypeError names it
    return seen["__init__"]


def _body(made: Made, *, seen: dict[str, Any]) -> Iterator[str]:
    for one in fields(made):
        given = one.name
        if one.default_factory is not MISSING:
            seen[f"_make_{one.name}"] = one.default_factory
            fresh = f"_make_{one.name}()"
            given = f"{fresh} if {one.name} is _absent else {one.name}" if one.init else fresh
        elif not one.init:
            continue
        yield f"_put(self, {one.name!r}, {given})"


def _default(one: Field[Any], *, seen: dict[str, Any]) -> str:
    if one.default_factory is not MISSING:
        return "=_absent"
    if one.default is MISSING:
        return ""
    seen[f"_default_{one.name}"] = one.default
    return f"=_default_{one.name}"


def _refuse_to_set(self: Made, name: str, _value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Made, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _is_equal(self: Made, other: object) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _compared(self) == _compared(other)


def _hash(self: Made) -> int:
    return hash(_compared(self))


def _compared(one: Made) -> tuple[object, ...]:
    return _compared_by(one.__class__)(one)


@cache
def _compared_by(made: Made) -> Callable[[Made], tuple[object, ...]]:
    """Return what gives the fields that count: a value is compared some twenty times a job."""
    known: dict[str, Field[Any]] = made.__dataclass_fields__
    return _taken([name for name, field in known.items() if field.compare])


def _taken(names: Sequence[str]) -> Callable[[Made], tuple[object, ...]]:
    """Return what gives the content of these fields."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda one: tuple(getattr(one, name) for name in names)


def _repr(self: Made) -> str:
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _state(self: Made) -> tuple[object, ...]:
    return _content_by(self.__class__)(self)


def _set_state(self: Made, state: tuple[object, ...]) -> None:
    _filled_by(self.__class__)(self, *state)


@cache
def _content_by(made: Made) -> Callable[[Made], tuple[object, ...]]:
    return _taken([one.name for one in fields(made)])


@cache
def _filled_by(made: Made) -> Callable[..., None]:
    """Write what fills a value of this class that has nothing yet: five for each job."""
    names = [one.name for one in fields(made)]
    body = [f"_put(one, {name!r}, {name})" for name in names] or ["pass"]
    seen: dict[str, Any] = {"_put": object.__setattr__}
    exec(f"def fill({', '.join(['one', *names])}):\n " + "\n ".join(body), seen)  # noqa: S102
    return seen["fill"]


SHARED: dict[str, Callable[..., Any]] = {
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__eq__": _is_equal,
    "__hash__": _hash,
    "__repr__": _repr,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
"""What each value does in the same way; the last two are for `copy` and `pickle`, which would set
the fields of a copy one by one."""
