"""What the API shows of the runtime's values, as models for OpenAPI and as plain JSON."""

from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from runtime.store.statements.cursor import encode_cursor
from runtime.store.statements.rows import ACTIVATION, plain
from runtime.values.records import (
    Activation,
    ActivationState,
    Attempt,
    Gate,
    Job,
    JobError,
    Package,
    PackageVersion,
    Page,
)
from runtime.values.states import State
from runtime.values.times import Time


class View(BaseModel):
    """A view: made from a value's attributes, with nothing more.

    What checks and writes it is built at its first use: at the start that were 60 of them at once.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)


class ProblemView(View):
    """One fault: a stable code, what is wrong, where, and the mend."""

    code: str
    what: str
    where: str
    mend: str


class ProblemDocument(View):
    """application/problem+json (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    problems: tuple[ProblemView, ...]
    request_id: str = ""


class InputView(View):
    """An input of a job."""

    name: str
    size_bytes: int
    sha256: str
    media_type: str


class OutputView(View):
    """An output of an attempt."""

    path: str
    size_bytes: int
    sha256: str
    media_type: str


class RetryView(View):
    """How often a job is run at most whose package fails, and for which failures."""

    attempts: int
    backoff_s: float
    on: tuple[str, ...]


class JobView(View):
    """A job."""

    id: str
    package: str
    version: str
    digest: str
    state: State
    attempt: int
    parameters: dict[str, JsonValue]
    inputs: tuple[InputView, ...]
    progress: dict[str, JsonValue] | None
    error: JobError | None
    worker: str | None
    submitted_at: Time
    queued_at: Time
    started_at: Time | None
    finished_at: Time | None
    cancel_requested_at: Time | None
    # around the job
    labels: dict[str, str]
    batch: str | None
    webhook: str | None
    inputs_gone_at: Time | None
    outputs_gone_at: Time | None
    events_gone_at: Time | None
    due_at: Time | None = None
    expires_at: Time | None = None
    priority: int = 0
    retry: RetryView | None = None
    schedule_id: str | None = None


class AttemptView(View):
    """One attempt at a job."""

    number: int
    state: State
    worker: str | None
    queued_at: Time
    started_at: Time | None
    finished_at: Time | None
    error: JobError | None
    artifact_digest: str | None
    is_partial: bool


class JobDetail(JobView):
    """A job with its attempts."""

    attempts: tuple[AttemptView, ...] = ()


class PackageView(View):
    """A package and its active version."""

    name: str
    active_version: str | None
    created_at: Time


class VersionView(View):
    """One version of a package."""

    package: str
    version: str
    digest: str
    size_bytes: int
    title: str
    requirements: tuple[str, ...]
    uploaded_at: Time
    uploaded_by: str


class VersionDetail(VersionView):
    """One version, with its manifest and whether it is the active one."""

    manifest: dict[str, JsonValue]
    is_active: bool


class ActivationView(View):
    """One try to make a version active."""

    id: str
    package: str
    version: str
    digest: str
    state: ActivationState
    who: str
    reason: str
    requested_at: Time
    started_at: Time | None
    finished_at: Time | None
    problems: tuple[ProblemView, ...]
    traceback: str
    log: tuple[dict[str, JsonValue], ...]
    prepared: dict[str, Any] | None = None


class GateView(View):
    """The network gate as it is now."""

    is_open: bool
    until: Time | None
    reason: str
    who: str
    packages: tuple[str, ...]
    changed_at: Time


class AuditView(View):
    """One act of an admin; `digest` covers the entry and the digest of the one before."""

    seq: int
    at: Time
    who: str
    action: str
    subject: str
    details: dict[str, JsonValue]
    digest: str


class AdvisoryView(View):
    """A known vulnerability of a version of a distribution."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    severity: str
    name: str
    version: str
    fixed_in: str


class WheelView(View):
    """A wheel in the wheelhouse and how it came there."""

    model_config = ConfigDict(from_attributes=True, frozen=True, extra="allow")

    name: str
    version: str
    filename: str
    sha256: str
    size_bytes: int
    advisories: tuple[AdvisoryView, ...] = ()


class PageOf[T](BaseModel):
    """A part of a list; `next_cursor` is null at the end."""

    items: tuple[T, ...]
    next_cursor: str | None = Field(description="Give it back as `cursor` for what follows.")


def job_detail(job: Job, *, attempts: tuple[Attempt, ...]) -> JobDetail:
    """Return the view of a job with its attempts."""
    shown = tuple(AttemptView.model_validate(attempt) for attempt in attempts)
    return JobDetail.model_validate(job).model_copy(update={"attempts": shown})


def version_detail(version: PackageVersion, *, package: Package) -> VersionDetail:
    """Return the view of a version of `package`."""
    plain = VersionView.model_validate(version).model_dump()
    is_active = package.active_version == version.version
    return VersionDetail(**plain, manifest=dict(version.manifest), is_active=is_active)


def activation_view(activation: Activation) -> ActivationView:
    """Return the view of an activation."""
    return ActivationView.model_validate(plain(activation, ACTIVATION))


def gate_view(gate: Gate) -> GateView:
    """Return the view of the gate."""
    return GateView.model_validate(gate)


def page_view[T, V](
    page: Page[T], *, show: Callable[[T], V], request: Request, response: Response
) -> PageOf[V]:
    """Return the view of a page, and link to the next one (RFC 8288)."""
    cursor = encode_cursor(page.next_cursor)
    if cursor:
        following = request.url.include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{following}>; rel="next"'
    return PageOf(items=tuple(show(item) for item in page.items), next_cursor=cursor)
