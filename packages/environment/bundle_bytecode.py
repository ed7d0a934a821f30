"""A bundle as it runs: its files with the bytecode of its modules beside them, made once.

    bundles/<sha256>/runnable/<cache tag>/…   the bundle's files, by hard links, and __pycache__

A bundle that brings bytecode of its own is refused at the door, so what is here is compiled
from the very files that were judged, behind walls, as the bytecode of wheels is.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from frozen.values import changed
from packages.bundle.bundle import Bundle, BundleFile
from packages.environment.bytecode import compile_modules
from packages.environment.linking import NO_LINK
from packages.interpreters import cache_tag
from sandbox.command import Interpreter, Run
from wheelhouse.durable import close_folders, flush_filesystem, folder_aside, write_new

SHOWN_AS = "/bundle"


async def with_bytecode(bundle: Bundle, *, interpreter: Interpreter, run: Run) -> Bundle:
    """Return `bundle` with the folder that `interpreter` runs it from, making it if it is new.

    Raises EnvironmentFailed, leaving nothing, where the walled step did not come to its end.
    """
    final = bundle.folder.parent / "runnable" / cache_tag(interpreter)
    if not final.is_dir():
        with folder_aside(final) as aside:
            await _fill(aside, bundle, interpreter=interpreter, run=run)
            await asyncio.to_thread(flush_filesystem, aside)
    return changed(bundle, folder=final)


async def _fill(aside: Path, bundle: Bundle, *, interpreter: Interpreter, run: Run) -> None:
    _link_all(bundle.folder, aside, bundle.files)
    modules = {f.path: f.size_bytes for f in bundle.files if f.path.endswith(".py")}
    if modules:
        await compile_modules(
            bundle.folder,
            modules,
            to=aside,
            interpreter=interpreter,
            shown_as=SHOWN_AS,
            run=run,
            name=f"{bundle.manifest.name} {bundle.manifest.version}",
        )
    close_folders(aside)


def _link_all(source: Path, target: Path, files: Iterable[BundleFile]) -> None:
    for file in files:
        place = target / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / file.path, place)
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
            write_new(place, (source / file.path).read_bytes())
