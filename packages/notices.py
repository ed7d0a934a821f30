"""What a right bundle may have been meant otherwise: told to its author, and refused for nothing.

Pure: names of files and the manifest go in, notices come out.
"""

import posixpath
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from packages.bundle.bundle import CONVENTIONS, module_files
from packages.bundle.manifest import Hook, Manifest
from packages.bundle.popular import near_popular
from packages.bundle.requirements import Requirements
from wheelhouse.problem import Problem, first_problems

if TYPE_CHECKING:
    from packages.environment.inventory import Overlap

MOST_NOTICES = 20
CONVENTIONAL = frozenset(
    [
        "manifest.json",
        "requirements.txt",
        "pylock.toml",
        *(module_files(target)[0] for target in CONVENTIONS.values()),
    ]
)
"""Files that mean something by their name alone."""
NEAR_ENOUGH = 2
"""Edits between a file's name and a name that would have meant something."""


def notices(
    manifest: Manifest, requirements: Requirements, *, paths: Iterable[str], left_out: int = 0
) -> tuple[Problem, ...]:
    """Return what the author of a right bundle should look at again."""
    every = sorted(paths)
    found = [
        *_left_out(left_out),
        *_unread(every, manifest),
        *_hiding(every),
        *_near_names(requirements),
    ]
    return first_problems(found, most=MOST_NOTICES)


def overlapping(overlaps: "Iterable[Overlap]") -> tuple[Problem, ...]:
    """Return a notice for each two distributions that bring the same file with other content.

    Which one wins is the same on every machine: the first by name.
    """
    pairs: dict[tuple[str, str], list[str]] = {}
    for overlap in overlaps:
        pairs.setdefault((overlap.kept, overlap.left_out), []).append(overlap.path)
    found = (_overlap(kept, left, paths) for (kept, left), paths in sorted(pairs.items()))
    return first_problems(found, most=MOST_NOTICES)


def _overlap(kept: str, left_out: str, paths: list[str]) -> Problem:
    more = f" and {len(paths) - 1} more files" if paths[1:] else ""
    return Problem(
        code="same-files",
        what=f"{kept} and {left_out} both bring {paths[0]}{more}; those of {kept} are installed",
        where="requirements.txt",
        mend=f"ask for one of {kept} and {left_out} only, if one brings what the other does",
    )


def _left_out(count: int) -> Iterator[Problem]:
    if count:
        yield Problem(
            code="macos-leftovers",
            what=f"{count} files that macOS adds (__MACOSX, .DS_Store) were left out",
            where="bundle",
            mend="nothing has to be done; `fumehood package pack` leaves them out as well",
        )


def _unread(paths: Iterable[str], manifest: Manifest) -> Iterator[Problem]:
    """Yield a notice for each file whose name is almost one that would be read."""
    targets = [manifest.entrypoint, *(h.target for h in _hooks(manifest))]
    named = {path for target in targets for path in module_files(target)}
    present = set(paths)
    for path in sorted(present - CONVENTIONAL - named):
        meant = next((one for one in sorted(CONVENTIONAL - present) if _is_near(path, one)), None)
        if meant is not None:
            yield Problem(
                code="unread-file",
                what=f"nothing reads {path}; it is almost {meant}",
                where=path,
                mend=f"rename it to {meant}, if that is what it is for",
            )


def _hooks(manifest: Manifest) -> Iterator[Hook]:
    hooks = manifest.hooks
    return (hook for hook in (hooks.on_activate, hooks.on_after_extract) if hook is not None)


def _is_near(path: str, meant: str) -> bool:
    """Return whether `path` could have been meant for `meant`: case, folder, or a few letters."""
    said, wanted = path.casefold(), meant.casefold()
    if said == wanted or posixpath.basename(said) == posixpath.basename(wanted):
        return "/" not in path or posixpath.dirname(said) == posixpath.dirname(wanted)
    is_sibling = posixpath.dirname(said) == posixpath.dirname(wanted)
    return is_sibling and _edits(said, wanted, most=NEAR_ENOUGH) <= NEAR_ENOUGH


def _edits(one: str, other: str, *, most: int) -> int:
    """Return how many letters have to change (Levenshtein), or more than `most`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, row[0] = row[0], at
        for to, other_letter in enumerate(other, 1):
            kept = before + (letter != other_letter)
            before, row[to] = row[to], min(kept, row[to] + 1, row[to - 1] + 1)
    return row[-1]


def _hiding(paths: Iterable[str]) -> Iterator[Problem]:
    """Yield a notice for each module that is imported in place of the standard library's."""
    tops = dict.fromkeys(path.partition("/")[0] for path in paths if path.endswith(".py"))
    for top in tops:
        name = top.removesuffix(".py")
        if name in sys.stdlib_module_names:
            yield Problem(
                code="hides-standard-library",
                what=f"{top} is imported in place of the standard library's {name}, by every "
                "package that wants that one too",
                where=top,
                mend="give it another name",
            )


def _near_names(requirements: Requirements) -> Iterator[Problem]:
    for wanted in requirements.wanted:
        if popular := near_popular(wanted.name):
            yield Problem(
                code="near-popular-name",
                what=f"{wanted.name} is one letter from {popular}, which far more people use",
                where=wanted.where,
                mend=f"write {popular}, if that is what was meant",
            )
