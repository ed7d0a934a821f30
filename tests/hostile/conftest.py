"""One arena and one sandbox of each level for the whole of the hostile suite."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hostile.arena import Arena
from support.interpreters import reachable_copy
from support.lacking import lacking
from support.world import open_folder

from sandbox.cells.pool import PoolBounds
from sandbox.command import Level
from sandbox.sandbox import Sandbox


@pytest.fixture(scope="session")
def world() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def arena(world: Path) -> Iterator[Arena]:
    folder = world / "arena"
    folder.mkdir()
    built = Arena(folder, reachable_copy(world))
    yield built
    built.close()


@pytest.fixture(scope="session")
async def sandboxes(world: Path) -> AsyncIterator[dict[str, Sandbox]]:
    """The best walls of this host, and the walls of a host that refuses namespaces."""
    bounds = PoolBounds(cells=2, patience_s=60)
    best = await Sandbox.open(world / "cells", grace_s=0.5, bounds=bounds)
    plain = await Sandbox.open(
        world / "cells-unprivileged",
        grace_s=0.5,
        bounds=bounds,
        without_namespaces=True,
        interpreter=reachable_copy(world),
    )
    for sandbox in (best, plain):
        as_asked(sandbox)
    yield {"namespaced": best, "unprivileged": plain}
    await best.close()
    await plain.close()


def as_asked(sandbox: Sandbox) -> None:
    """Take the cgroup away where a test of another kind of worker wants none, or see to it."""
    wanted = os.environ.get("FUMEHOOD_TEST_CGROUP", "")
    if wanted == "needed":
        assert sandbox.hierarchy is not None, "the delegated cgroup is not used"
    elif wanted == "none" and sandbox.hierarchy is not None:
        sandbox.hierarchy.remove()
        sandbox.hierarchy = sandbox.launcher.leaves.hierarchy = None
        sandbox.level = Level.NO_CGROUP if sandbox.level is Level.FULL else sandbox.level


@pytest.fixture
def sandbox(sandboxes: dict[str, Sandbox], level: str) -> Sandbox:
    """The sandbox of the level that the test is parametrised with."""
    chosen = sandboxes[level]
    if level == "namespaced" and not chosen.launcher.has_namespaces:
        lacking(f"namespaces: {chosen.missing}")
    return chosen
