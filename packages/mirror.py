"""Mirror: resolves and fetches a closed set of wheels for several targets, when connected.

It lives beside the locker, since it asks uv too; what it fetches goes into a wheelhouse, to
be exported and carried to where there is no network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from packages.diagnosis import Circumstances, diagnose
from packages.errors import FetchFailed, LockFailed
from packages.fetch import Fetcher
from packages.grant import Ceiling, GateState, Grant, decide
from packages.index import Index
from packages.lock import Offered, offered, read_pylock
from packages.manifest import Manifest
from packages.progress import quiet
from packages.uv import call, scratch_folder
from sandbox.command import Observe
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse
from wheelhouse.target import Target, make_target, platforms_of

TIMEOUT_S = 900.0
UV_PLATFORMS = {
    "linux_x86_64": "x86_64-unknown-linux-gnu",
    "linux_aarch64": "aarch64-unknown-linux-gnu",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """What a mirror run came to, over all targets."""

    fetched: tuple[Wheel, ...]
    already_here: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Fills `house` from `index`. `python` is the interpreter that uv runs to learn markers."""

    house: Wheelhouse
    index: Index
    clock: Callable[[], datetime]
    python: Path
    by: str

    async def mirror(
        self,
        text: str,
        *,
        pythons: Sequence[str],
        platforms: Sequence[str],
        is_lock: bool = False,
        observe: Observe = quiet,
    ) -> Mirrored:
        """Fetch what `text` needs for each Python on each platform.

        `text` is a requirements.txt, or a pylock.toml if `is_lock`; platforms are wheel
        platform tags such as manylinux_2_28_x86_64. Raises LockFailed or FetchFailed with
        every problem of every target; what came stays.
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
                lock = text if is_lock else await self._resolve(text, target)
                wanted |= {offer.sha256: offer for offer in _offers(lock, target)}
            except LockFailed as failed:
                problems += failed.problems
        here = {wheel.sha256 for wheel in self.house.wheels()}
        lacking = [offer for offer in wanted.values() if offer.sha256 not in here]
        gate = GateState(is_open=True, who=self.by, reason="fumehood wheelhouse mirror")
        fetcher = Fetcher(house=self.house, index=self.index, clock=self.clock)
        try:
            fetched = await fetcher.fetch(lacking, gate=gate, observe=observe)
        except FetchFailed as failed:
            raise FetchFailed(*problems, *failed.problems) from failed
        if problems:
            raise LockFailed(*problems)
        return Mirrored(
            fetched=fetched, already_here=len(wanted) - len(lacking), targets=tuple(targets)
        )

    async def _resolve(self, text: str, target: Target) -> str:
        """Return uv's lock of `text` for `target`. Raises LockFailed."""
        with scratch_folder() as folder:
            scratch = Path(folder)
            (scratch / "requirements.in").write_text(text, "utf-8")
            argv = [
                *("pip", "compile", "requirements.in", "--only-binary", ":all:"),
                *("--python", str(self.python), "--no-python-downloads"),
                *("--python-version", target.python),
                *("--python-platform", _uv_platform(target.platform)),
                *("--format", "pylock.toml", "--output-file", "pylock.toml", "--no-header"),
            ]
            said = await call(
                argv, variables=self.index.variables(), scratch=scratch, timeout_s=TIMEOUT_S
            )
            if said.code == 0:
                return (scratch / "pylock.toml").read_text("utf-8")
        tried = Circumstances(
            target=target, grant=_open_grant(self.by), index=self.index.shown, used_index=True
        )
        raise LockFailed(*diagnose(self.index.redact(said.stderr), [], tried))


def _offers(text: str, target: Target) -> list[Offered]:
    told, problems = read_pylock(text)
    if told is None:
        raise LockFailed(*problems)
    packages = [p for p in told.packages if target.holds(p.marker)]
    found = [(package, offered(package, target=target)) for package in packages]
    unfit = [
        Problem(
            code="wrong-python-or-platform",
            what=f"no wheel of {package.name} {package.version} fits Python {target.python} "
            f"on {target.platform}",
            where=str(package.name),
            mend="mirror for another target, or ask for a version that has such a wheel",
        )
        for package, offer in found
        if offer is None
    ]
    if unfit:
        raise LockFailed(*unfit)
    return [offer for _, offer in found if offer is not None]


def _uv_platform(platform: str) -> str:
    """Return what uv calls `platform`: manylinux_2_28_x86_64 is x86_64-manylinux_2_28."""
    for libc in ("manylinux", "musllinux"):
        if platform.startswith(libc):
            parts = platform.split("_", 3 if platform.startswith(f"{libc}_") else 1)
            machine = parts[-1]
            if libc == "musllinux":
                return f"{machine}-unknown-linux-musl"
            return f"{machine}-{platform.removesuffix(f'_{machine}')}"
    return UV_PLATFORMS.get(platform, platform)


def _open_grant(by: str) -> Grant:
    manifest = Manifest.model_validate({"schema": 1, "name": "mirror", "version": "1"})
    return decide(manifest, ceiling=Ceiling(), gate=GateState(is_open=True, who=by))
