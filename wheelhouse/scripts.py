"""Scripts of a wheel, made to work wherever their environment is mounted.

They are the same bytes that `uv venv --relocatable` and `uv pip sync` write, so an
environment that was built here and one that uv built can be compared file by file.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser

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
ENTRY_POINT = re.compile(r"^\s*([\w.]+)\s*:\s*([\w.]+)\s*(\[[^\]]*\])?\s*$")
SCRIPT_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")


def launchers(entry_points: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of each console or gui script that entry_points.txt declares."""
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    parser.read_string(entry_points)
    for section in ("console_scripts", "gui_scripts"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            found = ENTRY_POINT.match(value)
            if not found or not SCRIPT_NAME.match(name) or name.startswith("python"):
                raise ValueError(f"{section}: {name} = {value}")
            module, function = found[1], found[2]
            body = LAUNCHER.format(module=module, first=function.split(".")[0], function=function)
            yield name, SHEBANG + body.encode()


def relocated(content: bytes) -> bytes:
    """Return a script of the wheel with its `#!python` line replaced (PEP 427)."""
    first, newline, rest = content.partition(b"\n")
    return SHEBANG + rest if newline and first.startswith(b"#!python") else content
