"""One arena and one sandbox of each level for the whole of the hostile suite."""

import os
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile.arena import LIMITS, Arena
from support.interpreters import reachable_copy
from support.lacking import lacking
from support.world import open_folder

from sandbox.cells.pool import PoolBounds
from sandbox.command import Command, Folder, Input, Level, Outcome, Warmth
from sandbox.sandbox import Sandbox

VARIED = frozenset({"level", "start", "is_warm"})
"""Parameters of which another kind of worker tries one combination for each attack."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep one variant of each attack where that is asked for, each time the same.

    So each attack meets each kind of worker, and each kind each level and start (pairwise).
    """
    if not os.environ.get("FUMEHOOD_TEST_PAIRWISE"):
        return
    variants: dict[str, list[pytest.Item]] = {}
    for item in items:
        variants.setdefault(_attack_of(item), []).append(item)
    items[:] = [of[zlib.crc32(name.encode()) % len(of)] for name, of in variants.items()]


def _attack_of(item: pytest.Item) -> str:
    called = getattr(item, "callspec", None)
    params = sorted(called.params.items()) if called else []
    others = [f"{name}={value}" for name, value in params if name not in VARIED]
    return " ".join([item.nodeid.partition("[")[0], *others])


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


@pytest.fixture
def attack(sandbox: Sandbox, arena: Arena, world: Path, tmp_path: Path):
    """Run code of a package with these arguments, in this sandbox or the one that is named."""
    runs = []

    async def run(
        code: str,
        *,
        is_warm: bool = True,
        limits: Mapping[str, Any] | None = None,
        sandbox_of: Sandbox | None = None,
        **arguments: Any,
    ) -> Outcome:
        folder = world / f"red-{abs(hash(code))}-{tmp_path.name}"
        folder.mkdir(exist_ok=True)
        (folder / "extract.py").write_text(code)
        runs.append(folder)
        source = tmp_path / f"in-{len(runs)}.txt"
        source.write_text(f"secret-{len(runs)}")
        command = Command(
            target="extract:extract",
            handle="job",
            interpreter=arena.interpreter,
            limits=replace(LIMITS, **{"wall_s": 8, "cpu_s": 8, **(limits or {})}),
            folders=(Folder(name="bundle", source=folder, on_path=True),),
            inputs=(Input(name="in.txt", source=source),),
            arguments=arguments,
            warmth=Warmth(key=str(folder), preload=("extract",)) if is_warm else None,
        )
        outputs = tmp_path / f"out-{len(runs)}"
        chosen = sandbox_of or sandbox
        return await chosen.run(command, outputs_to=outputs, observe=lambda _: None)

    return run
