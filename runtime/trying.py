"""The story of `fumehood try`: a bundle, some inputs, no server, and the same walls and record.

Everything is as in production, in a home that is thrown away; only wheels and environments
are the user's own, so that a second try starts warm.
"""

import asyncio
import mimetypes
import re
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from runtime import gate, intake, submission
from runtime.activating import run_activation
from runtime.appliance import open_appliance
from runtime.errors import AttemptLost, InputRefused, TryFailed
from runtime.events import to_plain
from runtime.home import LEVEL_FILE, writable
from runtime.home_guard import guard_home
from runtime.jobs import State
from runtime.parts import Parts
from runtime.records import JobInput, JsonObject, RequestContext
from runtime.settings import Settings
from runtime.store import activations, job_lists
from runtime.store import jobs as job_store
from runtime.worker import attempt_or_give_back
from wheelhouse.problem import Problem

WHO = "fumehood try"
SHARED = ("wheelhouse", "environments")
GATE_FOR = timedelta(minutes=15)
GATE_COMMAND = re.compile(r"`fumehood gate open [^`]*--reason ([^`]*)`")
"""What a mend says where an appliance's gate is closed."""

type Tell = Callable[[dict[str, Any]], None]
"""Takes what the job says and does, event by event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of it: the artifact as JSON bytes, and whether the job succeeded."""

    artifact: bytes
    is_ok: bool


async def try_bundle(
    settings: Settings,
    *,
    bundle: Path,
    inputs: Sequence[Path],
    parameters: JsonObject,
    outputs_to: Path | None,
    tell: Tell,
    gate_reason: str = "",
) -> Trial:
    """Receive, activate and run `bundle` once; put the outputs below `outputs_to`.

    Raises BundleRefused for a bad bundle, TryFailed when it does not become active.
    `tell` hears each event of the job while it runs. `gate_reason` opens the network gate for
    the install, with that reason on record.
    """
    names = submission.InputNames(most=len(inputs))
    for path in inputs:
        names.take(path.name)
    _judge_files(inputs)
    async with _throwaway(settings) as parts:
        if gate_reason:
            await _open_gate(parts, reason=gate_reason)
        version, _ = await intake.receive_bundle(parts, upload=bundle, who=WHO)
        requested = await intake.request_activation(
            parts, package=version.package, version=version.version, who=WHO, reason=WHO
        )
        await run_activation(requested.id, parts=parts)
        await _refuse_unless_active(parts, activation_id=requested.id)
        job_id = await _submit(parts, package=version.package, inputs=inputs, parameters=parameters)
        async with _told(parts, job_id=job_id, tell=tell):
            await attempt_or_give_back(job_id, parts=parts)
            await _refuse_if_ours(parts, job_id=job_id)
        if outputs_to is not None:
            await _hand_over(parts, job_id=job_id, outputs_to=outputs_to)
        job = await parts.store.run(job_store.get, job_id=job_id)
        artifact = await parts.artifacts.load(job_id, attempt=job.attempt)
        return Trial(artifact=artifact, is_ok=job.state == "succeeded")


def _judge_files(paths: Sequence[Path]) -> None:
    """Raise InputRefused for inputs that are no files: a pipe can be read once, and may not end."""
    problems = [
        Problem(
            code="not-a-file",
            what="it is neither a file nor a link to one",
            where=str(path),
            mend="write what comes out of it to a file, and give that",
        )
        for path in paths
        if not path.is_file()
    ]
    if problems:
        raise InputRefused("The inputs cannot be taken as they are", problems=problems)


@asynccontextmanager
async def _throwaway(settings: Settings) -> AsyncGenerator[Parts]:
    """Offer the parts of an appliance whose home is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fumehood-try-", dir="/var/tmp") as folder:
        home = Path(folder)
        with writable(settings.home):
            guard_home(settings.home, may_be_crossed=True)
        for name in SHARED:
            shared = settings.home / name
            with writable(settings.home):
                shared.mkdir(parents=True, exist_ok=True)
                shared.touch()  # says at once where nothing could be kept, as on a read-only disk
            (home / name).symlink_to(shared.resolve())
        alone: dict[str, Any] = {"home": home, "docket_url": "memory://try"}
        copied = settings.model_copy(update=alone)
        async with open_appliance(copied, level_file=settings.home / LEVEL_FILE) as appliance:
            yield appliance.parts


async def _open_gate(parts: Parts, *, reason: str) -> None:
    at = parts.clock()
    order = gate.opened(until=at + GATE_FOR, reason=reason, who=WHO, packages=(), at=at)
    await parts.store.run(gate.open_gate, gate=order)


async def _refuse_unless_active(parts: Parts, *, activation_id: str) -> None:
    activation = await parts.store.run(activations.get, activation_id=activation_id)
    if activation.state != "succeeded":
        raise TryFailed(
            f"{activation.package} {activation.version} does not become active",
            problems=[_of_a_try(Problem(**problem)) for problem in activation.problems],
            traceback=activation.traceback,
        )


def _of_a_try(problem: Problem) -> Problem:
    """Return `problem` with a mend that helps here: the gate of a try is its own."""
    return replace(problem, mend=GATE_COMMAND.sub(r"`fumehood try … --open-gate \1`", problem.mend))


async def _submit(
    parts: Parts, *, package: str, inputs: Sequence[Path], parameters: JsonObject
) -> str:
    activation = await submission.runnable(parts, package=package, version=None)
    job = await submission.submit(
        parts,
        activation=activation,
        parameters=parameters,
        inputs=[await _take(parts, path) for path in inputs],
        request=RequestContext(principal=WHO),
    )
    return job.id


@asynccontextmanager
async def _told(parts: Parts, *, job_id: str, tell: Tell) -> AsyncGenerator[None]:
    """Let `tell` hear what the job says, to its last event where the job comes to an end."""
    following = asyncio.create_task(_follow(parts, job_id=job_id, tell=tell))
    try:
        yield
        await following
    finally:
        following.cancel()


async def _follow(parts: Parts, *, job_id: str, tell: Tell) -> None:
    async for event in parts.events.follow(job_id):
        tell(to_plain(event))


async def _refuse_if_ours(parts: Parts, *, job_id: str) -> None:
    """Raise where it was us who failed: the job would be tried again, and nobody is there."""
    job = await parts.store.run(job_store.get, job_id=job_id)
    if job.state not in {State.QUEUED, State.RUNNING}:
        return
    attempts = await parts.store.run(job_store.list_attempts, job_id=job_id)
    error = next((one.error for one in reversed(attempts) if one.error), None)
    raise AttemptLost(
        f"The attempt failed on our side: {error.what if error else 'no reason is known'}",
        where=error.code if error else "",
        mend=error.mend if error else "see the log",
    )


async def _take(parts: Parts, path: Path) -> JobInput:
    source = await asyncio.to_thread(path.resolve)  # a link of the user's own is followed
    blob = await parts.blobs.put_file(source)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return JobInput(
        name=path.name, size_bytes=blob.size_bytes, sha256=blob.sha256, media_type=media_type
    )


async def _hand_over(parts: Parts, *, job_id: str, outputs_to: Path) -> None:
    job = await parts.store.run(job_store.get, job_id=job_id)
    cursor = ""
    while cursor is not None:
        page = await parts.store.run(
            job_lists.list_outputs, job_id=job_id, attempt=job.attempt, limit=200, cursor=cursor
        )
        for output in page.items:
            source = await parts.blobs.local_path(output.sha256)
            target = outputs_to / output.path
            await asyncio.to_thread(_copy, source, target)
        cursor = page.next_cursor


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
