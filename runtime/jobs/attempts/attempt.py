"""The story of one attempt at a job: from its claim to what is published of it.

Each step is a call downwards, and tells in the events of the job that it began and how it ended, so
that a crash leaves a true narrative. What the package does wrong is an ending of the job; what we
do wrong is an exception, and the worker gives the attempt back.
"""

import asyncio
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from frozen.values import frozen
from packages.environment.environment import Environment
from packages.lock.grant import decide
from packages.preparation import Workshop
from packages.runs.hooks import RunContext, extract_command, on_after_extract_command, told_start
from packages.runs.run_context import run_context
from runtime.activations.in_use import InUse
from runtime.activations.prepared import data_folder_of
from runtime.artifact import steps
from runtime.artifact.artifacts import Artifacts
from runtime.artifact.entries import callable_entries, environment_entry, install_entry
from runtime.artifact.model import Artifact
from runtime.blobs.blob import Blobs
from runtime.gate.opening import as_of
from runtime.gate.steady import GateClock
from runtime.gate.watch import gate_state
from runtime.jobs.attempts.cancellations import Cancellations, unless
from runtime.jobs.attempts.contexts import Contexts
from runtime.jobs.attempts.events import EventLog, EventWriter
from runtime.jobs.attempts.files import emptied, inputs_of, keep_outputs
from runtime.jobs.attempts.outcomes import (
    Ended,
    ended_of,
    hook_outcome,
    left_by_hook,
    not_kept,
    told_of,
)
from runtime.jobs.attempts.persistence import until_written
from runtime.jobs.attempts.phases import bounded
from runtime.jobs.attempts.slots import Slot, a_slot
from runtime.jobs.attempts.versions import Version, Versions
from runtime.queue.notifier import Notifier
from runtime.store.databases.store import Store
from runtime.store.jobs import claims, job_lists, questions, unclaiming
from runtime.store.jobs.events import Happening
from runtime.telemetry.telemetry import Telemetry
from runtime.values.around.questions import Waits, asked, unaskable
from runtime.values.clock import Clock, milliseconds_between
from runtime.values.records import (
    Claim,
    Finish,
    Gate,
    JobError,
    SavedArtifact,
    StoredOutput,
    Worker,
)
from runtime.values.states import State
from runtime.values.when.line import Ability
from sandbox.command import Command, Json, Outcome, Question


