"""Conditions on what somebody may see, for every question about many jobs or packages."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, or_

from runtime.store.schema import tables
from runtime.values.access import Sight


def sight_of(sight: Sight) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions that hold for the jobs in `sight`."""
    if sight.owner is not None:
        yield tables.jobs.c.owner == sight.owner
    if sight.packages:
        yield or_(*(among(tables.jobs.c.package, one) for one in sight.packages))


def among(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Return whether `column` is `pattern`: a name, or a prefix with `*`."""
    is_prefix = pattern.endswith("*")
    return column.startswith(pattern[:-1], autoescape=True) if is_prefix else column == pattern
