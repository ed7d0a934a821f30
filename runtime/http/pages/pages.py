"""The pages: jobs, one job, packages, wheelhouse, and the reference of the API.

They read the store and render; what they change, they change by the same stories as the API.
"""

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy import Connection

from frozen.values import frozen
from runtime.artifact.artifacts import Artifacts
from runtime.artifact.narrative import narrated
from runtime.faults.errors import NotFound
from runtime.http.context import (
    ArtifactsOf,
    AttemptNumber,
    ClockOf,
    CursorOf,
    PrincipalOf,
    QuestionsOf,
    SettingsOf,
    SightOf,
    StoreOf,
    SubmissionsOf,
)
from runtime.http.entrance.operations import page_operations
from runtime.http.filters import FilterOf
from runtime.http.pages.job_story import story_of
from runtime.http.pages.rendering import render
from runtime.store.databases.store import Store
from runtime.store.jobs import admission, job_counts, job_lists
from runtime.store.jobs import events as event_store
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs import questions as question_store
from runtime.store.lists import filtered
from runtime.store.packages import activations, packages
from runtime.store.statements.cursor import encode_cursor
from runtime.store.when import pauses
from runtime.store.when.wait_facts import facts_of
from runtime.values.access import Sight
from runtime.values.around.questions import Asked
from runtime.values.records import Attempt, Event, Job, StoredOutput
from runtime.values.records import Page as PageOf
from runtime.values.states import State
from runtime.values.when.schedules import is_told
from runtime.values.when.waits import Wait, waits_for
from sandbox.command import Json

HERE = Path(__file__).parent
STATIC = HERE / "static"
ROWS = 50
LOG_EVENTS_MOST = 5000
OUTPUTS_MOST = 1000
"""What a page shows; the API has the rest."""
router = page_operations()


@router.get("/")
async def show_jobs(
    request: Request,
    store: StoreOf,
    settings: SettingsOf,
    cursor: CursorOf,
    sight: SightOf,
    *,
    wanted: FilterOf,
) -> HTMLResponse:
    """Show the jobs, the last submitted first."""
    page = await store.read(filtered.page, limit=ROWS, cursor=cursor, wanted=wanted, sight=sight)
    known = await store.read(packages.list_packages, limit=200, cursor=None, among=sight.packages)
    counts = await store.read(job_counts.by_state, sight=sight)
    return await render(
        request,
        "jobs.html",
        jobs=page.items,
        next_cursor=encode_cursor(page.next_cursor),
        wanted=wanted,
        further=further_query(request),
        packages=[one.name for one in known.items],
        counts=counts,
        depth=await store.read(admission.depth) if sight.is_whole else counts[State.QUEUED],
        limit=settings.queue_limit,
        slots=settings.slots,
        states=list(State),
        paused=[
            one for one in await store.read(pauses.list_pauses) if is_told(one.subject, sight=sight)
        ],
    )


def further_query(request: Request) -> str:
    """Return the conditions of this list as a query, without state and place, for its links."""
    kept = [one for one in request.query_params.multi_items() if one[0] not in {"state", "cursor"}]
    return urlencode([one for one in kept if one[1]])


@router.get("/jobs/{job_id}")
async def show_job(
    job_id: str,
    request: Request,
    *,
    store: StoreOf,
    artifacts: ArtifactsOf,
    clock: ClockOf,
    sight: SightOf,
    settings: SettingsOf,
    attempt: AttemptNumber = None,
) -> HTMLResponse:
    """Show one job: what it waits for, what happened, what came of it, behind which walls."""
    since = clock() - timedelta(seconds=settings.worker_lost_after_s)
    seen = await store.read(
        _see, job_id=job_id, attempt=attempt, sight=sight, at=clock(), alive_since=since
    )
    artifact = await _shown(store, artifacts=artifacts, attempt=seen.attempts[seen.number - 1])
    story = await asyncio.to_thread(
        story_of,
        seen.job,
        attempts=seen.attempts,
        number=seen.number,
        events=seen.events,
        outputs=seen.outputs.items,
        more_outputs=seen.outputs_counted - len(seen.outputs.items),
        artifact=artifact,
        now=clock(),
    )
    return await render(
        request,
        "job.html",
        job=seen.job,
        story=story,
        question=seen.question,
        waits=seen.waits,
    )


