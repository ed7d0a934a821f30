"""Mirror: resolves and fetches a closed set of wheels for several targets, when connected.

It lives beside the locker, since it asks uv too; what it fetches goes into a wheelhouse, to
be exported and carried to where there is no network. Names of the house come from the house
here too: the index is not asked for them.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from frozen.values import frozen
from packages.bundle.manifest import Manifest
from packages.bundle.requirements import Requirements
from packages.errors import FetchFailed, LockFailed
from packages.index.index import Index
from packages.lock.addresses import addressed, ask_index, excluding
from packages.lock.diagnosis import Circumstances, without_digest
from packages.lock.fetch import Fetcher
from packages.lock.grant import Ceiling, GateState, Grant, decide
from packages.lock.judging import Package, packages_of
from packages.lock.lock import Offered
from packages.lock.origins import judge_lacking, wheelhouse_only_names
from packages.lock.policy import LockPolicy, judge_extent
from packages.lock.uv import scratch_folder
from packages.progress import quiet
from sandbox.command import Observe
from wheelhouse.metadata.target import MANYLINUX, Target, make_target, platforms_of
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse

GLIBC_MINORS = (17, 28, *range(31, 41))
"""uv knows the targets manylinux_2_N for these N."""
UV_PLATFORMS = {
    "linux_x86_64": "x86_64-unknown-linux-gnu",
    "linux_aarch64": "aarch64-unknown-linux-gnu",
    "manylinux2014_x86_64": "x86_64-manylinux_2_17",
    "manylinux2014_aarch64": "aarch64-manylinux_2_17",
}


@frozen
class Mirrored:
    """What a mirror run came to, over all targets."""

    fetched: tuple[Wheel, ...]
    already_here: int
    targets: tuple[Target, ...]


@frozen
class Mirror:
    """Fills `house` from `index`. `python` is the interpreter that uv runs to learn markers."""

    wheelhouse: Wheelhouse
    index: Index
    clock: Callable[[], datetime]
    python: Path
    by: str
    policy: LockPolicy = field(default_factory=LockPolicy)
    """The admin's rules: the cooldown, whose names are whose, how much a lock may have."""

    async def mirror(
        self,
        requirements: Requirements | None,
        *,
        lock: str = "",
        pythons: Sequence[str],
        platforms: Sequence[str],
        observe: Observe = quiet,
    ) -> Mirrored:
        """Fetch what `requirements`, or else a `lock` (pylock.toml), need for each target.

        A target is a Python on a platform, which is a wheel platform tag such as
        manylinux_2_28_x86_64. Raises LockFailed or FetchFailed with every problem of every
        target; what came stays.
        """
        targets = [
            make_target(python, platforms=platforms_of(platform), platform=platform)
            for python in pythons
            for platform in platforms
        ]
        wanted: dict[str, Offered] = {}
        problems: list[Problem] = []
        for target in targets:
            try:
                offers = await self._wanted(requirements, lock, target)
                wanted |= {offer.sha256: offer for offer in offers}
            except LockFailed as failed:
                problems += failed.problems
        lacking = self._lacking(wanted.values())
        try:
            fetched = await self._fetch(lacking, targets=len(targets), observe=observe)
        except FetchFailed as failed:
            raise FetchFailed(*problems, *failed.problems) from failed
        if problems:
            raise LockFailed(*problems)
        return Mirrored(
            fetched=fetched, already_here=len(wanted) - len(lacking), targets=tuple(targets)
        )

    async def _wanted(
        self, requirements: Requirements | None, lock: str, target: Target
    ) -> Sequence[Offered]:
        """Return what `target` needs, none of it against the admin's rules. Raises LockFailed."""
        if requirements is not None:
            offers = await self._offers(await self._resolve(requirements, target), target)
            offers = await self._exact(offers, requirements, target)
        else:
            offers = await self._at_our_index(await self._offers(lock, target), target)
        problems = judge_lacking(self._lacking(offers), self.wheelhouse, self.policy)
        problems += judge_extent([one.size_bytes or 0 for one in offers], self.policy)
        if problems:
            raise LockFailed(*problems)
        return offers

    async def _fetch(
        self, lacking: Sequence[Offered], *, targets: int, observe: Observe
    ) -> tuple[Wheel, ...]:
        gate = GateState(is_open=True, who=self.by, reason="fumehood wheelhouse mirror")
        most_mb = self.policy.wheels_mb * targets
        fetcher = Fetcher(
            wheelhouse=self.wheelhouse, index=self.index, clock=self.clock, most_mb=most_mb
        )
        return await fetcher.fetch(lacking, gate=gate, observe=observe)

    def _lacking(self, offers: Iterable[Offered]) -> list[Offered]:
        here = {wheel.sha256 for wheel in self.wheelhouse.wheels()}
        return [offer for offer in offers if offer.sha256 not in here]

    async def _resolve(self, requirements: Requirements, target: Target) -> str:
        """Return uv's lock of `requirements` for `target`. Raises LockFailed.

        Of the house uv sees the wheels of its own names alone, in a flat folder.
        """
        ours = wheelhouse_only_names(self.wheelhouse, self.policy)
        with scratch_folder() as folder:
            await asyncio.to_thread(self._lay_out, ours, Path(folder))
            told = await ask_index(
                requirements.text,
                requirements.constraints_text,
                index=self.index,
                python=self.python,
                options=[
                    *("--python-version", target.python),
                    *("--python-platform", _uv_platform(target.platform)),
                    *("--find-links", str(folder)),
                    *excluding(self._cutoff),
                ],
                tried=self._tried(target),
                kept_out=(*ours, *self.policy.wheelhouse_names),
                awaited="lock",
            )
        return told.text

    def _lay_out(self, names: Iterable[str], folder: Path) -> None:
        for wheel in (wheel for name in names for wheel in self.wheelhouse.find(name)):
            (folder / wheel.filename).symlink_to(self.wheelhouse.path(wheel).resolve())

    async def _exact(
        self, offers: Sequence[Offered], requirements: Requirements, target: Target
    ) -> tuple[Offered, ...]:
        """Return `offers` with the very wheels of the requirements that say a --hash."""
        allowed = {w.name: w.hashes for w in requirements.wanted if w.hashes}
        wrong = [o for o in offers if o.sha256 not in allowed.get(o.name, (o.sha256,))]
        meant = [
            replace(o, sha256=digest, size_bytes=None, url="")
            for o in wrong
            for digest in allowed[o.name]
            if digest.startswith("sha256:")
        ]
        if not meant:
            return tuple(offers)
        found = await self._addressed(meant, target)
        named = [replace(o, wheel=unquote(urlsplit(o.url).path.rpartition("/")[2])) for o in found]
        return (*(o for o in offers if o not in wrong), *named)

    async def _at_our_index(self, offers: Sequence[Offered], target: Target) -> tuple[Offered, ...]:
        """Return `offers` with addresses where the house lacks them. Raises LockFailed."""
        lacking = self._lacking(offers)
        if ours := judge_lacking(lacking, self.wheelhouse, self.policy):
            raise LockFailed(*ours)
        here = [offer for offer in offers if offer not in lacking]
        return (*here, *(await self._addressed(lacking, target) if lacking else ()))

    @property
    def _cutoff(self) -> datetime | None:
        return self.policy.cutoff(self.clock())

    async def _addressed(self, offers: list[Offered], target: Target) -> tuple[Offered, ...]:
        """Return `offers` with the addresses of our index; those of a lock are not followed."""
        return await addressed(
            offers,
            index=self.index,
            python=self.python,
            exclude_newer=self._cutoff,
            tried=self._tried(target),
            judges=self.wheelhouse.judges,
        )

    async def _offers(self, text: str, target: Target) -> list[Offered]:
        """Return what a lock offers to `target`. Raises LockFailed with every problem."""
        judges = self.wheelhouse.judges
        found, problems = await judges.beside(packages_of, text, target=target, judges=judges)
        problems += [_unfit(package, target) for package in found if package.offer is None]
        if problems:
            raise LockFailed(*problems)
        return [package.offer for package in found if package.offer is not None]

    def _tried(self, target: Target) -> Circumstances:
        grant = _open_grant(self.by)
        return Circumstances(target=target, grant=grant, index=self.index.shown, used_index=True)


def _unfit(package: Package, target: Target) -> Problem:
    if package.lacks_digest:
        return without_digest(package.name)
    return Problem(
        code="wrong-python-or-platform",
        what=f"no wheel of {package.name} {package.version} fits Python {target.python} "
        f"on {target.platform}",
        where=package.name,
        mend="mirror for another target, or ask for a version that has such a wheel",
    )


def _uv_platform(platform: str) -> str:
    """Return what uv calls `platform`: manylinux_2_28_x86_64 is x86_64-manylinux_2_28.

    Of a glibc that uv does not know it is told the next older one.
    """
    found = MANYLINUX.match(platform)
    if found is None:
        return UV_PLATFORMS.get(platform, platform)
    if found["libc"] == "musllinux":
        return f"{found['machine']}-unknown-linux-musl"
    known = [minor for minor in GLIBC_MINORS if minor <= int(found[3])]
    return f"{found['machine']}-manylinux_2_{max(known, default=GLIBC_MINORS[0])}"


def _open_grant(by: str) -> Grant:
    manifest = Manifest.model_validate({"schema": 1, "name": "mirror", "version": "1"})
    return decide(manifest, ceiling=Ceiling(), gate=GateState(is_open=True, who=by))
