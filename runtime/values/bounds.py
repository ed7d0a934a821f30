"""How much of what a package can make long is kept: the first of it, and a count of the rest.

A package that left 100,000 links as outputs made an artifact of 132 MB, and the API stall.
Outputs themselves, events and results have limits of their own (output_files, log_lines, log_kb,
result_kb), which an admin chooses.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wheelhouse.problem import Problem

MOST_NOTES = 100
MOST_NOTE_BYTES = 65_536
"""Of all notes of a job together, as JSON: they are a part of results, which are kept too."""
MOST_PROBLEMS = 100
MOST_LISTED = 100
"""Of the files of an environment that the artifact tells of."""
MOST_TEXT_CHARS = 2_000
PREVIEW_CHARS = 64 * 1024


def kept_notes(notes: Sequence[Any]) -> tuple[Any, ...]:
    """Return the first of `notes`, as many as are kept.

    >>> len(kept_notes(["x"] * 1000)), kept_notes(["small", "x" * 100_000])
    (100, ('small',))
    """
    kept: list[Any] = []
    left = MOST_NOTE_BYTES
    for note in notes[:MOST_NOTES]:
        left -= len(json.dumps(note, ensure_ascii=False).encode(errors="replace"))
        if left < 0:
            break
        kept.append(note)
    return tuple(kept)


def kept_problems(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return the first of `problems`, and as the last one how many more there are."""
    told = tuple(
        replace(one, what=shortened(one.what), where=shortened(one.where))
        for one in problems[:MOST_PROBLEMS]
    )
    if len(problems) <= MOST_PROBLEMS:
        return told
    more = Problem(
        code="more-problems",
        what=f"and {len(problems) - MOST_PROBLEMS} more like these",
        where="",
        mend="mend these first",
    )
    return (*told, more)


def shortened(text: str) -> str:
    """Return `text`, or its beginning and how much more there is."""
    more = len(text) - MOST_TEXT_CHARS
    return f"{text[:MOST_TEXT_CHARS]}… and {more} characters more" if more > 0 else text


def preview(value: object) -> str:
    """Return `value` as indented JSON, no more of it than a page can show.

    It is made bit by bit: a result of a million keys was a page of 115 MB.
    """
    kept: list[str] = []
    left = PREVIEW_CHARS
    for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
        kept.append(piece[:left])
        left -= len(piece)
        if left <= 0:
            return "".join([*kept, "\n… more of it is in the JSON"])
    return "".join(kept)
