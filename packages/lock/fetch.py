"""Fetches wheels through the gate: each has the locked digest, is judged, and stays."""

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path

import httpx2

from frozen.values import frozen
from packages.errors import FetchFailed, LockFailed
from packages.index.index import Index
from packages.index.reading import (
    Budget,
    LeadsElsewhereError,
    Reader,
    TooCostlyError,
    client_of,
)
from packages.lock.diagnosis import (
    disk_full,
    gate_closed,
    index_unreachable,
    leads_elsewhere,
    resolve_cut,
    too_costly,
)
from packages.lock.gate_cancellation import still_open, while_open
from packages.lock.gate_watch import GateWatcher, UnwatchedGate
from packages.lock.grant import GateState
from packages.lock.lock import Offered
from packages.lock.policy import LockPolicy, too_large
from packages.progress import report_progress
from sandbox.command import Observe
from sandbox.limits import MIB
from wheelhouse.errors import WheelRefused
from wheelhouse.problem import Problem
from wheelhouse.store import Origin, Wheel, Wheelhouse

AT_ONCE = 4


@frozen
class Fetcher:
    """Fetches from `index` into `house`. `clock` gives the time in UTC.

    All wheels of one fetch together have no more than `most_mb`, whatever was said of them.
    """

    wheelhouse: Wheelhouse
    index: Index
    clock: Callable[[], datetime]
    watcher: GateWatcher = field(default_factory=UnwatchedGate)
    most_mb: int = LockPolicy().wheels_mb

    async def fetch(
        self, wanted: Sequence[Offered], *, gate: GateState, observe: Observe
    ) -> tuple[Wheel, ...]:
        """Fetch each wheel. Raises FetchFailed with every problem; what came stays in the house."""
        if not wanted:
            return ()
        semaphore = asyncio.Semaphore(AT_ONCE)
        total_bytes = sum(w.size_bytes or 0 for w in wanted)
        tally = _Tally(observe, total_bytes=total_bytes, most_bytes=self.most_mb * MIB)
        async with await asyncio.to_thread(client_of, self.index) as client:
            reader = Reader(index=self.index, client=client)
            one = (
                self._one(reader, w, gate=gate, tally=tally, semaphore=semaphore) for w in wanted
            )
            results = await asyncio.gather(*one)
        problems = [result for result in results if isinstance(result, Problem)]
        if problems:
            raise FetchFailed(*problems)
        return tuple(result for result in results if isinstance(result, Wheel))

    async def _one(
        self,
        reader: Reader,
        wanted: Offered,
        *,
        gate: GateState,
        tally: "_Tally",
        semaphore: asyncio.Semaphore,
    ) -> Wheel | Problem:
        async with semaphore:
            is_open = still_open(self.watcher, gate=gate, clock=self.clock)
            gate = await self.watcher.gate(gate)
            if closed := self._closed(gate, wanted):
                return closed
            try:
                work = self._fetch(reader, wanted, gate=gate, tally=tally, is_open=is_open)
                return await while_open(
                    work,
                    watcher=self.watcher,
                    gate=gate,
                    clock=self.clock,
                    doing=f"{wanted.wheel} came, so it was left",
                )
            except LockFailed as cut:
                return replace(cut.problems[0], where=wanted.name)
            except _MismatchError as mismatch:
                return mismatch.problem
            except WheelRefused as refused:
                return refused.problems[0]
            except LeadsElsewhereError as error:
                return leads_elsewhere(wanted.wheel, str(error))
            except _OverdrawnError as overdrawn:
                return too_large(str(overdrawn))
            except TooCostlyError as error:
                return too_costly(wanted.wheel, str(error))
            except httpx2.HTTPError as error:
                detail = self.index.redact(f"{wanted.wheel}: {type(error).__name__} {error}")
                return index_unreachable(self.index.shown, detail)
            except OSError as error:
                return disk_full(str(error))

    def _closed(self, gate: GateState, wanted: Offered) -> Problem | None:
        if not gate.is_open_at(self.clock()):
            return gate_closed("the gate has closed meanwhile", name=wanted.name)
        if not gate.allows(wanted.name):
            only = ", ".join(gate.packages)
            return gate_closed(f"the gate is open for {only} only", name=wanted.name)
        return None

    async def _fetch(
        self,
        reader: Reader,
        wanted: Offered,
        *,
        gate: GateState,
        tally: "_Tally",
        is_open: Callable[[], bool],
    ) -> Wheel | Problem:
        """Download, judge, and keep if the gate is open still."""
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._root()) as folder:
            path = Path(folder) / wanted.wheel
            await self._download(reader, wanted, path, tally, is_open=is_open)
            staging = self.wheelhouse.staged(path, origin=self._origin(gate), filename=wanted.wheel)
            staged = await self.wheelhouse.judges.beside(staging.__enter__)
            try:
                gate = await self.watcher.keep(
                    wanted, staged=staged, index=self.index.shown, granted=gate
                )
                closed = self._closed(gate, wanted)
                return closed or await asyncio.to_thread(self.wheelhouse.shown, staged)
            finally:
                staging.__exit__(None, None, None)

    async def _download(
        self,
        reader: Reader,
        wanted: Offered,
        path: Path,
        tally: "_Tally",
        *,
        is_open: Callable[[], bool],
    ) -> None:
        """Stream the wheel to `path`, each read while the gate `is_open`.

        Raises _MismatchError where it is not what was locked, LockFailed once the gate closes.
        """
        bounds = self.index.bounds
        budget = Budget(
            most_bytes=min(wanted.size_bytes or bounds.wheel_mb * MIB, bounds.wheel_mb * MIB),
            most_s=bounds.wheel_s,
            least_bytes_s=bounds.least_kb_s * 1024,
        )
        digest = hashlib.sha256()
        async with reader.reading(wanted.url, budget=budget) as answer:
            if answer.status != 200:
                raise httpx2.HTTPError(f"it answers {answer.status}")
            with path.open("wb") as file:
                async for chunk in answer.chunks:
                    if not is_open():
                        when = f"while {wanted.wheel} came, so it was left"
                        raise LockFailed(resolve_cut("", when=when))
                    digest.update(chunk)
                    file.write(chunk)
                    tally.add(len(chunk), wanted.wheel)
        if f"sha256:{digest.hexdigest()}" != wanted.sha256:
            raise _MismatchError(
                _mismatch(wanted, f"it has the digest sha256:{digest.hexdigest()}")
            )

    def _origin(self, gate: GateState) -> Origin:
        return Origin(
            kind="fetched",
            at=self.clock(),
            by=gate.who,
            index=self.index.shown,
            note=gate.reason,
        )

    def _root(self) -> Path:
        self.wheelhouse.root.mkdir(parents=True, exist_ok=True)
        return self.wheelhouse.root


