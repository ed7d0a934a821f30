"""Labels: what people call a job by beside its package, such as customer=acme. Pure."""

import re
from collections.abc import Iterator, Mapping

from wheelhouse.problem import Problem, shown

MOST_LABELS = 32
NAME = r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"
MOST_NAME_CHARS = 63
MOST_VALUE_CHARS = 255

type Labels = Mapping[str, str]


def judge_labels(labels: Labels) -> tuple[Problem, ...]:
    """Return a problem for each label that cannot be one.

    >>> [one.where for one in judge_labels({"customer": "acme", "Bad Name": "x"})]
    ['labels/Bad Name']
    """
    return tuple(_faults(labels))


def _faults(labels: Labels) -> Iterator[Problem]:
    if len(labels) > MOST_LABELS:
        what = f"there are {len(labels)} labels, and a job may have {MOST_LABELS}"
        yield _fault("too-many-labels", what, "labels", "leave some out")
        return
    for name, value in labels.items():
        place = f"labels/{shown(name)}"
        if not re.fullmatch(NAME, name):
            what = f"{shown(name)!r} cannot be the name of a label"
            mend = f"up to {MOST_NAME_CHARS} of a-z, 0-9, and . _ - between them"
            yield _fault("label-name", what, place, mend)
        if len(value) > MOST_VALUE_CHARS or not value.isprintable():
            what = f"the value of {shown(name)!r} is too long, or cannot be printed"
            mend = f"up to {MOST_VALUE_CHARS} printable characters"
            yield _fault("label-value", what, place, mend)


def label_of(text: str) -> tuple[str, str | None]:
    """Return the label that a list is asked for by: its name, and its value if one was given.

    >>> label_of("customer=acme"), label_of("urgent")
    (('customer', 'acme'), ('urgent', None))
    """
    name, is_given, value = text.partition("=")
    return name, value if is_given else None


def _fault(code: str, what: str, where: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where=where, mend=mend)
