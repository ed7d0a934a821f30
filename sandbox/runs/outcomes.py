"""Turns a verdict into an Outcome that a person can act on. Pure."""

import errno
import signal
from dataclasses import replace

from sandbox.command import Ending, Failure, Isolation, Outcome, Traffic
from sandbox.kernel.process import Exit
from sandbox.limits import Limits, most_inodes
from sandbox.protocol import Done
from sandbox.runs import stacks, walls
from sandbox.runs.outputs import Collected
from sandbox.runs.verdict import Verdict

_LIMIT_NAMES = {
    "wall_s": "the wall-clock limit",
    "cpu_s": "the CPU time limit",
    "memory_mb": "the memory limit",
    "processes": "the limit on processes",
    "open_files": "the limit on open files",
    "output_mb": "the size limit on outputs",
    "output_files": "the limit on the number of outputs",
    "output_inodes": "the limit on files in the output folder",
    "output_depth": "the limit on folders within folders in the output folder",
    "scratch_mb": "the size limit on scratch",
    "scratch_inodes": "the limit on files in scratch",
    "scratch_depth": "the limit on folders within folders in scratch",
    "log_kb": "the limit on what a run may print and report",
    "log_lines": "the limit on lines that a run may print and report",
    "result_kb": "the size limit on the returned value",
}


def outcome(verdict: Verdict, ended: Exit, isolation: Isolation, *, result_kb: int) -> Outcome:
    """Return what happened, before outputs and usage are added."""
    if verdict.kind == "over-limit":
        return over_limit(isolation, verdict.limit, verdict.value, verdict.reached)
    if verdict.kind == "protocol":
        return _protocol(isolation, verdict.what)
    if verdict.kind == "cancelled":
        return Outcome(ending=Ending.CANCELLED, isolation=isolation, failure=_cancelled())
    if verdict.done is not None:
        return _done(verdict.done, isolation, result_kb)
    return _silent_end(ended, isolation)


def over_limit(isolation: Isolation, limit: str, value: float, reached: float) -> Outcome:
    """Return the Outcome of a run that crossed `limit`, with its value and the figure reached."""
    named = _LIMIT_NAMES[limit]
    failure = Failure(
        code="over-limit",
        what=f"the run crossed {named}: {limit} is {value:g}, it reached {reached:g}",
        mend=_mend_of_limit(limit),
        limit=limit,
        limit_value=value,
        reached=reached,
    )
    return Outcome(ending=Ending.OVER_LIMIT, isolation=isolation, failure=failure)


def _mend_of_limit(limit: str) -> str:
    """Say what to do; how many files there may be follows from the size, how deep is fixed."""
    folder, _, kind = limit.partition("_")
    if kind == "depth":
        return "keep files in fewer folders within folders"
    named = f"{folder}_mb" if kind == "inodes" else limit
    return (
        f"make the run smaller, or raise limits.{named} in the manifest (the admin's "
        "ceiling may have to be raised too)"
    )


def name_limit(
    result: Outcome, verdict: Verdict, limits: Limits, *, refusals: int, filled: str
) -> Outcome:
    """Name the limit behind a fault that the package saw as an OSError.

    `refusals` counts forks that the kernel refused; `filled` is the limit that a full disk
    would be about.
    """
    done = verdict.done
    has_raised = result.ending in {Ending.RAISED, Ending.UNLOADABLE}
    if done is None or not has_raised or result.failure is None:
        return result
    limit, value = _limit_of_errno(done, limits, refusals=refusals, filled=filled)
    if not limit:
        return result
    what = f"{result.failure.what} – {_LIMIT_NAMES[limit]} ({limit} = {value:g}) was reached"
    failure = replace(
        result.failure,
        what=what,
        mend=_mend_of_limit(limit),
        limit=limit,
        limit_value=value,
        reached=value,
    )
    return replace(result, failure=failure)


