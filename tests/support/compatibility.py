"""Real distributions, one characteristic call each: run outside, cold and warm, and compared.

The bundles are the files in the folders of tests/compatibility, each with what it needs in its
head (PEP 723). What they need comes from the package index, and stays in a house that is kept.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from packages.bundle.manifest import Manifest
from packages.bundle.requirements import parse
from packages.environment.building import Builder
from packages.environment.environment import Environment, Environments
from packages.errors import LockFailed
from packages.index.index import Index
from packages.interpreters import running
from packages.lock.grant import Ceiling, GateState, decide
from packages.lock.lock import Lock
from packages.lock.locker import Locker
from packages.runs.cold_starts import mend_of
from sandbox.command import Command, Ending, Folder, Input, Outcome, Warmth
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox
from wheelhouse.durable import remove_tree
from wheelhouse.store import Origin, Wheelhouse

BUNDLES = Path(__file__).parent.parent / "compatibility"
INPUTS = BUNDLES / "inputs"
LIMITS = Limits(wall_s=120, cpu_s=240, memory_mb=3072, processes=128, scratch_mb=512)
WARM_RUNS = 3
PATIENCE_S = 240
MOST_BUILDS = 5
AS_OUTSIDE = {Ending.UNLOADABLE: "raised"}
"""What has another name outside: there an import that fails is an exception as any."""
EQUAL = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One bundle: what it needs, which inputs it gets, and what may differ for it ("network")."""

    name: str
    group: str
    source: Path
    dependencies: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    differs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one run came to, as far as it should be the same everywhere."""

    ending: str
    value: Any = None
    outputs: tuple[str, ...] = ()
    error: str = ""
    start: str = ""
    start_reason: str = ""
    start_word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One bundle in the table: each run, and what differs from outside."""

    distribution: Distribution
    outside: Seen
    cold: Seen
    warm: tuple[Seen, ...]
    cold_difference: str
    warm_difference: str

    @property
    def is_warm(self) -> bool:
        """Return whether its jobs start warm."""
        return bool(self.warm) and all(seen.start == "warm" for seen in self.warm[1:])

    @property
    def reason(self) -> str:
        """Return what keeps it cold, if anything."""
        return "" if self.is_warm or not self.warm else self.warm[-1].start_reason

    @property
    def mend(self) -> str:
        """Return what its author may do to have it warm."""
        return mend_of(self.warm[-1].start_word) if self.reason else ""

    def told(self) -> dict[str, str]:
        """Return the row as texts."""
        return {
            "name": self.distribution.name,
            "group": self.distribution.group,
            "needs": ", ".join(self.distribution.dependencies),
            "outside": self.outside.ending,
            "cold": self.cold_difference or "as outside",
            "warm": ("" if not self.is_warm else self.warm_difference or "as outside"),
            "reason": self.reason,
            "mend": self.mend,
            "may_differ": self.distribution.differs,
        }


def every() -> list[Distribution]:
    """Return all of them, by group and name."""
    return [_read(path) for path in sorted(BUNDLES.glob("*/*.py"))]


def named(name: str) -> Distribution:
    """Return one of them."""
    return next(one for one in every() if one.name == name)


def _read(path: Path) -> Distribution:
    lines = path.read_text().split("\n")
    head = lines[lines.index("# /// script") + 1 : lines.index("# ///")]
    told = tomllib.loads("\n".join(line.removeprefix("#").strip() for line in head))
    own = told.get("tool", {}).get("compatibility", {})
    return Distribution(
        name=path.stem,
        group=path.parent.name,
        source=path,
        dependencies=tuple(told["dependencies"]),
        inputs=tuple(own.get("inputs", ())),
        differs=own.get("differs", ""),
    )


