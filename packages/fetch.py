"""Fetches wheels through the gate: each has the locked digest, is judged, and stays."""

import asyncio
import hashlib
import ssl
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx2

from packages.diagnosis import disk_full, gate_closed, index_unreachable
from packages.errors import FetchFailed
from packages.grant import GateState
from packages.index import Index
from packages.lock import Offered
from packages.progress import tell
from sandbox.command import Observe
from wheelhouse.errors import WheelRefused
from wheelhouse.problem import Problem
from wheelhouse.store import Origin, Wheel, Wheelhouse

AT_ONCE = 4
MOST_WHEEL_BYTES = 4 * 1024**3
REFUSALS = (401, 403, 407)
QUIET_S = 30.0
"""A connection may be silent for this long; a slow one may take as long as it likes."""


class Keeper(Protocol):
    """Who minds the gate: says how it stands at this moment, and writes down what comes through."""

    async def gate(self, granted: GateState) -> GateState:
        """Return the gate as it is now; `granted` is how it was when the install began."""
        ...

    async def passed(self, wheel: Offered, *, gate: GateState, index: str) -> None:
        """Write down that `wheel`, of the right digest, came through; before it is kept."""
        ...


class Nobody:
    """Minds no gate: whoever calls has decided, and the wheel's origin is the record."""

    async def gate(self, granted: GateState) -> GateState:
        """Return the gate as it was granted."""
        return granted

    async def passed(self, wheel: Offered, *, gate: GateState, index: str) -> None:
        """Write nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Fetches from `index` into `house`. `clock` gives the time in UTC."""

    house: Wheelhouse
    index: Index
    clock: Callable[[], datetime]
    keeper: Keeper = field(default_factory=Nobody)

    async def fetch(
        self, wanted: Sequence[Offered], *, gate: GateState, observe: Observe
    ) -> tuple[Wheel, ...]:
        """Fetch each wheel. Raises FetchFailed with every problem; what came stays in the house."""
        if not wanted:
            return ()
        crowd = asyncio.Semaphore(AT_ONCE)
        tally = _Tally(observe, total_bytes=sum(w.size_bytes or 0 for w in wanted))
        async with self._client() as client:
            one = (self._one(client, w, gate=gate, tally=tally, crowd=crowd) for w in wanted)
            results = await asyncio.gather(*one)
        problems = [result for result in results if isinstance(result, Problem)]
        if problems:
            raise FetchFailed(*problems)
        return tuple(result for result in results if isinstance(result, Wheel))

    async def refusal(self) -> str:
        """Return why the index does not let us in; empty where it does.

        uv takes a 401 for "no such distribution" where it asks more than one index.
        """
        login = self.index.credentials()
        auth = httpx2.BasicAuth(*login) if login else None
        try:
            async with (
                self._client() as client,
                client.stream("GET", self.index.url, auth=auth) as answer,
            ):
                is_refused = answer.status_code in REFUSALS
                return (
                    f"it answers {answer.status_code} {answer.reason_phrase}" if is_refused else ""
                )
        except httpx2.HTTPError as error:
            return self.index.redact(f"{type(error).__name__} {error}")

    def _client(self) -> httpx2.AsyncClient:
        context = ssl.create_default_context(
            cafile=str(self.index.ca_bundle) if self.index.ca_bundle else None
        )
        # Python 3.13 turned this on; many a company's authority lacks an extension, and uv, which
        # resolves against the same index, does not ask for it.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return httpx2.AsyncClient(
            verify=context,
            proxy=self.index.proxy or None,
            trust_env=False,
            follow_redirects=True,
            timeout=httpx2.Timeout(QUIET_S),
        )

    async def _one(
        self,
        client: httpx2.AsyncClient,
        wanted: Offered,
        *,
        gate: GateState,
        tally: "_Tally",
        crowd: asyncio.Semaphore,
    ) -> Wheel | Problem:
        async with crowd:
            gate = await self.keeper.gate(gate)
            if not gate.is_open_at(self.clock()):
                return gate_closed("the gate has closed meanwhile", name=wanted.name)
            if not gate.allows(wanted.name):
                only = ", ".join(gate.packages)
                return gate_closed(f"the gate is open for {only} only", name=wanted.name)
            try:
                with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._root()) as folder:
                    path = Path(folder) / wanted.wheel
                    await self._download(client, wanted, path, tally)
                    await self.keeper.passed(wanted, gate=gate, index=self.index.shown)
                    return await self.house.judges.beside(self._keep, path, wanted, gate)
            except _MismatchError as mismatch:
                return mismatch.problem
            except WheelRefused as refused:
                return refused.problems[0]
            except httpx2.HTTPError as error:
                detail = self.index.redact(f"{wanted.wheel}: {type(error).__name__} {error}")
                return index_unreachable(self.index.shown, detail)
            except OSError as error:
                return disk_full(str(error))

    async def _download(
        self, client: httpx2.AsyncClient, wanted: Offered, path: Path, tally: "_Tally"
    ) -> None:
        """Stream the wheel to `path`. Raises _MismatchError where it is not what was locked."""
        parts = urlsplit(wanted.url)
        login = self.index.credentials() if parts.hostname == self.index.host else None
        digest, size = hashlib.sha256(), 0
        auth = httpx2.BasicAuth(*login) if login else None
        async with client.stream("GET", wanted.url, auth=auth) as answer:
            answer.raise_for_status()
            with path.open("wb") as file:
                async for chunk in answer.aiter_bytes():
                    size += len(chunk)
                    if size > (wanted.size_bytes or MOST_WHEEL_BYTES):
                        raise _MismatchError(_mismatch(wanted, "it is longer than it should be"))
                    digest.update(chunk)
                    file.write(chunk)
                    tally.add(len(chunk), wanted.wheel)
        if f"sha256:{digest.hexdigest()}" != wanted.sha256:
            raise _MismatchError(
                _mismatch(wanted, f"it has the digest sha256:{digest.hexdigest()}")
            )

    def _keep(self, path: Path, wanted: Offered, gate: GateState) -> Wheel:
        origin = Origin(
            kind="fetched",
            at=self.clock(),
            by=gate.who,
            index=self.index.shown,
            note=gate.reason,
        )
        return self.house.add(path, origin=origin, filename=wanted.wheel)

    def _root(self) -> Path:
        self.house.root.mkdir(parents=True, exist_ok=True)
        return self.house.root


class _MismatchError(Exception):
    """What came is not what was locked."""

    def __init__(self, problem: Problem):
        super().__init__(problem)
        self.problem = problem


class _Tally:
    """Counts bytes over all wheels, and tells them at most once a megabyte."""

    STEP_BYTES = 1 << 20

    def __init__(self, observe: Observe, *, total_bytes: int):
        self.observe, self.total_bytes = observe, total_bytes
        self.done_bytes = self.told_bytes = 0

    def add(self, size: int, what: str) -> None:
        self.done_bytes += size
        is_last = self.done_bytes >= self.total_bytes
        if is_last or self.done_bytes - self.told_bytes >= self.STEP_BYTES:
            self.told_bytes = self.done_bytes
            done, total = self.done_bytes, self.total_bytes
            tell(self.observe, "fetch", done=done, total=total, unit="bytes", what=what)


def _mismatch(wanted: Offered, what: str) -> Problem:
    return Problem(
        code="hash-mismatch",
        what=f"{what}, and the lock says {wanted.sha256}",
        where=wanted.wheel,
        mend="lock again; if it stays so, the index or something before it alters files",
    )
