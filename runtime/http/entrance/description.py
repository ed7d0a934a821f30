"""Says in the description of the API who may use each operation: from the same table."""

from typing import Any

from runtime.access.operations import ANYBODY, scopes_for
from runtime.values.access import Scope

METHODS = frozenset({"get", "put", "post", "delete", "patch"})
SCHEMES: dict[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `fumehood token create`.",
    },
    "index": {
        "type": "http",
        "scheme": "basic",
        "description": "The same token as the password: for pip and uv.",
    },
}


def with_scopes(description: dict[str, Any]) -> dict[str, Any]:
    """Add to each operation who may use it."""
    description.setdefault("components", {})["securitySchemes"] = SCHEMES
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if method in METHODS:
                _add_scopes(operation, method=method, path=path)
    return description


def _add_scopes(operation: dict[str, Any], *, method: str, path: str) -> None:
    scopes = scopes_for(method.upper(), path)
    if scopes is None:
        raise LookupError(f"runtime/access/operations.py does not know {method.upper()} {path}")
    schemes = ["token", "index"] if path.startswith("/simple/") else ["token"]
    operation["security"] = [] if scopes == ANYBODY else [{name: []} for name in schemes]
    operation["x-fumehood-scopes"] = [scope.value for scope in Scope if scope in scopes]
