"""Values that callers send, held to what JSON and people can read back."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue


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


Parameters = Annotated[dict[str, JsonValue], AfterValidator(_is_json)]
Sentence = Annotated[str, Field(max_length=1000), AfterValidator(_is_legible)]
"""A reason or a name, as people write it: one line."""
