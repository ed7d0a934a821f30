"""The artifact: the audit record of one attempt at a job. Frozen models and their schema.

It records locations, decisions, digests and sizes, never the content of an input.
`runtime.artifact.steps` builds it, phase by phase; `runtime.artifact.files` keeps it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from runtime.values.bounds import preview
from runtime.values.records import JobError
from runtime.values.states import State
from runtime.values.times import Time

SCHEMA_VERSION = 1
SCHEMA_ID = "urn:fumehood:artifact:1"


class Entry(BaseModel):
    """An entry of the artifact: frozen, and without unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="null", defer_build=True
    )


class PackageEntry(Entry):
    """Which bundle ran."""

    name: str
    version: str
    digest: str


class CallableEntry(Entry):
    """A function that ran: its role, `module:function`, and the SHA-256 of its source file."""

    role: str
    impl: str
    sha256: str


class InstalledEntry(Entry):
    """One distribution in the environment."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    version: str


class OverlapEntry(Entry):
    """A file that two wheels own with different content, and whose bytes are in the environment."""

    path: str
    kept: str
    left_out: str


class EnvironmentEntry(Entry):
    """The vendor environment that the code saw."""

    key: str
    python: str
    platform: str
    installed: tuple[InstalledEntry, ...] = ()
    overlaps: tuple[OverlapEntry, ...] = ()
    overlapping: int = 0
    """How many such files there are; `overlaps` are the first hundred."""
    sourceless: tuple[str, ...] = ()
    sourceless_modules: int = 0
    """How many modules are bytecode only; `sourceless` are the first hundred."""


class InstallEntry(Entry):
    """How the environment came to be there for this attempt, and what the gate was then."""

    source: str
    duration_ms: float
    reused: bool
    gate: dict[str, JsonValue] = Field(default_factory=dict)


class ConnectionEntry(Entry):
    """One connection that a run with network made, or wanted to make."""

    host: str
    port: int
    state: Literal["carried", "refused", "failed"]
    why: str = ""
    address: str = ""
    in_bytes: int = 0
    out_bytes: int = 0


class TrafficEntry(Entry):
    """What a run with network carried: the first connections, and the totals of all."""

    first: tuple[ConnectionEntry, ...] = ()
    connections: int = 0
    refused: int = 0
    failed: int = 0
    in_bytes: int = 0
    out_bytes: int = 0


class HookEntry(Entry):
    """How a hook of the bundle ended."""

    name: str
    state: Literal["succeeded", "failed", "skipped"]
    exit: int | None = None
    duration_ms: float = 0.0
    error: JobError | None = None
    traffic: TrafficEntry | None = None


class InputEntry(Entry):
    """One input, by digest."""

    name: str
    size_bytes: int
    sha256: str
    media_type: str


class OutputEntry(Entry):
    """One output, by digest."""

    path: str
    size_bytes: int
    sha256: str
    media_type: str


class RefusalEntry(Entry):
    """Something in the output folder that was not collected, and why."""

    path: str
    why: str


class LayerEntry(Entry):
    """One wall, and whether it was really in force."""

    name: str
    in_force: bool
    detail: str = ""


class HostLibraryEntry(Entry):
    """A library of the host that the run had mapped."""

    path: str
    sha256: str


class IsolationEntry(Entry):
    """The walls around the run."""

    level: str
    layers: tuple[LayerEntry, ...]
    start: str
    start_reason: str = ""
    host_libraries: tuple[HostLibraryEntry, ...] = ()
    """Those of the host that the import of a warm run mapped, and a cold run had at its end."""
    host_libraries_dropped: int = 0
    """How many more there were, at least."""


class UsageEntry(Entry):
    """What the run used."""

    wall_ms: float
    cpu_ms: float
    peak_rss_bytes: int


class PhaseEntry(Entry):
    """One phase of the attempt, for the timeline."""

    phase: str
    started_at: Time
    ended_at: Time
    duration_ms: float


class AttemptEntry(Entry):
    """One attempt at the job, this one included."""

    number: int
    state: State
    worker: str | None = None
    queued_at: Time
    started_at: Time | None = None
    finished_at: Time | None = None


class WorkerEntry(Entry):
    """The process that ran the attempt."""

    id: str
    host: str
    version: str


class Artifact(Entry):
    """All that there is to say about one attempt at a job."""

    schema_: int = Field(SCHEMA_VERSION, alias="schema", serialization_alias="schema")
    job: str
    attempt: int
    state: State
    attempts: tuple[AttemptEntry, ...]
    package: PackageEntry
    callables: tuple[CallableEntry, ...] = ()
    lock_digest: str = ""
    environment: EnvironmentEntry | None = None
    install: InstallEntry | None = None
    data: str = ""
    """The folder that on_activate left: bundle and listing of its files, by SHA-256."""
    grant: dict[str, JsonValue] = Field(default_factory=dict)
    hooks: tuple[HookEntry, ...] = ()
    inputs: tuple[InputEntry, ...] = ()
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    outputs: tuple[OutputEntry, ...] = ()
    is_partial: bool = False
    refusals: tuple[RefusalEntry, ...] = ()
    refused: int = 0
    """How many outputs were refused; `refusals` are the first hundred."""
    isolation: IsolationEntry | None = None
    limits: dict[str, float] = Field(default_factory=dict)
    usage: UsageEntry | None = None
    traffic: TrafficEntry | None = None
    dropped_log_bytes: int = 0
    timeline: tuple[PhaseEntry, ...] = ()
    request: dict[str, JsonValue] = Field(default_factory=dict)
    worker: WorkerEntry
    result: JsonValue = None
    notes: tuple[JsonValue, ...] = ()
    notes_dropped: int = 0
    """How many notes there were beside those that were kept."""
    error: JobError | None = None
    submitted_at: Time
    started_at: Time
    finished_at: Time | None = None


def artifact_schema() -> dict[str, Any]:
    """Return the JSON Schema of the artifact."""
    schema = Artifact.model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID} | schema


def to_bytes(artifact: Artifact) -> bytes:
    """Return the artifact as the JSON that is stored: indented, with a last newline."""
    return artifact.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


def from_bytes(content: bytes) -> Artifact:
    """Return the artifact that was stored as `content`."""
    return Artifact.model_validate_json(content)


def shown_of(artifact: Artifact) -> dict[str, Any]:
    """Return what a page shows of a long artifact: its result as far as anybody reads.

    What else can be long (parameters, inputs, outputs) a page has from the store.
    """
    left_out = {"attempts", "inputs", "outputs", "parameters", "request", "result"}
    short = artifact.model_dump(mode="json", by_alias=True, exclude=left_out)
    text = None if artifact.result is None else preview(artifact.result)
    return short | {"result_text": text}
