"""/v1/jobs: submit, look at, follow, fetch, cancel, try again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from runtime.blobs.blob import Blobs, Staging
from runtime.errors import InputRefused, Malformed, TooLarge
from runtime.http.api.sent_values import Labels, Parameters, Sentence
from runtime.http.api.streams import NDJSON, SSE, event_stream, line_stream
from runtime.http.api.views import JobDetail, job_detail
from runtime.http.bodies import Part, form_parts, is_multipart, whole_body
from runtime.http.bounded_bodies import MOST_BYTES, refuse_too_long
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
from runtime.jobs.events import EventLog, job_once_ended, to_line
from runtime.jobs.submission import Around, InputNames, Sender, Submissions
from runtime.queue.notifier import ended
from runtime.settings import Settings
from runtime.store.jobs import events as event_store
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs.job_changes import current_attempt
from runtime.store.packages import no_package
from runtime.store.store import Store
from runtime.values.access import is_bound_to
from runtime.values.media_types import media_type_of
from runtime.values.records import Job, JobInput
from sandbox.limits import MIB
from wheelhouse.problem import Problem

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class JobOrder(BaseModel):
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


ORDER = TypeAdapter(JobOrder)
ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": JobDetail, "description": "It was waited for, and has ended."}
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": JobOrder.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["job"],
                    "additionalProperties": False,
                    "properties": {
                        "job": JobOrder.model_json_schema()
                        | {"description": "JSON; it comes before the inputs."},
                        "input": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        },
                    },
                }
            },
        },
    }
}


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
            response.headers["Idempotency-Replayed"] = "true"
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
    target = await submissions.target_for(order.package, version=order.version)
    return await submissions.submit(
        target,
        parameters=order.parameters,
        inputs=(),
        sender=sender,
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
    order = _read_order(await _first_field(form), among=among)
    target = await submissions.target_for(order.package, version=order.version)
    async with blobs.staging() as staging:  # who leaves midway leaves nothing behind
        inputs = await _read_inputs(form, staging=staging, settings=settings)
        return await submissions.submit(
            target,
            parameters=order.parameters,
            inputs=inputs,
            sender=sender,
            keep=staging.keep,
            around=around_of(order),
        )


def around_of(order: JobOrder) -> Around:
    """Return what an order says besides what shall run."""
    return Around(labels=order.labels, batch=order.batch, webhook=order.webhook)


async def _read_inputs(
    form: AsyncIterator[Part], *, staging: Staging, settings: Settings
) -> list[JobInput]:
    inputs: list[JobInput] = []
    names = InputNames(most=settings.inputs_most)
    most_mb = settings.input_most_mb
    left = most_mb * MIB
    async for part in form:
        names.take(part.filename)
        inputs.append(await _read_input(part, staging=staging, most_bytes=left, most_mb=most_mb))
        left -= inputs[-1].size_bytes
    return inputs


async def _first_field(form: AsyncIterator[Part]) -> str:
    first = await anext(form, None)
    if first is None or first.field != "job" or first.filename:
        raise Malformed(
            "The first field of the form is not `job`",
            where="form",
            mend='send the field job={"package": …} before the inputs',
        )
    return await first.text()


async def _read_input(part: Part, *, staging: Staging, most_bytes: int, most_mb: int) -> JobInput:
    if part.field != "input":
        raise Malformed(
            f"The form has an unknown field {part.field!r}",
            where=part.field,
            mend="files go into fields named `input`",
        )
    try:
        blob = await staging.put_stream(part.chunks, most_bytes=most_bytes)
    except TooLarge as error:
        raise TooLarge(
            f"The inputs are larger than {most_mb} MiB together",
            where=part.filename,
            mend="send less, or raise the setting `input_most_mb`",
        ) from error
    return JobInput(
        name=part.filename,
        size_bytes=blob.size_bytes,
        sha256=blob.sha256,
        media_type=_media_type(part),
    )


def _media_type(part: Part) -> str:
    if part.media_type != "application/octet-stream":
        return part.media_type
    return media_type_of(part.filename)


def _read_order(text: str, *, among: tuple[str, ...]) -> JobOrder:
    """Return the order in `text`; raise NotFound for a package that who asks is not bound to."""
    order = _parsed_order(text)
    if not is_bound_to(among, order.package):
        raise no_package(order.package)
    return order


def _parsed_order(text: str) -> JobOrder:
    try:
        return ORDER.validate_json(text)
    except ValidationError as error:
        problems = [
            Problem(
                code="invalid-value",
                what=fault["msg"],
                where="job: /" + "/".join(map(str, fault["loc"])),
                mend='a job is {"package": NAME, "version": …, "parameters": {…}}',
            )
            for fault in error.errors(include_url=False)
        ]
        raise InputRefused("The job cannot be accepted as it is", problems=problems) from error


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
    *,
    submissions: SubmissionsOf,
    notifier: NotifierOf,
    store: StoreOf,
    log: EventsOf,
    wait_s: WaitOf,
) -> JobDetail:
    """Queue a new attempt of a job that has ended; 409 while it has not.

    With `Prefer: wait=SECONDS` the answer waits for its end, and is 200 if it came.
    """
    with notifier.listen(ended(job_id)) as news:
        job = await submissions.retry(job_id)
        response.headers["Location"] = f"/v1/jobs/{job.id}"  # what was sent fits no field, maybe
        if not wait_s:
            return await _detail(store, job_id=job_id)
        return await _waited(log, job_id, news=news, wait_s=wait_s, response=response)


async def _waited(
    log: EventLog, job_id: str, *, news: asyncio.Event, wait_s: int, response: Response
) -> JobDetail:
    """Return the job once it has ended, or as it is after `wait_s` seconds."""
    job, attempts = await job_once_ended(log, job_id=job_id, news=news, at_most_s=wait_s)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    if job.state.is_final:
        response.status_code = 200
    return job_detail(job, attempts=attempts)
