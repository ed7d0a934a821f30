"""Arguments that become part of an address: refused before they can point elsewhere."""

import re
from typing import Annotated

import typer

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")


def plain(value: str | None) -> str | None:
    """Refuse what is no name, version or id. Raises typer.BadParameter (exit code 2)."""
    if value is not None and not PLAIN.fullmatch(value):
        raise typer.BadParameter(f"{value!r} is not a name, a version or an id")
    return value


JobId = Annotated[str, typer.Argument(help="The id of the job.", callback=plain)]
Name = Annotated[str, typer.Argument(help="The name of the package.", callback=plain)]
Version = Annotated[str, typer.Argument(help="The version.", callback=plain)]
