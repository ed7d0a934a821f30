"""Source builds, if an admin allows them: a source distribution becomes a wheel, in a cell.

The cell has no network, the build requirements are locked from the wheelhouse like any
others, and the wheel is kept with a record of how it came about.
"""

import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
)

from frozen.values import frozen
from packages.bundle.requirements import FILE, Requirements
from packages.environment.environment import Environment, Environments
from packages.environment.source_judging import SDIST, System
from packages.errors import BuildFailed, EnvironmentFailed, LockFailed
from packages.judging import REQUIREMENTS
from packages.lock.grant import Grant
from packages.lock.locker import Locker
from packages.progress import quiet, report_progress
from sandbox.command import Command, Folder, Interpreter, Json, Observe, Outcome, Run
from sandbox.limits import Limits
from wheelhouse.errors import WheelRefused
from wheelhouse.metadata.wheel import digest_of
from wheelhouse.metadata.wheel_name import read_wheel_name
from wheelhouse.problem import Problem
from wheelhouse.store import Origin, Wheel, Wheelhouse

LIMITS = Limits(
    wall_s=1800, cpu_s=1800, memory_mb=4096, processes=256, output_mb=1024, scratch_mb=4096
)


@frozen
class SourceBuilder:
    """Builds wheels into `house`. `clock` gives UTC."""

    wheelhouse: Wheelhouse
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
            system = await self.wheelhouse.judges.beside(self._unpack, sdist, room)
            tree = room / "tree" / system.folder
            environment = await self._environment(system.requires, interpreter, grant, observe)
            step = _command(tree, environment, interpreter, system, step="requires")
            asked = await self._step(step, room / "asked", sdist, observe)
            further = _further(asked)
            if further:
                wanted = (*system.requires, *further)
                environment = await self._environment(wanted, interpreter, grant, observe)
            report_progress(observe, "build", done=0, total=1, unit="wheels", what=sdist.name)
            step = _command(tree, environment, interpreter, system, step="build")
            await self._step(step, room / "made", sdist, observe)
            return await self.wheelhouse.judges.beside(
                self._keep, room / "made", sdist, environment, by=by
            )

    def _unpack(self, sdist: Path, room: Path) -> System:
        """Unpack the source distribution; return what it says of its build. Raises BuildFailed."""
        room.chmod(0o755)
        (room / "tree").mkdir()
        system, problems = self.wheelhouse.judges.judge(
            SDIST,
            about=sdist.name,
            budget=SDIST.budget.for_input(sdist.stat().st_size),
            sdist=str(sdist.resolve()),
            folder=str((room / "tree").resolve()),
            name=sdist.name,
        )
        if system is None or problems:
            raise BuildFailed(*problems)
        if "/" in system.folder or not (room / "tree" / system.folder).is_dir():
            raise BuildFailed(_fault("bad-sdist", "its folder is not there", sdist.name))
        return system

    async def _environment(
        self,
        requires: Sequence[str],
        interpreter: Interpreter,
        grant: Grant,
        observe: Observe,
    ) -> Environment:
        """Lock and build what the backend needs, by the rules for any requirements."""
        wanted = await self.wheelhouse.judges.beside(self._wanted, requires)
        try:
            locking = await self.locker.lock(
                wanted, interpreter=interpreter, grant=grant, observe=observe
            )
            return await self.environments.ensure(
                locking.lock, interpreter=interpreter, observe=observe
            )
        except (LockFailed, EnvironmentFailed) as failed:
            raise BuildFailed(*failed.problems) from failed

    def _wanted(self, requires: Sequence[str]) -> Requirements:
        """Read what a backend asks for. Raises BuildFailed with every fault."""
        wanted, problems = self.wheelhouse.judges.judge(
            REQUIREMENTS, about="pyproject.toml", texts={FILE: "\n".join(requires)}, start=FILE
        )
        if wanted is None or problems:
            raise BuildFailed(*problems)
        return wanted

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
            return self.wheelhouse.add(wheels[0], origin=origin)
        except WheelRefused as refused:
            raise BuildFailed(*refused.problems) from refused

    def _room(self) -> Path:
        self.wheelhouse.root.mkdir(parents=True, exist_ok=True)
        return self.wheelhouse.root


def _refuse_another(wheel: str, sdist: str) -> None:
    """Refuse a wheel that claims to be something else than what was to be built."""
    try:
        wanted, made = parse_sdist_filename(sdist), read_wheel_name(wheel)[:2]
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
