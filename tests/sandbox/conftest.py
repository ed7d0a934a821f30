"""One sandbox with the best walls of this host, and commands made of a few lines of code."""

import dataclasses
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.interpreters import reachable_copy
from support.lacking import lacking
from support.world import open_folder

from sandbox.cells.pool import PoolBounds
from sandbox.command import Command, Folder, Input, Level, Outcome, Report, Warmth
from sandbox.isolation import this_interpreter
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox

LIMITS = Limits(
    wall_s=10, cpu_s=5, memory_mb=256, processes=32, output_mb=16, scratch_mb=16, log_kb=256
)


@pytest.fixture(scope="session")
def world() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
async def sandbox(world: Path) -> AsyncIterator[Sandbox]:
    opened = await Sandbox.open(
        world / "cells", grace_s=0.5, bounds=PoolBounds(preload_s=60, patience_s=60)
    )
    if not opened.launcher.has_namespaces:
        await opened.close()
        lacking(f"namespaces: {opened.missing}")
    yield opened
    await opened.close()


@dataclass
class Lab:
    """Runs code in cells and keeps what it said."""

    sandbox: Sandbox
    folder: Path
    reports: list[Report] = field(default_factory=list)
    runs: int = 0

    def command(self, code: str, *, target: str = "extract:extract", **changes) -> Command:
        bundle = self.folder / f"bundle-{len(list(self.folder.glob('bundle-*')))}"
        bundle.mkdir()
        (bundle / "extract.py").write_text(textwrap.dedent(code))
        command = Command(
            target=target,
            handle="job",
            interpreter=this_interpreter(),
            limits=LIMITS,
            folders=(Folder(name="bundle", source=bundle, on_path=True),),
            least=Level.UNPRIVILEGED,
        )
        return replace(command, **changes)

    async def run(self, command: Command, **options) -> Outcome:
        self.runs += 1
        return await self.sandbox.run(
            command, outputs_to=self.outputs, observe=self.reports.append, **options
        )

    @property
    def outputs(self) -> Path:
        return self.folder / f"outputs-{self.runs}"

    def said(self, kind: str) -> list[dict]:
        return [dict(report.data) for report in self.reports if report.kind == kind]

    def input(self, name: str, text: str) -> Input:
        path = self.folder / f"source-of-{name}"
        path.write_text(text)
        return Input(name=name, source=path)


@pytest.fixture
def lab(sandbox: Sandbox, world: Path, request: pytest.FixtureRequest) -> Lab:
    folder = world / f"lab-{abs(hash(request.node.nodeid))}"
    folder.mkdir()
    return Lab(sandbox, folder)


@pytest.fixture
def warm() -> Callable[[Command], Command]:
    """Let a command be forked from a warm cell of its own."""

    def permit(command: Command, *preload: str) -> Command:
        key = str(command.folders)
        return replace(command, warmth=Warmth(key=key, preload=(*preload, "extract")))

    return permit


@pytest.fixture(scope="session")
async def plain_sandbox(world: Path) -> AsyncIterator[Sandbox]:
    """The walls of a host that refuses namespaces."""
    opened = await Sandbox.open(
        world / "plain-cells",
        grace_s=0.5,
        without_namespaces=True,
        interpreter=reachable_copy(world),
    )
    yield opened
    await opened.close()


@pytest.fixture(params=["namespaced", "unprivileged"])
def run(request: pytest.FixtureRequest, lab, warm, start: str, plain_sandbox, world: Path):
    """Run code in a cell of each level, cold or warm as the test says."""
    if request.param == "unprivileged":
        lab.sandbox = plain_sandbox

    async def one(code: str, **limits) -> Outcome:
        command = lab.command(code)
        command = dataclasses.replace(
            command,
            interpreter=reachable_copy(world),
            limits=dataclasses.replace(command.limits, **limits),
        )
        outcome = await lab.run(warm(command) if start == "warm" else command)
        assert outcome.isolation.start == start, outcome.isolation.start_reason
        return outcome

    return one
