"""What the lines of a log are about: job, attempt, worker; bound where an attempt begins.

Whatever is awaited or started below has it too (contextvars).
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

NOTHING: Mapping[str, str | int] = MappingProxyType({})
_subject: ContextVar[Mapping[str, str | int]] = ContextVar("fumehood_subject", default=NOTHING)


@contextmanager
def about(**subject: str | int) -> Generator[None]:
    """Say in every line that is logged meanwhile what it is about.

    >>> with about(job="01a2", attempt=1):
    ...     dict(subject_now())
    {'job': '01a2', 'attempt': 1}
    """
    token = _subject.set({**_subject.get(), **subject})
    try:
        yield
    finally:
        _subject.reset(token)


def subject_now() -> Mapping[str, str | int]:
    """Return what a line that is logged now is about."""
    return _subject.get()
