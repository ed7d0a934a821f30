"""Names of distributions that very many people use, to tell a slip of the pen from a name. Pure.

The list is short on purpose, and silent about what it does not know.
"""

from functools import cache
from importlib import resources

LIST = "popular_names.txt"
SHORTEST = 5
"""Shorter names are one letter from each other by chance: six and ipe, toml and tomli."""


def near_popular(name: str) -> str:
    """Return the popular name that is one slip from the canonical `name`; empty for none.

    >>> near_popular("reqeusts"), near_popular("requests"), near_popular("pandsa")
    ('requests', '', 'pandas')
    """
    if name in popular_names() or len(name) < SHORTEST:
        return ""
    lengths = (len(name), len(name) - 1, len(name) + 1)
    near = (one for length in lengths for one in _of_length(length) if _is_slip(name, one))
    return next(near, "")


@cache
def popular_names() -> frozenset[str]:
    """Return the names of the list that comes with us."""
    text = resources.files("packages.bundle").joinpath(LIST).read_text("utf-8")
    return frozenset(text.split())


@cache
def _of_length(length: int) -> tuple[str, ...]:
    """Return the names of that length: a file of 5,000 requirements is judged name by name."""
    return tuple(sorted(one for one in popular_names() if len(one) == length >= SHORTEST))


def _is_slip(name: str, meant: str) -> bool:
    """Return whether one letter is added, lost or replaced, or two neighbours are exchanged."""
    if abs(len(name) - len(meant)) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(name, meant, strict=False)) if a != b), None)
    if at is None:
        return len(name) != len(meant)
    rest, wanted = name[at:], meant[at:]
    return (
        rest[1:] == wanted[1:]
        or rest[1:] == wanted
        or rest == wanted[1:]
        or (rest[:2] == wanted[1::-1] and rest[2:] == wanted[2:])
    )
