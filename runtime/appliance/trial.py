"""Runs `fumehood try`: a bundle, some inputs, no server, and the same walls and artifact.

Everything is as in production, in a home that is thrown away; only wheels and environments
are the user's own, so that a second try starts warm.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from frozen.values import frozen
from packages.lock.diagnosis import adding
from runtime.appliance.ahead import Ahead
from runtime.appliance.appliance import Appliance, open_appliance
from runtime.appliance.throwaway import Throwaway
from runtime.blobs.blob import Blobs
from runtime.faults.errors import AttemptLost, InputRefused, TryFailed
from runtime.gate import opening as gate
from runtime.http.services import Services
from runtime.jobs.attempts.events import EventLog, to_plain
from runtime.jobs.orders.input_names import InputNames
from runtime.jobs.orders.orders import Sender
from runtime.jobs.orders.rules import Wish
from runtime.queue.queue import no_queues
from runtime.store.databases.store import Store
from runtime.store.jobs import job_lists, questions
from runtime.store.jobs import jobs as job_store
from runtime.store.packages import activations
from runtime.values.around.questions import unanswered
from runtime.values.media_types import media_type_of
from runtime.values.records import Activation, JobInput, JsonObject, PackageVersion, RequestContext
from runtime.values.retries import RetryPolicy
from runtime.values.states import State
from wheelhouse.judges.pool import Judges
from wheelhouse.problem import Problem

WHO = "fumehood try"
GATE_FOR = timedelta(minutes=15)
OWN_GATE = "a try has a gate of its own, which is closed unless it is told otherwise"
ABSENT = frozenset({"not-in-wheelhouse", "no-version-satisfies", "wrong-python-or-platform"})
"""Codes of problems that the index may solve, for the distribution that they name."""

type OnEvent = Callable[[dict[str, Any]], None]
"""Takes what the job says and does, event by event."""


@frozen
class Trial:
    """What came of it: the artifact as JSON bytes, and whether the job succeeded."""

    artifact: bytes
    is_ok: bool


async def try_bundle(
    place: Throwaway,
    *,
    bundle: Path,
    inputs: Sequence[Path],
    parameters: JsonObject,
    outputs_to: Path | None,
    on_event: OnEvent,
    judges: Judges,
    ahead: Ahead,
    gate_reason: str = "",
    answers: JsonObject | None = None,
) -> Trial:
    """Receive, activate and run `bundle` once in `place`; put the outputs below `outputs_to`.

    Raises BundleRefused for a bad bundle, TryFailed when it does not become active.
    `on_event` is given each event of the job as it happens. `gate_reason` opens the network gate
    for the install, with that reason on record; with a closed one, what `ahead` has prepared is
    taken. `answers` are for what the job asks, by key.
    """
    names = InputNames(most=len(inputs))
    for path in inputs:
        names.take(path.name)
    _judge_files(inputs)
    opened = open_appliance(
        place.settings,
        open_queues=no_queues,  # the job is run by hand, below
        level_file=place.level_file,
        judges=judges,
        sandbox=place.sandbox,
    )
    async with opened as appliance:
        if gate_reason:
            await _open_gate(appliance.services, reason=gate_reason)
        version = await _activate(
            appliance, bundle, on_event, ahead=ahead, is_gate_open=bool(gate_reason)
        )
        job_id = await _submit(
            appliance.services, package=version.package, inputs=inputs, parameters=parameters
        )
        async with _following(appliance.services.events, job_id=job_id, on_event=on_event):
            await _run_job(appliance, job_id=job_id, answers=answers or {})
            await _refuse_if_ours(appliance.services.store, job_id=job_id)
        if outputs_to is not None:
            await _hand_over(appliance.services, job_id=job_id, outputs_to=outputs_to)
        job = await appliance.services.store.read(job_store.get, job_id=job_id)
        artifact = await _artifact(appliance.services, job_id=job_id, attempt=job.attempt)
        return Trial(artifact=artifact, is_ok=job.state == "succeeded")


async def _artifact(services: Services, *, job_id: str, attempt: int) -> bytes:
    found = await services.artifacts.load(job_id, attempt=attempt, digest=None)
    return found if isinstance(found, bytes) else await asyncio.to_thread(found.read_bytes)


async def _activate(
    appliance: Appliance, bundle: Path, on_event: OnEvent, *, ahead: Ahead, is_gate_open: bool
) -> PackageVersion:
    """Receive the bundle and activate it; tell what its hook and its import said."""
    version, _ = await appliance.services.intake.receive(bundle, who=WHO)
    requested = await appliance.services.intake.request_activation(
        package=version.package, version=version.version, who=WHO, reason=WHO
    )
    switchover = appliance.tasks.switchover
    prepare = partial(ahead.prepare, otherwise=switchover.prepare)
    await replace(switchover, prepare=prepare).run(requested.id)
    activation = await _refuse_unless_active(
        appliance.services.store, activation_id=requested.id, is_gate_open=is_gate_open
    )
    for line in activation.log:
        if line["event"] == "job.log":
            on_event(dict(line))
    return version


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


async def _run_job(appliance: Appliance, *, job_id: str, answers: JsonObject) -> None:
    """Run the job, again after each question that there is an answer to; fail it at another one."""
    while True:
        await appliance.tasks.attempt.run_next()
        job = await appliance.services.store.read(job_store.get, job_id=job_id)
        if job.state is not State.WAITING:
            return
        asked = await appliance.services.store.read(questions.open_question, job_id=job_id)
        if asked.key not in answers:
            at = appliance.services.clock()
            await appliance.services.store.run(
                questions.expire, asked=asked, error=unanswered(asked), at=at
            )
            appliance.services.notifier.notify(job_id)
            return
        await appliance.services.questions.answer(
            job_id, key=asked.key, value=answers[asked.key], who=WHO
        )


async def _open_gate(services: Services, *, reason: str) -> None:
    at = services.clock()
    opened = gate.opened(until=at + GATE_FOR, reason=reason, who=WHO, packages=(), at=at)
    await services.store.run(gate.open_gate, gate=opened)


async def _refuse_unless_active(
    store: Store, *, activation_id: str, is_gate_open: bool
) -> Activation:
    activation = await store.read(activations.get, activation_id=activation_id)
    if activation.state != "succeeded":
        problems = [Problem(**problem) for problem in activation.problems]
        raise TryFailed(
            f"{activation.package} {activation.version} does not become active",
            problems=problems if is_gate_open else [_of_a_try(one) for one in problems],
            traceback=activation.traceback,
        )
    return activation


def _of_a_try(problem: Problem) -> Problem:
    """Return `problem` with a mend that helps here: the gate of a try is its own, and closed."""
    if problem.code in ABSENT:
        option = f"{OWN_GATE}: `fumehood try … --open-gate 'install {problem.where}'`"
        return replace(problem, mend=f"{option}, or add its wheel: {adding(problem.where)}")
    if problem.code == "gate-closed":
        return replace(problem, mend=f"{OWN_GATE}: `fumehood try … --open-gate 'first install'`")
    return problem


async def _submit(
    services: Services, *, package: str, inputs: Sequence[Path], parameters: JsonObject
) -> str:
    target = await services.submissions.target_for(package, version=None)
    job = await services.submissions.submit(
        target,
        parameters=parameters,
        inputs=[await _take(services.blobs, path) for path in inputs],
        sender=Sender(request=RequestContext(principal=WHO)),
        wish=Wish(retry=RetryPolicy(attempts=1)),  # a trial shows the first failure
    )
    return job.id


@asynccontextmanager
async def _following(events: EventLog, *, job_id: str, on_event: OnEvent) -> AsyncGenerator[None]:
    """Give `on_event` what the job says, to its last event where the job comes to an end."""
    following = asyncio.create_task(_follow(events, job_id=job_id, on_event=on_event))
    try:
        yield
        await following
    finally:
        following.cancel()


async def _follow(events: EventLog, *, job_id: str, on_event: OnEvent) -> None:
    async for event in events.follow(job_id):
        on_event(to_plain(event))


async def _refuse_if_ours(store: Store, *, job_id: str) -> None:
    """Raise AttemptLost where we failed: a worker would retry the job, and here is none."""
    job = await store.read(job_store.get, job_id=job_id)
    if job.state not in {State.QUEUED, State.RUNNING}:
        return
    attempts = await store.read(job_store.list_attempts, job_id=job_id)
    error = next((one.error for one in reversed(attempts) if one.error), None)
    raise AttemptLost(
        f"The attempt failed on our side: {error.what if error else 'no reason is known'}",
        where=error.code if error else "",
        mend=error.mend if error else "see the log",
    )


async def _take(blobs: Blobs, path: Path) -> JobInput:
    source = await asyncio.to_thread(path.resolve)  # a link of the user's own is followed
    blob = await blobs.put_file(source)
    media_type = media_type_of(path.name)
    return JobInput(
        name=path.name, size_bytes=blob.size_bytes, sha256=blob.sha256, media_type=media_type
    )


async def _hand_over(services: Services, *, job_id: str, outputs_to: Path) -> None:
    job = await services.store.read(job_store.get, job_id=job_id)
    cursor: str | None = ""
    while cursor is not None:
        page = await services.store.read(
            job_lists.list_outputs, job_id=job_id, attempt=job.attempt, limit=200, cursor=cursor
        )
        for output in page.items:
            source = await services.blobs.local_path(output.sha256)
            target = outputs_to / output.path
            await asyncio.to_thread(_copy, source, target)
        cursor = page.next_cursor


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
