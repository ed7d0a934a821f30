"""What stands below each field of a model, put into its JSON Schema. Pure.

pydantic does so by itself (`use_attribute_docstrings`), at the start of each process that imports
the model: 19 ms for that of a manifest, whose schema hardly any of them is asked for.
"""

import ast
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any


def describe(schema: dict[str, Any], *, whole: str, source: str, names: Mapping[str, str]) -> None:
    """Give each property of `schema` and of its parts what `source` says below the field.

    `whole` is the class that the schema is of; its parts are called as their classes are. `names`
    are fields that a document calls otherwise.
    """
    parts: dict[str, Any] = {**schema.get("$defs", {}), whole: schema}
    for defined in ast.parse(source).body:
        if isinstance(defined, ast.ClassDef):
            properties = parts.get(defined.name, {}).get("properties", {})
            for field, words in _fields(defined):
                name = names.get(field, field)
                if name in properties:
                    properties[name].setdefault("description", words)


def _fields(defined: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield each field that has a string below it, and the string, as inspect cleans it."""
    for field, below in zip(defined.body, defined.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, cleandoc(words)
            case _:
                pass
