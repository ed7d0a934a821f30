"""Reads what Python's faulthandler writes to stderr: where a run was when it crashed or ran out.

Pure. The text is the run's own and may be anything: it is for people, and nothing rests on it.
"""

import re
from collections.abc import Sequence

_MOST_LINES = 100
_RUNNER = "fumehood_inside"
# As faulthandler writes it (looked at in CPython 3.12.1): it is called where nothing else of Python
# can be, and has no other form.
_BEGINNING = re.compile(r"Fatal Python error: |(?:Current thread|Thread) 0x[0-9a-f]{1,16}")
_CURRENT = re.compile(r"Current thread 0x[0-9a-f]{1,16}")
_FRAME = re.compile(r'  File "([^"]{1,500})", line (\d{1,9}|\?\?\?) in (.{1,200})')


def stack(lines: Sequence[str]) -> str:
    """Return the stacks of all threads at the end of what was printed, or nothing.

    The runner's own frames are left out: they tell an author nothing.
    """
    starts = [at for at, line in enumerate(lines) if _BEGINNING.match(line)]
    if not starts:
        return ""
    start = starts[-1]
    for at in reversed(starts):  # a dump has a block for each thread, one after the other
        if start - at > _MOST_LINES:
            break
        start = at
    told = [line for line in lines[start:] if _RUNNER not in line]
    return "\n".join(told[:_MOST_LINES])


def place(text: str) -> str:
    """Return where the thread was that had the interpreter: `in parse_page, extract.py:3`."""
    lines = text.splitlines()
    after = next((at for at, line in enumerate(lines) if _CURRENT.match(line)), None)
    if after is None:
        return ""
    for line in lines[after + 1 :]:
        frame = _FRAME.fullmatch(line)
        if frame is None:
            break
        file, number, function = frame.groups()
        return f"in {function}, {file.rpartition('/')[2]}:{number}"
    return ""
