"""The table of all fields of a manifest, as Markdown, made from its JSON Schema. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

type Schema = Mapping[str, Any]

HEAD = ("field", "what", "unless it is said", "at most", "for example")


def manifest_table(schema: Schema, *, defaults: Mapping[str, object]) -> str:
    """Return a row for each field of `schema`, in its order.

    `defaults` are those that the appliance has for fields which the schema leaves open.
    """
    rows = [HEAD, tuple("---" for _ in HEAD), *_rows(schema, schema, "", defaults)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(
    part: Schema, whole: Schema, above: str, defaults: Mapping[str, object]
) -> Iterator[tuple[str, ...]]:
    for name, field in part["properties"].items():
        path = f"{above}{name}"
        inner = _inner(field, whole)
        if inner is not None and "examples" not in field:
            yield from _rows(inner, whole, f"{path}.", defaults)
            continue
        example = field.get("examples", [""])[0]
        default = _default(field, path, name in part.get("required", ()), defaults)
        yield (
            f"`{path}`",
            field.get("description", "").replace("|", "\\|"),
            default,
            _most(field),
            _code(example) if example != "" else "",
        )


def _inner(field: Schema, whole: Schema) -> Schema | None:
    """Return the schema of an object with fields of its own that stands at `field`."""
    kinds = [field, *field.get("anyOf", ())]
    reference = next((kind["$ref"] for kind in kinds if "$ref" in kind), "")
    found = whole["$defs"].get(reference.rpartition("/")[2]) if reference else None
    return found if found and "properties" in found else None


def _default(field: Schema, path: str, is_required: bool, defaults: Mapping[str, object]) -> str:  # noqa: FBT001
    if is_required:
        return "has to be said"
    told = defaults.get(path, field.get("default"))
    return "none" if told in (None, "", [], {}) else _code(told)


def _most(field: Schema) -> str:
    kinds = [field, *field.get("anyOf", ())]
    for limit, unit in (("maximum", ""), ("maxLength", " characters"), ("maxItems", " items")):
        found = next((kind[limit] for kind in kinds if limit in kind), None)
        if found is not None:
            return f"{found:g}{unit}" if found < 1e6 else f"{found}{unit}"
    found = field.get("maxProperties")
    return f"{found} entries" if found is not None else ""


def _code(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"
