"""The one table from the code of a fault to its HTTP status and its exit code.

A code that is not here is a bug of ours (500 and 70); a test compares the table with every
exception class of every room.
"""

from collections.abc import Mapping
from typing import Any

from frozen.values import frozen
from packages.errors import PackageError
from runtime.faults.errors import RuntimeFault
from runtime.faults.outages import outage_of
from runtime.values.bounds import kept_problems
from sandbox.errors import SandboxError
from wheelhouse.errors import WheelhouseError
from wheelhouse.problem import Problem

EXIT_OK = 0
EXIT_JOB_FAILED = 1
EXIT_USAGE = 2
EXIT_REJECTED = 3
EXIT_NOT_FOUND = 4
EXIT_NOT_ALLOWED = 5
EXIT_CONFLICT = 6
EXIT_UNVERIFIED = 7
EXIT_BUG = 70
EXIT_TRY_AGAIN = 75
EXIT_INTERRUPTED = 130


@frozen
class Answer:
    """How a fault is answered: over HTTP, and by the exit code of the command line."""

    status: int
    exit_code: int


REJECTED = Answer(status=422, exit_code=EXIT_REJECTED)
MISSING = Answer(status=404, exit_code=EXIT_NOT_FOUND)
CONFLICT = Answer(status=409, exit_code=EXIT_CONFLICT)
UNAVAILABLE = Answer(status=503, exit_code=EXIT_TRY_AGAIN)
BUG = Answer(status=500, exit_code=EXIT_BUG)

TABLE: Mapping[str, Answer] = {
    # runtime
    "runtime-fault": BUG,
    "not-found": MISSING,
    "state-conflict": CONFLICT,
    "version-conflict": CONFLICT,
    "not-active": CONFLICT,
    "not-locked": MISSING,
    "queue-full": Answer(status=429, exit_code=EXIT_TRY_AGAIN),
    "quota-exceeded": Answer(status=429, exit_code=EXIT_TRY_AGAIN),
    "key-used": REJECTED,
    "key-in-use": Answer(status=409, exit_code=EXIT_TRY_AGAIN),
    "input-refused": REJECTED,
    "try-failed": REJECTED,
    "attempt-lost": UNAVAILABLE,
    "attempt-stuck": UNAVAILABLE,
    "malformed": Answer(status=400, exit_code=EXIT_USAGE),
    "cross-site": Answer(status=403, exit_code=EXIT_NOT_ALLOWED),
    "unauthorized": Answer(status=401, exit_code=EXIT_NOT_ALLOWED),
    "wrong-token": Answer(status=401, exit_code=EXIT_NOT_ALLOWED),
    "too-many-wrong-tokens": Answer(status=429, exit_code=EXIT_TRY_AGAIN),
    "too-many-requests": Answer(status=429, exit_code=EXIT_TRY_AGAIN),
    "not-allowed": Answer(status=403, exit_code=EXIT_NOT_ALLOWED),
    "misdirected": Answer(status=421, exit_code=EXIT_USAGE),
    "precondition-required": Answer(status=428, exit_code=EXIT_USAGE),
    "precondition-failed": Answer(status=412, exit_code=EXIT_CONFLICT),
    "too-large": Answer(status=413, exit_code=EXIT_REJECTED),
    "unknown-media-type": Answer(status=415, exit_code=EXIT_USAGE),
    "method-not-allowed": Answer(status=405, exit_code=EXIT_USAGE),
    "superseded": CONFLICT,
    "not-ready": UNAVAILABLE,
    "queue-away": UNAVAILABLE,
    "store-away": UNAVAILABLE,
    "blobs-away": UNAVAILABLE,
    "settings-refused": Answer(status=500, exit_code=EXIT_USAGE),
    "home-in-use": CONFLICT,
    "mixed-set-up": CONFLICT,
    "shadowed-import": Answer(status=500, exit_code=EXIT_USAGE),
    "address-taken": CONFLICT,
    "blob-missing": MISSING,
    "output-gone": Answer(status=410, exit_code=EXIT_NOT_FOUND),
    "still-running": UNAVAILABLE,
    "server-unreachable": UNAVAILABLE,
    "provider-unreachable": UNAVAILABLE,
    "internal-error": BUG,
    # outages
    "disk-full": Answer(status=507, exit_code=EXIT_TRY_AGAIN),
    "home-read-only": UNAVAILABLE,
    "store-busy": UNAVAILABLE,
    "store-damaged": Answer(status=503, exit_code=EXIT_UNVERIFIED),
    "store-newer": Answer(status=503, exit_code=EXIT_CONFLICT),
    "store-older": UNAVAILABLE,
    # packages
    "package-error": BUG,
    "bundle-refused": REJECTED,
    "manifest-refused": REJECTED,
    "bundle-not-found": MISSING,
    "no-interpreter": REJECTED,
    "lock-refused": REJECTED,
    "lock-failed": REJECTED,
    "fetch-failed": UNAVAILABLE,
    "environment-failed": BUG,
    "carried-refused": Answer(status=500, exit_code=EXIT_UNVERIFIED),
    "build-failed": REJECTED,
    "activation-refused": REJECTED,
    "activation-failed": Answer(status=422, exit_code=EXIT_JOB_FAILED),
    # sandbox
    "sandbox-error": UNAVAILABLE,
    "walls-missing": UNAVAILABLE,
    "network-unwallable": UNAVAILABLE,
    "relay-lost": UNAVAILABLE,
    "cell-unstartable": UNAVAILABLE,
    "cell-lost": UNAVAILABLE,
    "cell-tampered": UNAVAILABLE,
    "fork-refused": UNAVAILABLE,
    "input-unplaceable": UNAVAILABLE,
    # wheelhouse
    "wheelhouse-error": BUG,
    "wheel-refused": REJECTED,
    "wheel-not-found": MISSING,
    "corrupt-wheel": Answer(status=500, exit_code=EXIT_UNVERIFIED),
    "carrier-refused": REJECTED,
    "key-refused": REJECTED,
    "advisories-refused": REJECTED,
    "lock-held": UNAVAILABLE,
    "judge-failed": UNAVAILABLE,
}


