"""Builds an artifact, phase by phase. Pure: each step returns a new one.

To have pydantic validate what is ours costs less than its `model_construct` (8 us and 38 for one).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from packages.runs.missing_modules import mend_of
from runtime.artifact import model
from runtime.artifact.model import Artifact
from runtime.values.around.questions import unaskable
from runtime.values.bounds import kept_notes, shortened
from runtime.values.clock import milliseconds_between
from runtime.values.records import (
    Claim,
    JobError,
    RequestContext,
    RequestSnapshot,
    StoredOutput,
    Worker,
)
from runtime.values.states import State
from sandbox.command import Ending, HostLibrary, Json, Layer, Outcome, Question, Usage
from sandbox.limits import Limits

REQUEST: TypeAdapter[RequestContext] = TypeAdapter(RequestSnapshot)


def begin(claim: Claim, *, worker: Worker) -> Artifact:
    """Return the artifact of an attempt that was just claimed."""
    job = claim.job
    prepared = claim.activation.prepared
    return Artifact(
        job=job.id,
        attempt=job.attempt,
        state=job.state,
        attempts=tuple(
            model.AttemptEntry(
                number=attempt.number,
                state=attempt.state,
                worker=attempt.worker,
                queued_at=attempt.queued_at,
                started_at=attempt.started_at,
                finished_at=attempt.finished_at,
            )
            for attempt in claim.attempts
        ),
        package=model.PackageEntry(name=job.package, version=job.version, digest=job.digest),
        lock_digest=prepared.lock_digest if prepared else "",
        data=(prepared.data_folder or "") if prepared else "",
        grant=_json_object(prepared.grant) if prepared else {},
        inputs=tuple(model.InputEntry.model_validate(asdict(item)) for item in job.inputs),
        parameters=_json_object(job.parameters),
        request=REQUEST.dump_python(job.request, mode="json"),
        worker=model.WorkerEntry(id=worker.id, host=worker.host, version=worker.version),
        submitted_at=job.submitted_at,
        started_at=job.started_at or job.queued_at,
    )  # pyright: ignore[reportCallIssue] - `schema` has a default behind its alias


def with_environment(
    artifact: Artifact,
    *,
    environment: model.EnvironmentEntry,
    install: model.InstallEntry,
    callables: Sequence[model.CallableEntry] = (),
) -> Artifact:
    """Add what the code saw, how that came to be there, and which functions will run."""
    return artifact.model_copy(
        update={"environment": environment, "install": install, "callables": tuple(callables)}
    )


def with_run(artifact: Artifact, *, outcome: Outcome, limits: Limits) -> Artifact:
    """Add the run of the entry point: its walls, limits, usage, result and notes."""
    return artifact.model_copy(
        update={
            "isolation": _isolation(outcome),
            "limits": dict(_limits(limits)),
            "usage": _usage(outcome.usage),
            "traffic": _traffic(outcome),
            "dropped_log_bytes": outcome.dropped_log_bytes,
            "refused": outcome.refused,
            "refusals": tuple(
                model.RefusalEntry(path=refusal.path, why=refusal.why)
                for refusal in outcome.refusals
            ),
            "result": _json(outcome.value),
            **_noted(artifact, outcome),
        }
    )


def with_outputs(
    artifact: Artifact, *, outputs: Sequence[StoredOutput], is_partial: bool = False
) -> Artifact:
    """Add the outputs that were kept; `is_partial` when the run did not come to its end."""
    kept = tuple(
        model.OutputEntry(
            path=output.path,
            size_bytes=output.size_bytes,
            sha256=output.sha256,
            media_type=output.media_type,
        )
        for output in outputs
    )
    return artifact.model_copy(update={"outputs": kept, "is_partial": is_partial})


def with_hook(artifact: Artifact, *, name: str, outcome: Outcome) -> Artifact:
    """Add how a hook ended, and what it noted."""
    error = error_of(outcome)
    hook = model.HookEntry(
        name=name,
        state="succeeded" if outcome.is_ok else "failed",
        exit=outcome.exit_code,
        duration_ms=outcome.usage.wall_ms,
        error=error,
        traffic=_traffic(outcome),
    )
    told = {"hooks": (*artifact.hooks, hook), **_noted(artifact, outcome)}
    return artifact.model_copy(update=told)


def with_phase(
    artifact: Artifact, *, phase: str, started_at: datetime, ended_at: datetime
) -> Artifact:
    """Add one phase to the timeline."""
    entry = model.PhaseEntry(
        phase=phase,
        started_at=started_at,
        ended_at=ended_at,
        duration_ms=milliseconds_between(started_at, ended_at),
    )
    return artifact.model_copy(update={"timeline": (*artifact.timeline, entry)})


def with_ending(
    artifact: Artifact, *, state: State, error: JobError | None, at: datetime
) -> Artifact:
    """Add how the attempt ended; the entry of this attempt says the same."""
    attempts = tuple(
        attempt.model_copy(update={"state": state, "finished_at": at})
        if attempt.number == artifact.attempt
        else attempt
        for attempt in artifact.attempts
    )
    return artifact.model_copy(
        update={
            "state": state,
            "attempts": attempts,
            "error": error,
            "finished_at": at,
        }
    )


def state_of(outcome: Outcome) -> State:
    """Return the state of a job whose entry point came to `outcome`."""
    match outcome.ending:
        case Ending.RETURNED:
            return State.SUCCEEDED
        case Ending.CANCELLED:
            return State.CANCELLED
        case _:
            return State.FAILED


def ending_with_hook(
    state: State, error: JobError | None, *, hook: Outcome, is_required: bool
) -> tuple[State, JobError | None]:
    """Return how a job ends that ended so before its hook, which came to `hook`."""
    if hook.ending is Ending.CANCELLED:
        return State.CANCELLED, None
    hook_error = error_of(hook)
    if state is State.SUCCEEDED and is_required and hook_error is not None:
        return State.FAILED, hook_error
    return state, error


def error_of(outcome: Outcome) -> JobError | None:
    """Return the package's failure that `outcome` tells of, None when there is none."""
    if outcome.is_ok or outcome.ending is Ending.CANCELLED:
        return None
    failure = outcome.failure
    if outcome.question is not None:
        return unaskable(outcome.question) or _in_a_hook(outcome.question)
    if failure is None:
        what = f"the run ended: {outcome.ending}"
        return JobError(code=outcome.ending, what=what, mend="see the log", kind="package")
    return JobError(
        code=failure.code,
        what=failure.what,
        mend=mend_of(failure.missing_module, otherwise=failure.mend),
        kind="package",
        traceback=failure.traceback,
        limit=failure.limit,
    )


