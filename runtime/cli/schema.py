"""`fumehood schema` and `fumehood version`: what is published, without a server."""

import json
from enum import StrEnum
from importlib.metadata import version as distribution_version
from typing import Annotated

import typer

from packages.manifest import manifest_schema
from runtime.artifact.model import artifact_schema
from runtime.cli.output.printing import AsJson, emit


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


def version(*, as_json: AsJson = False) -> None:
    """Print the version."""
    emit(
        {"version": distribution_version("fumehood")},
        as_json=as_json,
        show=lambda value: value["version"],
    )
