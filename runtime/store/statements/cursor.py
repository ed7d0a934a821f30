"""Cursors: where a list goes on. Opaque to callers, checked when they come back."""

import base64
import re
from collections.abc import Callable, Sequence

from runtime.faults.errors import Malformed
from runtime.values.records import Page

NUMBER = re.compile("[0-9]{1,18}")
"""A number that a database has room for: 64 bits."""


def page_of[T](found: Sequence[T], *, limit: int, key: Callable[[T], str]) -> Page[T]:
    """Return the first `limit` of `found`, which was asked for with one more than that."""
    items = tuple(found[:limit])
    is_more = len(found) > limit
    return Page(items=items, next_cursor=key(items[-1]) if is_more else None)


def encode_cursor(key: str | None) -> str | None:
    """Return the cursor that stands for `key`."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> str | None:
    """Return the key that `cursor` stands for; raise Malformed when it is none of ours."""
    if not cursor:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError as error:  # no base64, no UTF-8, or no ASCII to begin with
        raise _not_ours() from error


def number_of(key: str) -> int:
    """Return the number that a decoded cursor holds; raise Malformed when it holds none."""
    if not NUMBER.fullmatch(key):
        raise _not_ours()
    return int(key)


def _not_ours() -> Malformed:
    return Malformed(
        "The cursor is not one that this appliance gave out",
        where="query: cursor",
        mend="take `next_cursor` from the page before, or leave it out for the first page",
    )
