"""Source builds, if an admin allows them: a source distribution becomes a wheel, in a cell.

The cell has no network, the build requirements are locked from the wheelhouse like any
others, and the wheel is kept with a record of how it came about.
"""

import asyncio
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from packages.environment import Environment, Environments
from packages.errors import BuildFailed, EnvironmentFailed, LockFailed
from packages.grant import Grant
from packages.locker import Locker
from packages.progress import quiet, tell
from packages.requirements import parse
from packages.tarballs import judge_tarball
from sandbox.command import Command, Folder, Interpreter, Json, Observe, Outcome, Run
from sandbox.limits import Limits
from wheelhouse.errors import WheelRefused
from wheelhouse.judging import Ceilings
from wheelhouse.problem import Problem
from wheelhouse.store import Origin, Wheel, Wheelhouse
from wheelhouse.wheel import digest_of

SETUPTOOLS = ("setuptools>=40.8.0", "wheel")
LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
CEILINGS = Ceilings(archive_bytes=512 * 1024**2, entries=50_000, unpacked_bytes=2 * 1024**3)
LIMITS = Limits(
    wall_s=1800, cpu_s=1800, memory_mb=4096, processes=256, output_mb=1024, scratch_mb=4096
)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The [build-system] table of a source tree (PEP 518), with its defaults."""

    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBuilder:
    """Builds wheels into `house`. `clock` gives UTC."""

    house: Wheelhouse
    locker: Locker
    environments: Environments
    run: Run
    clock: Callable[[], datetime]

    async def build(
        self,
        sdist: Path,
        *,
        interpreter: Interpreter,
        grant: Grant,
        by: str,
        observe: Observe = quiet,
    ) -> Wheel:
        """Build the source distribution at `sdist` (a .tar.gz) and keep the wheel.

        Raises BuildFailed with every problem; then nothing of it is in the house.
        """
        if not grant.source_builds:
            raise BuildFailed(_refused(sdist.name))
        with tempfile.TemporaryDirectory(prefix=".build-", dir=self._room()) as folder:
            room = Path(folder)
            tree = _unpack(sdist, room)
            system = read_build_system(tree)
            environment = await self._environment(system.requires, interpreter, grant, observe)
            step = _command(tree, environment, interpreter, system, step="requires")
            asked = await self._step(step, room / "asked", sdist, observe)
            further = _further(asked)
            if further:
                wanted = (*system.requires, *further)
                environment = await self._environment(wanted, interpreter, grant, observe)
            tell(observe, "build", done=0, total=1, unit="wheels", what=sdist.name)
            step = _command(tree, environment, interpreter, system, step="build")
            await self._step(step, room / "made", sdist, observe)
            made = room / "made"
            return await asyncio.to_thread(self._keep, made, sdist, environment, by=by)

    async def _environment(
        self,
        requires: Sequence[str],
        interpreter: Interpreter,
        grant: Grant,
        observe: Observe,
    ) -> Environment:
        """Lock and build what the backend needs, by the rules for any requirements."""
        wanted, problems = parse({"requirements.txt": "\n".join(requires).encode()})
        if problems:
            raise BuildFailed(*problems)
        try:
            locking = await self.locker.lock(
                wanted, interpreter=interpreter, grant=grant, observe=observe
            )
            return await self.environments.ensure(
                locking.lock, interpreter=interpreter, observe=observe
            )
        except (LockFailed, EnvironmentFailed) as failed:
            raise BuildFailed(*failed.problems) from failed

    async def _step(
        self, command: Command, outputs: Path, sdist: Path, observe: Observe
    ) -> Outcome:
        outcome = await self.run(command, outputs_to=outputs, observe=observe)
        if not outcome.is_ok:
            raise BuildFailed(_failed(sdist.name, outcome))
        return outcome

    def _keep(self, made: Path, sdist: Path, environment: Environment, *, by: str) -> Wheel:
        """Add the one wheel that was made, with how it came about."""
        wheels = sorted(made.glob("*.whl"))
        if len(wheels) != 1:
            raise BuildFailed(_fault("build-failed", f"it made {len(wheels)} wheels", sdist.name))
        _refuse_another(wheels[0].name, sdist.name)
        lock = environment.inventory.lock_digest
        note = f"from {sdist.name} {digest_of(sdist)}, build requirements locked as {lock}"
        origin = Origin(kind="built", at=self.clock(), by=by, note=note)
        try:
            return self.house.add(wheels[0], origin=origin)
        except WheelRefused as refused:
            raise BuildFailed(*refused.problems) from refused

    def _room(self) -> Path:
        self.house.root.mkdir(parents=True, exist_ok=True)
        return self.house.root


def read_build_system(tree: Path) -> System:
    """Return how the source tree says that it is built. Raises BuildFailed."""
    file = tree / "pyproject.toml"
    try:
        told: dict[str, Any] = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
        table = told.get("build-system", {})
        requires = tuple(str(line) for line in table.get("requires", SETUPTOOLS))
        path = tuple(str(part) for part in table.get("backend-path", ()))
        backend = str(table.get("build-backend", LEGACY_BACKEND))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise BuildFailed(_fault("bad-pyproject", str(error), "pyproject.toml")) from error
    if any(part.startswith("/") or ".." in part.split("/") for part in path):
        what = "backend-path leads out of the source tree"
        raise BuildFailed(_fault("bad-pyproject", what, "pyproject.toml"))
    return System(requires=requires, backend=backend, backend_path=path)


def _unpack(sdist: Path, room: Path) -> Path:
    """Unpack a judged source distribution; return the folder that holds its pyproject.toml."""
    room.chmod(0o755)
    target = room / "tree"
    target.mkdir()

    def keep(entry: tarfile.TarInfo, chunks: Iterator[bytes]) -> None:
        path = target / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        path.chmod(0o644)

    problems = judge_tarball(sdist, name=sdist.name, ceilings=CEILINGS, sink=keep)
    folders = [path for path in target.iterdir() if path.is_dir()]
    if not problems and len(folders) != 1:
        problems = [_fault("bad-sdist", "it does not hold exactly one folder", sdist.name)]
    if problems:
        raise BuildFailed(*problems)
    return folders[0]


def _refuse_another(wheel: str, sdist: str) -> None:
    """Refuse a wheel that claims to be something else than what was to be built."""
    try:
        wanted, made = parse_sdist_filename(sdist), parse_wheel_filename(wheel)[:2]
    except (InvalidSdistFilename, InvalidWheelFilename) as error:
        raise BuildFailed(_fault("bad-sdist", str(error), sdist)) from error
    if wanted != made:
        what = f"it made {wheel}, which is another name or version"
        raise BuildFailed(_fault("build-failed", what, sdist))


def _command(
    tree: Path, environment: Environment, interpreter: Interpreter, system: System, *, step: str
) -> Command:
    code = Path(str(resources.files("packages").joinpath("inside")))
    arguments: dict[str, Json] = {
        "source": "/data",
        "backend": system.backend,
        "backend_path": list(system.backend_path),
        "step": step,
    }
    return Command(
        target="build_wheel:run",
        handle="job",
        interpreter=interpreter,
        limits=LIMITS,
        folders=(
            Folder(name="bundle", source=code, on_path=True),
            *environment.in_sight(),
            Folder(name="data", source=tree),
        ),
        arguments=arguments,
        variables={"SOURCE_DATE_EPOCH": "1767225600"},
    )


def _further(asked: Outcome) -> tuple[str, ...]:
    """Return what the backend said that it needs besides; a cell's word, so checked."""
    told = asked.value.get("requires") if isinstance(asked.value, dict) else None
    return tuple(line for line in told if isinstance(line, str)) if isinstance(told, list) else ()


def _refused(name: str) -> Problem:
    return Problem(
        code="source-only",
        what=f"{name} is source, and the admin allows wheels only",
        where=name,
        mend="add a wheel that was built elsewhere, or let the admin set source_builds "
        "(FUMEHOOD_SOURCE_BUILDS=true)",
    )


def _failed(name: str, outcome: Outcome) -> Problem:
    failure = outcome.failure
    what = failure.what if failure else f"the build ended: {outcome.ending}"
    last = (failure.traceback.strip().splitlines() or [""])[-1] if failure else ""
    return _fault("build-failed", f"{what} {last}".strip(), name)


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "build the wheel elsewhere, and add it: `fumehood wheelhouse add FILE`"
    return Problem(code=code, what=what, where=where, mend=mend)
