"""The Commands of a version: its entry point and its hooks. Pure; running is another's part."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from frozen.values import frozen
from packages.bundle.bundle import Bundle
from packages.bundle.manifest import Manifest
from packages.environment.environment import Environment
from packages.lock.grant import Grant
from sandbox.command import Command, Folder, Input, Interpreter, Json, Level, Outcome, Warmth


@frozen
class RunContext:
    """Where the functions of an activated version run: what is in sight and in force."""

    bundle: Bundle
    environment: Environment
    interpreter: Interpreter
    grant: Grant
    data_folder: Path | None = None
    least: Level = Level.UNPRIVILEGED
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    kept: dict[object, Any] = field(default_factory=dict[object, Any], repr=False, compare=False)
    """What was worked out of it, which all its runs have in common."""


def extract_command(
    context: RunContext,
    *,
    job_id: str,
    inputs: Sequence[Input] = (),
    parameters: Mapping[str, Json] | None = None,
    request: Mapping[str, Json] | None = None,
    answers: Mapping[str, Json] | None = None,
) -> Command:
    """Return the Command of one attempt of a job: the entry point with `job`."""
    return _command(
        context,
        context.bundle.manifest.entrypoint,
        handle="job",
        facts=_job_facts(context, job_id=job_id, parameters=parameters, request=request),
        inputs=tuple(inputs),
        answers=dict(answers or {}),
        is_warm=context.bundle.manifest.start == "warm",
    )


def on_after_extract_command(
    context: RunContext,
    *,
    job_id: str,
    outcome: Mapping[str, Json],
    parameters: Mapping[str, Json] | None = None,
    request: Mapping[str, Json] | None = None,
) -> Command:
    """Return the Command of the hook after a job, of a version that has one."""
    hook = context.bundle.on_after_extract
    if hook is None:
        raise LookupError(f"{context.bundle.manifest.name} has no on_after_extract")
    arguments: dict[str, Json] = {"outcome": dict(outcome)}
    return _command(
        context,
        hook.target,
        handle="context",
        facts=_job_facts(context, job_id=job_id, parameters=parameters, request=request),
        arguments=arguments,
        is_warm=context.bundle.manifest.start == "warm",
    )


def _job_facts(
    context: RunContext,
    *,
    job_id: str,
    parameters: Mapping[str, Json] | None,
    request: Mapping[str, Json] | None,
) -> dict[str, Json]:
    """Return what the entry point and the hook after it are told of their job."""
    return {
        "id": job_id,
        "parameters": dict(parameters or {}),
        "request": dict(request or {}),
        "package": _once(context, _package),
        "installed": _once(context, _installed),
    }


def told_start(outcome: Outcome, *, manifest: Manifest) -> Outcome:
    """Return `outcome` with the manifest's wish as the reason of a cold start, where it is that."""
    isolation = outcome.isolation
    if manifest.start != "cold" or isolation.start != "cold":
        return outcome
    told = replace(isolation, start_reason="the manifest asks for it (start)", start_word="")
    return replace(outcome, isolation=told)


def on_activate_command(context: RunContext) -> Command | None:
    """Return the Command of the hook before a version becomes active; None if there is none.

    What it leaves in its output_dir becomes the version's data folder.
    """
    hook = context.bundle.on_activate
    if hook is None:
        return None
    facts: dict[str, Json] = {"package": _package(context), "installed": _installed(context)}
    return _command(context, hook.target, handle="context", facts=facts, is_warm=False)


def warm_key(context: RunContext) -> str:
    """Return the key under which runs of this version may share a warm cell."""
    data = str(context.data_folder) if context.data_folder else ""
    parts: list[object] = [context.bundle.digest, context.environment.key, data]
    parts += [context.grant.run_network is not None, asdict(context.grant.limits)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def preload_of(context: RunContext) -> tuple[str, ...]:
    """Return what a warm cell imports: the wished modules, then the entry module."""
    manifest = context.bundle.manifest
    return tuple(dict.fromkeys([*manifest.preload, manifest.entrypoint.partition(":")[0]]))


def _command(
    context: RunContext,
    target: str,
    *,
    handle: str,
    facts: Mapping[str, Json],
    inputs: tuple[Input, ...] = (),
    arguments: Mapping[str, Json] | None = None,
    answers: Mapping[str, Json] | None = None,
    is_warm: bool = True,
) -> Command:
    warmth = None
    if is_warm:
        warmth = _once(context, _warmth)
    return Command(
        target=target,
        handle=handle,
        interpreter=context.interpreter,
        limits=context.grant.limits,
        folders=_once(context, _folders),
        inputs=inputs,
        facts=facts if context.data_folder else {**facts, "data": None},
        arguments=dict(arguments or {}),
        answers=dict(answers or {}),
        variables=context.bundle.manifest.env,
        secrets={
            name: context.secrets[name] for name in context.grant.secrets if name in context.secrets
        },
        network=context.grant.run_network,
        least=context.least,
        warmth=warmth,
    )


def _once[T](context: RunContext, work_out: Callable[[RunContext], T]) -> T:
    """Return what `work_out` returns of a context, worked out for its first run only."""
    kept = context.kept
    if work_out not in kept:
        kept[work_out] = work_out(context)
    return kept[work_out]


def _package(context: RunContext) -> dict[str, Json]:
    """Return who runs, as a handle's `package`."""
    manifest = context.bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "title": manifest.title,
        "digest": context.bundle.digest,
    }


def _installed(context: RunContext) -> dict[str, Json]:
    """Return the installed versions, by name."""
    return {d.name: d.version for d in context.environment.inventory.installed}


def _warmth(context: RunContext) -> Warmth:
    return Warmth(key=warm_key(context), preload=preload_of(context), may_begin_cold=True)


def _folders(context: RunContext) -> tuple[Folder, ...]:
    bundle = Folder(name="bundle", source=context.bundle.folder, on_path=True)
    in_sight = (bundle, *context.environment.in_sight())
    if context.data_folder is None:
        return in_sight
    return (*in_sight, Folder(name="data", source=context.data_folder))
