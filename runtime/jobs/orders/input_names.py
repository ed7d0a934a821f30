"""What the inputs of a job may be called: names of files in one folder of its cell."""

import re
from typing import NoReturn

from runtime.faults.errors import InputRefused
from wheelhouse.problem import Problem, shown

INPUT_NAME = re.compile(r"[^/\x00-\x1f\x7f\ud800-\udfff]{1,255}")
"""A lone surrogate is a byte that is not UTF-8; no artifact could record such a name."""


class InputNames:
    """Judges the names of inputs one by one, as they arrive; `most` is how many there may be."""

    def __init__(self, *, most: int):
        self._most = most
        self._taken: set[str] = set()

    def take(self, name: str) -> None:
        """Take one more name. Raises InputRefused where a cell could not show it as a file."""
        number = len(self._taken) + 1
        if number > self._most:
            what = f"more than {self._most} inputs were sent, which is what a job may have"
            self._refuse("too-many-inputs", what, "inputs", "send fewer")
        if not is_input_name(name):
            what = f"{shown(name)!r} cannot be the name of an input"
            mend = (
                "use a file name of 1 to 255 bytes of UTF-8 without a slash or control characters"
            )
            self._refuse("input-name", what, f"input {number}", mend)
        if name in self._taken:
            what = f"there are several inputs named {name}"
            self._refuse("input-twice", what, name, "give each input a name of its own")
        self._taken.add(name)

    def _refuse(self, code: str, what: str, where: str, mend: str) -> NoReturn:
        problem = Problem(code=code, what=what, where=where, mend=mend)
        raise InputRefused("The inputs cannot be taken as they are", problems=[problem])


def is_input_name(name: str) -> bool:
    """Return whether `name` can be the name of a file in the cell's input folder."""
    is_plain = INPUT_NAME.fullmatch(name) is not None and name not in {".", ".."}
    return is_plain and len(name.encode()) <= 255
