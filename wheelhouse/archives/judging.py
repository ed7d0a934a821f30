"""Gathers the faults of an archive: the rules on names and sizes that all archives share."""

from collections.abc import Iterable, Iterator

from frozen.values import frozen
from wheelhouse.archives.paths import LONGEST_PATH, folded, path_faults
from wheelhouse.problem import Problem, Problems, shown


@frozen
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
        self.problems = Problems()

    def fault(self, code: str, what: str, *, entry: str = "", mend: str = "") -> None:
        """Note one fault, at `entry` or at the archive as a whole."""
        where = f"{self.archive}: {printable(entry)}" if entry else self.archive
        self.problems.add(Problem(code=code, what=what, where=where, mend=mend or self.mend))

    def told(self) -> list[Problem]:
        """Return the faults: the first of them, and how many more there are."""
        return self.problems.told()

    def names(self, names: list[str], ceilings: Ceilings) -> None:
        """Judge the names of all entries (folders end with "/"), and how they meet."""
        if len(names) > ceilings.entries:
            most = ceilings.entries
            self.fault("too-many-entries", f"{len(names)} entries; the limit is {most}")
        self._backslashes(names[: ceilings.entries])
        meetings = _Meetings()
        for name in names[: ceilings.entries]:
            faults = path_faults(name)
            for code, sentence in faults:
                if code != "backslash":
                    self.fault(code, sentence, entry=name)
            is_deep = name.count("/") > ceilings.depth
            if is_deep:
                self.fault("too-deep", f"more than {ceilings.depth} folders deep", entry=name)
            if is_deep or any(code == "long-path" for code, _ in faults):
                continue  # it is refused, and has as many parents as it is long
            for code, sentence in meetings.of(name):
                self.fault(code, sentence, entry=name)
        if meetings.folders > ceilings.entries:
            what = f"{meetings.folders} folders; the limit is {ceilings.entries}"
            self.fault("too-many-entries", what)

    def _backslashes(self, names: Iterable[str]) -> None:
        """Say once what one tool did to every name."""
        found = [name for name in names if "\\" in name]
        if found:
            more = f" and {len(found) - 1} more names have" if found[1:] else " has"
            self.fault(
                "backslash",
                f"{printable(found[0])}{more} a backslash, which some readers take for '/'",
                entry=found[0],
                mend="pack the folder by `fumehood package pack FOLDER`: the tool that made this "
                "wrote backslashes for '/'",
            )


class _Meetings:
    """Finds names that meet somewhere: on a disk that folds them, or as file and folder.

    Each parent is looked at once, for the first name below it.
    """

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        self._parents: set[str] = set()

    @property
    def folders(self) -> int:
        """How many folders there are above all names: each takes an inode."""
        return len(self._folders)

    def of(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield (code, sentence) for each earlier name that `name` meets."""
        key = folded(name)
        before = self._seen.setdefault(key, name)
        if before is not name:
            code = "duplicate-entry" if before == name else "name-collision"
            yield code, f"it meets the entry {printable(before)!r}"
        elif key in self._folders and not name.endswith("/"):
            yield "name-collision", "it is a file and a folder at once"
        yield from self._of_parents(name)

    def _of_parents(self, name: str) -> Iterator[tuple[str, str]]:
        is_folder = name.endswith("/")
        parent = name.rstrip("/") if is_folder else name.rpartition("/")[0]
        while parent and parent not in self._parents:
            self._parents.add(parent)
            key = folded(parent)
            before = self._folders.setdefault(key, parent)
            if before != parent:
                yield "name-collision", f"its folder meets {printable(before)!r}"
            if not self._seen.get(key, "/").endswith("/"):
                yield "name-collision", "its folder is also a file"
            parent = parent.rpartition("/")[0].rstrip("/")


def printable(name: str) -> str:
    """Return `name` as it can be shown, whatever is in it and however long it is."""
    name = shown(name, most=LONGEST_PATH)
    return name.encode("unicode_escape").decode("ascii") if not name.isprintable() else name