@frozen
class _Seen:
    """A job as a page shows it, all of one moment.

    A page goes on after the last event that it shows: where its state was read before that event,
    it said `running` of a job that had ended, and for ever.
    """

    job: Job
    attempts: tuple[Attempt, ...]
    number: int
    events: tuple[Event, ...]
    outputs: PageOf[StoredOutput]
    outputs_counted: int
    question: Asked | None
    waits: tuple[Wait, ...]


def _see(
    connection: Connection,
    *,
    job_id: str,
    attempt: int | None,
    sight: Sight,
    at: datetime,
    alive_since: datetime,
) -> _Seen:
    job, attempts = job_store.with_attempts(connection, job_id=job_id)
    number = attempt or job.attempt
    if number > len(attempts):
        raise NotFound(f"Job {job.id} has no attempt {number}", where=f"attempt {number}")
    return _Seen(
        job=job,
        attempts=attempts,
        number=number,
        events=event_store.read(connection, job_id=job_id, limit=LOG_EVENTS_MOST),
        outputs=job_lists.list_outputs(
            connection, job_id=job_id, attempt=number, limit=OUTPUTS_MOST
        ),
        outputs_counted=job_lists.count_outputs(connection, job_id=job_id, attempt=number),
        question=question_store.open_question(connection, job_id=job_id)
        if job.state is State.WAITING
        else None,
        waits=waits_for(
            facts_of(connection, job_id=job_id, at=at, alive_since=alive_since, sight=sight)
        )
        if not job.state.is_final
        else (),
    )


async def _shown(store: Store, *, artifacts: Artifacts, attempt: Attempt) -> dict[str, Any] | None:
    """Return what the page shows of an artifact; None where there is nothing of it yet."""
    job_id, number = attempt.job_id, attempt.number
    try:
        if attempt.artifact_digest:
            digest = attempt.artifact_digest
            return await artifacts.shown(job_id, attempt=number, digest=digest)
        artifact = await store.read(narrated, job_id=job_id, attempt=number)
    except NotFound:
        return None
    return artifact.model_dump(mode="json", by_alias=True)


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, submissions: SubmissionsOf) -> Response:
    """Cancel a job, then show it."""
    await submissions.cancel(job_id)
    return RedirectResponse(f"/jobs/{job_id}", status_code=303)


@router.post("/jobs/{job_id}/response")
async def answer_job(
    job_id: str, request: Request, *, questions: QuestionsOf, principal: PrincipalOf
) -> Response:
    """Answer what a job asks, then show it. What is no JSON is taken as text."""
    form = await request.form()
    key, text = str(form.get("key", "")), str(form.get("answer", ""))
    await questions.answer(job_id, key=key, value=_value(text), who=principal.name)
    return RedirectResponse(f"/jobs/{job_id}", status_code=303)


def _value(text: str) -> Json:
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


@router.post("/jobs/{job_id}/retry")
async def retry_job(job_id: str, submissions: SubmissionsOf) -> Response:
    """Try a job again, then show it."""
    await submissions.retry(job_id)
    return RedirectResponse(f"/jobs/{job_id}", status_code=303)


@router.get("/packages")
async def show_packages(request: Request, store: StoreOf, principal: PrincipalOf) -> HTMLResponse:
    """Show the packages with their versions and last activations."""
    known = await store.read(
        packages.list_packages, limit=200, cursor=None, among=principal.packages
    )
    rows = [
        {
            "package": one,
            "versions": await store.read(packages.list_versions, package=one.name),
            "activations": await store.read(activations.list_for, package=one.name, limit=5),
        }
        for one in known.items
    ]
    return await render(request, "packages.html", rows=rows)


@router.get("/docs")
async def show_reference(request: Request) -> HTMLResponse:
    """Show the reference of the API, rendered here: nothing is loaded from elsewhere."""
    api = await asyncio.to_thread(request.app.openapi)
    return await render(request, "reference.html", api=api)


@router.get("/openapi.json")
async def describe(request: Request) -> Response:
    """Return the description of the API, made beside the event loop: it takes a while."""
    return JSONResponse(await asyncio.to_thread(request.app.openapi))
