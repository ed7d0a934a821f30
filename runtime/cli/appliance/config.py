"""`fumehood config`: the settings in force and where each comes from."""

import os
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from runtime.cli.output.printing import AsJson, emit, table
from runtime.settings.settings import Settings, load
from runtime.telemetry.redaction import redaction_of

app = typer.Typer(no_args_is_help=True, help="Show the settings and where they come from.")


@app.callback()
def _group() -> None:
    """Show the settings and where they come from."""


@app.command()
def show(
    config: Annotated[Path | None, typer.Option("--config", help="A settings file.")] = None,
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Show where each comes from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting in force; secrets are masked."""
    loaded = load(config_file=config)
    rows = [
        {"setting": key, "value": value, "origin": loaded.origins.get(key, "default")}
        for key, value in _flat(loaded.settings.model_dump(mode="json"))
    ]
    redaction = redaction_of(loaded.settings, environ=os.environ)
    for row in rows:
        if isinstance(row["value"], str):
            row["value"] = redaction.text(row["value"])
    columns = ("setting", "value", "origin", "meaning") if origin else ("setting", "value")
    for row in rows:
        field = Settings.model_fields[row["setting"].partition(".")[0]]
        row["meaning"] = field.description or ""
    emit(rows, as_json=as_json, show=lambda found: table(found, columns=columns))


def _flat(tree: dict[str, Any], *, prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            flat += _flat(cast(dict[str, Any], value), prefix=f"{prefix}{key}.")
        else:
            flat.append((prefix + key, value))
    return flat
