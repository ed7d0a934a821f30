"""What an operation may ask for: a service of the appliance, who asks, and where in a list.

Each operation names what it uses, such as `store: StoreOf`; nothing is handed down whole.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from packages.activation import Workshop
from packages.archive import Bundles
from packages.lock.keeping import Closings
from runtime.access.access import Access
from runtime.access.decisions import sight_of
from runtime.activations.intake import Intake
from runtime.artifact.files import ArtifactFiles
from runtime.blobs.blob import Blobs
from runtime.clock import Clock
from runtime.jobs.events import EventLog
from runtime.jobs.submission import Submissions
from runtime.settings import Settings
from runtime.store.cursor import decode_cursor
from runtime.store.store import Store
from runtime.values.access import Principal, Sight
from runtime.values.records import JsonObject, RequestContext
from wheelhouse.judges.pool import Judges
from wheelhouse.store import Wheelhouse

KEPT_HEADERS = ("user-agent", "x-origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What there is to ask for. `stopping` is set when open streams shall end."""

    settings: Settings
    clock: Clock
    store: Store
    closings: Closings
    events: EventLog
    artifacts: ArtifactFiles
    blobs: Blobs
    bundles: Bundles
    wheelhouse: Wheelhouse
    judges: Judges
    workshop: Workshop
    submissions: Submissions
    intake: Intake
    access: Access
    stopping: asyncio.Event


def _service(name: str) -> Callable[[Request], Any]:
    def service(request: Request) -> Any:
        return getattr(request.app.state.services, name)

    return service


def services_of(request: Request) -> Services:
    """Return all that there is to ask for."""
    return request.app.state.services


def principal_of(request: Request) -> Principal:
    """Return who asks."""
    return request.state.principal


def sight_of_request(request: Request) -> Sight:
    """Return which jobs who asks may see."""
    return sight_of(principal_of(request))


def origin_of(caller: RequestContext) -> JsonObject:
    """Return from where an act came, for the audit log."""
    return {"from": caller.source, "request_id": caller.request_id}


def caller_of(request: Request) -> RequestContext:
    """Return who asks and from where; nothing secret is kept."""
    headers = request.headers
    principal = principal_of(request)
    return RequestContext(
        principal=principal.name,
        scopes=tuple(sorted(scope.value for scope in principal.scopes)),
        request_id=request.state.request_id,
        traceparent=request.state.traceparent,
        source=request.client.host if request.client else "socket",
        headers={name: headers[name] for name in KEPT_HEADERS if name in headers},
    )


def cursor_of(
    cursor: Annotated[
        str | None, Query(description="The `next_cursor` of the page before.")
    ] = None,
) -> str | None:
    """Return the key that the list goes on after."""
    return decode_cursor(cursor)


SettingsOf = Annotated[Settings, Depends(_service("settings"))]
ClockOf = Annotated[Clock, Depends(_service("clock"))]
ClosingsOf = Annotated[Closings, Depends(_service("closings"))]
StoreOf = Annotated[Store, Depends(_service("store"))]
EventsOf = Annotated[EventLog, Depends(_service("events"))]
ArtifactsOf = Annotated[ArtifactFiles, Depends(_service("artifacts"))]
BlobsOf = Annotated[Blobs, Depends(_service("blobs"))]
BundlesOf = Annotated[Bundles, Depends(_service("bundles"))]
WheelhouseOf = Annotated[Wheelhouse, Depends(_service("wheelhouse"))]
JudgesOf = Annotated[Judges, Depends(_service("judges"))]
WorkshopOf = Annotated[Workshop, Depends(_service("workshop"))]
SubmissionsOf = Annotated[Submissions, Depends(_service("submissions"))]
IntakeOf = Annotated[Intake, Depends(_service("intake"))]
StoppingOf = Annotated[asyncio.Event, Depends(_service("stopping"))]
AccessOf = Annotated[Access, Depends(_service("access"))]
ServicesOf = Annotated[Services, Depends(services_of)]
PrincipalOf = Annotated[Principal, Depends(principal_of)]
SightOf = Annotated[Sight, Depends(sight_of_request)]
CallerOf = Annotated[RequestContext, Depends(caller_of)]
CursorOf = Annotated[str | None, Depends(cursor_of)]
MOST_NUMBER = 2**63 - 1
"""What a database has room for."""
Limit = Annotated[int, Query(ge=1, le=200, description="How many items at most.")]
AttemptNumber = Annotated[
    int | None, Query(ge=1, le=MOST_NUMBER, description="Which attempt; empty: the last one.")
]
