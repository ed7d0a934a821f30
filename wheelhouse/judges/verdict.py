"""What a judge answers: bytes that an enemy may have written, checked before they are believed.

An answer is two lines of JSON: what is wrong, and the value.
"""

from pydantic import TypeAdapter, ValidationError

from frozen.values import frozen
from wheelhouse.judges.budget import Budget
from wheelhouse.problem import MOST_PROBLEMS, Problem

MOST_ANSWERED = MOST_PROBLEMS + 1
TOO_COSTLY = "too-costly"
SIMPLER = "make it smaller or simpler: nothing that is right costs as much to read"
LIMITS = {
    "cpu": "{cpu_s} s of CPU time",
    "wall": "{wall_s:.0f} s",
    "memory": "{memory_mb} MiB of memory",
    "file": "{file_mb} MiB in one file",
    "answer": "an answer of {answer_bytes} bytes with {answer_parts} values",
    "depth": "the depth to which a reader follows what is nested",
}


class Nonsense(Exception):
    """The answer is not one that a judge of ours gives."""


@frozen
class Heading:
    """The first line of an answer. `errno` is set where the machine failed, not the input."""

    problems: tuple[Problem, ...] = ()
    errno: int = 0
    failure: str = ""


HEADING_JSON = TypeAdapter(Heading)


def read_answer[T](
    raw: bytes, *, returns: TypeAdapter[T], budget: Budget
) -> tuple[Heading, T | None]:
    """Return heading and value of an answer. Raises Nonsense.

    What it holds is counted before it is parsed: five million empty lists are 15 MB as text
    and 400 MB as values.
    """
    if sum(map(raw.count, (b"[", b"{", b","))) > budget.answer_parts:
        raise Nonsense("it has more values than it may")
    head, _, body = raw.partition(b"\n")
    try:
        heading = HEADING_JSON.validate_json(head)
        value = returns.validate_json(body) if body not in (b"", b"null") else None
    except (ValidationError, RecursionError) as error:
        raise Nonsense("it is not in the form that was asked for") from error
    if len(heading.problems) > MOST_ANSWERED:
        raise Nonsense("it has more problems than it may")
    return heading, value


def too_costly(about: str, limit: str, budget: Budget) -> Problem:
    """Return the problem of an input that takes more than its budget to judge."""
    facts = {name: getattr(budget, name) for name in budget.__dataclass_fields__}
    what = f"judging it takes more than {LIMITS[limit].format(**facts)}"
    return Problem(code=TOO_COSTLY, what=what, where=about, mend=SIMPLER)


def cannot_be_judged(about: str, why: str) -> Problem:
    """Return the problem of an input that its reader fails on."""
    mend = "make it anew with an ordinary tool; if it is right as it is, report this as a bug"
    return Problem(
        code="cannot-be-judged",
        what=f"no reader of ours makes sense of it: {why}"[:500],
        where=about,
        mend=mend,
    )
