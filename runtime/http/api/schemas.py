"""/v1/schemas and /v1/version: the published JSON Schemas, and what is running."""

from importlib.metadata import version as distribution_version
from typing import Any, Literal

from packages.bundle.manifest import manifest_schema
from runtime.artifact.model import artifact_schema
from runtime.http.entrance.operations import operations

router = operations(prefix="/v1", tags=["schemas"])


@router.get("/schemas/{name}")
async def get_schema(name: Literal["manifest", "artifact"]) -> dict[str, Any]:
    """Return the JSON Schema of manifests or of artifacts."""
    return manifest_schema() if name == "manifest" else artifact_schema()


@router.get("/version")
async def get_appliance_version() -> dict[str, str]:
    """Return the version of the appliance."""
    return {"version": distribution_version("fumehood")}