class Comparison:
    """A house that is kept, a sandbox, and rooms for runs that are not."""

    def __init__(self, home: Path, sandbox: Sandbox, *, limits: Limits = LIMITS) -> None:
        self.sandbox, self.limits = sandbox, limits
        self.wheelhouse = Wheelhouse(home / "wheelhouse")
        self.home, self.rooms = home, home / f"rooms-{os.getpid()}"
        bundle = os.environ.get("SSL_CERT_FILE")
        index = Index(ca_bundle=Path(bundle) if bundle else None)
        self.locker = Locker(wheelhouse=self.wheelhouse, clock=_now, index=index)
        builder = Builder(wheelhouse=self.wheelhouse, run=sandbox.run, clock=_now)
        self.environments = Environments(root=home / "environments", builder=builder)

    async def row(self, one: Distribution) -> Row:
        """Run it everywhere. Raises PackageError where what it needs cannot be had."""
        lock = await self._lock(one)
        environment = await self.environments.ensure(lock, interpreter=running())
        with self._room(one) as room:
            outside = self._outside(one, lock, room)
            command = self._command(one, environment, room)
            cold = await self._inside(replace(command, warmth=None), room / "cold")
            warm = [await self._inside(command, room / f"warm-{n}") for n in range(WARM_RUNS)]
        return Row(
            distribution=one,
            outside=outside,
            cold=cold,
            warm=tuple(warm),
            cold_difference=difference(one, outside, cold),
            warm_difference=next((d for w in warm if (d := difference(one, outside, w))), ""),
        )

    @contextmanager
    def _room(self, one: Distribution) -> Iterator[Path]:
        """Offer a folder with the bundle and its inputs, that cells may enter."""
        room = self.rooms / one.name
        (room / "bundle").mkdir(parents=True)
        shutil.copyfile(one.source, room / "bundle" / "extract.py")
        try:
            yield room
        finally:
            remove_tree(self.rooms)

    async def _lock(self, one: Distribution) -> Lock:
        """Lock what it needs; what is there as source only is built first."""
        for _ in range(MOST_BUILDS):
            try:
                return await self._locked(one)
            except LockFailed as refused:
                sources = [p.where for p in refused.problems if p.code == "source-only"]
                if not sources:
                    raise
                for name in sources:
                    self._build(name)
        return await self._locked(one)

    def _build(self, name: str) -> None:
        """Let uv build the wheel of a source distribution, and keep it."""
        cache = self.rooms / "built"
        options = ["--no-config", "--quiet", "--cache-dir", str(cache), "--no-deps"]
        install = [find_uv_bin(), "pip", "install", *options, "--python", sys.executable]
        subprocess.run([*install, "--target", str(self.rooms / "unused"), name], check=True)
        for wheel in cache.glob("sdists-*/**/*.whl"):
            if wheel.is_file():
                self.wheelhouse.add(
                    wheel, origin=Origin(kind="built", at=_now(), by="compatibility")
                )
        shutil.rmtree(self.rooms)

    async def _locked(self, one: Distribution) -> Lock:
        text = "\n".join(one.dependencies)
        wanted, _ = parse({"requirements.txt": text.encode()})
        manifest = Manifest.model_validate({"schema": 1, "name": "compatible", "version": "1"})
        gate = GateState(is_open=True, who="compatibility", reason="comparing")
        grant = decide(manifest, ceiling=Ceiling(), gate=gate)
        return (await self.locker.lock(wanted, interpreter=running(), grant=grant)).lock

    def _command(self, one: Distribution, environment: Environment, room: Path) -> Command:
        bundle = Folder(name="bundle", source=room / "bundle", on_path=True)
        return Command(
            target="extract:extract",
            handle="job",
            interpreter=running(),
            limits=self.limits,
            folders=(bundle, *environment.in_sight()),
            inputs=tuple(Input(name=name, source=INPUTS / name) for name in one.inputs),
            warmth=Warmth(key=str(room), preload=("extract",)),
        )

    async def _inside(self, command: Command, outputs_to: Path) -> Seen:
        outcome = await self.sandbox.run(command, outputs_to=outputs_to, observe=lambda _: None)
        return _seen(outcome)

    def _outside(self, one: Distribution, lock: Lock, room: Path) -> Seen:
        python = self._plain_environment(lock, room)
        for name in ("output", "scratch"):
            (room / "outside" / name).mkdir(parents=True)
        told = room / "told.json"
        inputs = [str(INPUTS / name) for name in one.inputs]
        program = str(Path(__file__).with_name("outside.py"))
        argv = [str(python), program, room / "bundle", told, room / "outside", *inputs]
        done = subprocess.run(
            argv,
            env={"HOME": str(room / "outside" / "scratch"), "TZ": "UTC", "LANG": "C.UTF-8"}
            | {"PATH": f"{python.parent}:/usr/bin:/bin"},
            capture_output=True,
            preexec_fn=partial(_bind, round(self.limits.cpus)),
            timeout=self.limits.wall_s,
            check=False,
        )
        if not told.exists():
            return Seen(ending="killed", error=f"exit {done.returncode}")
        said = json.loads(told.read_text())
        left = sorted((room / "outside" / "output").rglob("*"))
        outputs = tuple(str(p.relative_to(room / "outside/output")) for p in left if p.is_file())
        return Seen(
            ending=said["ending"],
            value=_placeless(
                said.get("value"), f"{room}/outside/scratch", f"{room}/outside/output"
            ),
            outputs=outputs,
            error=said.get("what", ""),
        )

    def _plain_environment(self, lock: Lock, room: Path) -> Path:
        """Install what is locked as everybody does, from the wheels of the house; return python."""
        uv = [find_uv_bin(), "--no-config", "--quiet", "--offline"]
        uv += ["--cache-dir", str(self.home / "uv-cache")]
        venv, flat = room / "venv", room / "flat"
        flat.mkdir()
        for package in lock.packages:
            wheel = self.wheelhouse.get(package.sha256, name=package.name)
            os.link(self.wheelhouse.path(wheel), flat / package.wheel)
        subprocess.run([*uv, "venv", "--python", sys.executable, str(venv)], check=True)
        names = [f"{package.name}=={package.version}" for package in lock.packages]
        options = ["--no-index", "--no-deps", "--find-links", str(flat)]
        python = venv / "bin" / "python"
        if names:
            install = [*uv, "pip", "install", "--python", str(python), *options, *names]
            subprocess.run(install, check=True)
        return python


