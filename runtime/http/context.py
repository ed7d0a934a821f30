"""What an operation may ask for: a service of the appliance, who asks, and where in a list.

Each operation names what it uses, such as `store: StoreOf`; nothing is handed down whole. Services
are handed to it as it is called (`with_services`). What FastAPI asks for is
`async` even where it waits for nothing: it calls everything else in a thread of its pool, which was
36 hops for a job.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial, wraps
from inspect import Parameter, signature
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError

from packages.archive import Bundles
from packages.lock.gate_watch import Closings
from packages.preparation import Workshop
from runtime.access.access import Access
from runtime.access.decisions import own_sight_of, sight_of
from runtime.activations.intake import Intake
from runtime.artifact.artifacts import Artifacts
from runtime.blobs.blob import Blobs
from runtime.gate.steady import GateClock
from runtime.http.services import Services
from runtime.jobs.attempts.events import EventLog
from runtime.jobs.bulk import Bulk
from runtime.jobs.orders.submission import Submissions
from runtime.jobs.questions import Questions
from runtime.jobs.retention.retention import Retention
from runtime.jobs.schedules import Schedules
from runtime.jobs.webhooks.deliveries import Deliveries
from runtime.queue.notifier import Notifier
from runtime.settings.settings import Settings
from runtime.store.databases.store import Store
from runtime.store.statements.cursor import decode_cursor
from runtime.telemetry.meter import Meter
from runtime.values.access import Principal, Sight
from runtime.values.clock import Clock
from runtime.values.records import JsonObject, RequestContext
from runtime.worker.readiness import Readiness
from wheelhouse.judges.pool import Judges
from wheelhouse.store import Wheelhouse

MOST_WAIT_S = 300
KEY, LONGEST_KEY = "idempotency-key", 255
KEPT_HEADERS = ("user-agent", "x-origin")


@dataclass(frozen=True, slots=True)
class FromRequest:
    """Marks what an operation asks for as what `look` finds in its request; see `with_services`.

    `parameter` describes it to clients, as OpenAPI does, where it is one.
    """

    look: Callable[[Request], Any]
    parameter: JsonObject | None = None


def service(name: str) -> FromRequest:
    """Mark what an operation asks for as the service of that name."""
    return FromRequest(lambda request: getattr(services_of(request), name))


def with_services(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return `endpoint` as FastAPI shall see it: with a request in place of its services.

    They are the same for every request. As dependencies each was solved anew, with one of its own
    for the request: eight of the twelve that an order has, and 0.15 ms of each (1.19 to 1.03 ms for
    a look at a job).
    """
    asked = signature(endpoint, eval_str=True)
    looks = {one.name: mark.look for one in asked.parameters.values() if (mark := _mark_of(one))}
    if not looks:
        return endpoint
    others = [one for one in asked.parameters.values() if one.name not in looks]
    has_request = any(one.annotation is Request for one in others)
    own = next((one.name for one in others if one.annotation is Request), "request")

    @wraps(endpoint)
    async def operation(**given: Any) -> Any:
        request: Request = given[own] if has_request else given.pop(own)
        return await endpoint(**given, **{name: look(request) for name, look in looks.items()})

    named = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in others]
    if not has_request:
        named.append(Parameter(own, Parameter.KEYWORD_ONLY, annotation=Request))
    vars(operation)["__signature__"] = asked.replace(parameters=named)
    return operation


def parameters_of(endpoint: Callable[..., Any]) -> list[JsonObject]:
    """Return what clients are told of what `endpoint` finds in its request (OpenAPI)."""
    asked = signature(endpoint, eval_str=True).parameters.values()
    marks = [mark for one in asked if (mark := _mark_of(one))]
    return [mark.parameter for mark in marks if mark.parameter]


def _header(name: str, *, description: str, **schema: Any) -> JsonObject:
    """Return what clients are told of a header that may be left out."""
    title = name.title()
    about = {"type": "string", "description": description, "default": "", "title": title}
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": about | schema,
    }


def _mark_of(parameter: Parameter) -> FromRequest | None:
    """Return where in the request a parameter is found; None for what is told in it."""
    marks = getattr(parameter.annotation, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, FromRequest)), None)


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


