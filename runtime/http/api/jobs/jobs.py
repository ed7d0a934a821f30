"""/v1/jobs: submit, look at, follow, fetch, cancel, try again."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from runtime.blobs.blob import Blobs
from runtime.faults.errors import InputRefused
from runtime.http.api.jobs.streams import NDJSON, SSE, event_stream, line_stream
from runtime.http.api.models.order_forms import (
    WhenOrder,
    first_field,
    form_schema,
    read_inputs,
    read_order,
)
from runtime.http.api.models.sent_values import Flag, Labels, Parameters, Sentence
from runtime.http.api.models.views import JobDetail, job_detail
from runtime.http.bodies.bodies import form_parts, is_multipart, whole_body
from runtime.http.bodies.bounded_bodies import MOST_BYTES, refuse_too_long
from runtime.http.context import (
    MOST_NUMBER,
    BlobsOf,
    CallerOf,
    EventsOf,
    KeyOf,
    NotifierOf,
    PrincipalOf,
    SettingsOf,
    StandsOf,
    StoppingOf,
    StoreOf,
    SubmissionsOf,
    WaitOf,
)
from runtime.http.downloads import as_file
from runtime.http.entrance.operations import operations
from runtime.jobs.attempts.events import EventLog, job_once_ended, to_line
from runtime.jobs.orders.orders import Again, Around, Sender
from runtime.jobs.orders.submission import Submissions
from runtime.queue.notifier import News, ended
from runtime.settings.settings import Settings
from runtime.store.databases.store import Store
from runtime.store.jobs import events as event_store
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs.job_changes import current_attempt
from runtime.store.packages.packages import no_package
from runtime.values.access import is_bound_to
from runtime.values.records import Job
from sandbox.limits import MIB
from wheelhouse.problem import Problem

router = operations(prefix="/v1/jobs", tags=["jobs"])


class JobOrder(WhenOrder):
    """What to run: a package (its active version, or the one named), with which parameters."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"package": "hello", "parameters": {"name": "Ada"}}},
    )

    package: str
    version: str | None = Field(None, description="Empty: the active version.")
    parameters: Parameters = Field(default_factory=dict)
    labels: Labels = Field({}, description="By what it is found again, such as customer=acme.")
    batch: Sentence | None = Field(None, description="The batch that it is a part of, by name.")
    webhook: Sentence | None = Field(None, description="Whom to tell when it has ended.")


