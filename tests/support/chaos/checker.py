"""Decides afterwards whether some serial order explains what all clients were told. Pure.

Each job is by itself: a job is a state that requests read and change, and that workers change in
between whenever they like. All orders are tried that keep to real time (who was answered before
another one asked goes before it), as Wing and Gong do for any shared object (JPDC 17, 1993) and
Jepsen's checkers after them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from support.chaos.history import Asked, Final, History

ENDS = frozenset({"succeeded", "failed", "cancelled"})


class At(NamedTuple):
    """Where a job may stand: `attempt` 0 is before it was accepted."""

    state: str = ""
    attempt: int = 0
    is_asked_to_stop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a history; each of the lists names what is wrong, in words."""

    accepted: int
    published: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    unexplained: tuple[str, ...]

    @property
    def is_fine(self) -> bool:
        """Return whether nothing is wrong."""
        return not (self.lost or self.doubled or self.unexplained)


def judge(history: History) -> Verdict:
    """Return what a history shows."""
    by_key: dict[str, list[Asked]] = defaultdict(list)
    for asked in history.asked:
        by_key[asked.key].append(asked)
    accepted = [key for key, all_of in by_key.items() if _accepted(all_of)]
    ended = [one for one in history.final.values() if one.state in ENDS]
    return Verdict(
        accepted=len(accepted),
        published=len(ended),
        lost=tuple(why for key in accepted for why in _lost(key, history.final.get(key))),
        doubled=tuple(
            why
            for key, all_of in by_key.items()
            for why in _doubled(key, all_of, history.final.get(key))
        ),
        unexplained=tuple(
            f"{key}: no order explains what was told: {_words(all_of)}"
            for key, all_of in by_key.items()
            if not is_explained(all_of, final=history.final.get(key))
        ),
    )


def _accepted(all_of: Iterable[Asked]) -> bool:
    return any(one.act == "submit" and one.is_told and not one.is_refused for one in all_of)


def _lost(key: str, final: Final | None) -> Iterator[str]:
    """Yield what is missing of a job that was accepted: its end, or what its end promises."""
    if final is None:
        yield f"{key} was accepted, and is not there"
        return
    if final.state not in ENDS:
        yield f"{key} is {final.state} in the end"
        return
    if final.attempt not in final.ends:
        yield f"{key} has ended, and its events do not tell so"
    if final.state == "succeeded" and final.outputs != {"out.txt": key}:
        yield f"{key} succeeded, and left {final.outputs}"
    if final.state == "succeeded" or (final.state, final.error) == ("failed", "package-raised"):
        yield from _artifact_lacks(key, final)


def _artifact_lacks(key: str, final: Final) -> Iterator[str]:
    artifact = final.artifact
    if artifact is None or artifact.get("attempt") != final.attempt:
        yield f"{key} has no artifact of its attempt {final.attempt}"
        return
    if artifact.get("state") != final.state:
        yield f"{key} is {final.state}, and {artifact.get('state')} in its artifact"
    # How it ended does not count: its cell may have been killed, and the artifact says so.
    hooks = [one["name"] for one in artifact.get("hooks", ())]
    if hooks != [HOOK]:
        yield f"of {key} the hooks {hooks} ran"


HOOK = "on_after_extract"


def _doubled(key: str, all_of: Iterable[Asked], final: Final | None) -> Iterator[str]:
    """Yield what there is twice of: jobs of one key, ends of one attempt."""
    jobs = {one.job for one in all_of if one.job} | ({final.job} if final else set[str]())
    if len(jobs) > 1:
        yield f"the key {key} was told to be the jobs {sorted(jobs)}"
    if final and len(set(final.ends)) != len(final.ends):
        yield f"an end of {key} was told twice: {final.ends}"


def is_explained(all_of: Sequence[Asked], *, final: Final | None) -> bool:
    """Return whether some order of what was asked about one job explains what was told.

    >>> told = dict(key="k", job="j")
    >>> sent = Asked(act="submit", began=0, ended=1, state="queued", attempt=1, **told)
    >>> over = Asked(act="read", began=2, ended=3, state="succeeded", attempt=1, **told)
    >>> back = Asked(act="read", began=4, ended=5, state="running", attempt=1, **told)
    >>> is_explained([sent, over], final=None), is_explained([sent, over, back], final=None)
    (True, False)
    """
    asked = list(_that_matter(all_of))
    if final is not None:
        # After all that was asked, also what was asked last and never answered.
        last = max((one.ended if one.is_told else one.began for one in asked), default=0.0)
        told = {"key": final.key, "job": final.job, "state": final.state}
        asked.append(Asked(act="final", began=last, ended=last, attempt=final.attempt, **told))
    most = max((one.attempt for one in asked), default=1) + 1
    return _Orders(most).fit(frozenset(map(_step_of, asked)), frozenset({At()}))


