"""How an operation that takes a file says so in the description of the API."""

from typing import Any


def upload_body(*, field: str, media_types: tuple[str, ...]) -> dict[str, Any]:
    """Return the body of an upload: the file itself, or a form that has it in `field`."""
    raw: dict[str, Any] = {
        media_type: {"schema": {}} for media_type in media_types
    }  # binary, by OpenAPI 3.1
    form = {
        "schema": {
            "type": "object",
            "required": [field],
            "additionalProperties": False,
            "properties": {
                field: {"type": "string", "contentMediaType": "application/octet-stream"}
            },
        }
    }
    return {"requestBody": {"required": True, "content": {**raw, "multipart/form-data": form}}}
