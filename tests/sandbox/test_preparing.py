"""What is made ready once for all cells of a Python, by whoever comes first."""

import asyncio
import marshal
import subprocess
import sys

import pytest

from sandbox.base.runners import MODES, compiled
from sandbox.cells.leftovers import sweep
from sandbox.isolation import this_interpreter


async def test_first_runs_beside_each_other_prepare_the_runner_of_a_python_once(tmp_path):
    """Each compiles in a folder of its own; who is last takes what the first has made."""
    preparing = (asyncio.to_thread(compiled, tmp_path, this_interpreter()) for _ in range(4))
    prepared = set(await asyncio.gather(*preparing))
    assert set(tmp_path.iterdir()) == prepared
    assert len(prepared) == 1


def test_a_second_worker_leaves_what_the_first_has_prepared(tmp_path):
    """The last number of a Python's version is no pid of a worker that is gone."""
    prepared = tmp_path / "inside-0123456789abcdef-cpython-313-x86_64-linux-gnu-3.13.0"
    prepared.mkdir()
    (tmp_path / f"{prepared.name}.by-0-a_b1c2d3").mkdir()
    (tmp_path / "etc.by-0-a_b1c2d3").mkdir()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [prepared]


@pytest.mark.parametrize("mode", MODES)
def test_a_cell_makes_what_it_starts_with_without_looking_for_it(tmp_path, mode):
    """What the import system would import is in the one file, each after what it imports itself."""
    package = compiled(tmp_path, this_interpreter()) / "fumehood_inside"
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r}); import {package.name}.{mode}"
    )
    ours = f"print(*(name for name in sys.modules if name.startswith({package.name!r})))"
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"{program}; {ours}"],
        capture_output=True,
        text=True,
        check=True,
    )
    made = marshal.loads((package / f"{mode}.made").read_bytes())
    names = [f"{package.name}.{name}".rstrip(".") for name, _, _ in made]
    assert sorted(names) == sorted(said.stdout.split())
    assert names[-1] == f"{package.name}.{mode}" and names[0] == package.name