@frozen
class AttemptRunner:
    """Runs attempts on this worker. `jobs_folder` is where outputs lie until they are kept.

    `phase_s` is how long a phase may take in which nothing else bounds it.
    """

    store: Store
    notifier: Notifier
    events: EventLog
    artifacts: Artifacts
    blobs: Blobs
    versions: Versions
    in_use: InUse
    workshop: Workshop
    cancellations: Cancellations
    secrets: Mapping[str, SecretStr]
    worker: Worker
    ability: Ability
    clock: Clock
    gate_clock: GateClock
    jobs_folder: Path
    question_at_most: timedelta
    phase_s: float = 3600.0
    contexts: Contexts = field(default_factory=Contexts)
    telemetry: Telemetry = field(default_factory=Telemetry)

    async def claim(self, *, token: str) -> Claim | None:
        """Take the job that this worker should do next; None when none waits for it."""
        known = self.versions.activations()
        taken = await self.store.run(
            claims.claim_next,
            ability=self.ability,
            token=token,
            worker=self.worker,
            at=self.clock(),
            known=frozenset(known),
        )
        if taken is None:
            return None
        self.notifier.notify(taken.job.id)
        return taken.claim(known)

    async def run(self, claim: Claim, *, token: str, slot: Slot | None = None) -> Ended | None:
        """Run an attempt that was claimed, and publish what came of it.

        Returns that; None where the job waits for an answer. A job that waits on, since no cell was
        free soon, is returned with its state. `slot` is given back once nothing of it is in a cell
        any more.
        """
        job = claim.job
        async with self.events.writer(job_id=job.id, attempt=job.attempt, token=token) as writer:
            artifact = steps.begin(claim, worker=self.worker)
            folder = self.jobs_folder / job.id / str(job.attempt)
            attempt = _Attempt(
                claim=claim,
                runner=self,
                writer=writer,
                slot=slot or a_slot(),
                artifact=artifact,
                folder=folder,
            )
            is_asked = partial(self._shall_stop, job.id, token=token)
            watching = self.cancellations.watch(job.id, is_asked=is_asked)
            with self.in_use.running(claim.activation), watching as cancelled:
                finish = await attempt.run(cancelled)
            if finish is None:
                return await self._unclaim(claim, token=token, writer=writer)
            publishing = partial(self._publish, claim, finish, token=token, writer=writer)
            with self.telemetry.publishing(finish):
                return await until_written(publishing, doing=f"the end of job {job.id}")

    async def _unclaim(self, claim: Claim, *, token: str, writer: EventWriter) -> Ended:
        """Let a job wait again that was claimed ahead of a cell in vain: others may have one."""
        async with writer.rest() as rest:
            job = await self.store.run(
                unclaiming.unclaim, job_id=claim.job.id, token=token, at=self.clock(), before=rest
            )
        return Ended(job=job)

    async def _shall_stop(self, job_id: str, *, token: str) -> bool:
        return await self.store.read(job_lists.shall_stop, job_id=job_id, token=token)

    async def _publish(
        self, claim: Claim, finish: Finish | Waits, *, token: str, writer: EventWriter
    ) -> Ended | None:
        """Publish the end of an attempt with what of its events is not stored yet."""
        async with writer.rest() as rest:
            if isinstance(finish, Waits):
                await self._ask(claim, finish, token=token, before=rest)
                return None
            job = await self.store.run(
                claims.finish,
                job_id=claim.job.id,
                token=token,
                finish=finish,
                at=self.clock(),
                before=rest,
            )
        return ended_of(claim.attempts[-1], job=job, finish=finish)

    async def _ask(
        self, claim: Claim, waits: Waits, *, token: str, before: Sequence[Happening]
    ) -> None:
        """Publish a question: the job waits for its answer, and nothing of it stays here."""
        at, job = self.clock(), claim.job
        question = asked(
            waits.question, job_id=job.id, attempt=job.attempt, at=at, at_most=self.question_at_most
        )
        await self.store.run(
            questions.ask,
            asked=question,
            token=token,
            artifact=waits.artifact,
            at=at,
            before=before,
        )

    async def context(
        self, version: Version, *, environment: Environment, gate: Gate
    ) -> RunContext:
        """Return what the functions of a version run in, under the grant as it is now."""
        self.gate_clock.note(gate)
        state = gate_state(as_of(gate, at=self.gate_clock()))
        known = self.contexts.known(version.activation.id, gate=state, key=environment.key)
        return known or self.contexts.keep(
            version.activation.id,
            await run_context(
                version.bundle,
                environment=environment,
                interpreter=version.interpreter,
                grant=decide(version.bundle.manifest, ceiling=self.workshop.ceiling, gate=state),
                run=self.workshop.run,
                least=self.workshop.least,
                data_folder=data_folder_of(version.prepared, data_root=self.workshop.data_root),
                secrets={name: value.get_secret_value() for name, value in self.secrets.items()},
            ),
        )


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One attempt under way; its artifact grows phase by phase."""

    claim: Claim
    runner: AttemptRunner
    writer: EventWriter
    slot: Slot
    artifact: Artifact
    folder: Path
    """Where its outputs lie until they are kept."""

    async def run(self, cancelled: asyncio.Event) -> Finish | Waits | None:
        """Run every phase; return what shall be published. It stops once `cancelled` is set.

        None where no cell is free for it soon: nothing of its package has run then.
        """
        with self._phase("environment") as told:
            prepared = await unless(
                cancelled,
                bounded("environment", most_s=self.runner.phase_s, work=self._prepare(told)),
            )
        if prepared is None:
            self.slot.give_back()
            return await self._ended(State.CANCELLED, error=None, outputs=())
        context, environment = prepared
        async with self.runner.workshop.environments.lease(environment.key):
            is_patient = self.claim.job.rate_key is not None
            is_in = await unless(cancelled, self.slot.enter(is_patient=is_patient))
            if is_in is None:
                self.slot.give_back()
                return await self._ended(State.CANCELLED, error=None, outputs=())
            if not is_in:
                return None
            self.runner.telemetry.began(self.claim.job)  # a claim in vain is no beginning
            with self._phase("extract") as told:
                outcome = await self._extract(context, cancelled=cancelled)
                told.update(told_of(outcome))
            if context.bundle.on_after_extract is None:
                self.slot.give_back()
            if outcome.question is not None and unaskable(outcome.question) is None:
                self.slot.give_back()
                return await self._waits(outcome.question)
            with self._phase("collect"):
                outputs = await bounded(
                    "collect", most_s=self.runner.phase_s, work=self._keep(outcome)
                )
            state, error = await self._after_extract(context, outcome, cancelled=cancelled)
        self.slot.give_back()
        return await self._ended(state, error=error, outputs=outputs)

    async def _ended(
        self, state: State, *, error: JobError | None, outputs: Sequence[StoredOutput]
    ) -> Finish:
        """Complete the artifact, and return what shall be published."""
        return Finish(
            state=state,
            outputs=tuple(outputs),
            error=error,
            artifact=await self._completed(state, error=error),
            is_partial=self.artifact.is_partial,
        )

    async def _completed(self, state: State, *, error: JobError | None) -> SavedArtifact:
        """Complete the artifact and save it, as soon as there is room for it."""
        self.artifact = steps.with_ending(
            self.artifact, state=state, error=error, at=self.runner.clock()
        )
        saving = partial(self.runner.artifacts.save, self.artifact)
        return await until_written(saving, doing=f"the artifact of job {self.claim.job.id}")

    async def _waits(self, question: Question) -> Waits:
        """End the attempt here: what it left is made anew when there is an answer."""
        await emptied(self.folder / "outputs")
        artifact = await self._completed(State.WAITING, error=None)
        return Waits(question=question, artifact=artifact)

    async def _answers(self) -> Mapping[str, Json]:
        """Return what was answered so far; a first attempt has asked nothing yet."""
        job = self.claim.job
        if job.attempt == 1:
            return {}
        return await self.runner.store.read(questions.answers, job_id=job.id)

    @contextmanager
    def _phase(self, name: str) -> Generator[dict[str, Json]]:
        """Tell when a phase starts and ends; what is put into the dict is told with the end.

        These events are the narrative: an artifact of an attempt that we do not end is rendered
        from them (`runtime.artifact.narrative`).
        """
        told: dict[str, Json] = {}
        started_at = self.runner.clock()
        self.writer.write("job.phase", {"phase": name, "state": "started"})
        with self.runner.telemetry.phase(name):
            yield told
        ended_at = self.runner.clock()
        took_ms = milliseconds_between(started_at, ended_at)
        self.artifact = steps.with_phase(
            self.artifact, phase=name, started_at=started_at, ended_at=ended_at
        )
        ended = {"phase": name, "state": "ended", "duration_ms": took_ms, **told}
        self.writer.write("job.phase", ended)

    async def _prepare(self, told: dict[str, Json]) -> tuple[RunContext, Environment]:
        """Bring bundle and environment in sight; say in the artifact what they are."""
        version, environment = await self.runner.versions.ready(
            self.claim.activation, observe=self.writer.observe
        )
        self.runner.in_use.runs_in(self.claim.activation, environment=environment.key)
        context = await self.runner.context(version, environment=environment, gate=self.claim.gate)
        told |= {"reused": environment.is_reused, "environment_ms": environment.duration_ms}
        self.artifact = steps.with_environment(
            self.artifact,
            environment=environment_entry(environment.inventory),
            install=install_entry(
                version.prepared,
                duration_ms=environment.duration_ms,
                is_reused=environment.is_reused,
            ),
            callables=callable_entries(version.bundle),
        )
        return context, environment

    async def _extract(self, context: RunContext, *, cancelled: asyncio.Event) -> Outcome:
        job = self.claim.job
        inputs = await inputs_of(job.inputs, blobs=self.runner.blobs)
        command = extract_command(
            context,
            job_id=job.id,
            inputs=inputs,
            parameters=job.parameters,
            request=self.artifact.request,
            answers=await self._answers(),
        )
        is_last = context.bundle.on_after_extract is None
        outcome = await self._run(command, folder="outputs", cancelled=cancelled, is_last=is_last)
        outcome = told_start(outcome, manifest=context.bundle.manifest)
        self.artifact = steps.with_run(self.artifact, outcome=outcome, limits=command.limits)
        return outcome

    async def _keep(self, outcome: Outcome) -> Sequence[StoredOutput]:
        """Move the outputs into the store of bytes."""
        outputs = await keep_outputs(
            outcome.outputs, folder=self.folder / "outputs", blobs=self.runner.blobs
        )
        self._warn(not_kept(outcome))
        if outputs:  # a thread: an entry takes 7 us, and there may be ten thousand
            self.artifact = await asyncio.to_thread(
                steps.with_outputs, self.artifact, outputs=outputs, is_partial=not outcome.is_ok
            )
        return outputs

    async def _after_extract(
        self, context: RunContext, outcome: Outcome, *, cancelled: asyncio.Event
    ) -> tuple[State, JobError | None]:
        """Run the hook after success and failure; return how the job ends with it."""
        state, error = steps.state_of(outcome), steps.error_of(outcome)
        hook = context.bundle.on_after_extract
        if hook is None or state is State.CANCELLED:
            return state, error
        command = on_after_extract_command(
            context,
            job_id=self.claim.job.id,
            outcome=hook_outcome(outcome, state=state, error=error, artifact=self.artifact),
            parameters=self.claim.job.parameters,
            request=self.artifact.request,
        )
        with self._phase("on_after_extract"):
            ended = await self._run(command, folder="hook", cancelled=cancelled, is_last=True)
            self.artifact = steps.with_hook(self.artifact, name="on_after_extract", outcome=ended)
            self._warn(left_by_hook(ended))
            await emptied(self.folder / "hook")
        return steps.ending_with_hook(state, error, hook=ended, is_required=hook.required)

    def _warn(self, messages: Iterable[str]) -> None:
        for one in messages:
            self.writer.write("job.log", {"stream": "log", "level": "warning", "message": one})

    async def _run(
        self, command: Command, *, folder: str, cancelled: asyncio.Event, is_last: bool
    ) -> Outcome:
        await emptied(self.folder / folder)  # a database that was restored counts as it did before
        return await self.runner.workshop.run(
            command,
            outputs_to=self.folder / folder,
            observe=self.writer.observe,
            cancelled=cancelled,
            on_verdict=self.slot.is_leaving if is_last else None,
        )