class RetryWish(BaseModel):
    """On what to try a job again: as it was, on what is active now, or on the version named."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"active": True}})

    active: Flag = False
    version: str | None = None

    def to_value(self) -> Again:
        """Return it as a value; raise InputRefused where it says two things."""
        if self.active and self.version is not None:
            problem = Problem(
                code="contradiction",
                what="both what is active now and a version are asked for",
                where="retry: /version",
                mend="ask for one of the two",
            )
            raise InputRefused("The job cannot be tried again so", problems=[problem])
        return Again(is_active=self.active, version=self.version)


ORDER = TypeAdapter(JobOrder)
EXAMPLE = '{"package": NAME, "version": …, "parameters": {…}}'
ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": JobDetail, "description": "It was waited for, and has ended."}
}
BODY = form_schema(JobOrder, field="job")


@router.post("", status_code=202, openapi_extra=BODY, responses=ENDED)
async def submit_job(
    request: Request,
    response: Response,
    caller: CallerOf,
    principal: PrincipalOf,
    *,
    submissions: SubmissionsOf,
    notifier: NotifierOf,
    log: EventsOf,
    blobs: BlobsOf,
    settings: SettingsOf,
    wait_s: WaitOf,
    key: KeyOf,
) -> JobDetail:
    """Accept a job: JSON alone, or a form with the field `job` and files in `input`.

    202 with `Location`; 429 with `Retry-After` when the queue is full. With `Prefer: wait=SECONDS`
    the answer waits for the end of the job, and is 200 if it came. The same order with the same
    `Idempotency-Key` is the same job, for as long as `idempotency_h` says.
    """
    sender = Sender(request=caller, key=key)
    with submissions.receiving(sender), notifier.listen(ended(sender.job_id)) as news:
        job = await _submitted(
            request,
            sender=sender,
            among=principal.packages,
            submissions=submissions,
            blobs=blobs,
            settings=settings,
        )
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        if job.id != sender.job_id:
            name = "Idempotency-Replayed" if key and not job.unique_key else "Unique-Existing"
            response.headers[name] = "true"
        elif not wait_s:
            return job_detail(job, attempts=(current_attempt(job),))
        else:
            return await _waited(log, job.id, news=news, wait_s=wait_s, response=response)
    with notifier.listen(ended(job.id)) as news:
        news.set()  # it may have ended before anybody listened
        return await _waited(log, job.id, news=news, wait_s=wait_s, response=response)


async def _submitted(
    request: Request,
    *,
    sender: Sender,
    among: tuple[str, ...],
    submissions: Submissions,
    blobs: Blobs,
    settings: Settings,
) -> Job:
    """Accept what the request orders, whichever of the two forms it has."""
    if is_multipart(request):
        return await _submit_form(
            request,
            sender=sender,
            among=among,
            submissions=submissions,
            blobs=blobs,
            settings=settings,
        )
    body = await whole_body(request, most_bytes=MOST_BYTES)
    order = _read_order(body.decode(errors="replace"), among=among)
    return await submissions.submit_plain(
        order.package,
        version=order.version,
        parameters=order.parameters,
        sender=sender,
        wish=order.to_wish(),
        around=around_of(order),
    )


async def _submit_form(
    request: Request,
    *,
    sender: Sender,
    among: tuple[str, ...],
    submissions: Submissions,
    blobs: Blobs,
    settings: Settings,
) -> Job:
    refuse_too_long(request, most_bytes=settings.input_most_mb * MIB)
    form = form_parts(request)
    order = _read_order(await first_field(form), among=among)
    target = await submissions.target_for(order.package, version=order.version)
    async with blobs.staging() as staging:  # who leaves midway leaves nothing behind
        inputs = await read_inputs(form, staging=staging, settings=settings)
        return await submissions.submit(
            target,
            parameters=order.parameters,
            inputs=inputs,
            sender=sender,
            keep=staging.keep,
            wish=order.to_wish(),
            around=around_of(order),
        )


def around_of(order: JobOrder) -> Around:
    """Return what an order says besides what shall run."""
    return Around(labels=order.labels, batch=order.batch, webhook=order.webhook)


def _read_order(text: str, *, among: tuple[str, ...]) -> JobOrder:
    """Return the order in `text`; raise NotFound for a package that who asks is not bound to."""
    order = read_order(text, model=ORDER, about="job", example=EXAMPLE)
    if not is_bound_to(among, order.package):
        raise no_package(order.package)
    return order


@router.get("/{job_id}")
async def get_job(job_id: str, store: StoreOf) -> JobDetail:
    """Return a job with its attempts."""
    return await _detail(store, job_id=job_id)


async def _detail(store: Store, *, job_id: str) -> JobDetail:
    job, attempts = await store.read(job_store.with_attempts, job_id=job_id)
    return job_detail(job, attempts=attempts)


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses={200: {"content": {NDJSON: {}, SSE: {}}}},
)
async def read_events(
    job_id: str,
    *,
    store: StoreOf,
    log: EventsOf,
    stopping: StoppingOf,
    stands: StandsOf,
    after: Annotated[
        int, Query(ge=0, le=MOST_NUMBER, description="Only events after this number.")
    ] = 0,
    follow: Annotated[bool, Query(description="NDJSON: go on until the job ends.")] = False,
    accept: Annotated[str, Header()] = NDJSON,
    last_event_id: Annotated[int | None, Header(ge=0, le=MOST_NUMBER)] = None,
) -> Response:
    """Return what happened: NDJSON lines, or live SSE with `Accept: text/event-stream`."""
    await store.read(job_store.get, job_id=job_id)
    if SSE in accept:
        after = max(after, last_event_id or 0)
        return event_stream(log, job_id=job_id, after=after, stop=stopping, stands=stands)
    if follow:
        return line_stream(log, job_id=job_id, after=after, stop=stopping, stands=stands)
    lines = _stored_lines(store, job_id=job_id, after=after)
    headers = as_file(f"events-{job_id}.ndjson")
    return StreamingResponse(lines, media_type=NDJSON, headers=headers)


async def _stored_lines(store: Store, *, job_id: str, after: int) -> AsyncIterator[bytes]:
    while batch := await store.read(event_store.read, job_id=job_id, after=after):
        yield b"".join(to_line(event) for event in batch)
        after = batch[-1].seq


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    responses={200: {"model": JobDetail, "description": "It is cancelled."}},
)
async def cancel_job(
    job_id: str, response: Response, submissions: SubmissionsOf, store: StoreOf
) -> JobDetail:
    """Cancel a job. 202 while it is stopping, 200 when it is cancelled, 409 when it has ended."""
    job = await submissions.cancel(job_id)
    response.status_code = 200 if job.state.is_final else 202
    return await _detail(store, job_id=job.id)


@router.post("/{job_id}/retry", status_code=202, responses=ENDED)
async def retry_job(
    job_id: str,
    response: Response,
    order: RetryWish | None = None,
    *,
    submissions: SubmissionsOf,
    notifier: NotifierOf,
    store: StoreOf,
    log: EventsOf,
    wait_s: WaitOf,
) -> JobDetail:
    """Queue a new attempt of a job that has ended; 409 while it has not.

    It runs as it did: the same version, the same lock, built again if it is gone. With `active` it
    runs on what is active now, with `version` on that one, if these take it.

    With `Prefer: wait=SECONDS` the answer waits for its end, and is 200 if it came.
    """
    with notifier.listen(ended(job_id)) as news:
        job = await submissions.retry(job_id, on=(order or RetryWish()).to_value())
        response.headers["Location"] = f"/v1/jobs/{job.id}"  # what was sent fits no field, maybe
        if not wait_s:
            return await _detail(store, job_id=job_id)
        return await _waited(log, job_id, news=news, wait_s=wait_s, response=response)


async def _waited(
    log: EventLog, job_id: str, *, news: News, wait_s: int, response: Response
) -> JobDetail:
    """Return the job once it has ended, or as it is after `wait_s` seconds."""
    job, attempts = await job_once_ended(log, job_id=job_id, news=news, at_most_s=wait_s)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    if job.state.is_final:
        response.status_code = 200
    return job_detail(job, attempts=attempts)
