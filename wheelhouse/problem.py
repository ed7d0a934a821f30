"""Problem: what is wrong, where, and the mend. Shared by the rooms that judge input."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from itertools import islice

from frozen.values import frozen

MOST_PROBLEMS = 99
"""With the one that counts the rest they are a hundred."""
MOST_TEXT_CHARS = 500
MORE = "more-problems"


@frozen
class Problem:
    """One fault of an input. `code` is stable and kebab-case; `where` names file and place."""

    code: str
    what: str
    where: str
    mend: str

    def to_dict(self) -> dict[str, str]:
        """Return the problem as plain JSON."""
        return asdict(self)


class Problems:
    """Gathers problems: the first are kept, the rest counted, however many an input makes."""

    def __init__(self, *, most: int = MOST_PROBLEMS):
        self._most = most
        self._kept: list[Problem] = []
        self._more = 0

    def add(self, problem: Problem) -> None:
        """Take one problem."""
        if self.is_full:
            self._more += 1
        else:
            self._kept.append(_shortened(problem))

    @property
    def is_full(self) -> bool:
        """Whether what comes is counted only: whoever would make long texts can spare them."""
        return len(self._kept) >= self._most

    @property
    def count(self) -> int:
        """How many there are, kept or not."""
        return len(self._kept) + self._more

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._kept)

    def told(self) -> list[Problem]:
        """Return the problems, and as the last one how many more there are."""
        return [*self._kept, _more(self._more)] if self._more else list(self._kept)


def first_problems(
    problems: Iterable[Problem], *, most: int = MOST_PROBLEMS
) -> tuple[Problem, ...]:
    """Return the first of `problems`, and as the last one how many more there are.

    >>> many = [Problem(code="odd", what=str(n), where="file", mend="") for n in range(300)]
    >>> len(first_problems(many)), first_problems(first_problems(many))[-1].what
    (100, 'and 201 more like these')
    """
    gathered = iter(problems)
    told = tuple(_shortened(problem) for problem in islice(gathered, most))
    left = sum(map(_count, gathered))
    return (*told, _more(left)) if left else told


def shown(text: str, *, most: int = 80) -> str:
    """Return `text`, or its beginning where it is too long to be shown."""
    return f"{text[:most]}…" if len(text) > most else text


def _shortened(problem: Problem) -> Problem:
    what, where = shown(problem.what, most=MOST_TEXT_CHARS), shown(problem.where, most=300)
    return replace(problem, what=what, where=where)


def _more(count: int) -> Problem:
    what = f"and {count} more like these"
    return Problem(code=MORE, what=what, where="", mend="mend these first")


def _count(problem: Problem) -> int:
    """Return for how many problems `problem` stands."""
    return int(problem.what.split()[1]) if problem.code == MORE else 1
