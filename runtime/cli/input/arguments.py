"""Arguments and options that several commands take, and the ones that need a second look."""

import re
from pathlib import Path
from typing import Annotated

import typer

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")


def plain(value: str | None) -> str | None:
    """Refuse what would point elsewhere in an address: it is no name, version or id.

    Raises typer.BadParameter (exit code 2).
    """
    if value is not None and not PLAIN.fullmatch(value):
        raise typer.BadParameter(f"{value!r} is not a name, a version or an id")
    return value


JobId = Annotated[str, typer.Argument(help="The id of the job.", callback=plain)]
Name = Annotated[str, typer.Argument(help="The name of the package.", callback=plain)]
Version = Annotated[str, typer.Argument(help="The version.", callback=plain)]
Inputs = Annotated[
    list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="Input files.")
]
Pairs = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", help="key=value; JSON values are taken as such."),
]
Parameters = Annotated[str, typer.Option(help="All parameters as one JSON object.")]
