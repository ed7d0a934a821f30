"""What commands print: JSON where it was asked for, aligned text for people else."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, cast

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


def emit[T](value: T, *, as_json: bool, show: Callable[[T], str]) -> None:
    """Print `value` as JSON, or as `show` writes it."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False, indent=2))
    elif text := show(value):
        print(text)


def emit_line(value: Any) -> None:
    """Print `value` as one NDJSON line, at once."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def say(text: str) -> None:
    """Tell people something that is not data: on stderr."""
    print(text, file=sys.stderr, flush=True)


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
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
