"""Values that callers send, held to what JSON and people can read back.

Each is what its schema says and nothing that could be read as it: `0` is no boolean, `"15"` no
number, and a number no time. pydantic takes all of these unless it is told not to.
"""

import json
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    Strict,
    WithJsonSchema,
)

from runtime.values.labels import MOST_LABELS, MOST_VALUE_CHARS
from runtime.values.labels import NAME as LABEL_NAME


def is_json(value: Any) -> Any:
    """Refuse what JSON cannot hold (RFC 8259): NaN, infinities, lone surrogates."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON: {error}") from None
    return value


def _is_legible(text: str) -> str:
    """Refuse control characters, which would act on a terminal, and lone surrogates."""
    if any(not char.isprintable() for char in text):
        raise ValueError("it has characters that cannot be printed")
    return text


def _is_whole(value: Any) -> Any:
    """Refuse what is no integer to JSON Schema, to which 1.0 is one and true is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise ValueError("it is no whole number")
    return int(value)


Parameters = Annotated[
    dict[str, JsonValue], AfterValidator(is_json), WithJsonSchema({"type": "object"})
]
Flag = Annotated[bool, Strict()]
WholeNumber = Annotated[int, BeforeValidator(_is_whole)]
Number = Annotated[float, Strict()]
Sentence = Annotated[str, Field(max_length=1000), AfterValidator(_is_legible)]
"""A reason or a name, as people write it: one line."""
Labels = Annotated[
    dict[
        Annotated[str, Field(pattern=LABEL_NAME)],
        Annotated[str, Field(max_length=MOST_VALUE_CHARS), AfterValidator(_is_legible)],
    ],
    Field(max_length=MOST_LABELS),
]
"""Labels of a job: up to 32 pairs of a name and a value."""