def own_sight_of_request(request: Request) -> Sight:
    """Return whose webhooks, batches and the like who asks may see."""
    return own_sight_of(principal_of(request))


def stands_of(request: Request) -> Callable[[], Awaitable[bool]]:
    """Return what says whether who asks may still have what goes on for long."""
    identification = services_of(request).access.identification
    return partial(identification.still_knows, principal_of(request))


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


async def cursor_of(
    cursor: Annotated[
        str | None, Query(description="The `next_cursor` of the page before.")
    ] = None,
) -> str | None:
    """Return the key that the list goes on after."""
    return decode_cursor(cursor)


def wait_of(request: Request) -> int:
    """Return how many seconds the answer may wait; what else is preferred is left aside."""
    for preference in request.headers.get("prefer", "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait" and value.strip().strip('"').isdecimal():
            return min(int(value.strip().strip('"')[:9]), MOST_WAIT_S)
    return 0


def key_of(request: Request) -> str:
    """Return the key that an order is sent by; quotes around it (RFC 8941) are no part of it."""
    key = request.headers.get(KEY, "")
    if len(key) > LONGEST_KEY:
        told = {"type": "string_too_long", "loc": ("header", KEY), "input": key}
        message = f"String should have at most {LONGEST_KEY} characters"
        raise RequestValidationError([told | {"msg": message, "ctx": {"max_length": LONGEST_KEY}}])
    return key.strip().strip('"')


WAIT_HEADER = _header(
    "prefer", description="`wait=SECONDS`: how long the answer may wait (RFC 7240)."
)
KEY_HEADER = _header(
    KEY,
    description="The same order by the same key is the same job.",
    maxLength=LONGEST_KEY,
)
SettingsOf = Annotated[Settings, service("settings")]
ClockOf = Annotated[Clock, service("clock")]
ClosingsOf = Annotated[Closings, service("closings")]
NotifierOf = Annotated[Notifier, service("notifier")]
StoreOf = Annotated[Store, service("store")]
EventsOf = Annotated[EventLog, service("events")]
ArtifactsOf = Annotated[Artifacts, service("artifacts")]
BlobsOf = Annotated[Blobs, service("blobs")]
BundlesOf = Annotated[Bundles, service("bundles")]
WheelhouseOf = Annotated[Wheelhouse, service("wheelhouse")]
JudgesOf = Annotated[Judges, service("judges")]
WorkshopOf = Annotated[Workshop, service("workshop")]
SubmissionsOf = Annotated[Submissions, service("submissions")]
SchedulesOf = Annotated[Schedules, service("schedules")]
IntakeOf = Annotated[Intake, service("intake")]
StandsOf = Annotated[Callable[[], Awaitable[bool]], FromRequest(stands_of)]
StoppingOf = Annotated[asyncio.Event, service("stopping")]
AccessOf = Annotated[Access, service("access")]
BulkOf = Annotated[Bulk, service("bulk")]
RetentionOf = Annotated[Retention, service("retention")]
DeliveriesOf = Annotated[Deliveries, service("deliveries")]
QuestionsOf = Annotated[Questions, service("questions")]
ReadinessOf = Annotated[Readiness, service("readiness")]
GateClockOf = Annotated[GateClock, service("gate_clock")]
MeterOf = Annotated[Meter, service("meter")]
ServicesOf = Annotated[Services, FromRequest(services_of)]
PrincipalOf = Annotated[Principal, FromRequest(principal_of)]
SightOf = Annotated[Sight, FromRequest(sight_of_request)]
OwnSightOf = Annotated[Sight, FromRequest(own_sight_of_request)]
KeyOf = Annotated[str, FromRequest(key_of, KEY_HEADER)]
WaitOf = Annotated[int, FromRequest(wait_of, WAIT_HEADER)]
CallerOf = Annotated[RequestContext, FromRequest(caller_of)]
CursorOf = Annotated[str | None, Depends(cursor_of)]
MOST_NUMBER = 2**31 - 1
"""What a database has room for."""
Limit = Annotated[int, Query(ge=1, le=200, description="How many items at most.")]
OneAttempt = Annotated[int, Path(ge=1, le=MOST_NUMBER, description="Which attempt.")]
AttemptNumber = Annotated[
    int | None, Query(ge=1, le=MOST_NUMBER, description="Which attempt; empty: the last one.")
]
