"""What is made ready once for all cells of a Python, by whoever comes first."""

import asyncio

from sandbox.base.runners import compiled
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
