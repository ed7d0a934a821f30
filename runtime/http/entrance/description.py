"""The description of the API: what FastAPI reads off the operations, and what they all share.

Who may use each comes from the table of operations, examples and links from files beside this
one; so that a client can be made of it, and a tester can find its way from one to the next.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from runtime.access.operations import ANYBODY, scopes_for
from runtime.http.conditional import is_tagged
from runtime.http.entrance.deprecation import deprecation_of
from runtime.values.access import Scope

HERE = Path(__file__).parent
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
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The ETag of what you have: 304 where it is still so.",
}
UNCHANGED = {"description": "It is still as you have it."}


def described(description: dict[str, Any], *, problem: type[BaseModel]) -> dict[str, Any]:
    """Add to each operation who may use it, an example, and where its answer leads.

    `problem` is the model of every fault, which the operations name and do not bring.
    """
    components = description.setdefault("components", {})
    components["securitySchemes"] = SCHEMES
    components.setdefault("schemas", {}).update(_schemas_of(problem))
    for method, path, operation in _operations(description):
        _add_scopes(operation, method=method, path=path)
        _without_null(operation)
        if deprecation_of(method, path):
            operation["deprecated"] = True
        if method == "GET" and is_tagged(path):
            operation.setdefault("parameters", []).append(IF_NONE_MATCH)
            operation["responses"]["304"] = UNCHANGED
        _add_examples(operation, key=f"{method} {path}")
        _add_links(operation, key=f"{method} {path}")
    return description


def _schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model, and of those that it is made of, by their names."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if method in METHODS:
                yield method.upper(), path, operation


def _add_scopes(operation: dict[str, Any], *, method: str, path: str) -> None:
    scopes = scopes_for(method, path)
    if scopes is None:
        raise LookupError(f"runtime/access/operations.py does not know {method} {path}")
    schemes = ["token", "index"] if path.startswith("/simple/") else ["token"]
    operation["security"] = [] if scopes == ANYBODY else [{name: []} for name in schemes]
    operation["x-fumehood-scopes"] = [scope.value for scope in Scope if scope in scopes]


def _without_null(operation: dict[str, Any]) -> None:
    """Say of a parameter that it can be left out, and not that it could be null: it is text."""
    for parameter in operation.get("parameters", ()):
        schema = parameter.get("schema", {})
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])


def _add_examples(operation: dict[str, Any], *, key: str) -> None:
    example = _read("examples.json").get(key, {})
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in example.get("parameters", {}):
            parameter["example"] = example["parameters"][parameter["name"]]
    if "body" in example:
        contents = operation["requestBody"]["content"]
        contents["application/json"]["example"] = example["body"]
    for status, answer in example.get("answers", {}).items():
        for content in operation["responses"][status].get("content", {}).values():
            content["example"] = answer


def _add_links(operation: dict[str, Any], *, key: str) -> None:
    for status, links in _read("links.json").get(key, {}).items():
        operation["responses"][status]["links"] = {
            target: {"operationId": target, "parameters": parameters}
            for target, parameters in links.items()
        }


@cache
def _read(name: str) -> dict[str, Any]:
    return json.loads((HERE / name).read_text(encoding="utf-8"))
