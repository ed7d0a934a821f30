"""What callers may do with jobs: submit one, cancel it, retry it."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from functools import partial
from typing import cast

from sqlalchemy import Connection

from frozen.values import changed, frozen
from packages.bundle.orders import PARAMETERS, judge_inputs
from packages.interpreters import abi_of, platform_of
from runtime.activations.prepared import interpreter_of
from runtime.faults.errors import InputRefused, KeyInUse, NotActive
from runtime.jobs.attempts.cancellations import Cancellations
from runtime.jobs.orders.orders import (
    PLAIN,
    SAME,
    Again,
    Around,
    Ordered,
    Sender,
    Target,
    sent_key,
)
from runtime.jobs.orders.quotas import Quotas
from runtime.jobs.orders.rules import (
    NO_WISH,
    DispatchPolicy,
    Wish,
    judge_wish,
    rules_of,
    with_rules,
)
from runtime.jobs.webhooks.deliveries import Deliveries
from runtime.queue.dispatch import Dispatch
from runtime.queue.notifier import Notifier, ended
from runtime.store.databases.store import Store
from runtime.store.jobs import admission, submissions
from runtime.store.jobs import jobs as job_store
from runtime.store.packages import activations, packages
from runtime.telemetry.telemetry import Telemetry
from runtime.values.clock import Clock
from runtime.values.records import (
    Activation,
    Job,
    JobInput,
    JsonObject,
    Pinned,
)
from runtime.values.states import State
from runtime.values.when.line import as_words
from wheelhouse.judges.pool import Judges
from wheelhouse.problem import Problem

MOST_KNOWN = 256
"""How many versions are remembered by those who submit."""


async def _nothing_to_keep() -> None:
    """Keep nothing: a job without inputs, or with some that are kept already."""


@frozen
class Submissions:
    """Submits, cancels and retries jobs; what a method promises is in the store when it returns."""

    store: Store
    dispatch: Dispatch
    notifier: Notifier
    cancellations: Cancellations
    clock: Clock
    queue_limit: int
    judges: Judges
    quotas: Quotas
    deliveries: Deliveries
    policy: DispatchPolicy = field(default_factory=DispatchPolicy)
    telemetry: Telemetry = field(default_factory=Telemetry)
    _known: dict[str, Target] = field(default_factory=dict[str, Target])
    _last: dict[str, Target] = field(default_factory=dict[str, Target])
    """What each package ran when it was looked up last."""
    _pins: dict[str, Pinned] = field(default_factory=dict[str, Pinned])
    """What is written into jobs of the activations that are known."""
    _on_their_way: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    @contextmanager
    def receiving(self, sender: Sender) -> Generator[None]:
        """Hold the key of an order while it arrives. Raises KeyInUse while another one does.

        In this process; in another one the first to be accepted has the key.
        """
        key = (sender.request.principal, sender.key)
        if sender.key and key in self._on_their_way:
            raise KeyInUse(
                f"The order that was sent first with the key {sender.key!r} is still on its way",
                where="header: Idempotency-Key",
                mend="send it again in a moment: it will be the same job",
            )
        self._on_their_way.add(key)
        try:
            yield
        finally:
            self._on_their_way.discard(key)

    async def target_for(self, package: str, *, version: str | None) -> Target:
        """Return what a job of `package` would run on; raise before any input is read.

        The queue's exact bound is kept when the job is stored; a full queue is told here
        already, so that nobody sends a gigabyte in vain.
        """
        found = await self.store.read(
            _target,
            package=package,
            version=version,
            queue_limit=self.queue_limit,
            known=self._known,
        )
        if version is None:
            self._known[found.activation.id] = self._last[package] = found
        for known in (self._known, self._last, self._pins):
            if len(known) > MOST_KNOWN:
                del known[next(iter(known))]
        return found

    async def submit_plain(
        self,
        package: str,
        *,
        version: str | None,
        parameters: JsonObject,
        sender: Sender,
        wish: Wish = NO_WISH,
        around: Around = PLAIN,
    ) -> Job:
        """Accept a job without inputs, as `submit` does, with one look into the store less.

        What its package ran last is taken for active still, and held against the store as the
        job is stored. A key is of what is active, so with one that is looked up first.
        """
        submit = partial(
            self.submit, parameters=parameters, inputs=(), sender=sender, wish=wish, around=around
        )
        last = self._last.get(package)
        if last is not None and version is None and not sender.key:
            with suppress(NotActive, InputRefused):
                return await submit(last, is_sure=False)
        return await submit(await self.target_for(package, version=version))

    async def submit(
        self,
        target: Target,
        *,
        parameters: JsonObject,
        inputs: Sequence[JobInput],
        sender: Sender,
        keep: Callable[[], Awaitable[None]] = _nothing_to_keep,
        wish: Wish = NO_WISH,
        around: Around = PLAIN,
        is_sure: bool = True,
    ) -> Job:
        """Accept a job, or raise QueueFull; what was accepted is never lost.

        Returns the job that was accepted by the same key before, where there is one; raises
        KeyUsed where that was another order, KeyInUse while that is on its way.

        Raises InputRefused where the package says that it takes no such job. `keep` is awaited
        once it would: then the bytes of the inputs are wanted. Unless `is_sure` that the target
        is what its package runs, NotActive is raised where it does not any more.
        """
        ordered = await self.ordered(
            target, parameters=parameters, inputs=inputs, sender=sender, wish=wish, around=around
        )
        sent = ordered.sent
        if sent and (known := await self.store.read(submissions.job_sent_before, sent=sent)):
            return await self.store.read(job_store.get, job_id=known)
        await keep()
        active = "" if is_sure else target.activation.id
        return await self.accept(changed(ordered, active=active))

    async def ordered(
        self,
        target: Target,
        *,
        parameters: JsonObject,
        inputs: Sequence[JobInput],
        sender: Sender,
        wish: Wish = NO_WISH,
        around: Around = PLAIN,
    ) -> Ordered:
        """Return the job as it will be stored. Raises InputRefused where the package takes none."""
        self.quotas.refuse_beyond(
            package=target.activation.package, principal=sender.request.principal
        )
        self.deliveries.judged(around.webhook)
        await self.refuse_unfit(target, parameters=parameters, inputs=inputs, wish=wish)
        job = self.job_of(
            target, parameters=parameters, inputs=inputs, sender=sender, wish=wish, around=around
        )
        sent = sent_key(
            target, parameters=parameters, inputs=inputs, sender=sender, wish=wish, around=around
        )
        return Ordered(job=job, sent=sent, keep=wish.keep)

    async def accept(self, ordered: Ordered) -> Job:
        """Store a job and say that it waits. Raises QueueFull, or KeyUsed."""
        # Stored first: whatever is lost from here on, the reconciler finds the job in the store.
        with self.telemetry.traces.submission(ordered.job) as job:
            storing = self.store.run(
                job_store.submit,
                job=job,
                queue_limit=self.queue_limit,
                sent=ordered.sent,
                keep=ordered.keep,
                active=ordered.active,
            )
            in_line = asyncio.Task(storing, loop=asyncio.get_running_loop(), eager_start=True)
            is_looked_for = self.dispatch.is_looked_for(job)
            accepted = await in_line
        if not is_looked_for or accepted.due_at > job.due_at:
            await self.dispatch.attempt(accepted)
        return accepted

    def job_of(
        self,
        target: Target,
        *,
        parameters: JsonObject,
        inputs: Sequence[JobInput],
        sender: Sender,
        wish: Wish,
        around: Around = PLAIN,
    ) -> Job:
        """Return the job that an order becomes, with the rules that it waits by; keeps nothing."""
        at = self.clock()
        rules = rules_of(
            wish,
            manifest=target.manifest,
            policy=self.policy,
            package=target.activation.package,
            principal=sender.request.principal,
            parameters=parameters,
        )
        pinned = self._pinned(target)
        job = Job(
            id=sender.job_id,
            package=target.activation.package,
            version=pinned.version,
            digest=pinned.digest,
            activation_id=pinned.activation_id,
            platform=pinned.platform,
            needs=pinned.needs,
            state=State.QUEUED,
            attempt=1,
            parameters=parameters,
            inputs=tuple(inputs),
            request=sender.request,
            submitted_at=at,
            queued_at=at,
            due_at=max(wish.not_before or at, at),
            due_why="not-before" if wish.not_before and wish.not_before > at else "",
            expires_at=wish.expires_at,
            priority=wish.priority,
            unique_key=wish.unique or None,
            schedule_id=wish.schedule_id,
            labels=around.labels,
            batch=around.batch,
            webhook=around.webhook,
            told_attempt=0 if self._is_awaited(around, target=target, sender=sender) else None,
        )
        return with_rules(job, rules)

    def _pinned(self, target: Target) -> Pinned:
        """Return the version that a job runs on which begins to wait now, worked out once."""
        activation_id = target.activation.id
        if activation_id not in self._pins:
            self._pins[activation_id] = pinned_to(target)
        return self._pins[activation_id]

    def _is_awaited(self, around: Around, *, target: Target, sender: Sender) -> bool:
        """Return whether somebody wants to be told of the end of such a job."""
        owner, package = sender.request.principal, target.activation.package
        return bool(around.webhook) or self.deliveries.is_awaited(owner=owner, package=package)

    async def refuse_unfit(
        self,
        target: Target,
        *,
        parameters: JsonObject,
        inputs: Sequence[JobInput],
        wish: Wish = NO_WISH,
    ) -> None:
        """Hold a job against what its package and the admin say of jobs. Raises InputRefused."""
        problems = list(judge_wish(wish, policy=self.policy, at=self.clock()))
        problems += await self.judged(target, parameters=parameters, inputs=inputs)
        if problems:
            name = f"{target.activation.package} {target.activation.version}"
            raise InputRefused(f"{name} takes no such job", problems=problems)

    async def judged(
        self, target: Target, *, parameters: JsonObject, inputs: Sequence[JobInput]
    ) -> list[Problem]:
        """Return what keeps a package from taking a job with these parameters and inputs."""
        manifest = target.manifest
        accepts = cast("list[str]", manifest.get("accepts") or [])
        sent = [(one.name, one.media_type) for one in inputs]
        problems = list(judge_inputs(sent, accepts=tuple(accepts)))
        if schema := manifest.get("parameters"):
            judged = partial(self.judges.judge, PARAMETERS, about="parameters", schema=schema)
            _, unfit = await self.judges.beside(judged, parameters=dict(parameters))
            problems += unfit
        return problems

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job: at once while it waits, by stopping its cell while it runs."""
        job = await self.store.run(job_store.cancel, job_id=job_id, at=self.clock())
        self.cancellations.cancel(job_id)
        self.notifier.notify(job_id)
        self.notifier.notify(ended(job_id))
        return job

    async def retry(self, job_id: str, *, on: Again = SAME) -> Job:
        """Queue a new attempt of a job that has ended: as it was, or on another version.

        Raises NotActive or InputRefused where that version cannot run it.
        """
        pinned = await self._pinned_anew(job_id, on=on) if on.is_other else None
        job = await self.store.run(
            job_store.retry,
            job_id=job_id,
            at=self.clock(),
            queue_limit=self.queue_limit,
            on=pinned,
        )
        await self.dispatch.attempt(job)
        self.notifier.notify(job_id)
        return job

    async def _pinned_anew(self, job_id: str, *, on: Again) -> Pinned:
        """Return what a job is to run on that ran on another version before, if that takes it."""
        job = await self.store.read(job_store.get, job_id=job_id)
        target = await self.target_for(job.package, version=on.version)
        await self.refuse_unfit(target, parameters=job.parameters, inputs=job.inputs)
        return pinned_to(target)


