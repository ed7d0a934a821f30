"""`fumehood wheelhouse`: the wheels that environments are built from."""

from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.client import ask, connected
from runtime.cli.printing import AsJson, emit, table

app = typer.Typer(no_args_is_help=True, help="Add wheels and see which there are.")
COLUMNS = ("name", "version", "filename", "size_bytes", "origin")


@app.command()
def add(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Wheels.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Add wheels to the house; each is judged first."""
    added: list[dict[str, Any]] = []
    with connected() as client:
        for path in files:
            with path.open("rb") as file:
                query = {"filename": path.name}
                headers = {"Content-Type": "application/octet-stream"}
                added.append(
                    ask(
                        client,
                        "POST",
                        "/v1/wheelhouse/wheels",
                        params=query,
                        headers=headers,
                        content=file,
                    )
                )
    emit(added, as_json=as_json, show=_rows)


@app.command("list")
def list_wheels(
    name: Annotated[str | None, typer.Argument(help="Only this distribution.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the wheels in the house and how they came there."""
    query = {"name": name} if name else {}
    with connected() as client:
        found = ask(client, "GET", "/v1/wheelhouse/wheels", params=query)["items"]
    emit(found, as_json=as_json, show=_rows)


def _rows(wheels: list[dict[str, Any]]) -> str:
    rows = [{**wheel, "origin": _origin(wheel["origin"])} for wheel in wheels]
    return table(rows, columns=COLUMNS)


def _origin(origin: dict[str, Any]) -> str:
    return f"{origin['kind']} by {origin['by']}"
