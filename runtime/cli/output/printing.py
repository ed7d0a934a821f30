"""What commands print: JSON where it was asked for, aligned text for people else."""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, cast

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What steers a terminal, turns the direction of text, or cannot be written as UTF-8."""


def emit[T](value: T, *, as_json: bool, show: Callable[[T], str]) -> None:
    """Print `value` as JSON, or as `show` writes it."""
    if as_json:
        print(as_text(value, indent=2))
    elif text := show(value):
        print(harmless(text))


def emit_line(value: Any) -> None:
    """Print `value` as one NDJSON line, at once."""
    print(as_text(value), flush=True)


def say(text: str) -> None:
    """Tell people something that is not data: on stderr."""
    print(harmless(text), file=sys.stderr, flush=True)


def say_to_people(text: str) -> None:
    """Say `text`, unless JSON was asked for: stderr then holds a fault or nothing."""
    if "--json" not in sys.argv:
        say(text)


def as_text(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as JSON for people's eyes too: what would steer a terminal is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def harmless(text: str) -> str:
    """Return `text` with what would steer a terminal written out, such as `\\x1b`.

    Much of what is printed was said by a package, and a package is not trusted: it could clear
    the screen, retitle the window, or make a failure look like a success.
    """
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def table(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str]) -> str:
    """Return `rows` as aligned columns under their names."""
    if not rows:
        return "nothing here"
    lines = [[name.upper().replace("_", " ") for name in columns]]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def facts(value: Mapping[str, Any], *, names: Sequence[str]) -> str:
    """Return some of the fields of `value`, one on a line."""
    width = max(len(name) for name in names)
    return "\n".join(
        f"{name.replace('_', ' ').ljust(width)}  {_cell(value.get(name))}" for name in names
    )


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_cell(item) for item in cast(list[Any], value)) or "–"
        case dict():
            return as_text(value)
        case _:
            # On one line, whatever name a package gave a file: the next could pass for one of ours.
            return str(value).replace("\n", "\\n").replace("\t", "\\t")
