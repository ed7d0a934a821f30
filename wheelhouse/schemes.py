"""Where the files of a wheel go in an environment (PEP 427, "Spreading")."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wheelhouse.paths import folded
from wheelhouse.problem import Problem

type Place = Literal["site", "bin", "root", "headers"]

PLACES: dict[str, Place] = {
    "purelib": "site",
    "platlib": "site",
    "scripts": "bin",
    "data": "root",
    "headers": "headers",
}
RESERVED_AT_ROOT = ("bin/python", "pyvenv.cfg", "environment.json")
DEPTH_OF_SITE = "../../../"
"""From lib/pythonX.Y/site-packages to the environment's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A file of the wheel and where it goes: `path` below the environment's `place`."""

    entry: str
    place: Place
    path: str

    @property
    def record_path(self) -> str:
        """Return the path as an installed RECORD spells it, relative to site-packages."""
        above = {"site": "", "bin": f"{DEPTH_OF_SITE}bin/", "root": DEPTH_OF_SITE}
        return above.get(self.place, f"{DEPTH_OF_SITE}include/") + self.path


def place(entry: str, *, data_folder: str) -> Placed | None:
    """Return where `entry` goes; None where its scheme is unknown.

    `data_folder` is the wheel's `<name>-<version>.data`.
    """
    if not entry.startswith(f"{data_folder}/"):
        return Placed(entry=entry, place="site", path=entry)
    _, _, rest = entry.partition("/")
    scheme, _, path = rest.partition("/")
    if scheme not in PLACES or not path:
        return None
    return Placed(entry=entry, place=PLACES[scheme], path=path)


def judge_places(entries: Iterable[str], *, data_folder: str, filename: str) -> Iterable[Problem]:
    """Yield a problem for each entry with an unknown scheme, a reserved or a taken place."""
    taken: dict[tuple[Place, str], str] = {}
    for entry in entries:
        placed = place(entry, data_folder=data_folder)
        if placed is None:
            yield _fault("unknown-scheme", f"{entry} belongs to no known scheme", filename)
            continue
        key = (placed.place, folded(placed.path))
        if key in taken:
            yield _fault("name-collision", f"{entry} and {taken[key]} go to one place", filename)
        taken[key] = entry
        if _is_reserved(placed):
            yield _fault("reserved-path", f"{entry} would replace a part of Python", filename)


def _is_reserved(placed: Placed) -> bool:
    whole = {"bin": "bin/", "root": ""}.get(placed.place)
    if whole is None:
        return False
    path = folded(whole + placed.path)
    return any(path == reserved for reserved in RESERVED_AT_ROOT) or path.startswith("bin/python")


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "ask the wheel's author to build it anew; it cannot be installed safely"
    return Problem(code=code, what=what, where=where, mend=mend)
