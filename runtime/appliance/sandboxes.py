"""Where an appliance has its sandbox from: opened when it is put together, or begun before that."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import resources
from pathlib import Path

from runtime.home.folders import homes_around
from sandbox.sandbox import Sandbox

log = logging.getLogger("fumehood.appliance")

type OpenSandbox = Callable[[Path], AbstractAsyncContextManager[Sandbox]]
"""Offers the sandbox that keeps its things in a home, and closes it."""


@asynccontextmanager
async def sandbox_in(home: Path, *, cells: Path | None = None) -> AsyncGenerator[Sandbox]:
    """Offer a sandbox of this home; say what it lacks.

    What cells run lies in `cells`, if not in the home: what is compiled for them stays there.
    """
    around = homes_around(home) + ((cells.parent,) if cells else ())
    sandbox = await Sandbox.open(
        cells or home / "cells", crossed=around, seen=(*_shown(home), *_code_of_packages())
    )
    for reason in sandbox.missing:
        log.warning("cells run at level %s: %s", sandbox.level, reason)
    try:
        yield sandbox
    finally:
        await sandbox.close()


def _shown(home: Path) -> Iterable[Path]:
    """Return the folders of this home that hold what runs see."""
    return (home / name for name in ("bundles", "environments", "data"))


def _code_of_packages() -> Iterable[Path]:
    """Return the folder with what `packages` has run in cells, such as to compile a bundle."""
    yield Path(str(resources.files("packages").joinpath("inside")))


@asynccontextmanager
async def begun_in(home: Path, *, cells: Path | None = None) -> AsyncGenerator[OpenSandbox]:
    """Begin to open a sandbox as `sandbox_in` does; offer what waits until it is open.

    To try the walls of a host is to wait for processes (0.2 s), and to import an appliance is
    work for one processor: whoever has both before him does both at a time.
    """
    async with AsyncExitStack() as stack:
        begun = asyncio.create_task(stack.enter_async_context(sandbox_in(home, cells=cells)))

        @asynccontextmanager
        async def awaited(_home: Path) -> AsyncGenerator[Sandbox]:
            yield await begun

        try:
            yield awaited
        finally:
            begun.cancel()
            await asyncio.gather(begun, return_exceptions=True)  # who waited has been told