def _that_matter(all_of: Iterable[Asked]) -> Iterator[Asked]:
    """Yield the requests that tell something, or may have changed something.

    What was only read and not answered does neither. Of orders that were not answered the first
    counts for all: the key makes them one. Of what was read to be the same, the first and the last:
    a job never comes back to where it was, but for what was claimed and never begun, which counts
    as little. Each of the others doubles the orders to try.
    """
    alike: dict[tuple[str, str, int], list[Asked]] = defaultdict(list)
    for one in all_of:
        if one.is_refused or (one.act == "read" and not one.is_told):
            continue
        if one.act == "read" or (one.act == "submit" and not one.is_told):
            alike[one.act, one.state, one.attempt].append(one)
        else:
            yield one
    for (act, _, _), some in alike.items():
        if act == "submit":
            yield min(some, key=_start)
        else:
            yield from {min(some, key=_end), max(some, key=_start)}


def _start(one: Asked) -> float:
    return one.began


def _end(one: Asked) -> float:
    return one.ended


class _Step(NamedTuple):
    """What is left of a request: that it takes effect, or only that its answer is made up.

    A request that changes a job is answered with how the job stood some time after the change.
    """

    asked: Asked
    is_done: bool


def _step_of(asked: Asked) -> _Step:
    return _Step(asked, asked.act in {"read", "final"})


class _Orders:
    """All orders of some steps; `most` attempts are as many as anybody was told of, and one more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tried: set[tuple[frozenset[_Step], frozenset[At]]] = set()

    def fit(self, left: frozenset[_Step], at: frozenset[At]) -> bool:
        """Return whether what is left can be put in an order, from one of the places `at`."""
        if all(not one.asked.is_told for one in left):
            return True  # nobody was told what came of these
        if (left, at) in self._tried:
            return False
        self._tried.add((left, at))
        first_told = min(one.asked.ended for one in left)
        # Whoever asked after another one had been answered goes after it.
        possible = (one for one in left if one.asked.began <= first_told)
        return any(self._goes_on(one, left=left - {one}, at=at) for one in possible)

    def _goes_on(self, one: _Step, *, left: frozenset[_Step], at: frozenset[At]) -> bool:
        before = (place for start in at for place in reachable(start, self._most))
        after = frozenset(place for start in before for place in _taken(one, start))
        if not one.is_done and one.asked.is_told:
            left |= {_Step(one.asked, is_done=True)}
        return bool(after) and self.fit(left, after)


@cache
def reachable(start: At, most: int) -> frozenset[At]:
    """Return where a job may come by what workers do, with `most` attempts at most."""
    found, todo = {start}, [start]
    while todo:
        for after in _by_workers(todo.pop()):
            if after not in found and after.attempt <= most:
                found.add(after)
                todo.append(after)
    return frozenset(found)


def _by_workers(at: At) -> Iterator[At]:
    if at.state == "queued":
        yield at._replace(state="running")
    elif at.state == "running":
        yield at._replace(state="succeeded")
        yield at._replace(state="failed")
        if at.is_asked_to_stop:
            yield at._replace(state="cancelled")
        else:
            yield At("queued", at.attempt)  # claimed ahead of a cell, in vain
            yield At("queued", at.attempt + 1)


def _taken(one: _Step, at: At) -> Iterator[At]:
    """Yield where the job stands after a step, as far as that fits what was told."""
    if not one.is_done:
        yield from _effects(one.asked.act, at)
    elif not one.asked.is_told or (at.state, at.attempt) == (one.asked.state, one.asked.attempt):
        yield at


def _effects(act: str, at: At) -> Iterator[At]:
    if act == "submit":
        yield at if at.attempt else At("queued", 1)
    elif not at.attempt:
        return  # nobody can ask about what is not there
    elif act == "cancel":
        if at.state in {"queued", "cancelled"}:
            yield At("cancelled", at.attempt)
        elif at.state == "running":
            yield at._replace(is_asked_to_stop=True)
    elif act == "retry" and at.state in ENDS:
        yield At("queued", at.attempt + 1)


def _words(all_of: Iterable[Asked]) -> str:
    return "; ".join(
        f"{one.began:.3f}-{one.ended:.3f} {one.act} {one.state}/{one.attempt}"
        for one in sorted(all_of, key=lambda one: one.began)
        if not one.is_refused
    )
