"""Popular packages do in a cell what they do outside, and start warm.

These are the quick ones; `scripts/compatibility` runs every bundle beside this file, and writes
docs/compatibility.md.
"""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from support.compatibility import LIMITS, PATIENCE_S, Comparison, every, named
from support.lacking import lacking
from support.world import open_folder

from sandbox.cells.pool import PoolBounds
from sandbox.sandbox import Sandbox

pytestmark = pytest.mark.xdist_group("compatibility")
QUICK = (
    *("openpyxl", "python-docx", "lxml", "beautifulsoup4", "jinja2", "pypdf", "reportlab"),
    *("numpy", "pillow", "pydantic", "orjson-msgpack", "yaml", "onnxruntime", "joblib-loky"),
)


@pytest.fixture(scope="session")
def index() -> None:
    """Skip where no package index answers; CI=true promises one."""
    try:
        httpx2.head("https://pypi.org/simple/idna/", timeout=20).raise_for_status()
    except httpx2.HTTPError as error:
        lacking(f"a package index ({error})")


@pytest.fixture(scope="session")
def world() -> Iterator[Path]:
    """A folder that cells, which are other users, may enter."""
    with open_folder() as folder:
        yield folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def comparison(world: Path) -> AsyncIterator[Comparison]:
    """A house, and the real sandbox with room for one warm cell."""
    bounds = PoolBounds(cells=1, preload_s=PATIENCE_S, patience_s=PATIENCE_S)
    sandbox = await Sandbox.open(world / "cells", bounds=bounds)
    yield Comparison(world, sandbox)
    await sandbox.close()


@pytest.mark.network
@pytest.mark.parametrize("name", QUICK)
async def test_a_popular_package_does_as_outside_and_is_warm(
    name: str, comparison: Comparison, index: None
):
    row = await comparison.row(named(name))
    assert (row.cold_difference, row.warm_difference, row.reason) == ("", "", "")
    assert row.is_warm


@pytest.mark.network
async def test_what_starts_threads_for_its_processors_is_warm_too(
    comparison: Comparison, index: None
):
    if len(os.sched_getaffinity(0)) < 2:
        lacking("a second processor")
    wide = Comparison(comparison.home, comparison.sandbox, limits=replace(LIMITS, cpus=2))
    row = await wide.row(named("fork-openblas"))
    assert (row.cold_difference, row.warm_difference, row.reason) == ("", "", "")
    assert [seen.value["threads"] for seen in row.warm] == [[2]] * len(row.warm)


def test_every_bundle_says_what_it_needs_and_can_be_read():
    bundles = every()
    assert len(bundles) == len({one.name for one in bundles}) > 100
    for one in bundles:
        compile(one.source.read_text(), one.name, "exec")
