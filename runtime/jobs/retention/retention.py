"""Lets go of what was kept for its time: a few jobs in a turn, and a bit of the store of bytes.

A cycle goes through all that ended long enough ago, the first first; then comes a pause. Nothing is
remembered over a restart, which begins a new cycle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.artifact.artifacts import Artifacts
from runtime.artifact.narrative import narrated
from runtime.faults.errors import InputRefused, NotFound
from runtime.jobs.retention.collecting import Collector
from runtime.queue.notifier import Notifier
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.retention import deletion, policies, sweeps
from runtime.store.retention.deletion import Gone
from runtime.store.retention.sweeps import Place
from runtime.values.around.retention import (
    Ended,
    Keeping,
    Kind,
    Policy,
    RetentionSettings,
    Rule,
    due,
    judge_rules,
    keeping,
    shortest,
)
from runtime.values.clock import Clock
from runtime.values.records import JsonObject
from runtime.values.states import State

RETENTION_NEWS = "retention"
LOOKED_AT = 500
"""Ended jobs in one look."""
AT_A_TIME = 25
"""Jobs in one transaction: an events log of thousands of lines each takes its time."""
PARTS_A_CYCLE = 4
"""Of 256 parts of the store of bytes: what a crash has left is found within some hours."""


@dataclass(slots=True, kw_only=True)
class _Cycle:
    """How far this cycle has come; `part` is where the walk through the bytes goes on."""

    after: Place | None = None
    part: int = 0


@frozen
class Retention:
    """Knows the rules, and follows them."""

    store: Store
    collector: Collector
    artifacts: Artifacts
    notifier: Notifier
    clock: Clock
    settings: RetentionSettings
    _cycle: _Cycle = field(default_factory=_Cycle)

    async def rules(self) -> tuple[Rule, ...]:
        """Return the rules in force: those of the admin's policy go before those of settings."""
        policy = await self.store.read(policies.read)
        return laid_over(self.settings, policy)

    async def set_policy(self, policy: Policy, *, who: str, origin: JsonObject) -> Policy:
        """Set the admin's policy. Raises InputRefused with every contradiction."""
        if problems := judge_rules(policy.rules):
            raise InputRefused("The rules contradict each other", problems=problems)
        at = self.clock()
        said = await self.store.run(_set_policy, policy=policy, who=who, at=at, origin=origin)
        self._cycle.after = None
        self.notifier.notify(RETENTION_NEWS)
        return said

    async def delete(self, job_id: str, *, who: str, reason: str, origin: JsonObject) -> Gone:
        """Delete a job that has ended, with its bytes and its artifacts; it is audited."""
        gone = await self.store.run(
            _delete, job_id=job_id, who=who, at=self.clock(), reason=reason, origin=origin
        )
        await self.collector.remove_folder(job_id)
        await self.collector.collect(gone.digests)
        return gone

    async def turn(self) -> bool:
        """Let go of what is due among the next jobs; return whether the cycle goes on."""
        looked_at, going = await self._next()
        if going:
            await self._sweep(going)
        if looked_at:
            return True
        self._cycle.after = None
        for _ in range(PARTS_A_CYCLE):
            await self._count(await self.collector.walk(self._cycle.part))
            self._cycle.part = (self._cycle.part + 1) % 256
        return False

    async def due(self, *, most: int = 20_000) -> dict[Kind, int]:
        """Return of how many jobs something would go now, by kind, among so many at most."""
        counted = dict.fromkeys(Kind, 0)
        rules, after = await self.rules(), None
        spans = _Spans(rules)
        while most > 0:
            jobs = await self._ended(rules, after=after)
            if not jobs:
                break
            for job in jobs:
                for kind in due(job, spans=spans.of(job), at=self.clock()):
                    counted[kind] += 1
            after, most = _place_of(jobs[-1]), most - len(jobs)
        return counted

    async def _next(self) -> tuple[Sequence[Ended], dict[str, frozenset[Kind]]]:
        """Return the jobs that were looked at, and what goes of those that can be swept together.

        The cycle goes on behind the last of them.
        """
        rules = await self.rules()
        jobs = await self._ended(rules, after=self._cycle.after)
        going: dict[str, frozenset[Kind]] = {}
        spans = _Spans(rules)
        for job in jobs:
            if kinds := due(job, spans=spans.of(job), at=self.clock()):
                going[job.id] = kinds
            self._cycle.after = _place_of(job)
            if len(going) == AT_A_TIME:
                break
        return jobs, going

    async def _ended(self, rules: Sequence[Rule], *, after: Place | None) -> Sequence[Ended]:
        span = shortest(rules)
        if span is None:
            return ()
        before = self.clock() - span
        return await self.store.read(sweeps.ended_before, at=before, after=after, limit=LOOKED_AT)

    async def _sweep(self, going: Mapping[str, frozenset[Kind]]) -> None:
        for job_id, kinds in going.items():
            if kinds & {Kind.EVENTS, Kind.ROWS}:
                await self._record(job_id)
        digests = await self.store.run(sweeps.sweep, due=going, at=self.clock())
        await self._count(await self.collector.collect(digests))

    async def _record(self, job_id: str) -> None:
        """Save the artifact of each attempt that has it in its events only, before these go."""
        for number in await self.store.read(sweeps.unrecorded, job_id=job_id):
            try:
                artifact = await self.store.read(narrated, job_id=job_id, attempt=number)
            except NotFound:
                continue
            saved = await self.artifacts.save(artifact)
            await self.store.run(sweeps.note_artifact, job_id=job_id, number=number, artifact=saved)

    async def _count(self, freed: tuple[int, int]) -> None:
        number, size_bytes = freed
        if number:
            await self.store.run(
                policies.count_freed, kind="bytes", number=number, size_bytes=size_bytes
            )


class _Spans:
    """The spans of each kind of job, worked out once: there are few kinds, and many jobs."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._known: dict[tuple[str, State], Keeping] = {}

    def of(self, job: Ended) -> Keeping:
        """Return how long things of a job are kept."""
        kind = job.package, job.state
        if kind not in self._known:
            self._known[kind] = keeping(self._rules, package=job.package, state=job.state)
        return self._known[kind]


def laid_over(settings: RetentionSettings, policy: Policy) -> tuple[Rule, ...]:
    """Return the rules of both; where both name the same jobs, the policy's come later and win."""
    return (*settings.as_rules(), *policy.rules)


def _place_of(job: Ended) -> Place:
    return Place(finished_at=job.finished_at, id=job.id)


def _set_policy(
    connection: Connection, *, policy: Policy, who: str, at: datetime, origin: JsonObject
) -> Policy:
    plain = policy.model_dump(mode="json", exclude_defaults=True)
    audit.append(
        connection,
        at=at,
        who=who,
        action="retention.set",
        subject="retention",
        details={**plain, **origin},
    )
    return policies.write(connection, policy=policy, who=who, at=at)


def _delete(
    connection: Connection,
    *,
    job_id: str,
    who: str,
    at: datetime,
    reason: str,
    origin: JsonObject,
) -> Gone:
    gone = deletion.delete_job(connection, job_id=job_id)
    told: JsonObject = {
        "package": gone.job.package,
        "version": gone.job.version,
        "of": gone.job.request.principal,
        "artifacts": list(gone.artifacts),
        "reason": reason,
        **origin,
    }
    audit.append(connection, at=at, who=who, action="job.delete", subject=job_id, details=told)
    return gone