def _in_a_hook(question: Question) -> JobError:
    return JobError(
        code="question-unanswered",
        what=shortened(f"a hook asked for {question.key!r}: {question.prompt}"),
        mend="ask in the entry point: a hook runs when the job has its result",
        kind="package",
    )


def _isolation(outcome: Outcome) -> model.IsolationEntry:
    isolation = outcome.isolation
    return model.IsolationEntry(
        level=isolation.level,
        layers=_layers(isolation.layers),
        start=isolation.start,
        start_reason=isolation.start_reason,
        host_libraries=_libraries(isolation.host_libraries),
        host_libraries_dropped=isolation.host_libraries_dropped,
    )


@lru_cache(maxsize=64)
def _limits(limits: Limits) -> Mapping[str, float]:
    """Return them by name; all runs of a version have the same."""
    return asdict(limits)


@lru_cache(maxsize=64)
def _layers(found: tuple[Layer, ...]) -> tuple[model.LayerEntry, ...]:
    """Return them as entries; most runs have the same."""
    return tuple(model.LayerEntry.model_validate(asdict(one)) for one in found)


@lru_cache(maxsize=64)
def _libraries(found: tuple[HostLibrary, ...]) -> tuple[model.HostLibraryEntry, ...]:
    """Return them as entries; all runs of a warm cell have the same."""
    return tuple(model.HostLibraryEntry.model_validate(asdict(one)) for one in found)


def _usage(usage: Usage) -> model.UsageEntry:
    return model.UsageEntry(
        wall_ms=usage.wall_ms, cpu_ms=usage.cpu_ms, peak_rss_bytes=usage.peak_rss_bytes
    )


def _traffic(outcome: Outcome) -> model.TrafficEntry | None:
    return model.TrafficEntry.model_validate(asdict(outcome.traffic)) if outcome.traffic else None


def _noted(artifact: Artifact, outcome: Outcome) -> dict[str, Any]:
    """Return the notes with those of `outcome`, as many as are kept, and how many are not."""
    notes = artifact.notes + _notes(outcome)
    kept = kept_notes(notes)
    return {"notes": kept, "notes_dropped": artifact.notes_dropped + len(notes) - len(kept)}


def _notes(outcome: Outcome) -> tuple[Any, ...]:
    """Return what a function noted by returning {"notes": …}: one note, or a list of them."""
    value = outcome.value
    if not isinstance(value, dict) or "notes" not in value:
        return ()
    notes = value["notes"]
    return tuple(notes) if isinstance(notes, list) else (notes,)


def _json(value: Json) -> Any:
    return value


def _json_object(value: Mapping[str, Json]) -> dict[str, Any]:
    return dict(value)
