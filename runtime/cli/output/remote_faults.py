"""A fault that the appliance answered with: its problem+json, read back."""

from collections.abc import Mapping
from typing import Any

from runtime.problem_table import TABLE, Answer, Fault
from wheelhouse.problem import Problem

EXIT_BY_STATUS: Mapping[int, int] = {
    400: 2,
    401: 5,
    403: 5,
    404: 4,
    409: 6,
    410: 4,
    422: 3,
    429: 75,
}


class RemoteFault(Exception):
    """The appliance refused, and said why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def remote_fault(document: Mapping[str, Any], *, status: int) -> RemoteFault:
    """Return the fault that a problem+json `document` tells of."""
    code = str(document.get("code", "runtime-fault"))
    unknown = Answer(status=status, exit_code=EXIT_BY_STATUS.get(status, 70))
    problems = tuple(
        Problem(
            code=str(problem.get("code", code)),
            what=str(problem.get("what", "")),
            where=str(problem.get("where", "")),
            mend=str(problem.get("mend", "")),
        )
        for problem in document.get("problems", ())
    )
    what = str(document.get("detail", f"the appliance answered {status}"))
    return RemoteFault(
        Fault(code=code, what=what, problems=problems, answer=TABLE.get(code, unknown))
    )
