"""Inventory: what is installed in an environment, where it came from, and under what licence."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from frozen.values import frozen

FILE = "environment.json"


@frozen
class Installed:
    """One distribution. `source` says whether its wheel came through the gate (`index`).

    `is_requested` is known only in the inventory of a version: environments are shared by
    versions that ask for different things and get the same.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    size_bytes: int
    source: Literal["wheelhouse", "index"]
    licence: str
    is_requested: bool | None = None
    origin: str = ""
    """How the wheel came into the house, and from which index: `fetched from https://…`."""
    record_faults: tuple[str, ...] = ()
    """What the wheel's RECORD says and is not so; its SHA-256 vouches for what is installed."""


@frozen
class Overlap:
    """A file that two wheels bring with different content; the first, by name, was kept."""

    path: str
    kept: str
    left_out: str


@frozen
class Inventory:
    """What environment.json holds."""

    key: str
    lock_digest: str
    python: str
    soabi: str
    platform: str
    installed: tuple[Installed, ...]
    overlaps: tuple[Overlap, ...]
    files: int
    size_bytes: int
    built_at: datetime
    sourceless: tuple[str, ...] = ()
    """Modules that are bytecode only: nobody can read what they do."""
    shared: tuple[str, ...] = ()
    """The folders below environments/.shared that it links to."""

    def for_requests(self, names: frozenset[str]) -> "Inventory":
        """Return the inventory as a version sees it that asks for `names`."""
        marked = (replace(item, is_requested=item.name in names) for item in self.installed)
        return replace(self, installed=tuple(marked))

    def to_dict(self) -> dict[str, Any]:
        """Return the inventory as plain JSON."""
        return INVENTORY_JSON.dump_python(self, mode="json")


INVENTORY_JSON = TypeAdapter(Inventory)
