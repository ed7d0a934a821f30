"""Values that callers send, held to what JSON and people can read back.

Each is what its schema says and nothing that could be read as it: `0` is no boolean, `"15"` no
number, and a number no time. pydantic takes all of these unless it is told not to.
"""

import json
import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    JsonValue,
    Strict,
    WithJsonSchema,
)

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d.*")


def _is_json(value: Any) -> Any:
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


def _is_timestamp(value: Any) -> Any:
    """Refuse numbers of seconds, and dates alone: the schema says date-time (RFC 3339)."""
    if not isinstance(value, str) or RFC_3339.fullmatch(value) is None:
        raise ValueError("a time is written as 2026-11-29T12:00:00Z")
    return value


def _in_this_age(moment: datetime) -> datetime:
    """Refuse a time that no other zone can tell: the first and the last day of the calendar."""
    if not 2000 <= moment.year <= 9000:
        raise ValueError("the year has to be between 2000 and 9000")
    return moment


Parameters = Annotated[
    dict[str, JsonValue], AfterValidator(_is_json), WithJsonSchema({"type": "object"})
]
Flag = Annotated[bool, Strict()]
WholeNumber = Annotated[int, BeforeValidator(_is_whole)]
Number = Annotated[float, Strict()]
Moment = Annotated[AwareDatetime, BeforeValidator(_is_timestamp)]
"""A point in time, with its zone."""
Year = Annotated[Moment, AfterValidator(_in_this_age)]
"""The same, in an age that every zone can tell."""
Sentence = Annotated[str, Field(max_length=1000), AfterValidator(_is_legible)]
"""A reason or a name, as people write it: one line."""
