"""Locker: from requirements to a lock. The wheelhouse first; the index only by the Grant."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from frozen.values import frozen
from packages.bundle.requirements import Requirements, Wanted
from packages.errors import FetchFailed, LockFailed, LockRefused
from packages.index.index import Index
from packages.interpreters import target_of
from packages.lock.addresses import Told, addressed, ask_index, excluding
from packages.lock.author_lock import judge_closure
from packages.lock.choosing import choice, judge_hashes, unfit
from packages.lock.diagnosis import (
    Circumstances,
    diagnose,
    disk_full,
    locked_absent,
    metadata_differs,
    network_required,
    without_digest,
)
from packages.lock.gate_cancellation import while_open
from packages.lock.gate_watch import GateWatcher, UnwatchedGate
from packages.lock.grant import Grant
from packages.lock.judging import author_offers, packages_of
from packages.lock.lock import Lock, Locked, Offered, make_lock
from packages.lock.origins import judge_lacking, judge_origins, wheelhouse_only_names
from packages.lock.policy import (
    LockPolicy,
    judge_advisories,
    judge_extent,
    judge_policy,
    judge_records,
)
from packages.lock.uv import UvEnd, UvTimeoutError, compile_pylock, scratch_folder
from packages.progress import quiet, report_progress
from sandbox.command import Interpreter, Observe
from wheelhouse.advisories.advisories import Advisories
from wheelhouse.errors import WheelNotFound
from wheelhouse.lacking.closure import Lack, lacks
from wheelhouse.lacking.missing import Missing, MissingList
from wheelhouse.metadata.target import Target
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse

if TYPE_CHECKING:
    from packages.lock.fetch import Fetcher

OFFLINE_TIMEOUT_S = 120.0


@frozen
class Locking:
    """What a lock took: the lock, what came through the gate for it, and how long (ms)."""

    lock: Lock
    fetched: tuple[Wheel, ...]
    duration_ms: float
    warnings: tuple[Problem, ...] = ()
    """Known advisories against what was locked, where the policy is to warn; missing digests and
    wrong RECORDs."""

    @property
    def source(self) -> str:
        """Return `index` where something was fetched, else `wheelhouse`."""
        return "index" if self.fetched else "wheelhouse"


@frozen
class Locker:
    """Locks against `house`, and through the gate against `index`. `clock` gives UTC."""

    wheelhouse: Wheelhouse
    clock: Callable[[], datetime]
    index: Index = field(default_factory=Index)
    policy: LockPolicy = field(default_factory=LockPolicy)
    missing: MissingList | None = None
    advisories: Advisories | None = None
    watcher: GateWatcher = field(default_factory=UnwatchedGate)

    async def lock(
        self,
        requirements: Requirements,
        *,
        interpreter: Interpreter,
        grant: Grant,
        network: str = "if-open",
        author_lock: str | None = None,
        observe: Observe = quiet,
    ) -> Locking:
        """Return the lock of `requirements`; every wheel of it is in the house afterwards.

        `network` is the manifest's wish (never, if-open, required). Raises LockFailed or
        LockRefused with every problem.
        """
        started = time.perf_counter()
        target = target_of(interpreter)
        if network == "required" and not grant.install_network:
            why = ", ".join(d.why for d in grant.decisions if d.about == "install-network")
            raise LockFailed(network_required(why))
        if author_lock is not None:
            chosen = await self._author_chose(author_lock, requirements, target)
            chosen = await self._at_our_index(chosen, interpreter, grant)
        elif requirements.wanted:
            chosen = await self._resolve(requirements, interpreter, target, grant, network, observe)
        else:
            chosen = ()
        fetched = await self._bring(chosen, grant, observe, target)
        lock = make_lock([self._locked(o) for o in chosen], python_minor=target.python_minor)
        problems = [
            *(self._judge_author(lock, requirements, target) if author_lock is not None else ()),
            *judge_hashes(lock, requirements),
            *self._judge_pythons(lock, target),
            *judge_policy(lock.packages, self.policy),
            *judge_extent([package.size_bytes for package in lock.packages], self.policy),
            *self._judge_index(chosen),
        ]
        wrong = judge_records(self._wheels(chosen))
        known = judge_advisories(lock.packages, self.advisories) if self.advisories else []
        if self.policy.advisories == "refuse":
            problems += known
        if self.policy.records == "refuse":
            problems += wrong
        if problems:
            raise LockFailed(*problems)
        took_ms = (time.perf_counter() - started) * 1000
        report_progress(observe, "lock", done=len(chosen), total=len(chosen), unit="wheels")
        unheld = [without_digest(one.name) for one in chosen if one.is_unhashed]
        warnings = (*known, *unheld, *wrong)
        return Locking(lock=lock, fetched=fetched, duration_ms=took_ms, warnings=warnings)

    def _judge_index(self, chosen: Sequence[Offered]) -> Iterator[Problem]:
        """Yield a problem for each wheel that is not what its index said, or not the index's."""
        wheels = self._wheels(chosen)
        yield from judge_origins(wheels, self.wheelhouse, self.policy)
        for one, wheel in zip(chosen, wheels, strict=True):
            if one.metadata_sha256 not in ("", wheel.metadata_sha256):
                yield metadata_differs(wheel.filename, wheel.name)

    def _wheels(self, chosen: Sequence[Offered]) -> list[Wheel]:
        return [self.wheelhouse.get(one.sha256, name=one.name) for one in chosen]

    def _judge_author(
        self, lock: Lock, requirements: Requirements, target: Target
    ) -> list[Problem]:
        wheels = [self.wheelhouse.get(p.sha256, name=p.name) for p in lock.packages]
        return judge_closure(wheels, requirements, target=target)

    async def _author_chose(
        self, text: str, requirements: Requirements, target: Target
    ) -> tuple[Offered, ...]:
        """Return the wheels of the author's lock. Raises LockRefused with every fault."""
        judges = self.wheelhouse.judges
        chosen, problems = await judges.beside(
            author_offers, text, requirements, target=target, judges=judges
        )
        if problems:
            raise LockRefused(*problems)
        return chosen

    async def _choice(
        self, text: str, target: Target, *, told: Told | None = None
    ) -> tuple[Offered, ...]:
        """Return the wheel of each package of uv's lock that the target takes best."""
        judges = self.wheelhouse.judges
        found, problems = await judges.beside(packages_of, text, target=target, judges=judges)
        if problems:
            raise LockFailed(*problems)
        return choice(found, target, told=told)

    async def _resolve(
        self,
        requirements: Requirements,
        interpreter: Interpreter,
        target: Target,
        grant: Grant,
        network: str,
        observe: Observe,
    ) -> tuple[Offered, ...]:
        """Ask uv: the house alone first, then the index too if the Grant lets it."""
        said = UvEnd(code=1, stderr="")
        if network != "required":
            said, text = await self._ask_wheelhouse(requirements, interpreter)
            if said.code == 0:
                return await self._choice(text, target)
        lacking = lacks(self.wheelhouse, _requirements(requirements.wanted), target=target)
        tried = self._circumstances(target, grant)
        if grant.install_network:
            work = self._ask_index(requirements, interpreter, tried)
            try:
                told = await self._while_open(work, grant)
            except LockFailed:
                self._note_missing(lacking, requirements, target)
                raise
            return await self._choice(told.text, target, told=told)
        self._note_missing(lacking, requirements, target)
        raise LockFailed(*diagnose(self.index.redact(said.stderr), lacking, tried))

    def _circumstances(self, target: Target, grant: Grant) -> Circumstances:
        return Circumstances(
            target=target,
            grant=grant,
            index=self.index.shown,
            used_index=grant.install_network,
        )

    async def _at_our_index(
        self, chosen: Sequence[Offered], interpreter: Interpreter, grant: Grant
    ) -> tuple[Offered, ...]:
        """Return what an author locked, with no address but those of the admin's index."""
        lacking = [one for one in chosen if not self._is_here(one)]
        if not lacking or not grant.install_network:
            return tuple(chosen)
        if ours := judge_lacking(lacking, self.wheelhouse, self.policy):
            raise LockFailed(*ours)
        work = addressed(
            lacking,
            index=self.index,
            python=interpreter.executable,
            exclude_newer=self.policy.cutoff(self.clock()),
            tried=self._circumstances(target_of(interpreter), grant),
            judges=self.wheelhouse.judges,
        )
        found = await self._while_open(work, grant)
        addresses = {one.sha256: one.url for one in found}
        return tuple(replace(one, url=addresses.get(one.sha256, "")) for one in chosen)

    async def _while_open[T](self, work: Coroutine[Any, Any, T], grant: Grant) -> T:
        return await while_open(work, watcher=self.watcher, gate=grant.gate, clock=self.clock)

    async def _ask_wheelhouse(
        self, requirements: Requirements, interpreter: Interpreter
    ) -> tuple[UvEnd, str]:
        """Run uv on the house alone. Raises LockFailed where it hangs or the disk fills."""
        simple = str(await asyncio.to_thread(self.wheelhouse.simple))  # which may wait for a lock
        try:
            with scratch_folder() as folder:
                return await compile_pylock(
                    requirements=requirements.text,
                    constraints=requirements.constraints_text,
                    python=interpreter.executable,
                    sources=["--offline", "--default-index", simple],
                    variables={},
                    timeout_s=OFFLINE_TIMEOUT_S,
                    scratch=Path(folder),
                )
        except UvTimeoutError as error:
            raise LockFailed(_hung()) from error
        except OSError as error:
            raise LockFailed(disk_full(str(error))) from error

    async def _ask_index(
        self, requirements: Requirements, interpreter: Interpreter, tried: Circumstances
    ) -> Told:
        """Run uv on the house and the index; names of the house are not the index's."""
        simple = str(await asyncio.to_thread(self.wheelhouse.simple))
        ours = await asyncio.to_thread(wheelhouse_only_names, self.wheelhouse, self.policy)
        with scratch_folder() as folder:
            return await ask_index(
                requirements.text,
                requirements.constraints_text,
                index=self.index,
                python=interpreter.executable,
                options=self._sources(simple, Path(folder)),
                tried=tried,
                kept_out=(*ours, *self.policy.wheelhouse_names),
                awaited="lock",
            )

    def _sources(self, simple: str, scratch: Path) -> list[str]:
        """Return uv's options for the house and the index together.

        Under a cooldown the house is given as a flat folder: uv would leave out what has no
        upload time, and what an admin added has none.
        """
        cutoff = self.policy.cutoff(self.clock())
        if cutoff is None:
            return ["--index", simple, "--index-strategy", "unsafe-best-match"]
        flat = scratch / "house"
        flat.mkdir()
        for wheel in self.wheelhouse.wheels():
            (flat / wheel.filename).symlink_to(self.wheelhouse.path(wheel).resolve())
        return ["--find-links", str(flat), *excluding(cutoff)]

    async def _bring(
        self, chosen: Sequence[Offered], grant: Grant, observe: Observe, target: Target
    ) -> tuple[Wheel, ...]:
        """Fetch what is not in the house, if the Grant lets it. Raises LockFailed."""
        if excess := judge_extent([one.size_bytes or 0 for one in chosen], self.policy):
            raise LockFailed(*excess)
        wanted = [o for o in chosen if not self._is_here(o)]
        if not wanted:
            return ()
        if not grant.install_network:
            for one in wanted:
                pinned = f"{one.name}=={one.version}"
                asked_by = "a lock in a bundle"
                self._note(pinned, asked_by=asked_by, target=target, sha256=one.sha256)
            raise LockFailed(*(self._not_here(o, grant, target) for o in wanted))
        fetcher = await asyncio.to_thread(self._fetcher)
        try:
            return await fetcher.fetch(wanted, gate=grant.gate, observe=observe)
        except FetchFailed as failed:
            raise LockFailed(*failed.problems) from failed

    def _fetcher(self) -> "Fetcher":
        # Here, and in a thread: httpx2 is 60 ms of imports, and most locks fetch nothing.
        from packages.lock.fetch import Fetcher  # noqa: PLC0415

        return Fetcher(
            wheelhouse=self.wheelhouse,
            index=self.index,
            clock=self.clock,
            watcher=self.watcher,
            most_mb=self.policy.wheels_mb,
        )

    def _is_here(self, wanted: Offered) -> bool:
        try:
            self.wheelhouse.get(wanted.sha256, name=wanted.name)
        except WheelNotFound:
            return False
        return True

    def _locked(self, chosen: Offered) -> Locked:
        wheel = self.wheelhouse.get(chosen.sha256, name=chosen.name)
        return Locked(
            name=wheel.name,
            version=wheel.version,
            wheel=wheel.filename,
            sha256=wheel.sha256,
            size_bytes=wheel.size_bytes,
            origin=wheel.origin.kind,
        )

    def _judge_pythons(self, lock: Lock, target: Target) -> Iterator[Problem]:
        """Yield a problem for each wheel that refuses this Python; uv takes lower bounds only."""
        for package in lock.packages:
            wanted = self.wheelhouse.get(package.sha256, name=package.name).requires_python
            if wanted and not SpecifierSet(wanted).contains(target.python, prereleases=True):
                what = f"{package.wheel} is for Python {wanted}; this is {target.python}"
                yield replace(unfit(package.name, target), what=what)

    def _note_missing(
        self, lacking: Sequence[Lack], requirements: Requirements, target: Target
    ) -> None:
        for lack in lacking:
            asked_by = lack.asked_by or ", ".join(sorted(requirements.names))
            self._note(lack.requirement, asked_by=asked_by, target=target)

    def _note(self, requirement: str, *, asked_by: str, target: Target, sha256: str = "") -> None:
        if self.missing is not None:
            self.missing.note(
                Missing(
                    requirement=requirement,
                    asked_by=asked_by,
                    python=target.python_minor,
                    platform=target.mirror_platform,
                    at=self.clock(),
                    sha256=sha256,
                )
            )

    def _not_here(self, wanted: Offered, grant: Grant, target: Target) -> Problem:
        """Return the problem of a locked wheel that is absent, or here with another digest."""
        found = self.wheelhouse.find(canonicalize_name(wanted.name))
        same_name = [w for w in found if w.filename == wanted.wheel]
        if same_name:
            return Problem(
                code="hash-mismatch",
                what=f"{wanted.wheel} is here with the digest {same_name[0].sha256}, "
                f"and the lock says {wanted.sha256}",
                where=wanted.wheel,
                mend="lock again, or bring the wheel that the lock means",
            )
        return locked_absent(wanted, self._circumstances(target, grant))


def _requirements(wanted: Sequence[Wanted]) -> list[Requirement]:
    return [Requirement(w.text) for w in wanted]


def _hung() -> Problem:
    return Problem(
        code="lock-timeout",
        what=f"uv found no lock in the wheelhouse within {OFFLINE_TIMEOUT_S:.0f} s",
        where="requirements.txt",
        mend="narrow the versions that are asked for, so that there is less to try",
    )
