"""A job's parameters, as people write them on the command line."""

import json
from collections.abc import Iterable
from typing import Any, cast

from runtime.faults.errors import Malformed

MEND = 'write one JSON object, such as {"name": "Ada"}'


def parameters_of(text: str, *, pairs: Iterable[str]) -> dict[str, Any]:
    """Return the JSON object in `text`, with each `key=value` of `pairs` laid over it."""
    return _object(text) | dict(_parameter(pair) for pair in pairs)


def _object(text: str) -> dict[str, Any]:
    try:
        value = _strict(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(
            f"The parameters are not JSON: {error}", where="--parameters", mend=MEND
        ) from error
    if not isinstance(value, dict):
        raise Malformed("The parameters are not a JSON object", where="--parameters", mend=MEND)
    return cast(dict[str, Any], value)


def _parameter(text: str) -> tuple[str, Any]:
    key, is_given, value = text.partition("=")
    if not is_given or not key:
        raise Malformed(f"{text} is not key=value", where="--parameter", mend="write -p key=value")
    try:
        return key, _strict(value)
    except (json.JSONDecodeError, RecursionError):
        return key, value
    except ValueError as error:
        raise Malformed(
            f"{key} cannot be sent as JSON: {error}", where="--parameter", mend="write it as text"
        ) from error


def _strict(text: str) -> Any:
    """Return the JSON in `text`; NaN, infinities and lone surrogates are none (RFC 8259)."""
    value = json.loads(text)
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return value
