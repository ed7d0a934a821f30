"""Shared libraries that an environment needs and a cell lacks: told before the first job.

What a cell sees is looked for in a cell: the environment itself, and the libraries of this host.
"""

import tempfile
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError

from packages.environment.environment import Environment
from packages.progress import quiet
from sandbox.command import Command, Folder, Interpreter, Level, Run
from sandbox.limits import Limits
from wheelhouse.problem import Problem

ASIDE = ".libraries-"
"""How folders begin in which this writes, beside the environments: a sweep knows them."""
PURE = "-any.whl"
MOST_NOTICES = 10
DEBIAN = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libxcb.so.1": "libxcb1",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libcairo.so.2": "libcairo2",
    "libexpat.so.1": "libexpat1",
    "libz.so.1": "zlib1g",
    "libssl.so.3": "libssl3",
    "libodbc.so.2": "unixodbc",
    "libpq.so.5": "libpq5",
    "libmagic.so.1": "libmagic1",
}
"""What brings the libraries that wheels want most of a host."""

DONE_WITHOUT = {
    "libtbb.so.12": "/numba/",  # one of three kinds of threads; it takes another
    "libcuda.so.1": "/",  # the driver of a GPU, which a cell has none of
    "libnvidia-ml.so.1": "/",
}
"""Libraries that what wants them (by a part of its path) does without, as its makers meant it."""

type _Text = Annotated[str, StringConstraints(max_length=4096)]
_MISSING: TypeAdapter[list[tuple[_Text, _Text, int]]] = TypeAdapter(list[tuple[_Text, _Text, int]])


async def missing_libraries(
    environment: Environment, *, interpreter: Interpreter, run: Run, least: Level
) -> tuple[Problem, ...]:
    """Return a notice for each library that is needed, and neither in the environment nor here.

    Nothing is refused for it: a package may load a library itself, or never use what needs it.
    """
    if all(one.wheel.endswith(PURE) for one in environment.inventory.installed):
        return ()
    command = _command(environment, interpreter, least)
    with tempfile.TemporaryDirectory(prefix=ASIDE, dir=environment.folder.parent) as aside:
        outcome = await run(command, outputs_to=Path(aside) / "o", observe=quiet)
    try:
        found = _MISSING.validate_python(outcome.value or [])
    except ValidationError:  # what a cell says may be anything
        return ()
    wanted = [one for one in found if not _does_without(one[0], path=one[1])]
    return tuple(_notice(*one) for one in wanted[:MOST_NOTICES])


def _command(environment: Environment, interpreter: Interpreter, least: Level) -> Command:
    """Return the Command that looks; the environment is in sight and nothing of it is imported."""
    code = Path(str(resources.files("packages").joinpath("inside")))
    return Command(
        target="needed_libraries:run",
        handle="job",
        interpreter=interpreter,
        limits=Limits(wall_s=60, cpu_s=60, memory_mb=512, processes=8, output_mb=1, scratch_mb=1),
        folders=(
            Folder(name="bundle", source=code, on_path=True),
            Folder(name="environment", source=environment.folder),
        ),
        least=least,
    )


def _does_without(soname: str, *, path: str) -> bool:
    return soname in DONE_WITHOUT and DONE_WITHOUT[soname] in path


def _notice(soname: str, path: str, count: int) -> Problem:
    more = f" and {count - 1} more" if count > 1 else ""
    known = DEBIAN.get(soname)
    brought = f"`apt-get install {known}` on the workers" if known else "install it on the workers"
    return Problem(
        code="missing-library",
        what=f"{soname} is needed by {path.rpartition('site-packages/')[2]}{more}, and is neither "
        "in the environment nor on this host: what uses it will fail",
        where="requirements.txt",
        mend=f"{brought}, or ask for a build that brings it{_without(path)}",
    )


def _without(path: str) -> str:
    """Return which build that would be, where there is one that many take by mistake."""
    return " (opencv-python-headless)" if "/cv2/" in path or "opencv" in path else ""
