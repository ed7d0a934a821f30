"""Whether what a bundle requires can be had: in the wheelhouse, or through a gate of its own."""

from dataclasses import replace

from packages.bundle.bundle import Bundle
from packages.errors import LockFailed, LockRefused, NoInterpreter
from packages.interpreters import discover
from packages.lock.grant import Ceiling, GateState, decide
from runtime.home.factories import locker_of, wheelhouse_of
from runtime.settings.settings import Settings
from wheelhouse.problem import Problem

WHO = "fumehood package check"


async def resolve(
    bundle: Bundle, *, settings: Settings, gate_reason: str
) -> tuple[list[str], list[Problem]]:
    """Return what would be installed, as NAME==VERSION, or every problem.

    Wheels that come through the gate are kept in the wheelhouse, as in any install.
    """
    gate = GateState(is_open=bool(gate_reason), who=WHO, reason=gate_reason)
    grant = decide(bundle.manifest, ceiling=Ceiling(), gate=gate)
    try:
        locking = await locker_of(settings, wheelhouse=wheelhouse_of(settings.home)).lock(
            bundle.requirements,
            interpreter=discover(bundle.manifest.requires_python),
            grant=grant,
            network=bundle.manifest.network.install,
            author_lock=bundle.author_lock,
        )
    except (NoInterpreter, LockFailed, LockRefused) as failed:
        return [], [_of_a_check(one, is_open=gate.is_open) for one in failed.problems]
    return [f"{one.name}=={one.version}" for one in locking.lock.packages], []


def _of_a_check(problem: Problem, *, is_open: bool) -> Problem:
    """Return `problem` with a mend that helps here: this gate is the check's own."""
    if is_open or "fumehood gate open" not in problem.mend:
        return problem
    return replace(
        problem,
        mend="`fumehood package check … --resolve --open-gate 'look it up'`, or add its wheel",
    )
