"""`fumehood schema`: the JSON Schemas that are published."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from packages.manifest import manifest_schema
from runtime.artifact.model import artifact_schema
from runtime.cli.output.printing import AsJson


class Schema(StrEnum):
    """The schemas that are published."""

    MANIFEST = "manifest"
    ARTIFACT = "artifact"


def schema(
    name: Annotated[Schema, typer.Argument(help="Which schema.")], *, as_json: AsJson = False
) -> None:
    """Print a published JSON Schema (it is JSON with and without --json)."""
    found = manifest_schema() if name is Schema.MANIFEST else artifact_schema()
    print(json.dumps(found, indent=2))