class _MismatchError(Exception):
    """What came is not what was locked."""

    def __init__(self, problem: Problem):
        super().__init__(problem)
        self.problem = problem


class _OverdrawnError(Exception):
    """All wheels together are more than a lock may have."""


class _Tally:
    """Counts bytes over all wheels, and tells them at most once a megabyte."""

    STEP_BYTES = 1 << 20

    def __init__(self, observe: Observe, *, total_bytes: int, most_bytes: int):
        self.observe, self.total_bytes, self.most_bytes = observe, total_bytes, most_bytes
        self.done_bytes = self.told_bytes = 0

    def add(self, size: int, what: str) -> None:
        self.done_bytes += size
        if self.done_bytes > self.most_bytes:
            most = f"{self.most_bytes // MIB} MiB (lock.wheels_mb)"
            raise _OverdrawnError(f"more wheels than it may, of at most {most}")
        is_last = self.done_bytes >= self.total_bytes
        if is_last or self.done_bytes - self.told_bytes >= self.STEP_BYTES:
            self.told_bytes = self.done_bytes
            done, total = self.done_bytes, self.total_bytes
            report_progress(self.observe, "fetch", done=done, total=total, unit="bytes", what=what)


def _mismatch(wanted: Offered, what: str) -> Problem:
    return Problem(
        code="hash-mismatch",
        what=f"{what}, and the lock says {wanted.sha256}",
        where=wanted.wheel,
        mend="lock again; if it stays so, the index or something before it alters files",
    )
