"""Preparation: lock → environment → on_activate → import; then the runtime switches to it.

Any failure leaves the former version active; nothing that it built is half there.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Protocol

from frozen.values import frozen
from packages.bundle.bundle import Bundle
from packages.environment.environment import Environment, Environments
from packages.environment.libraries import missing_libraries
from packages.errors import (
    ActivationFailed,
    ActivationRefused,
    EnvironmentFailed,
    LockFailed,
    LockRefused,
    NoInterpreter,
)
from packages.interpreters import discover
from packages.lock.grant import Ceiling, GateState, Grant, decide
from packages.lock.lock import Lock
from packages.lock.locker import Locker, Locking
from packages.notices import overlapping
from packages.progress import quiet
from packages.runs.hooks import RunContext, on_activate_command
from packages.runs.import_check import check_import
from packages.runs.run_context import run_context
from sandbox.command import Interpreter, Level, Observe, Outcome, Report, Run
from wheelhouse.durable import flush_filesystem, publish, remove_tree
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse


@frozen
class Workshop:
    """The parts that an activation works with; put together once, by the appliance."""

    wheelhouse: Wheelhouse
    locker: Locker
    environments: Environments
    run: Run
    data_root: Path
    ceiling: Ceiling = field(default_factory=Ceiling)
    least: Level = Level.UNPRIVILEGED
    interpreter_for: Callable[[str], Interpreter] = discover


@frozen
class InstallRecord:
    """How what runs came to be installed. `fetched` is what came through the gate for it."""

    source: str
    lock_ms: float
    environment_ms: float
    is_reused: bool
    gate: GateState
    fetched: tuple[Wheel, ...]
    warnings: tuple[Problem, ...] = ()

    @property
    def duration_ms(self) -> float:
        """Return how long the install took."""
        return self.lock_ms + self.environment_ms

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON; of a fetched wheel, what an audit needs."""
        fetched = [
            {"name": w.name, "version": w.version, "sha256": w.sha256, "index": w.origin.index}
            for w in self.fetched
        ]
        return {
            "source": self.source,
            "duration_ms": self.duration_ms,
            "lock_ms": self.lock_ms,
            "environment_ms": self.environment_ms,
            "is_reused": self.is_reused,
            "gate": self.gate.to_dict(),
            "fetched": fetched,
            "warnings": [problem.to_dict() for problem in self.warnings],
        }


@frozen
class Prepared:
    """A version that may become active. `data_folder` is what on_activate left, if anything."""

    lock: Lock
    interpreter: Interpreter
    environment: Environment
    grant: Grant
    install: InstallRecord
    hook: Outcome | None
    data_folder: Path | None


class Prepare(Protocol):
    """Prepares a bundle, in a workshop of its own."""

    async def __call__(self, bundle: Bundle, *, gate: GateState, observe: Observe) -> Prepared:
        """Lock, build and try `bundle`. Raises as `prepare` does."""
        ...


async def prepare(
    bundle: Bundle, *, workshop: Workshop, gate: GateState, observe: Observe = quiet
) -> Prepared:
    """Lock, build and try `bundle`. Raises ActivationRefused or ActivationFailed, with problems.

    A SandboxError goes through: then *we* failed, and the activation may be tried again.
    """
    grant = decide(bundle.manifest, ceiling=workshop.ceiling, gate=gate)
    try:
        interpreter = await _interpreter_of(bundle, workshop)
        locking = await workshop.locker.lock(
            bundle.requirements,
            interpreter=interpreter,
            grant=grant,
            network=bundle.manifest.network.install,
            author_lock=bundle.author_lock,
            observe=observe,
        )
        environment = await workshop.environments.ensure(
            locking.lock,
            interpreter=interpreter,
            requested=bundle.requirements.names,
            observe=observe,
        )
        context = await run_context(
            bundle,
            environment=environment,
            interpreter=interpreter,
            grant=grant,
            run=workshop.run,
            least=workshop.least,
        )
    except (NoInterpreter, LockFailed, LockRefused, EnvironmentFailed) as failed:
        raise ActivationRefused(*failed.problems) from failed
    lacking = await _missing_libraries(environment, interpreter, workshop)
    noticed = (*bundle.notices, *overlapping(environment.inventory.overlaps), *lacking)
    for notice in (*locking.warnings, *noticed):
        observe(Report(kind="log", data={"level": "warning", "message": _line(notice)}))
    hook, data_folder = await _try_hook(context, workshop, observe)
    await _try_import(replace(context, data_folder=data_folder), workshop, observe)
    return Prepared(
        lock=locking.lock,
        interpreter=interpreter,
        environment=environment,
        grant=grant,
        install=_record(locking, environment, gate, noticed),
        hook=hook,
        data_folder=data_folder,
    )


