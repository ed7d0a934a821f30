"""The values that the store keeps: frozen, and free of any database."""

from collections.abc import Mapping
from dataclasses import field, fields
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, SerializerFunctionWrapHandler, WrapSerializer

from frozen.values import frozen
from runtime.values.job_filter import JobFilter
from runtime.values.retries import RetryPolicy
from runtime.values.states import State
from sandbox.command import Json

type JsonObject = Mapping[str, Json]


@frozen
class Page[T]:
    """A part of a list, newest first, and the cursor of what follows (None at the end)."""

    items: tuple[T, ...]
    next_cursor: str | None


@frozen
class RequestContext:
    """Who asked, and from where: captured once when a job is submitted; holds no secret.

    `version` grows with what is captured; `further`, which only a newer one knows, is handed on.
    """

    principal: str = "anonymous"
    scopes: tuple[str, ...] = ()
    request_id: str = ""
    traceparent: str = ""
    source: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    version: int = 1
    further: Mapping[str, Json] = field(default_factory=dict[str, Json])


CONTEXT_FIELDS = frozenset(one.name for one in fields(RequestContext))


def _gathered(value: Any) -> Any:
    """Put what there is no field for beside the fields."""
    if not isinstance(value, Mapping):
        return value
    found = dict(cast("Mapping[str, Json]", value))
    unknown = {name: found.pop(name) for name in found.keys() - CONTEXT_FIELDS}
    return {**found, "further": unknown}


