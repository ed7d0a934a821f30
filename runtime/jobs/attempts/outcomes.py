"""What is told of the outcome of a run: in the event of its end, and to the hook after it. Pure."""

from collections.abc import Iterator

from frozen.values import changed, frozen
from runtime.artifact.model import Artifact
from runtime.values.records import Attempt, Finish, Job, JobError
from runtime.values.states import State
from sandbox.command import Json, Outcome


@frozen
class Ended:
    """The end of an attempt: its job as it is now, and what whoever waited for it would read."""

    job: Job
    attempts: tuple[Attempt, ...] = ()
    """Empty where the job has not ended, or only the store knows all of them."""


def ended_of(claimed: Attempt, *, job: Job, finish: Finish) -> Ended:
    """Return what an attempt came to; with all attempts where the first one was the last."""
    if not job.state.is_final or job.attempt > 1:
        return Ended(job=job)
    attempt = changed(
        claimed,
        state=job.state,
        finished_at=job.finished_at,
        error=job.error,
        artifact_digest=finish.artifact.digest if finish.artifact else None,
        is_partial=finish.is_partial,
    )
    return Ended(job=job, attempts=(attempt,))


def told_of(outcome: Outcome) -> dict[str, Json]:
    """Return what the end of the run tells in its event."""
    isolation, usage = outcome.isolation, outcome.usage
    return {
        "start": isolation.start,
        "start_reason": isolation.start_reason,
        "level": isolation.level.value,
        "ending": outcome.ending.value,
        "wall_ms": usage.wall_ms,
        "cpu_ms": usage.cpu_ms,
        "peak_rss_bytes": usage.peak_rss_bytes,
    }


def not_kept(outcome: Outcome) -> Iterator[str]:
    """Yield what is said of outputs that were not kept."""
    for refusal in outcome.refusals:
        yield f"the output {refusal.path!r} was not kept: {refusal.why}"
    if outcome.refused > len(outcome.refusals):
        yield f"{outcome.refused - len(outcome.refusals)} more outputs were not kept"


def left_by_hook(hook: Outcome) -> Iterator[str]:
    """Yield what is said of what a hook after the job leaves: it is not the job's."""
    if hook.outputs:
        more = f" and {len(hook.outputs) - 1} more files" if hook.outputs[1:] else ""
        yield (
            f"on_after_extract left {hook.outputs[0].path}{more} in output_dir, where only what "
            "extract leaves is kept"
        )


def hook_outcome(
    outcome: Outcome, *, state: State, error: JobError | None, artifact: Artifact
) -> dict[str, Json]:
    """Return what the hook after a job is told of it."""
    return {
        "state": state.value,
        "error": {"code": error.code, "what": error.what} if error else None,
        "wall_ms": outcome.usage.wall_ms,
        "cpu_ms": outcome.usage.cpu_ms,
        "outputs": [{"path": one.path, "size_bytes": one.size_bytes} for one in artifact.outputs],
        "value": outcome.value,
    }
