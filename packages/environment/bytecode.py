"""Bytecode: compiled once per wheel or bundle and interpreter, behind walls, then linked."""

import asyncio
import base64
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path, PurePosixPath

from frozen.values import frozen
from packages.errors import EnvironmentFailed
from packages.interpreters import cache_tag
from packages.progress import quiet
from sandbox.command import Command, Folder, Interpreter, Outcome, Output, Run
from sandbox.limits import MIB, Limits
from wheelhouse.durable import flush_filesystem, folder_aside
from wheelhouse.metadata.schemes import Place
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse
from wheelhouse.unpacked import (
    Unpacked,
    UnpackedFile,
    bytecode_folder,
    read_unpacked,
    write_listing,
)

SITE: Place = "site"
GROWTH = 4
"""Bytecode is seldom larger than its source; this is how much larger it may be."""


@frozen
class Compiler:
    """Compiles the modules of unpacked wheels with `run`, and keeps the result in `house`."""

    wheelhouse: Wheelhouse
    run: Run

    async def compiled(
        self, wheel: Wheel, unpacked: Unpacked, *, interpreter: Interpreter, site_packages: str
    ) -> Unpacked:
        """Return the bytecode of `wheel` for `interpreter`, compiling it if that is new.

        Raises EnvironmentFailed where the walled step did not come to its end.
        """
        tag = cache_tag(interpreter)
        final = bytecode_folder(self.wheelhouse, wheel, cache_tag=tag)
        if not final.is_dir():
            with folder_aside(final) as aside:
                await self._compile(wheel, unpacked, aside, interpreter, site_packages)
                await asyncio.to_thread(flush_filesystem, aside)  # 229 ms on a busy disk
        return await asyncio.to_thread(read_unpacked, final)

    async def _compile(
        self,
        wheel: Wheel,
        unpacked: Unpacked,
        aside: Path,
        interpreter: Interpreter,
        site_packages: str,
    ) -> None:
        sources = await asyncio.to_thread(_sources, unpacked)
        (aside / SITE).mkdir()
        kept: list[Output] = []
        if sources:
            kept = await compile_modules(
                unpacked.folder / SITE,
                sources,
                to=aside / SITE,
                interpreter=interpreter,
                shown_as=f"/environment/{site_packages}",
                run=self.run,
                name=wheel.filename,
            )
        await asyncio.to_thread(_list, aside, kept)


async def compile_modules(
    source: Path,
    modules: Mapping[str, int],
    *,
    to: Path,
    interpreter: Interpreter,
    shown_as: str,
    run: Run,
    name: str,
) -> list[Output]:
    """Compile `modules` (path below `source`: bytes) behind walls; return what is now in `to`.

    What does not compile is left out. Raises EnvironmentFailed, which calls them `name`, where
    the walled step did not come to its end.
    """
    command = compile_command(
        source,
        interpreter=interpreter,
        shown_as=shown_as,
        source_bytes=sum(modules.values()),
        files=len(modules),
    )
    with tempfile.TemporaryDirectory(prefix=".compile-", dir=to) as folder:
        outputs = Path(folder) / "o"
        outcome = await run(command, outputs_to=outputs, observe=quiet)
        if not outcome.is_ok:
            raise EnvironmentFailed(_failed(name, outcome))
        expected = partial(_expected, outcome.outputs, modules, cache_tag(interpreter))
        return await asyncio.to_thread(_keep_all, outputs, to, expected)


def compile_command(
    source: Path, *, interpreter: Interpreter, shown_as: str, source_bytes: int, files: int
) -> Command:
    """Return the Command that compiles the modules below `source`."""
    code = Path(str(resources.files("packages").joinpath("inside")))
    room_mb = 16 + GROWTH * source_bytes // MIB
    return Command(
        target="compile_modules:run",
        handle="job",
        interpreter=interpreter,
        limits=Limits(
            wall_s=900,
            cpu_s=900,
            memory_mb=max(1024, 2 * room_mb + 512),
            processes=8,
            output_mb=room_mb,
            output_files=2 * files + 16,
            scratch_mb=16,
        ),
        folders=(
            Folder(name="bundle", source=code, on_path=True),
            Folder(name="data", source=source),
        ),
        arguments={"source": "/data", "shown_as": shown_as},
    )


def _sources(unpacked: Unpacked) -> dict[str, int]:
    """Return the size of each module, by its path below site-packages."""
    return {
        f"{folder.path}/{file.name}".lstrip("/"): file.size_bytes
        for folder in unpacked.folders
        if folder.place == SITE
        for file in folder.files
        if file.name.endswith(".py")
    }


def _expected(outputs: Iterable[Output], modules: Iterable[str], tag: str) -> Iterable[Output]:
    """Yield the outputs that are the bytecode of one of `modules`, and nothing else."""
    plain = "-".join(tag.split("-")[:2])
    wanted = {
        str(PurePosixPath(path).parent / "__pycache__" / f"{PurePosixPath(path).stem}.{plain}.pyc")
        for path in modules
    }
    return (output for output in outputs if output.path in wanted)


def _keep_all(outputs: Path, to: Path, expected: Callable[[], Iterable[Output]]) -> list[Output]:
    return [output for output in expected() if _keep(outputs, to, output)]


def _list(folder: Path, kept: Sequence[Output]) -> None:
    write_listing(folder, [_listed(output) for output in kept])


def _keep(outputs: Path, to: Path, output: Output) -> bool:
    """Keep `output`, unless a file called __pycache__ is where its folder would be."""
    target = to / output.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    (outputs / output.path).chmod(0o444)
    (outputs / output.path).rename(target)
    return True


def _listed(output: Output) -> tuple[Place, str, UnpackedFile]:
    raw = bytes.fromhex(output.sha256.removeprefix("sha256:"))
    digest = base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
    folder, _, name = output.path.rpartition("/")
    return SITE, folder, UnpackedFile(name, output.size_bytes, digest)


def _failed(name: str, outcome: Outcome) -> Problem:
    failure = outcome.failure
    return Problem(
        code="bytecode-failed",
        what=f"its modules could not be compiled: {failure.what if failure else outcome.ending}",
        where=name,
        mend=failure.mend if failure else "try again; `fumehood doctor` says what the cell lacks",
    )
