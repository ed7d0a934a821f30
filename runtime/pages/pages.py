"""The pages: jobs, one job, packages, wheelhouse, and the reference of the API.

They read the store and render; what they change, they change by the same stories as the API.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runtime import submission
from runtime.api.context import AttemptNumber, CursorOf, PartsOf
from runtime.errors import NotFound
from runtime.gate import close_if_over
from runtime.jobs import State
from runtime.pages import formats
from runtime.pages.job_story import JobStory, tell
from runtime.parts import Parts
from runtime.records import Event, Job
from runtime.store import activations, admission, job_lists, packages
from runtime.store import events as event_store
from runtime.store import jobs as job_store
from runtime.store.cursor import encode_cursor

HERE = Path(__file__).parent
STATIC = HERE / "static"
ROWS = 50
LOG_EVENTS_MOST = 5000
OUTPUTS_MOST = 1000
"""What a page shows; the API has the rest."""
router = APIRouter()


def make_templates() -> Environment:
    """Return the templates: escaped always, and failing on a name they do not know."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(formats.FILTERS)
    return templates


async def _page(request: Request, parts: Parts, template: str, **values: Any) -> HTMLResponse:
    """Render a page; every page shows the gate in its header."""
    gate = await parts.store.run(close_if_over, at=parts.clock())
    templates: Environment = request.app.state.templates
    everywhere = {
        "gate": gate,
        "version": request.app.version,
        "path": request.url.path,
        "now": parts.clock(),
    }
    return HTMLResponse(
        await asyncio.to_thread(_rendered, templates, template, everywhere | values)
    )


def _rendered(templates: Environment, template: str, values: Mapping[str, Any]) -> str:
    """Return a page. Its template is compiled at its first time (76 ms, measured)."""
    return templates.get_template(template).render(values)


@router.get("/")
async def show_jobs(
    request: Request,
    parts: PartsOf,
    cursor: CursorOf,
    state: Annotated[State | None, Query()] = None,
    package: Annotated[str, Query()] = "",
) -> HTMLResponse:
    """Show the jobs, the last submitted first."""
    page = await parts.store.run(
        job_lists.list_jobs, limit=ROWS, cursor=cursor, state=state, package=package or None
    )
    known = await parts.store.run(packages.list_packages, limit=200, cursor=None)
    return await _page(
        request,
        parts,
        "jobs.html",
        jobs=page.items,
        next_cursor=encode_cursor(page.next_cursor),
        state=state,
        package=package,
        packages=[one.name for one in known.items],
        counts=await parts.store.run(job_lists.count_by_state),
        depth=await parts.store.run(admission.depth),
        limit=parts.settings.queue_limit,
        slots=parts.settings.slots,
        states=list(State),
    )


@router.get("/jobs/{job_id}")
async def show_job(
    job_id: str,
    request: Request,
    parts: PartsOf,
    attempt: AttemptNumber = None,
) -> HTMLResponse:
    """Show one job: what happened, what came of it, behind which walls."""
    job = await parts.store.run(job_store.get, job_id=job_id)
    story = await _tell(parts, job=job, number=attempt or job.attempt)
    return await _page(request, parts, "job.html", job=job, story=story)


async def _tell(parts: Parts, *, job: Job, number: int) -> JobStory:
    attempts = await parts.store.run(job_store.list_attempts, job_id=job.id)
    if number > len(attempts):
        raise NotFound(f"Job {job.id} has no attempt {number}", where=f"attempt {number}")
    try:
        artifact = await asyncio.to_thread(parts.artifacts.shown, job.id, attempt=number)
    except NotFound:
        artifact = None
    outputs = await parts.store.run(
        job_lists.list_outputs, job_id=job.id, attempt=number, limit=OUTPUTS_MOST
    )
    counted = await parts.store.run(job_lists.count_outputs, job_id=job.id, attempt=number)
    return await asyncio.to_thread(
        tell,
        job,
        attempts=attempts,
        number=number,
        events=await _events(parts, job_id=job.id),
        outputs=outputs.items,
        more_outputs=counted - len(outputs.items),
        artifact=artifact,
        now=parts.clock(),
    )


async def _events(parts: Parts, *, job_id: str) -> tuple[Event, ...]:
    return await parts.store.run(event_store.read, job_id=job_id, limit=LOG_EVENTS_MOST)


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, parts: PartsOf) -> Response:
    """Cancel a job, then show it."""
    await submission.cancel(parts, job_id=job_id)
    return RedirectResponse(f"/jobs/{job_id}", status_code=303)


@router.post("/jobs/{job_id}/retry")
async def retry_job(job_id: str, parts: PartsOf) -> Response:
    """Try a job again, then show it."""
    await submission.retry(parts, job_id=job_id)
    return RedirectResponse(f"/jobs/{job_id}", status_code=303)


@router.get("/packages")
async def show_packages(request: Request, parts: PartsOf) -> HTMLResponse:
    """Show the packages with their versions and last activations."""
    known = await parts.store.run(packages.list_packages, limit=200, cursor=None)
    rows = [
        {
            "package": one,
            "versions": await parts.store.run(packages.list_versions, package=one.name),
            "activations": await parts.store.run(activations.list_for, package=one.name, limit=5),
        }
        for one in known.items
    ]
    return await _page(request, parts, "packages.html", rows=rows)


@router.get("/docs")
async def show_reference(request: Request, parts: PartsOf) -> HTMLResponse:
    """Show the reference of the API, rendered here: nothing is loaded from elsewhere."""
    api = await asyncio.to_thread(request.app.openapi)
    return await _page(request, parts, "reference.html", api=api)


@router.get("/openapi.json")
async def describe(request: Request) -> Response:
    """Return the description of the API, made beside the event loop: it takes a while."""
    return JSONResponse(await asyncio.to_thread(request.app.openapi))
