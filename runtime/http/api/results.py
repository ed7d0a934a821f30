"""/v1/jobs/…: what came of a job: the artifact and the outputs of its attempts."""

from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from runtime.artifact.model import to_bytes
from runtime.artifact.narrative import narrated
from runtime.blobs.blob import Blobs
from runtime.errors import NotFound
from runtime.http.api.views import OutputView, PageOf, page_view
from runtime.http.context import (
    ArtifactsOf,
    AttemptNumber,
    BlobsOf,
    CursorOf,
    Limit,
    OneAttempt,
    StoreOf,
)
from runtime.http.downloads import as_file, download
from runtime.store.jobs import job_lists
from runtime.store.jobs import jobs as job_store
from runtime.store.store import Store
from runtime.values.records import Job, StoredOutput

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("/{job_id}/artifact", response_class=Response)
async def get_artifact(
    job_id: str,
    store: StoreOf,
    artifacts: ArtifactsOf,
    attempt: AttemptNumber = None,
) -> Response:
    """Return the artifact of an attempt: the record of what ran, behind which walls.

    Of an attempt that has not ended, or that was lost, as far as it is known.
    """
    job, attempts = await store.read(job_store.with_attempts, job_id=job_id)
    number = _number(job, attempt)
    headers = as_file(f"artifact-{job_id}.json")
    if any(one.number == number and one.artifact_digest for one in attempts):
        file = artifacts.existing(job_id, attempt=number)
        return FileResponse(file, media_type="application/json", headers=headers)  # in pieces
    artifact = await store.read(narrated, job_id=job_id, attempt=number)
    return Response(to_bytes(artifact), media_type="application/json", headers=headers)


@router.get("/{job_id}/outputs")
async def list_outputs(
    job_id: str,
    *,
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    attempt: AttemptNumber = None,
) -> PageOf[OutputView]:
    """Return the outputs of an attempt, by path."""
    job = await store.read(job_store.get, job_id=job_id)
    page = await store.read(
        job_lists.list_outputs,
        job_id=job_id,
        attempt=_number(job, attempt),
        limit=limit,
        cursor=cursor,
    )
    return page_view(page, show=OutputView.model_validate, request=request, response=response)


@router.get(
    "/{job_id}/outputs/{path:path}",
    response_class=Response,
    responses={206: {"description": "The part that Range asked for."}},
)
async def get_output(
    job_id: str,
    path: str,
    request: Request,
    *,
    store: StoreOf,
    blobs: BlobsOf,
    attempt: AttemptNumber = None,
) -> Response:
    """Return one output of the last attempt, or of the one asked for.

    With ETag, Range and Repr-Digest, as an attachment. `Content-Location` is its address that
    never has other bytes.
    """
    job = await store.read(job_store.get, job_id=job_id)
    number = _number(job, attempt)
    answer = await _output(request, job_id, number=number, path=path, store=store, blobs=blobs)
    answer.headers["Content-Location"] = (
        f"/v1/jobs/{job_id}/attempts/{number}/outputs/{quote(path)}"
    )
    return answer


@router.get(
    "/{job_id}/attempts/{number}/outputs/{path:path}",
    response_class=Response,
    responses={206: {"description": "The part that Range asked for."}},
)
async def get_output_of_attempt(
    job_id: str,
    number: OneAttempt,
    path: str,
    request: Request,
    *,
    store: StoreOf,
    blobs: BlobsOf,
) -> Response:
    """Return one output of an attempt: the same address always has the same bytes."""
    return await _output(
        request, job_id, number=number, path=path, store=store, blobs=blobs, is_lasting=True
    )


async def _output(
    request: Request,
    job_id: str,
    *,
    number: int,
    path: str,
    store: Store,
    blobs: Blobs,
    is_lasting: bool = False,
) -> Response:
    output: StoredOutput = await store.read(
        job_lists.get_output, job_id=job_id, attempt=number, path=path
    )
    return await download(request, output=output, blobs=blobs, is_lasting=is_lasting)


def _number(job: Job, attempt: int | None) -> int:
    """Return which attempt is meant, the last where none was named. Raises NotFound."""
    if attempt is not None and attempt > job.attempt:
        raise NotFound(
            f"Job {job.id} has no attempt {attempt}",
            where=f"attempt {attempt}",
            mend=f"its attempts are 1 to {job.attempt}",
        )
    return attempt or job.attempt
