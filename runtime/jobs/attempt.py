"""The story of one attempt at a job: from its claim to what is published of it.

Each step is a call downwards; the artifact is written after each phase, so that a crash leaves
a true narrative. What the package does wrong is an ending of the job; what we do wrong is an
exception, and the worker gives the attempt back.
"""

import asyncio
import mimetypes
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import SecretStr

from packages.activation import Workshop
from packages.archive import Bundles
from packages.bundle.bundle import Bundle
from packages.environment.environment import Environment
from packages.hooks import Stage, extract_command, on_after_extract_command, told_start
from packages.lock.grant import decide
from packages.lock.lock import read_lock
from packages.run_context import run_context
from runtime.activations.prepared import data_folder_of, interpreter_of
from runtime.artifact import steps
from runtime.artifact.files import ArtifactFiles
from runtime.artifact.model import (
    Artifact,
    CallableEntry,
    EnvironmentEntry,
    InstalledEntry,
    InstallEntry,
    OverlapEntry,
)
from runtime.blobs.blob import Blobs
from runtime.clock import Clock, milliseconds_between
from runtime.gate.opening import close_if_over
from runtime.gate.watch import gate_state
from runtime.jobs.cancellations import Cancellations
from runtime.jobs.events import EventLog, EventWriter
from runtime.queue.notifier import Notifier
from runtime.store import jobs as job_store
from runtime.store.store import Store
from runtime.values.bounds import MOST_LISTED
from runtime.values.records import Claim, Finish, JobError, PreparedRecord, StoredOutput, Worker
from runtime.values.states import State
from sandbox.command import Command, Input, Json, Outcome
from wheelhouse.durable import remove_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRunner:
    """Runs attempts on this worker. `jobs_folder` is where outputs lie until they are kept."""

    store: Store
    notifier: Notifier
    events: EventLog
    artifacts: ArtifactFiles
    blobs: Blobs
    bundles: Bundles
    workshop: Workshop
    cancellations: Cancellations
    secrets: Mapping[str, SecretStr]
    worker: Worker
    clock: Clock
    jobs_folder: Path

    async def run(self, job_id: str, *, token: str) -> None:
        """Run the queued attempt of a job, if it is still there to be taken."""
        claim = await self.store.run(
            job_store.claim, job_id=job_id, token=token, worker=self.worker.id, at=self.clock()
        )
        if claim is None:
            return  # delivered twice, or cancelled meanwhile
        self.notifier.notify(job_id)
        number = claim.job.attempt
        async with self.events.writer(job_id=job_id, attempt=number, token=token) as writer:
            attempt = _Attempt(
                claim=claim,
                runner=self,
                writer=writer,
                artifact=steps.begin(claim, worker=self.worker),
            )
            await attempt.note()
            finish = await attempt.run()
        await self.store.run(
            job_store.finish, job_id=job_id, token=token, finish=finish, at=self.clock()
        )

    async def context(
        self, bundle: Bundle, *, environment: Environment, prepared: PreparedRecord
    ) -> Stage:
        """Return what the functions of a version run in, under the grant as it is now."""
        gate = await self.store.run(close_if_over, at=self.clock())
        return await run_context(
            bundle,
            environment=environment,
            interpreter=interpreter_of(prepared),
            grant=decide(bundle.manifest, ceiling=self.workshop.ceiling, gate=gate_state(gate)),
            run=self.workshop.run,
            least=self.workshop.least,
            data_folder=data_folder_of(prepared, data_root=self.workshop.data_root),
            secrets={name: value.get_secret_value() for name, value in self.secrets.items()},
        )


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One attempt under way; its artifact grows phase by phase."""

    claim: Claim
    runner: AttemptRunner
    writer: EventWriter
    artifact: Artifact

    async def run(self) -> Finish:
        """Run every phase; return what shall be published."""
        async with self._phase("environment"):
            context, environment = await self._prepare()
        async with self.runner.workshop.environments.lease(environment.key):
            with self.runner.cancellations.watch(self.claim.job.id) as cancelled:
                async with self._phase("extract") as told:
                    outcome = await self._extract(context, cancelled=cancelled)
                    isolation = outcome.isolation
                    told |= {"start": isolation.start, "start_reason": isolation.start_reason}
                async with self._phase("collect"):
                    outputs = await self._keep(outcome)
                error = steps.error_of(outcome)
                state = steps.state_of(outcome)
                hook_error = await self._after_extract(context, outcome, state=state, error=error)
        if state is State.SUCCEEDED and hook_error is not None:
            state, error = State.FAILED, hook_error
        self.artifact = steps.with_ending(
            self.artifact, state=state, error=error, at=self.runner.clock()
        )
        digest = await self.runner.artifacts.save(self.artifact)
        return Finish(
            state=state,
            outputs=tuple(outputs),
            error=error,
            artifact_digest=digest,
            is_partial=self.artifact.is_partial,
        )

    async def note(self) -> None:
        """Write the artifact as it is now, lest a crash leaves none."""
        await self.runner.artifacts.note(self.artifact)

    @asynccontextmanager
    async def _phase(self, name: str) -> AsyncGenerator[dict[str, Json]]:
        """Tell when a phase starts and ends; write the artifact after it.

        What is put into the dict is told with the end.
        """
        told: dict[str, Json] = {}
        started_at = self.runner.clock()
        self.writer.write("job.phase", {"phase": name, "state": "started"})
        yield told
        ended_at = self.runner.clock()
        took_ms = milliseconds_between(started_at, ended_at)
        self.artifact = steps.with_phase(
            self.artifact, phase=name, started_at=started_at, ended_at=ended_at
        )
        ended = {"phase": name, "state": "ended", "duration_ms": took_ms, **told}
        self.writer.write("job.phase", ended)
        await self.note()

    async def _prepare(self) -> tuple[Stage, Environment]:
        """Bring bundle and environment in sight; say in the artifact what they are."""
        prepared = _prepared(self.claim)
        bundle = self.runner.bundles.open(self.claim.job.digest)
        environment = await self.runner.workshop.environments.ensure(
            read_lock(prepared.lock),
            interpreter=interpreter_of(prepared),
            requested=bundle.requirements.names,
            observe=self.writer.observe,
        )
        context = await self.runner.context(bundle, environment=environment, prepared=prepared)
        self.artifact = steps.with_environment(
            self.artifact,
            environment=environment_entry(environment),
            install=_install_entry(prepared, environment),
            callables=_callables(bundle),
        )
        return context, environment

    async def _extract(self, context: Stage, *, cancelled: asyncio.Event) -> Outcome:
        job = self.claim.job
        inputs = [
            Input(name=one.name, source=await self.runner.blobs.local_path(one.sha256))
            for one in job.inputs
        ]
        command = extract_command(
            context,
            job_id=job.id,
            inputs=inputs,
            parameters=job.parameters,
            request=self.artifact.request,
        )
        outcome = await self._run(command, folder="outputs", cancelled=cancelled)
        outcome = told_start(outcome, manifest=context.bundle.manifest)
        self.artifact = steps.with_run(self.artifact, outcome=outcome, limits=command.limits)
        return outcome

    async def _keep(self, outcome: Outcome) -> Sequence[StoredOutput]:
        """Move the outputs into the store of bytes."""
        folder = self._folder / "outputs"
        outputs = [await self._keep_one(folder, one.path) for one in outcome.outputs]
        remove_tree(folder)
        for refusal in outcome.refusals:
            message = f"the output {refusal.path!r} was not kept: {refusal.why}"
            self.writer.write("job.log", {"stream": "log", "level": "warning", "message": message})
        if outcome.refused > len(outcome.refusals):
            message = f"{outcome.refused - len(outcome.refusals)} more outputs were not kept"
            self.writer.write("job.log", {"stream": "log", "level": "warning", "message": message})
        self.artifact = steps.with_outputs(
            self.artifact, outputs=outputs, is_partial=not outcome.is_ok and bool(outputs)
        )
        return outputs

    async def _keep_one(self, folder: Path, path: str) -> StoredOutput:
        blob = await self.runner.blobs.put_file(folder / path, consume=True)
        return StoredOutput(
            path=path,
            size_bytes=blob.size_bytes,
            sha256=blob.sha256,
            media_type=mimetypes.guess_type(path)[0] or "application/octet-stream",
        )

    async def _after_extract(
        self, context: Stage, outcome: Outcome, *, state: State, error: JobError | None
    ) -> JobError | None:
        """Run the hook after success and failure; return its error where it is required."""
        command = on_after_extract_command(
            context,
            job_id=self.claim.job.id,
            outcome=_hook_outcome(outcome, state=state, error=error, artifact=self.artifact),
            parameters=self.claim.job.parameters,
            request=self.artifact.request,
        )
        if command is None or state is State.CANCELLED:
            return None
        async with self._phase("on_after_extract"):
            ended = await self._run(command, folder="hook", cancelled=None)
            self.artifact = steps.with_hook(self.artifact, name="on_after_extract", outcome=ended)
            self._tell_left(ended)
            remove_tree(self._folder / "hook")
        hook = context.bundle.on_after_extract
        return steps.error_of(ended) if hook and hook.required else None

    def _tell_left(self, hook: Outcome) -> None:
        """Say that what a hook after the job leaves is not the job's."""
        if hook.outputs:
            more = f" and {len(hook.outputs) - 1} more files" if hook.outputs[1:] else ""
            message = (
                f"on_after_extract left {hook.outputs[0].path}{more} in output_dir, where only "
                "what extract leaves is kept"
            )
            self.writer.write("job.log", {"stream": "log", "level": "warning", "message": message})

    async def _run(
        self, command: Command, *, folder: str, cancelled: asyncio.Event | None
    ) -> Outcome:
        remove_tree(self._folder / folder)
        return await self.runner.workshop.run(
            command,
            outputs_to=self._folder / folder,
            observe=self.writer.observe,
            cancelled=cancelled,
        )

    @property
    def _folder(self) -> Path:
        return self.runner.jobs_folder / self.claim.job.id / str(self.claim.job.attempt)


