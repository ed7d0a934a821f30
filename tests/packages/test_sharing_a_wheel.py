"""What a wheel shares with others by hard links is never written through such a link."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.locks import lock_of
from support.wheels import UPLOADED, make_wheel

from packages.environment.environment import Environments
from packages.errors import EnvironmentFailed
from sandbox.command import Interpreter
from wheelhouse.metadata.wheel import WheelFacts, judge_aside
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse
from wheelhouse.unpacked import unpack

type Add = Callable[..., Wheel]

ROOT = "wild-1.0.data/data"
SOMEBODY = 54_321


@pytest.fixture
def add_unjudged(house: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Add:
    """Adds a wheel as a house has it whose rules for places were others at the time."""

    def adding(files: Mapping[str, bytes]) -> Wheel:
        path = make_wheel(tmp_path / "wild", "wild", files={"wild.py": b"", **files})
        with monkeypatch.context() as context:
            context.setattr("wheelhouse.metadata.wheel.judge_places", lambda *_, **__: ())
            context.setattr(Wheelhouse, "_judged", judged_here)
            return house.add(path, origin=UPLOADED)

    return adding


def judged_here(
    _house: Wheelhouse, path: Path, *, filename: str, folder: str
) -> tuple[WheelFacts | None, list[Problem]]:
    """Judge in this process, whose rules are others."""
    return judge_aside(str(path), filename=filename, folder=folder)


@pytest.mark.parametrize(
    "path",
    ["pylock.toml", "environment.json", "pyvenv.cfg", "bin/python3", "lib64", "lib", "bin"],
)
async def test_a_wheel_that_has_one_of_our_names_is_told_and_stays_as_it_was(
    path: str,
    environments: Environments,
    add: Add,
    add_unjudged: Add,
    interpreter: Interpreter,
    house: Wheelhouse,
) -> None:
    wild = add_unjudged({f"{ROOT}/{path}": b"theirs"})
    file = unpack(house, wild).folder / "root" / path
    for lock in (lock_of(wild), lock_of(wild, add("other"))):
        with pytest.raises(EnvironmentFailed) as failed:
            await environments.ensure(lock, interpreter=interpreter)
        (problem,) = failed.value.problems
        assert (problem.code, problem.where) == ("name-collision", "wild")
        assert f"wild brings the file {path}" in problem.what
        assert file.read_bytes() == b"theirs"
    assert [p.name for p in environments.root.glob("[!.]*")] == []


async def test_two_wheels_that_clash_only_together_are_told(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    one = add("one", files={"one.py": b"", "one-1.0.data/data/share/thing": b"a file"})
    other = add("other", files={"other.py": b"", "other-1.0.data/data/share/thing/x": b"a folder"})
    with pytest.raises(EnvironmentFailed) as failed:
        await environments.ensure(lock_of(one, other), interpreter=interpreter)
    (problem,) = failed.value.problems
    assert problem.what == "one brings the file share/thing, and others have a folder there"


async def test_a_file_in_the_place_of_bytecode_is_told(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    wheel = add("odd", files={"odd/__init__.py": b"", "odd/__pycache__": b"a file"})
    with pytest.raises(EnvironmentFailed) as failed:
        await environments.ensure(lock_of(wheel), interpreter=interpreter)
    assert [p.code for p in failed.value.problems] == ["name-collision"]


WRITES = """
import os, sys
from pathlib import Path
from packages.environment.linking import skeleton
from wheelhouse.durable import write_new
from sandbox.command import Interpreter
store, aside = map(Path, sys.argv[1:3])
os.setuid(int(sys.argv[3]))
(aside / "bin").mkdir()
for name in ("pylock.toml", "pyvenv.cfg"):
    os.link(store / name, aside / name)
python = Interpreter(executable=Path("/usr/bin/python3"), prefix=Path("/usr"), version="3.12.1",
                     soabi="cpython-312-x86_64-linux-gnu")
for write in (lambda: write_new(aside / "pylock.toml", b"ours"), lambda: skeleton(aside, python)):
    try:
        write()
    except FileExistsError:
        print("refused")
"""


@pytest.mark.parametrize("user", [0, SOMEBODY], ids=["root", "somebody"])
def test_nothing_is_ever_written_through_a_link(user: int, world: Path) -> None:
    """The last wall, whatever a plan says: a name that is there is never opened for writing."""
    if os.geteuid() != 0 and user != os.geteuid():
        pytest.skip("only root can be another user")
    base = world / f"links-{user}"
    for folder in (base, base / "store", base / "aside"):
        folder.mkdir()
        os.chown(folder, user, user)
    for name in ("pylock.toml", "pyvenv.cfg"):
        (base / "store" / name).write_bytes(b"theirs")
        os.chown(base / "store" / name, user, user)
    said = subprocess.run(
        [sys.executable, "-c", WRITES, base / "store", base / "aside", str(user)],
        capture_output=True,
        text=True,
    )
    assert said.stdout.split() == ["refused", "refused"], said.stderr
    assert {p.read_bytes() for p in (base / "store").iterdir()} == {b"theirs"}
