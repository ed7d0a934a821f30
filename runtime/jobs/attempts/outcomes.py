"""What is told of the outcome of a run: in the event of its end, and to the hook after it. Pure."""

from runtime.artifact.model import Artifact
from runtime.values.records import JobError
from runtime.values.states import State
from sandbox.command import Json, Outcome


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