def pinned_to(target: Target) -> Pinned:
    """Return the version that a job runs on which begins to wait now."""
    activation = target.activation
    return Pinned(
        version=activation.version,
        digest=activation.digest,
        activation_id=activation.id,
        platform=_platform_of(activation),
        needs=needs_of(activation, labels=_labels(target.manifest)),
    )


def _target(
    connection: Connection,
    *,
    package: str,
    version: str | None,
    queue_limit: int,
    known: Mapping[str, Target],
) -> Target:
    """Return what the next job runs on; of an activation that is `known` nothing is read again."""
    admission.refuse_if_full(connection, limit=queue_limit)
    active = None if version else packages.active_activation(connection, package=package)
    if active is not None and active in known:
        return known[active]
    found = activations.for_jobs(connection, package=package, version=version)
    manifest = packages.manifest_of(connection, digest=found.digest)
    return Target(activation=found, manifest=manifest, asked_version=version)


def needs_of(activation: Activation, *, labels: Sequence[str]) -> str:
    """Return what the worker of a version has to offer: its Python, and the labels it needs."""
    prepared = activation.prepared
    python = (abi_of(interpreter_of(prepared)),) if prepared else ()
    return as_words((*python, *labels))


def _labels(manifest: JsonObject) -> Sequence[str]:
    return cast(Sequence[str], manifest.get("needs", ()))


def _platform_of(activation: Activation) -> str:
    """Return the platform that the environment of a version is built for."""
    prepared = activation.prepared
    return platform_of(interpreter_of(prepared)) if prepared else ""
