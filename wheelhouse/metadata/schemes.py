"""Where the files of a wheel go in an environment (PEP 427, "Spreading")."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from frozen.values import frozen
from wheelhouse.archives.paths import folded
from wheelhouse.problem import Problem

type Place = Literal["site", "bin", "root", "headers"]

PLACES: dict[str, Place] = {
    "purelib": "site",
    "platlib": "site",
    "scripts": "bin",
    "data": "root",
    "headers": "headers",
}
INTERPRETER = r"python[0-9.]*(?:w|t|d|td)?(?:-config|-intel64)?(?:\.exe)?"
"""The names of interpreters, as a pattern: `#!/usr/bin/env python3`. `python-barcode` is not one,
and a wheel of that name, which people use, has such a script.
"""
RESERVED = re.compile(
    rf"(?:pyvenv\.cfg|environment\.json|pylock\.toml|lib64|bin/{INTERPRETER})(?:/.*)?"
    r"|lib|bin|include|lib/python|lib/python/site-packages"
)
"""What an environment has of its own: files that we write, and folders that are no files.

Hard links made one of the former an attack: what we wrote to a wheel's pylock.toml was
written into the wheel, and with it into every environment that has that wheel.
"""
_OF_A_MINOR = re.compile(r"lib/python3\.\d+(?=/|$)")
DEPTH_OF_SITE = "../../../"
"""From lib/pythonX.Y/site-packages to the environment's root."""


@frozen
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
    taken = _Taken(filename)
    for entry in entries:
        placed = place(entry, data_folder=data_folder)
        if placed is None:
            yield _fault("unknown-scheme", f"{entry} belongs to no known scheme", filename)
            continue
        yield from taken.judge(entry, _whole(placed))


class _Taken:
    """The places that files of one wheel have: each its own, none where another has a folder."""

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def judge(self, entry: str, whole: str) -> Iterator[Problem]:
        """Yield what is wrong with `entry` at the place `whole`, and remember it."""
        if RESERVED.fullmatch(whole):
            yield _fault("reserved-path", f"{entry} would replace a part of Python", self._filename)
            return
        rival = self._files.get(whole) or self._folders.get(whole) or self._file_above(whole)
        if rival:
            yield _fault("name-collision", f"{entry} and {rival} go to one place", self._filename)
        self._files.setdefault(whole, entry)
        above = whole.rpartition("/")[0]
        while above and above not in self._folders:
            self._folders[above] = entry
            above = above.rpartition("/")[0]

    def _file_above(self, whole: str) -> str | None:
        above = whole.rpartition("/")[0]
        while above and above not in self._folders:  # below a known folder no file is above
            if above in self._files:
                return self._files[above]
            above = above.rpartition("/")[0]
        return None


def _whole(placed: Placed) -> str:
    """Return the place in an environment, whatever its minor version of Python is."""
    above = {"site": "lib/python/site-packages/", "bin": "bin/", "root": ""}
    path = f"{above.get(placed.place, 'include/site/python/name/')}{placed.path}"
    return folded(_OF_A_MINOR.sub("lib/python", path, count=1))


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "ask the wheel's author to build it anew; it cannot be installed safely"
    return Problem(code=code, what=what, where=where, mend=mend)
