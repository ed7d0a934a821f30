"""What the appliance answers, as types: plain dictionaries, called as in its description.

Fields may be added to them; what is here stays.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

type State = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
type ActivationState = Literal["queued", "running", "succeeded", "failed"]
type Scope = Literal["author", "client", "viewer", "operator", "admin"]


class PageOf[T](TypedDict):
    """A part of a list; `next_cursor` is None at the end."""

    items: list[T]
    next_cursor: str | None


class ProblemView(TypedDict):
    """One fault: a stable code, what is wrong, where, and the mend."""

    code: str
    what: str
    where: str
    mend: str


class When(TypedDict, total=False):
    """What an order may say of when its job runs, and how often."""

    retry: Mapping[str, Any] | None
    not_before: str | None
    expires_at: str | None
    unique: str
    keep: Literal["first", "newest"]
    priority: int


class JobError(TypedDict):
    """Why a job ended badly; `kind` says whether the package failed or the appliance did."""

    code: str
    what: str
    mend: str
    kind: Literal["package", "appliance"]
    traceback: str
    limit: str


class InputView(TypedDict):
    """An input of a job."""

    name: str
    size_bytes: int
    sha256: str
    media_type: str


class OutputView(TypedDict):
    """An output of an attempt."""

    path: str
    size_bytes: int
    sha256: str
    media_type: str


class RetryView(TypedDict):
    """How often a job is run at most whose package fails, and for which failures."""

    attempts: int
    backoff_s: float
    on: list[str]


class JobView(TypedDict):
    """A job."""

    id: str
    package: str
    version: str
    digest: str
    state: State
    attempt: int
    parameters: dict[str, Any]
    inputs: list[InputView]
    progress: dict[str, Any] | None
    error: JobError | None
    worker: str | None
    submitted_at: str
    queued_at: str
    started_at: str | None
    finished_at: str | None
    cancel_requested_at: str | None
    # around the job
    labels: dict[str, str]
    batch: str | None
    webhook: str | None
    inputs_gone_at: str | None
    outputs_gone_at: str | None
    events_gone_at: str | None
    due_at: str | None
    expires_at: str | None
    priority: int
    retry: RetryView | None
    schedule_id: str | None


class AttemptView(TypedDict):
    """One attempt at a job."""

    number: int
    state: State
    worker: str | None
    queued_at: str
    started_at: str | None
    finished_at: str | None
    error: JobError | None
    artifact_digest: str | None
    is_partial: bool


class JobDetail(JobView):
    """A job with its attempts."""

    attempts: list[AttemptView]


class Event(TypedDict):
    """One thing that happened to a job."""

    seq: int
    at: str
    job: str
    attempt: int
    event: str
    data: dict[str, Any]


class PackageView(TypedDict):
    """A package and its active version."""

    name: str
    active_version: str | None
    created_at: str


class VersionView(TypedDict):
    """One version of a package."""

    package: str
    version: str
    digest: str
    size_bytes: int
    title: str
    requirements: list[str]
    uploaded_at: str
    uploaded_by: str


class VersionDetail(VersionView):
    """One version, with its manifest and whether it is the active one."""

    manifest: dict[str, Any]
    is_active: bool


class ActivationView(TypedDict):
    """One try to make a version active."""

    id: str
    package: str
    version: str
    digest: str
    state: ActivationState
    who: str
    reason: str
    requested_at: str
    started_at: str | None
    finished_at: str | None
    problems: list[ProblemView]
    traceback: str
    log: list[dict[str, Any]]
    prepared: dict[str, Any] | None


class GateView(TypedDict):
    """The network gate as it is now."""

    is_open: bool
    until: str | None
    reason: str
    who: str
    packages: list[str]
    changed_at: str


class AuditView(TypedDict):
    """One entry of the audit log."""

    seq: int
    at: str
    who: str
    action: str
    subject: str
    details: dict[str, Any]
    digest: str


class AdvisoryView(TypedDict):
    """A known vulnerability of a version of a distribution."""

    id: str
    aliases: list[str]
    summary: str
    severity: str
    name: str
    version: str
    fixed_in: str


class WheelView(TypedDict):
    """A wheel in the wheelhouse; the appliance tells more of it."""

    name: str
    version: str
    filename: str
    sha256: str
    size_bytes: int
    advisories: list[AdvisoryView]


class TokenView(TypedDict):
    """A token, without its text."""

    name: str
    note: str
    scopes: list[Scope]
    packages: list[str]
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None
    rotated_at: str | None
    former_until: str | None
    used_at: str | None
    used_from: str
    requests_per_minute: int | None


class NewTokenView(TokenView):
    """A token just made or rotated, with its text: it cannot be shown again."""

    token: str


class SessionView(TypedDict):
    """A browser that is logged in."""

    id: str
    principal: str
    started_at: str
    seen_at: str
    expires_at: str
    source: str
    agent: str


class MeView(TypedDict):
    """Who asks, and what it may do."""

    principal: str
    scopes: list[Scope]
    packages: list[str]
    way: str


class LinkView(TypedDict):
    """The path of a login link, good once and for ten minutes."""

    path: str
