"""What every operation is given: the parts of the appliance, who asks, and where in a list."""

from typing import Annotated

from fastapi import Depends, Query, Request

from runtime.parts import Parts
from runtime.records import RequestContext
from runtime.store.cursor import decode_cursor

KEPT_HEADERS = ("user-agent", "x-origin")


def parts_of(request: Request) -> Parts:
    """Return the parts of this appliance."""
    return request.app.state.parts


def caller_of(request: Request) -> RequestContext:
    """Return who asks and from where; nothing secret is kept."""
    headers = request.headers
    return RequestContext(
        principal="anonymous",
        request_id=request.state.request_id,
        traceparent=headers.get("traceparent", ""),
        source=request.client.host if request.client else "",
        headers={name: headers[name] for name in KEPT_HEADERS if name in headers},
    )


def cursor_of(
    cursor: Annotated[
        str | None, Query(description="The `next_cursor` of the page before.")
    ] = None,
) -> str | None:
    """Return the key that the list goes on after."""
    return decode_cursor(cursor)


PartsOf = Annotated[Parts, Depends(parts_of)]
CallerOf = Annotated[RequestContext, Depends(caller_of)]
CursorOf = Annotated[str | None, Depends(cursor_of)]
MOST_NUMBER = 2**63 - 1
"""What a database has room for."""
Limit = Annotated[int, Query(ge=1, le=200, description="How many items at most.")]
AttemptNumber = Annotated[
    int | None, Query(ge=1, le=MOST_NUMBER, description="Which attempt; empty: the last one.")
]