def _spread(value: RequestContext, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
    """Write what there is no field for as it came, among the fields."""
    plain: dict[str, Any] = handler(value)
    return {**plain.pop("further"), **plain}


type RequestSnapshot = Annotated[
    RequestContext, BeforeValidator(_gathered), WrapSerializer(_spread)
]
"""A request context as it is stored, readable by older and newer workers."""


@frozen
class SentKey:
    """An Idempotency-Key: whose it is, and the digest of the order that it stands for."""

    principal: str
    key: str
    fingerprint: str


@frozen
class JobInput:
    """One input file of a job; its bytes are the blob `sha256`."""

    name: str
    size_bytes: int
    sha256: str
    media_type: str


@frozen
class StoredOutput:
    """One output file of an attempt; its bytes are the blob `sha256`."""

    path: str
    size_bytes: int
    sha256: str
    media_type: str


@frozen
class JobError:
    """Why a job ended badly and what to do; `kind` says whether the package failed or we did.

    The one shape of it: in the store, in the artifact and in what the API shows.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    code: str
    what: str
    mend: str
    kind: Literal["package", "appliance"]
    traceback: str = ""
    limit: str = ""


@frozen
class Pinned:
    """The version that a job runs on, called as in its record."""

    version: str
    digest: str
    activation_id: str
    platform: str
    needs: str = ""


@frozen
class Job:
    """One piece of work for one version of a package, pinned at submission."""

    id: str
    package: str
    version: str
    digest: str
    activation_id: str
    platform: str
    state: State
    attempt: int
    parameters: JsonObject
    inputs: tuple[JobInput, ...]
    request: RequestSnapshot
    submitted_at: datetime
    queued_at: datetime
    due_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    needs: str = ""  # words: what its worker has to offer beside its platform
    cancel_requested_at: datetime | None = None
    progress: JsonObject | None = None
    error: JobError | None = None
    worker: str | None = None
    token: str | None = None
    # around the job
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    batch: str | None = None
    webhook: str | None = None
    told_attempt: int | None = None
    inputs_gone_at: datetime | None = None
    outputs_gone_at: datetime | None = None
    events_gone_at: datetime | None = None
    # which job runs when
    priority: int = 0
    due_why: str = ""
    expires_at: datetime | None = None
    held_by: str | None = None
    retry: RetryPolicy | None = None
    counted_from: int = 1
    slot_key: str | None = None
    slot_most: int | None = None
    rate_key: str | None = None
    rate_between_s: float | None = None
    unique_key: str | None = None
    schedule_id: str | None = None


@frozen
class Attempt:
    """One try at a job. `token` is its fencing token, set when a worker claims it."""

    job_id: str
    number: int
    state: State
    queued_at: datetime
    token: str | None = None
    worker: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: JobError | None = None
    artifact_digest: str | None = None
    is_partial: bool = False


@frozen
class SavedArtifact:
    """The digest of an artifact, and its bytes where it is short; others lie in a file."""

    digest: str
    content: bytes | None = None


@frozen
class Finish:
    """How an attempt ended: all that is published of it, in one transaction."""

    state: State
    outputs: tuple[StoredOutput, ...] = ()
    error: JobError | None = None
    artifact: SavedArtifact | None = None
    is_partial: bool = False


@frozen
class Event:
    """One thing that happened to a job; `seq` counts from 1 over all its attempts."""

    seq: int
    at: datetime
    job: str
    attempt: int
    event: str
    data: JsonObject


class ActivationState(StrEnum):
    """Where an activation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@frozen
class PreparedRecord:
    """What a successful activation made ready, as plain values.

    `lock` is the text that the environment can be built from again, anywhere. `data_folder`
    is the name below the home's data folder of what on_activate left, None for nothing.
    """

    lock_digest: str
    lock: str
    environment_key: str
    interpreter: JsonObject
    inventory: JsonObject
    grant: JsonObject
    install: JsonObject
    data_folder: str | None = None
    hook: JsonObject | None = None
    data_digest: str | None = None
    """The digest of the tar in which other hosts get the data, where there are any."""
    environment_digest: str | None = None
    """The digest of the tar in which other hosts get the environment, where it is carried."""


@frozen
class Activation:
    """One try to make a version the active one of its package."""

    id: str
    package: str
    version: str
    digest: str
    state: ActivationState
    who: str
    reason: str
    requested_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    problems: tuple[Mapping[str, str], ...] = ()
    traceback: str = ""
    log: tuple[JsonObject, ...] = ()
    prepared: PreparedRecord | None = None


@frozen
class Claim:
    """An attempt that is now ours: the job, what its version needs, and every attempt so far.

    `gate` is how the gate stood then, and `waiting` how many jobs still waited.
    """

    job: Job
    activation: Activation
    attempts: tuple[Attempt, ...]
    gate: "Gate"
    waiting: int = 0
    follows_at: datetime | None = None
    """When the next job of the same rate is due, if one waited for this one to start."""


@frozen
class DeadLetter:
    """A job that was given up: for what, in which phase, after how many attempts."""

    job: Job
    code: str
    phase: str
    attempts: int
    at: datetime


@frozen
class PackageVersion:
    """One immutable bundle of a package."""

    package: str
    version: str
    digest: str
    size_bytes: int
    title: str
    manifest: JsonObject
    requirements: tuple[str, ...]
    uploaded_at: datetime
    uploaded_by: str


@frozen
class Package:
    """A name and the version that new jobs of it run."""

    name: str
    created_at: datetime
    active_version: str | None = None
    active_activation_id: str | None = None


@frozen
class Gate:
    """The network gate as an admin left it; `runtime.gate.opening` decides whether it is open."""

    is_open: bool
    until: datetime | None
    reason: str
    who: str
    packages: tuple[str, ...]
    changed_at: datetime


@frozen
class AuditEntry:
    """One act of an admin, chained to the one before it by `digest`."""

    seq: int
    at: datetime
    who: str
    action: str
    subject: str
    details: JsonObject
    digest: str


@frozen
class AuditHead:
    """The entry that was the last of the audit log at `at`, signed by the appliance."""

    number: int
    seq: int
    digest: str
    at: datetime
    key_id: str
    signature: str


@frozen
class Worker:
    """A process that runs attempts, unless it is drained; `seen_at` is its last sign of life."""

    id: str
    host: str
    version: str
    slots: int
    started_at: datetime
    seen_at: datetime
    platform: str = ""
    offers: str = ""  # words: its Pythons, and its labels
    level: str = ""
    serves: str = ""  # which home it serves, if it does
    drained_at: datetime | None = None
    drained_by: str = ""


@frozen
class Preset:
    """A filter of jobs that somebody saved under a name."""

    name: str
    wanted: JobFilter
    at: datetime


@frozen
class Pin:
    """Who keeps a job for ever, and why."""

    job_id: str
    who: str
    reason: str
    at: datetime
