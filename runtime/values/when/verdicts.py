"""What a job is called that was given up after so many attempts. Pure."""

from collections.abc import Sequence

from runtime.values.records import JobError

WORKER_LOST = "worker-lost"
STUCK = "attempt-stuck"
REPLAY = "see the log of the worker; `fumehood job dead replay ID` tries it again"


def verdict(errors: Sequence[JobError], *, phase: str) -> JobError:
    """Return why a job is given up whose attempts *we* failed with `errors`, the last in `phase`.

    A worker can be lost once for any reason. Who loses one each time is what ends them.
    """
    last, times = errors[-1], len(errors)
    codes = {error.code for error in errors}
    where = f"; the last time in the phase {phase}" if phase else ""
    if times > 1 and codes == {WORKER_LOST}:
        what = f"each of {times} attempts ended the worker that ran it{where}"
        return _named("ended-its-worker", what)
    if times > 1 and codes == {STUCK}:
        return _named("no-sign-of-life", f"each of {times} attempts came to a standstill{where}")
    if times == 1:
        return last
    what = f"given up after {times} attempts{where}: {last.what}"
    return JobError(code=last.code, what=what, mend=last.mend or REPLAY, kind="appliance")


def _named(code: str, what: str) -> JobError:
    return JobError(code=code, what=what, mend=REPLAY, kind="appliance")
