"""Gathers the faults of an archive: the rules on names and sizes that all archives share."""

from dataclasses import dataclass

from wheelhouse.paths import folded, path_faults
from wheelhouse.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """How much an archive may hold. Sizes in bytes."""

    archive_bytes: int = 64 * 1024 * 1024
    entries: int = 5_000
    unpacked_bytes: int = 512 * 1024 * 1024
    entry_bytes: int = 256 * 1024 * 1024
    ratio: float = 200.0
    """Unpacked over packed, for what is above 1 MiB unpacked."""
    depth: int = 32


WHEEL_CEILINGS = Ceilings(
    archive_bytes=4 * 1024**3 - 1,
    entries=65_000,
    unpacked_bytes=16 * 1024**3,
    entry_bytes=8 * 1024**3,
    ratio=1000.0,
)
"""Wheels of a few gigabytes exist; what an author uploads is far smaller."""

LEAVE_OUT = "leave out what is not needed at run time, or give it to jobs as an input"
FILLERS = "leave out files that are only blanks or zeros, or make them at run time"


class Judge:
    """Gathers the faults of one archive, each a Problem that names the entry."""

    def __init__(self, archive: str, *, mend: str = "make the archive anew with an ordinary tool"):
        self.archive = archive
        self.mend = mend
        self.problems: list[Problem] = []

    def fault(self, code: str, what: str, *, entry: str = "", mend: str = "") -> None:
        """Note one fault, at `entry` or at the archive as a whole."""
        where = f"{self.archive}: {printable(entry)}" if entry else self.archive
        self.problems.append(Problem(code=code, what=what, where=where, mend=mend or self.mend))

    def names(self, names: list[str], ceilings: Ceilings) -> None:
        """Judge the names of all entries (folders end with "/"), and how they meet."""
        if len(names) > ceilings.entries:
            most = ceilings.entries
            self.fault("too-many-entries", f"{len(names)} entries; the limit is {most}")
        seen: dict[str, str] = {}
        folders: dict[str, str] = {}
        for name in names[: ceilings.entries]:
            for code, sentence in path_faults(name):
                self.fault(code, sentence, entry=name)
            if name.count("/") > ceilings.depth:
                self.fault("too-deep", f"more than {ceilings.depth} folders deep", entry=name)
            self._collision(name, seen, folders)

    def _collision(self, name: str, seen: dict[str, str], folders: dict[str, str]) -> None:
        """Refuse two entries, or a file and a folder, that meet under one name somewhere."""
        key = folded(name)
        if key in seen:
            code = "duplicate-entry" if seen[key] == name else "name-collision"
            self.fault(code, f"it meets the entry {printable(seen[key])!r}", entry=name)
        elif key in folders and not name.endswith("/"):
            self.fault("name-collision", "it is a file and a folder at once", entry=name)
        seen.setdefault(key, name)
        parts = name.rstrip("/").split("/")
        deepest = len(parts) + (1 if name.endswith("/") else 0)
        for parent in ("/".join(parts[:end]) for end in range(1, deepest)):
            before = folders.setdefault(folded(parent), parent)
            if before != parent:
                what = f"its folder meets {printable(before)!r}"
                self.fault("name-collision", what, entry=name)
            if not seen.get(folded(parent), "/").endswith("/"):
                self.fault("name-collision", "its folder is also a file", entry=name)


def printable(name: str) -> str:
    """Return `name` as it can be shown, whatever is in it."""
    return name.encode("unicode_escape").decode("ascii") if not name.isprintable() else name
