"""Scripts of a wheel, made to work wherever their environment is mounted.

They are the same bytes that `uv venv --relocatable` and `uv pip sync` write, so an
environment that was built here and one that uv built can be compared file by file.
"""

import re
from collections.abc import Iterator

from wheelhouse.metadata.schemes import INTERPRETER

SHEBANG = (
    b"#!/bin/sh\n"
    b'\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")"/\'python\' "$0" "$@"\n'
    b"' '''\n"
)
LAUNCHER = """# -*- coding: utf-8 -*-
import sys
from {module} import {first}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({function}())
"""
SCRIPTS = ("console_scripts", "gui_scripts")
DOTTED = re.compile(r"[\w.]+")
SCRIPT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
INTERPRETER_NAME = re.compile(INTERPRETER)
MOST_NAME_CHARS, MOST_VALUE_CHARS = 128, 500
MOST_SCRIPTS = 1_000


def launchers(entry_points: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of each console or gui script that entry_points.txt declares.

    Raises ValueError for what no installer would make a script of.
    """
    sections = read_entry_points(entry_points)
    scripts = [(s, *item) for s in SCRIPTS for item in sections.get(s, {}).items()]
    if len(scripts) > MOST_SCRIPTS:
        raise ValueError(f"it declares {len(scripts)} scripts; the limit is {MOST_SCRIPTS}")
    for section, name, value in scripts:
        told = _object(value)
        if told is None or not _is_script_name(name):
            raise ValueError(f"{section}: {name[:MOST_NAME_CHARS]} = {value[:MOST_VALUE_CHARS]}")
        module, function = told
        body = LAUNCHER.format(module=module, first=function.split(".")[0], function=function)
        yield name, SHEBANG + body.encode()


def read_entry_points(text: str) -> dict[str, dict[str, str]]:
    """Return the sections of entry_points.txt. Raises ValueError.

    It reads what ConfigParser reads, in one pass: ConfigParser looks at a line of n blanks n²/2
    times, and builds its message about n bad lines anew for each (1.2 kB of wheel cost 20 s).

    >>> read_entry_points("[console_scripts]\\nrun =\\n  demo:main\\n")
    {'console_scripts': {'run': '\\ndemo:main'}}
    """
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] | None = None
    value: list[str] | None = None
    indent = 0
    for line in text.split("\n"):
        said = line.strip()
        if not said or said[0] in "#;":
            continue
        deep = len(line) - len(line.lstrip())
        if value is not None and deep > indent:
            value.append(said)
            continue
        indent = deep
        if said[0] == "[" and said.rfind("]") > 1:
            section, value = sections.setdefault(said[1 : said.rfind("]")], {}), None
            continue
        name, equals, first = said.partition("=")
        if section is None or not equals or not name.strip():
            raise ValueError(f"a line that is neither a section nor an entry: {said[:80]!r}")
        value = section[name.strip()] = [first.strip()]
    return {
        title: {name: "\n".join(parts) for name, parts in entries.items()}
        for title, entries in sections.items()
    }


def relocated(content: bytes) -> bytes:
    """Return a script of the wheel with its `#!python` line replaced (PEP 427)."""
    first, newline, rest = content.partition(b"\n")
    return SHEBANG + rest if newline and first.startswith(b"#!python") else content


def _object(value: str) -> tuple[str, str] | None:
    """Return module and function of `module:function [extras]`; None for anything else."""
    told = value.strip()
    if len(told) > MOST_VALUE_CHARS:
        return None
    if told.endswith("]"):
        told, bracket, extras = told[:-1].partition("[")
        if not bracket or "]" in extras:
            return None
    module, _, function = (part.strip() for part in told.partition(":"))
    is_right = DOTTED.fullmatch(module) and DOTTED.fullmatch(function)
    return (module, function) if is_right else None


def _is_script_name(name: str) -> bool:
    is_plain = len(name) <= MOST_NAME_CHARS and SCRIPT_NAME.fullmatch(name) is not None
    return is_plain and INTERPRETER_NAME.fullmatch(name) is None
