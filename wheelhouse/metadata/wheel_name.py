"""A wheel's file name, read without letting it grow: name, version and tags (PEP 427)."""

from math import prod

from packaging.tags import Tag
from packaging.utils import (
    BuildTag,
    InvalidWheelFilename,
    NormalizedName,
    parse_wheel_filename,
)
from packaging.version import Version

MOST_CHARS = 255
"""As many as a name on disk may have (NAME_MAX, ext4 and others)."""
MOST_TAGS = 1_000
"""Each part of the tag may name several (py2.py3): 100 of each make a million."""


def read_wheel_name(filename: str) -> tuple[NormalizedName, Version, BuildTag, frozenset[Tag]]:
    """Return name, version, build tag and tags. Raises InvalidWheelFilename.

    >>> read_wheel_name("demo-1.0-py2.py3-none-any.whl")[0]
    'demo'
    """
    if len(filename) > MOST_CHARS:
        raise InvalidWheelFilename(
            f"a name of {len(filename)} characters; the limit is {MOST_CHARS}"
        )
    told = filename.removesuffix(".whl").split("-")[-3:]
    tags = prod(part.count(".") + 1 for part in told)
    if tags > MOST_TAGS:
        raise InvalidWheelFilename(f"it names {tags} tags; the limit is {MOST_TAGS}: {filename}")
    return parse_wheel_filename(filename)
