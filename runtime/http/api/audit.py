"""/v1/audit: what was done, by whom; each entry's digest covers the one before it."""

from typing import Annotated

from fastapi import Query, Request, Response

from runtime.http.api.models.views import AuditView, PageOf, page_view
from runtime.http.context import CursorOf, Limit, StoreOf
from runtime.http.entrance.operations import operations
from runtime.store.access import audit

router = operations(prefix="/v1/audit", tags=["audit"])


@router.get("")
async def list_audit(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    action: Annotated[str | None, Query(description="Only this one, such as gate.fetch.")] = None,
) -> PageOf[AuditView]:
    """Return the entries of the audit log, the last first."""
    page = await store.read(audit.list_entries, limit=limit, cursor=cursor, action=action)
    return page_view(page, show=AuditView.model_validate, request=request, response=response)
