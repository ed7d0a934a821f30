"""The faults of a manifest in words: what pydantic found, told to somebody who wrote JSON. Pure."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from frozen.values import frozen
from wheelhouse.problem import MOST_PROBLEMS, Problem, first_problems, shown

FILE = "manifest.json"
PLAIN_WORDS = {
    "a valid tuple": "a list",
    r"a valid dictionary( or instance of \w+)?": "a JSON object",
    "a valid string, unable to parse raw data as a unicode string": "text that is valid Unicode",
    "a valid string": "text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
}
"""What people call what pydantic calls otherwise (as patterns)."""
MOST_SHOWN_CHARS = 60
ADDED = {"schema": "1", "name": '"word-counter"', "version": '"1.0.0"', "target": '"hook:run"'}
"""What to write for a field that is missing."""
MEANT_BY = {
    **dict.fromkeys(["timeout", "timeout_s", "max_time", "time_limit"], "limits.wall_s"),
    **dict.fromkeys(["cpu_time", "cpu_limit"], "limits.cpu_s"),
    **dict.fromkeys(["memory", "ram", "memory_limit", "max_memory", "mem"], "limits.memory_mb"),
    **dict.fromkeys(["disk", "tmp", "storage"], "limits.scratch_mb"),
    **dict.fromkeys(["cores", "vcpus", "cpu_count"], "limits.cpus"),
    **dict.fromkeys(["description", "summary", "label", "display_name"], "title"),
    **dict.fromkeys(["python", "python_version", "python_requires", "runtime"], "requires_python"),
    **dict.fromkeys(["main", "handler", "entry", "entry_point", "function", "run"], "entrypoint"),
    **dict.fromkeys(["environment", "env_vars", "variables"], "env"),
    **dict.fromkeys(["inputs", "mime_types", "media_types", "input_types"], "accepts"),
    **dict.fromkeys(["params", "inputs_schema", "parameters_schema", "args"], "parameters"),
    **dict.fromkeys(["internet", "allow_network", "egress"], "network.run"),
    **dict.fromkeys(["allowed_hosts", "domains", "allowlist"], "network.hosts"),
    **dict.fromkeys(["id", "package"], "name"),
    **dict.fromkeys(["schema_version", "manifest_version"], "schema"),
    **dict.fromkeys(["imports", "warm"], "preload"),
    **dict.fromkeys(["retries", "max_retries", "attempts"], "retry.attempts"),
    **dict.fromkeys(["parallel", "max_concurrency", "concurrency_limit"], "concurrency.most"),
    **dict.fromkeys(["rate_limit", "throttle"], "rate.most"),
}
"""What people call a field that has another name here, and where it stands."""
IN_A_FILE = {
    **dict.fromkeys(["dependencies", "requirements", "install_requires"], "requirements.txt"),
}
"""What does not stand in the manifest at all, and where it does."""


@frozen
class Words:
    """What the fields are called: `meant` says what a pattern asks for, `fields_at` what may be."""

    meant: Mapping[str, str]
    fields_at: Callable[[tuple[int | str, ...]], list[str]]


def problems_of(error: ValidationError, *, words: Words) -> Iterable[Problem]:
    """Return a problem for each of the first errors; the rest are counted, not put into words."""
    every = error.errors(include_url=False)
    told = (_problem(details, words) for details in islice(every, MOST_PROBLEMS))
    more = (fault("wrong-field", "", "") for _ in every[MOST_PROBLEMS:])
    return first_problems(chain(told, more))


def _problem(details: ErrorDetails, words: Words) -> Problem:
    place = [shown(str(part)) for part in details["loc"] if part != "[key]"]
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in place)
    return fault(_code(details), _what(details, words), f"#{pointer}", _mend(details, words))


def _code(details: ErrorDetails) -> str:
    known = {"missing": "missing-field", "extra_forbidden": "unknown-field"}
    return known.get(details["type"], "wrong-field")


def _what(details: ErrorDetails, words: Words) -> str:
    label = _label(details["loc"])
    if details["type"] == "missing":
        return f"{label} is missing"
    if details["type"] == "extra_forbidden":
        return f"there is no field {label}"
    shown = json.dumps(details["input"], default=str)
    if len(shown) > MOST_SHOWN_CHARS:
        shown = f"{shown[:MOST_SHOWN_CHARS]}…"
    meant = _meant(details, words)
    return (
        f"{label} is {shown}; it should be {meant}" if meant else f"{label}: {_message_of(details)}"
    )


def _mend(details: ErrorDetails, words: Words) -> str:
    name = shown(str(details["loc"][-1])) if details["loc"] else ""
    if details["type"] == "missing":
        return f'add "{name}": {ADDED.get(name, "…")}'
    if details["type"] == "extra_forbidden":
        return _mend_of_name(name, words.fields_at(details["loc"][:-1]))
    if meant := _meant(details, words):
        return f"make it {meant}"
    is_name = "[key]" in details["loc"]
    return "remove it" if is_name else "see `fumehood schema manifest` for what may stand there"


def _mend_of_name(name: str, fields: list[str]) -> str:
    """Return what a field that is not there was meant for, by its meaning or its letters."""
    said = name.casefold().replace("-", "_")
    if said in IN_A_FILE:
        return f"write them in {IN_A_FILE[said]}, one a line"
    if said in MEANT_BY:
        *above, meant = MEANT_BY[said].split(".")
        place = f" in {above[0]!r}" if above and meant not in fields else ""
        return f"did you mean {meant!r}{place}?"
    if close := difflib.get_close_matches(said, fields, n=1):
        return f"did you mean {close[0]!r}?"
    return f"the fields that may stand there are {', '.join(fields)}"


def _label(place: tuple[int | str, ...]) -> str:
    """Return what people call the value at `place`: a field, or an item of one."""
    named = [part for part in place if part != "[key]"]
    if not named:
        return "the manifest"
    if isinstance(named[-1], int) and len(named) > 1:
        return f"'{named[-2]}[{named[-1]}]'"
    return repr(shown(str(named[-1])))


def _meant(details: ErrorDetails, words: Words) -> str:
    """Return what should stand there, where that can be said in words."""
    if details["type"] == "string_pattern_mismatch":
        return words.meant[str(details.get("ctx", {})["pattern"])]
    # What is wrong has a type in pydantic (2.14.4), what it should be has only a sentence.
    found = re.fullmatch(r"it should (?:be (?P<kind>.*)|have (?P<size>.*))", _message_of(details))
    if not found:
        return ""
    return found["kind"] or f"text of {found['size']}"


def _message_of(details: ErrorDetails) -> str:
    """Return pydantic's sentence, or our own, in plain words."""
    said = details["msg"].removeprefix("Value error, ")
    for theirs, ours in (("Input ", "it "), ("String ", "it ")):
        said = ours + said.removeprefix(theirs) if said.startswith(theirs) else said
    for theirs, ours in PLAIN_WORDS.items():
        said = re.sub(theirs, ours, said)
    return said


def fault(code: str, what: str, place: str, mend: str = "make it smaller") -> Problem:
    """Return the problem of the manifest at `place`, which follows the file's name."""
    return Problem(code=code, what=what, where=f"{FILE}{place}", mend=mend)
