"""The sandbox of an appliance, which opens while the appliance is imported."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import resources
from pathlib import Path

from runtime.home.folders import homes_around
from sandbox.sandbox import Sandbox

log = logging.getLogger("fumehood.appliance")

type OpeningSandbox = Awaitable[Sandbox]
"""A sandbox that is open when it is awaited, and is closed by who has begun it."""


@asynccontextmanager
async def _sandbox_in(home: Path, *, prepared: Path | None) -> AsyncGenerator[Sandbox]:
    """Offer a sandbox of this home; say what it lacks."""
    sandbox = await Sandbox.open(
        home / "cells",
        crossed=homes_around(home),
        seen=(*_shown(home), *_code_of_packages()),
        prepared=prepared,
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
async def sandbox_begun_in(
    home: Path, *, prepared: Path | None = None
) -> AsyncGenerator[OpeningSandbox]:
    """Begin to open the sandbox of this home at once; close it in the end.

    What is made once for all cells is in `prepared`, if not in the home.

    To try the walls of a host is to wait for processes (0.2 s), and to import an appliance is
    work for one processor: whoever has both before him does both at a time.
    """
    async with AsyncExitStack() as stack:
        opening = stack.enter_async_context(_sandbox_in(home, prepared=prepared))
        begun = asyncio.create_task(opening)
        try:
            yield begun
        finally:
            begun.cancel()
            await asyncio.gather(begun, return_exceptions=True)  # who waited has been told
