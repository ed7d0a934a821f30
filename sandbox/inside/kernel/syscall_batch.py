"""System calls that are prepared before a fork and made after it.

Python in a fork costs more than the calls that it makes: CPython counts references, and how
often code ran, in the pages that hold objects and code, and the kernel copies each page that
is written to. Here one line makes all calls, and nothing is worked out between them.
"""

from __future__ import annotations

import itertools

from . import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ARGUMENTS = 6
"""What is not given has to be nothing: prctl(2), for one, refuses anything else."""


class Batch:
    """A list of calls, by their names in syscalls(2); arguments are numbers, bytes or None."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._calls: list[tuple[Any, ...]] = []
        self._instead: dict[int, tuple[Any, ...]] = {}

    def add(self, name: str, *arguments: Any, instead: tuple[Any, ...] = ()) -> int:
        """Add a call and return its place; where it is refused, make it with `instead`."""
        place = len(self._names)
        self._names.append(name)
        zeros = [0] * (_ARGUMENTS - len(arguments))
        self._calls.append((syscalls.NUMBERS[name], *arguments, *zeros))
        if instead:
            self._instead[place] = (syscalls.NUMBERS[name], *instead)
        return place

    def change(self, place: int, argument: int, value: Any) -> None:
        """Give the call at `place` another argument."""
        call = self._calls[place]
        self._calls[place] = (*call[: argument + 1], value, *call[argument + 2 :])

    def play(self) -> None:
        """Make the calls in turn; none after one that is refused, which raises OSError."""
        # starmap unpacks each call in C: what little bytecode is left is the same for all of them.
        for place, result in enumerate(itertools.starmap(syscalls.call, self._calls)):
            if result < 0:
                self._refused(place)

    def _refused(self, place: int) -> None:
        code = syscalls.last_errno()
        instead = self._instead.get(place)
        if instead is None or syscalls.call(*instead) < 0:
            raise syscalls.refusal(self._names[place], code)