async def _interpreter_of(bundle: Bundle, workshop: Workshop) -> Interpreter:
    # In a thread: to look for another Python starts each one of this host.
    return await asyncio.to_thread(workshop.interpreter_for, bundle.manifest.requires_python)


async def _missing_libraries(
    environment: Environment, interpreter: Interpreter, workshop: Workshop
) -> tuple[Problem, ...]:
    async with workshop.environments.lease(environment.key):
        return await missing_libraries(
            environment, interpreter=interpreter, run=workshop.run, least=workshop.least
        )


async def _try_hook(
    context: RunContext, workshop: Workshop, observe: Observe
) -> tuple[Outcome | None, Path | None]:
    """Run on_activate, if there is one; what it left is kept as the version's data folder."""
    command = on_activate_command(context)
    if command is None:
        return None, None
    workshop.data_root.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".hook-", dir=workshop.data_root))
    try:
        async with workshop.environments.lease(context.environment.key):
            outcome = await workshop.run(command, outputs_to=aside / "data", observe=observe)
        for refusal in outcome.refusals:
            message = f"{refusal.path!r} of on_activate is not kept: {refusal.why}"
            observe(Report(kind="log", data={"level": "warning", "message": message}))
        if not outcome.is_ok:
            raise _failed(context, outcome)
        kept = await asyncio.to_thread(_keep_data, context, outcome, aside, workshop.data_root)
        return outcome, kept
    finally:
        await asyncio.to_thread(remove_tree, aside)


async def _try_import(context: RunContext, workshop: Workshop, observe: Observe) -> None:
    """Import the entry point with all that its jobs will see."""
    workshop.data_root.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".import-", dir=workshop.data_root))
    try:
        async with workshop.environments.lease(context.environment.key):
            await check_import(
                context, run=workshop.run, outputs_to=aside / "outputs", observe=observe
            )
    finally:
        remove_tree(aside)


def _keep_data(context: RunContext, outcome: Outcome, aside: Path, root: Path) -> Path | None:
    """Publish what the hook left under its own digest; None where it left nothing."""
    if not outcome.outputs:
        return None
    listing = "\n".join(sorted(f"{output.sha256} {output.path}" for output in outcome.outputs))
    final = root / f"{context.bundle.digest.removeprefix('sha256:')[:32]}-{_short(listing)}"
    for path in sorted((aside / "data").rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (aside / "data").chmod(0o755)
    flush_filesystem(aside)
    publish(aside / "data", final)
    final.chmod(0o555)
    return final


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _failed(context: RunContext, outcome: Outcome) -> ActivationFailed:
    failure = outcome.failure
    hook = context.bundle.on_activate
    target = hook.target if hook else "on_activate"
    if failure is None:
        what = "it asked a question" if outcome.question else f"it ended: {outcome.ending}"
        mend = "let on_activate return; only a job can ask"
        problem = Problem(code="hook-failed", what=what, where=target, mend=mend)
        return ActivationFailed(problem)
    code = f"hook-{failure.code.removeprefix('package-')}"
    problem = Problem(code=code, what=failure.what, where=target, mend=failure.mend)
    return ActivationFailed(problem, traceback=failure.traceback)


def _line(notice: Problem) -> str:
    return f"{notice.where}: {notice.what} [{notice.code}]; {notice.mend}"


def _record(
    locking: Locking, environment: Environment, gate: GateState, noticed: tuple[Problem, ...]
) -> InstallRecord:
    return InstallRecord(
        source=locking.source,
        lock_ms=locking.duration_ms,
        environment_ms=environment.duration_ms,
        is_reused=environment.is_reused,
        gate=gate,
        fetched=locking.fetched,
        warnings=(*locking.warnings, *noticed),
    )
