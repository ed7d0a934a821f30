"""A job's parameters, as people write them on the command line."""

import json
from collections.abc import Iterable
from typing import Any, cast

from runtime.errors import Malformed


def parameters_of(text: str, *, pairs: Iterable[str]) -> dict[str, Any]:
    """Return the JSON object in `text`, with each `key=value` of `pairs` laid over it."""
    return _object(text) | dict(_parameter(pair) for pair in pairs)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Malformed(f"The parameters are not JSON: {error}", where="--parameters") from error
    if not isinstance(value, dict):
        raise Malformed("The parameters are not a JSON object", where="--parameters")
    return cast(dict[str, Any], value)


def _parameter(text: str) -> tuple[str, Any]:
    key, is_given, value = text.partition("=")
    if not is_given:
        raise Malformed(f"{text} is not key=value", where="--parameter", mend="write -p key=value")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