@frozen
class Fault:
    """Any exception of ours, in the one form that HTTP and the command line answer."""

    code: str
    what: str
    problems: tuple[Problem, ...]
    answer: Answer
    retry_after_s: int | None = None

    def to_document(self, *, instance: str) -> dict[str, Any]:
        """Return the fault as an application/problem+json document (RFC 9457)."""
        return {
            "type": f"urn:fumehood:problem:{self.code}",
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.answer.status,
            "detail": self.what,
            "instance": instance,
            "code": self.code,
            "problems": [problem.to_dict() for problem in self.problems],
        }


def answer_of(code: str) -> Answer:
    """Return how the fault with `code` is answered."""
    return TABLE.get(code, BUG)


def fault_of(error: BaseException) -> Fault:
    """Return `error` as a fault, whichever room raised it; an unknown class is a bug of ours.

    What the disk or the database refuses us is an outage, and no bug, however deep down it came.
    """
    match error:
        case RuntimeFault():
            what, problems = error.what, error.problems
        case PackageError() | WheelhouseError():
            sentence = (type(error).__doc__ or "").splitlines()
            what, problems = (sentence[0] if sentence else str(error)), error.problems
        case SandboxError():
            what = error.what
            problems = (Problem(code=error.code, what=what, where="sandbox", mend=error.mend),)
        case _:
            return fault_of(outage) if (outage := outage_of(error)) else _bug(error)
    if answer_of(error.code) is BUG and (outage := outage_of(error)):
        return fault_of(outage)
    retry_after_s = error.retry_after_s if isinstance(error, RuntimeFault) else None
    return Fault(
        code=error.code,
        what=what,
        problems=kept_problems(problems),
        answer=answer_of(error.code),
        retry_after_s=retry_after_s,
    )


def _bug(error: BaseException) -> Fault:
    what = "The appliance failed; this is a bug of ours"
    mend = "look for this request in the log of the appliance, and report it"
    problem = Problem(code="internal-error", what=what, where=type(error).__name__, mend=mend)
    return Fault(code="internal-error", what=what, problems=(problem,), answer=BUG)
