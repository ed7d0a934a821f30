"""A request as a value: what is asked, and of which type the answer is."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, BinaryIO, Literal
from urllib.parse import quote

from frozen.values import frozen

BYTES = "application/octet-stream"
type Content = bytes | BinaryIO


@frozen
class Input:
    """A file for a job."""

    name: str
    content: Content
    media_type: str = BYTES


@frozen
class Call[T]:
    """One request, which is answered by a T: as JSON, as text or as bytes."""

    method: str
    path: str
    query: Mapping[str, str | int | list[str]] = field(
        default_factory=dict[str, str | int | list[str]]
    )
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = None
    content: Content | None = None
    form: Mapping[str, str] | None = None
    inputs: Sequence[Input] = ()
    answer: Literal["json", "text", "bytes"] = "json"


def path_at(template: str, *names: str) -> str:
    """Return a path with `names` in its places."""
    return template.format(*(quote(name, safe="") for name in names))


def given[T](values: Mapping[str, T | None]) -> dict[str, T]:
    """Return what is given of `values`."""
    return {name: value for name, value in values.items() if value is not None}
