"""One requirement as text (PEP 508), read with bounds on what its readers are not linear in."""

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

MOST_CHARS = 4_096
MOST_PARENTHESES = 32
"""Of nested markers; a reader calls itself for each, and so does whoever evaluates them."""
SHORT_CHARS = 256
"""So short a text is read as it is, so that a fault is told at its column."""


def read_requirement(text: str) -> Requirement:
    """Return the requirement. Raises InvalidRequirement.

    >>> read_requirement("demo >= 1").name
    'demo'
    """
    return Requirement(_bounded(text))


def read_specifiers(text: str) -> SpecifierSet:
    """Return the version specifiers. Raises InvalidSpecifier or InvalidRequirement."""
    return SpecifierSet(_bounded(text))


def bounded(text: str) -> str:
    """Return `text` on one line with single blanks, as it is kept. Raises InvalidRequirement."""
    return " ".join(_bounded(text).split())


def _bounded(text: str) -> str:
    if len(text) > MOST_CHARS:
        raise InvalidRequirement(f"{len(text)} characters; the limit is {MOST_CHARS}")
    if text.count("(") > MOST_PARENTHESES:
        raise InvalidRequirement(f"more than {MOST_PARENTHESES} parentheses")
    return text if len(text) <= SHORT_CHARS else " ".join(text.split())
