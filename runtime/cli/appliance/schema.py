"""`fumehood schema`: the JSON Schemas that are published."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from packages.bundle.manifest import manifest_schema
from packages.bundle.manifest_table import manifest_table
from runtime.artifact.model import artifact_schema
from runtime.cli.output.printing import AsJson
from sandbox.limits import Limits


class Schema(StrEnum):
    """The schemas that are published."""

    MANIFEST = "manifest"
    ARTIFACT = "artifact"


def schema(
    name: Annotated[Schema, typer.Argument(help="Which schema.")],
    *,
    as_table: Annotated[
        bool, typer.Option("--table", help="A manifest's fields as a table, in Markdown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a published JSON Schema (it is JSON with and without --json)."""
    if as_table and name is Schema.MANIFEST:
        defaults = {f"limits.{key}": value for key, value in asdict(Limits()).items()}
        print(manifest_table(manifest_schema(), defaults=defaults), end="")
        return
    found = manifest_schema() if name is Schema.MANIFEST else artifact_schema()
    print(json.dumps(found, indent=2))
