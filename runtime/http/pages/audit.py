"""The page of the audit log: who did what, from where, the last first."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import HTMLResponse

from runtime.http.context import CursorOf, StoreOf
from runtime.http.entrance.operations import page_operations
from runtime.http.pages.rendering import render
from runtime.store.access import audit
from runtime.store.statements.cursor import encode_cursor

ROWS = 50

router = page_operations()


@router.get("/audit")
async def show_audit(
    request: Request,
    store: StoreOf,
    cursor: CursorOf,
    action: Annotated[str, Query(max_length=100)] = "",
) -> HTMLResponse:
    """Show the entries of the audit log, all or those of one kind of act."""
    page = await store.read(
        audit.list_entries, limit=ROWS, cursor=cursor, action=action.strip() or None
    )
    return await render(
        request,
        "audit.html",
        entries=page.items,
        next_cursor=encode_cursor(page.next_cursor),
        action=action,
    )