def _prepared(claim: Claim) -> PreparedRecord:
    if claim.activation.prepared is None:
        raise RuntimeError(f"activation {claim.activation.id} prepared nothing")
    return claim.activation.prepared


def environment_entry(environment: Environment) -> EnvironmentEntry:
    """Return what the artifact tells of an environment."""
    inventory = environment.inventory
    return EnvironmentEntry(
        key=environment.key,
        python=inventory.python,
        platform=inventory.platform,
        installed=tuple(
            InstalledEntry.model_validate(asdict(item)) for item in inventory.installed
        ),
        overlaps=tuple(
            OverlapEntry.model_validate(asdict(one)) for one in inventory.overlaps[:MOST_LISTED]
        ),
        overlapping=len(inventory.overlaps),
        sourceless=inventory.sourceless[:MOST_LISTED],
        sourceless_modules=len(inventory.sourceless),
    )


def _install_entry(prepared: PreparedRecord, environment: Environment) -> InstallEntry:
    gate = prepared.install.get("gate")
    return InstallEntry(
        source=str(prepared.install.get("source", "")),
        duration_ms=environment.duration_ms,
        reused=environment.is_reused,
        gate=dict(gate) if isinstance(gate, dict) else {},
    )


def _callables(bundle: Bundle) -> list[CallableEntry]:
    targets = [("extract", bundle.manifest.entrypoint)]
    if hook := bundle.on_after_extract:
        targets.append(("on_after_extract", hook.target))
    return [
        CallableEntry(role=role, impl=target, sha256=source.sha256)
        for role, target in targets
        if (source := bundle.source_of(target))
    ]


def _hook_outcome(
    outcome: Outcome, *, state: State, error: JobError | None, artifact: Artifact
) -> dict[str, Json]:
    return {
        "state": state.value,
        "error": {"code": error.code, "what": error.what} if error else None,
        "wall_ms": outcome.usage.wall_ms,
        "cpu_ms": outcome.usage.cpu_ms,
        "outputs": [{"path": one.path, "size_bytes": one.size_bytes} for one in artifact.outputs],
        "value": outcome.value,
    }