def _bind(processors: int) -> None:
    """Have as many processors as a run has (sched_setaffinity(2))."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])


def _now() -> datetime:
    return datetime.now(UTC)


def _seen(outcome: Outcome) -> Seen:
    return Seen(
        ending=AS_OUTSIDE.get(outcome.ending, str(outcome.ending)),
        value=_placeless(outcome.value, "/work/scratch", "/work/output"),
        outputs=tuple(sorted(output.path for output in outcome.outputs)),
        error=outcome.failure.what if outcome.failure else "",
        start=outcome.isolation.start,
        start_reason=outcome.isolation.start_reason,
        start_word=outcome.isolation.start_word,
    )


def _placeless(value: Any, scratch: str, output: str) -> Any:
    """Return the value with the run's own folders by one name: they are elsewhere outside."""
    text = json.dumps(value).replace(scratch, "SCRATCH").replace(output, "OUTPUT")
    return json.loads(text)


def difference(one: Distribution, outside: Seen, inside: Seen) -> str:
    """Return what is not as it is outside, or nothing."""
    if inside.ending != outside.ending:
        return f"it {outside.ending} outside, and is {inside.ending} here: {inside.error}"
    if inside.outputs != outside.outputs:
        return f"its outputs: {list(outside.outputs)} outside, {list(inside.outputs)} here"
    if one.differs:
        return ""
    return "" if is_equal(outside.value, inside.value) else _where(outside.value, inside.value)


def _where(outside: Any, inside: Any) -> str:
    if isinstance(outside, dict) and isinstance(inside, dict) and outside.keys() == inside.keys():
        names = [name for name in outside if not is_equal(outside[name], inside[name])]
        outside, inside = [{name: told[name] for name in names} for told in (outside, inside)]
    return f"its result: {outside!s:.200} outside, {inside!s:.200} here"


def is_equal(one: Any, other: Any) -> bool:
    """Say whether two results are the same, but for the last digits of numbers.

    >>> is_equal({"a": [1, 0.1 + 0.2]}, {"a": [1, 0.3]}), is_equal(1, 2)
    (True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=EQUAL, abs_tol=EQUAL)
    return one == other