def is_about_disk(done: Done | None) -> bool:
    """Say whether the run ended with an error that a full disk, or too large a file, makes."""
    return done is not None and done.errno in {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


def with_outputs(result: Outcome, gathered: Collected) -> Outcome:
    """Add what was collected; outputs beyond their limit turn the run into a failure."""
    kept = _with_files(result, gathered)
    if gathered.crossed is None or not result.is_ok:
        return kept
    limit, value, reached = gathered.crossed
    over = over_limit(result.isolation, limit, value, reached)
    return _with_files(over, gathered)


def _with_files(result: Outcome, gathered: Collected) -> Outcome:
    return replace(
        result,
        outputs=gathered.outputs,
        refusals=gathered.refusals,
        refused=gathered.refused,
    )


def with_stack(result: Outcome, stack: str) -> Outcome:
    """Add where a run was that was ended, or crashed, and could not say it otherwise."""
    failure = result.failure
    if failure is None or failure.traceback or not stack:
        return result
    was_ended = result.ending in {Ending.KILLED, Ending.CANCELLED} or failure.limit == "wall_s"
    if not was_ended:
        return result
    place = stacks.place(stack)
    what = f"{failure.what} (it was {place})" if place else failure.what
    return replace(result, failure=replace(failure, what=what, traceback=stack))


def with_traffic(result: Outcome, traffic: Traffic) -> Outcome:
    """Add what a run with network carried; where it failed, say what it was refused first."""
    refused = next((one for one in traffic.first if one.state == "refused"), None)
    if refused is None or result.failure is None:
        return replace(result, traffic=traffic)
    place = f"{refused.host}:{refused.port}"
    mend = f"{result.failure.mend}; the run wanted {place} and was refused: {refused.why}"
    return replace(result, traffic=traffic, failure=replace(result.failure, mend=mend))


def _done(done: Done, isolation: Isolation, result_kb: int) -> Outcome:
    if done.ending is Ending.RETURNED:
        return Outcome(ending=done.ending, isolation=isolation, value=done.value, exit_code=0)
    if done.ending is Ending.ASKED:
        return Outcome(ending=done.ending, isolation=isolation, question=done.question)
    if done.ending is Ending.EXITED:
        return _exited(done.exit_code or 0, isolation)
    if done.code == "result-too-large":
        return over_limit(isolation, "result_kb", result_kb, round((done.reached or 0) / 1024, 1))
    if done.ending is Ending.CANCELLED:  # by whom it says: had we cancelled it, we would know
        return _silent_end(Exit(code=-signal.SIGTERM), isolation)
    what, mend = done.what, _mend(done)
    if done.wanted and not _has_network(isolation):
        what = f"{what} – the run tried to reach {done.wanted}; runs have no network"
        mend = walls.NETWORK_MEND
    failure = Failure(
        code=_code(done),
        what=what,
        mend=mend,
        traceback=done.traceback,
        missing_module=done.missing,
    )
    if done.wall and not done.wanted:
        failure = walls.named(failure, done.wall, has_network=_has_network(isolation))
    return Outcome(ending=done.ending, isolation=isolation, failure=failure)


_OWN_CODES = ("result-not-json", "result-too-many")


def _has_network(isolation: Isolation) -> bool:
    return any(layer.name == "network" for layer in isolation.layers)


def _code(done: Done) -> str:
    if done.ending is Ending.UNLOADABLE:
        return "entry-point-unloadable"
    return done.code if done.code in _OWN_CODES else "package-raised"


def _mend(done: Done) -> str:
    if done.cause == "module":
        return "name what brings that module in requirements.txt, or put it into the bundle"
    if done.ending is Ending.UNLOADABLE:
        return "read the traceback: the entry point's module must be importable"
    if done.code == "result-too-many":
        return "write it into a file in output_dir, and return what sums it up"
    if done.code == "result-not-json":
        return (
            "return only None, booleans, finite numbers, text, lists and objects of those, nested "
            "60 deep at most; or write a file into output_dir"
        )
    return "read the traceback: the last line in your own code is where it was raised"


def _exited(code: int, isolation: Isolation) -> Outcome:
    failure = Failure(
        code="package-exited",
        what=f"the run called exit({code}) instead of returning",
        mend="return a value, or raise an exception that says what is wrong",
    )
    return Outcome(
        ending=Ending.EXITED, isolation=isolation, exit_code=code, signal=None, failure=failure
    )


def _silent_end(ended: Exit, isolation: Isolation) -> Outcome:
    """The process ended without saying how: os._exit, a crash, or a kill from inside."""
    number = -ended.code if ended.code < 0 else ended.code - 128
    name = _signal_name(number)
    if not name:
        return _exited(ended.code, isolation)
    failure = Failure(
        code="package-crashed",
        what=f"the run was ended by {name} ({_signal_meaning(name)})",
        mend="look for a crash in compiled code, or for code that kills itself",
    )
    return Outcome(ending=Ending.KILLED, isolation=isolation, signal=name, failure=failure)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def _signal_meaning(name: str) -> str:
    return signal.strsignal(signal.Signals[name]) or "unknown"


def _protocol(isolation: Isolation, what: str) -> Outcome:
    """Whoever returns or reports something too deep or too large gets here by honest means."""
    failure = Failure(
        code="protocol",
        what=f"the run sent what cannot be taken: {what}",
        mend="return and report less, or less deeply nested, with the levels and shapes that the "
        "README names; and leave the runner's descriptors and modules alone",
    )
    return Outcome(ending=Ending.PROTOCOL, isolation=isolation, failure=failure)


def _cancelled() -> Failure:
    return Failure(code="cancelled", what="the run was cancelled", mend="submit it again")


def _limit_of_errno(done: Done, limits: Limits, *, refusals: int, filled: str) -> tuple[str, float]:
    if done.errno == errno.EMFILE:
        return "open_files", limits.open_files
    if done.errno == errno.EAGAIN and (refusals or done.cause == "fork"):
        return "processes", limits.processes
    if is_about_disk(done):
        return _limit_of_disk(done, limits, filled)
    if done.cause == "thread":
        return "processes", limits.processes
    return "", 0.0


def _limit_of_disk(done: Done, limits: Limits, filled: str) -> tuple[str, float]:
    if "/output" in done.errno_path and not filled.startswith("output"):
        filled = "output_mb"
    values = {
        "output_mb": limits.output_mb,
        "scratch_mb": limits.scratch_mb,
        "output_inodes": most_inodes(limits.output_mb),
        "scratch_inodes": most_inodes(limits.scratch_mb),
    }
    limit = filled or "scratch_mb"
    return limit, values[limit]
