"""/v1/jobs/…: what came of a job: the artifact and the outputs of its attempts."""

from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import FileResponse
from sqlalchemy import Connection

from runtime.artifact.model import Artifact, to_bytes
from runtime.artifact.narrative import narrated
from runtime.blobs.blob import Blobs
from runtime.faults.errors import NotFound, OutputGone
from runtime.http.api.models.views import OutputView, PageOf, page_view
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
from runtime.http.entrance.operations import operations
from runtime.store.databases.store import Store
from runtime.store.jobs import job_lists
from runtime.store.jobs import jobs as job_store
from runtime.store.retention.sweeps import former
from runtime.values.records import Job, StoredOutput

router = operations(prefix="/v1/jobs", tags=["jobs"])


@router.get("/{job_id}/artifact", response_class=Response)
async def get_artifact(
    job_id: str,
    store: StoreOf,
    artifacts: ArtifactsOf,
    attempt: AttemptNumber = None,
) -> Response:
    """Return the artifact of an attempt: the record of what ran, behind which walls.

    Of an attempt that has not ended, or that was lost, as far as it is known. It is there still
    when the job itself has gone after its time.
    """
    number, artifact, digest = await store.read(_unsaved, job_id=job_id, attempt=attempt)
    headers = as_file(f"artifact-{job_id}.json")
    if artifact is not None:
        return Response(to_bytes(artifact), media_type="application/json", headers=headers)
    found = await artifacts.load(job_id, attempt=number, digest=digest)
    if isinstance(found, bytes):
        return Response(found, media_type="application/json", headers=headers)
    return FileResponse(found, media_type="application/json", headers=headers)  # in pieces


def _unsaved(
    connection: Connection, *, job_id: str, attempt: int | None
) -> tuple[int, Artifact | None, str]:
    """Return which attempt is meant, and its artifact if it has to be rendered, else its digest.

    All of one moment: of an attempt that ends in between, the narrative would say that it
    succeeded, and know nothing of its outputs.
    """
    try:
        job, attempts = job_store.with_attempts(connection, job_id=job_id)
    except NotFound:
        return attempt or former(connection, job_id=job_id).attempt, None, ""
    number = _number(job, attempt)
    saved = next((one.artifact_digest for one in attempts if one.number == number), None)
    if saved:
        return number, None, saved
    return number, narrated(connection, job_id=job_id, attempt=number), ""


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
        request, job_id, number=number, path=path, store=store, blobs=blobs, is_immutable=True
    )


async def _output(
    request: Request,
    job_id: str,
    *,
    number: int,
    path: str,
    store: Store,
    blobs: Blobs,
    is_immutable: bool = False,
) -> Response:
    output = await store.read(_output_of, job_id=job_id, number=number, path=path)
    return await download(request, output=output, blobs=blobs, is_immutable=is_immutable)


def _output_of(connection: Connection, *, job_id: str, number: int, path: str) -> StoredOutput:
    """Return an output; raise OutputGone where the job's have gone after their time."""
    job = job_store.get(connection, job_id=job_id)
    if job.outputs_gone_at is not None:
        raise OutputGone(
            f"The outputs of job {job_id} were kept for their time, and went",
            where=path,
            mend=f"`fumehood job artifact {job_id}` has their digests; a retry makes them anew",
        )
    return job_lists.get_output(connection, job_id=job_id, attempt=number, path=path)


def _number(job: Job, attempt: int | None) -> int:
    """Return which attempt is meant, the last where none was named. Raises NotFound."""
    if attempt is not None and attempt > job.attempt:
        raise NotFound(
            f"Job {job.id} has no attempt {attempt}",
            where=f"attempt {attempt}",
            mend=f"its attempts are 1 to {job.attempt}",
        )
    return attempt or job.attempt
