"""Folders that one wheel alone fills are made once, and are links in every environment."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.interpreters import reachable_copy
from support.locks import lock_of
from support.world import open_folder

from packages.environment.environment import Environment, Environments
from packages.environment.maintenance import collect, repair, verify
from packages.environment.sharing import PLACE
from sandbox.command import Command, Folder, Interpreter, Level, Warmth
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox
from wheelhouse.store import Wheel

type Add = Callable[..., Wheel]

FILES = {
    "demo/__init__.py": b"from demo import data\n",
    "demo/data/__init__.py": b"import pathlib\n"
    b"TEXT = (pathlib.Path(__file__).resolve().parent / 'deep' / 'words.txt').read_text()\n",
    "demo/data/deep/words.txt": b"hello",
}
LOOK = """
import os, demo
def run(*, job, **_):
    return {"text": demo.data.TEXT, "file": demo.__file__, "shared": sorted(os.listdir("/.shared"))
            if os.path.isdir("/.shared") else None}
"""


async def build(
    environments: Environments, interpreter: Interpreter, *wheels: Wheel
) -> Environment:
    return await environments.ensure(lock_of(*wheels), interpreter=interpreter)


def links_of(built: Environment) -> list[str]:
    site = built.folder / built.site_packages
    found = [Path(top, name) for top, names, _ in os.walk(site) for name in names]
    return sorted(str(path.relative_to(site)) for path in found if path.is_symlink())


async def test_a_folder_of_one_wheel_is_one_folder_for_all_environments(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    demo = add("demo", files=FILES)
    one = await build(environments, interpreter, demo)
    other = await build(environments, interpreter, demo, add("other"))
    assert links_of(one) == ["demo"]
    folders = [built.folder / built.site_packages / "demo/data" for built in (one, other)]
    assert folders[0].samefile(folders[1])
    assert (folders[0] / "__pycache__").is_dir()
    assert verify(environments, one.key) == verify(environments, other.key) == []


async def test_what_several_wheels_fill_or_holds_libraries_stays_a_folder(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    first = add(
        "first",
        files={
            "ns/one/a.py": b"",
            "fast/__init__.py": b"",
            "fast/_core.cpython-312-x86_64-linux-gnu.so": b"",
            "fast/tests/__init__.py": b"",
            "fast.libs/libz.so.1": b"",
        },
    )
    second = add("second", files={"ns/two/b.py": b""})
    built = await build(environments, interpreter, first, second)
    assert links_of(built) == ["fast/__pycache__", "fast/tests", "ns/one", "ns/two"]
    site = built.folder / built.site_packages
    real = {path.name for path in site.iterdir() if path.is_dir() and not path.is_symlink()}
    assert {"ns", "fast", "fast.libs", "first-1.0.dist-info"} <= real


@pytest.mark.parametrize("without_namespaces", [False, True])
@pytest.mark.parametrize("warmth", [None, Warmth(key="look", preload=("look",))])
async def test_a_cell_imports_from_shared_folders_and_sees_no_others(
    environments: Environments,
    add: Add,
    home: Path,
    world: Path,
    *,
    without_namespaces: bool,
    warmth: Warmth | None,
) -> None:
    interpreter = reachable_copy(world)
    await build(environments, interpreter, add("secret", files={"secret/__init__.py": b""}))
    built = await build(environments, interpreter, add("demo", files=FILES))
    (home / "look").mkdir()
    (home / "look" / "look.py").write_text(LOOK)
    look = Folder(name="bundle", source=home / "look", on_path=True)
    command = Command(
        target="look:run",
        handle="job",
        interpreter=interpreter,
        limits=Limits(),
        folders=(look, *built.in_sight()),
        least=Level.UNPRIVILEGED,
        warmth=warmth,
    )
    sandbox = await Sandbox.open(
        home / "cells", without_namespaces=without_namespaces, interpreter=interpreter
    )
    try:
        outcome = await sandbox.run(command, outputs_to=home / "out", observe=lambda _: None)
    finally:
        await sandbox.close()
    assert outcome.is_ok, outcome.failure
    assert isinstance(outcome.value, dict)
    assert outcome.value["text"] == "hello"
    assert outcome.isolation.start == ("warm" if warmth else "cold")
    if not without_namespaces:
        assert outcome.value["shared"] == list(built.inventory.shared)
        assert outcome.value["file"] == f"/environment/{built.site_packages}/demo/__init__.py"


async def test_the_store_may_be_moved(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    """Links are relative: a home that was restored elsewhere works."""
    built = await build(environments, interpreter, add("demo", files=FILES))
    with open_folder() as elsewhere:
        shutil.copytree(environments.root, elsewhere / "moved", symlinks=True)
        site = elsewhere / "moved" / built.key / built.site_packages
        assert (site / "demo/data/deep/words.txt").read_text() == "hello"
        for folder in (elsewhere / "moved").rglob("*"):
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(0o755)


@pytest.mark.parametrize("damage", ["removed", "altered", "added"])
async def test_damage_to_what_is_shared_is_told_and_mended(
    environments: Environments, add: Add, interpreter: Interpreter, damage: str
) -> None:
    built = await build(environments, interpreter, add("demo", files=FILES))
    (name,) = built.inventory.shared
    file = environments.root / PLACE / name / "demo/data/deep/words.txt"
    file.parent.chmod(0o755)
    if damage == "removed":
        file.unlink()
    elif damage == "altered":
        file.chmod(0o644)
        file.write_bytes(b"HELLO!")
    else:
        (file.parent / "more.py").write_text("")
    (problem,) = verify(environments, built.key)
    assert problem.code == "environment-damaged"
    assert "demo/data/deep/" in (problem.where or "")
    (mended,) = await repair(environments, interpreters=lambda: [interpreter])
    assert mended.is_rebuilt
    assert verify(environments, built.key) == []
    assert file.read_bytes() == b"hello"
    assert not (file.parent / "more.py").exists()


async def test_what_no_environment_links_to_is_swept_after_an_hour(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    kept = await build(environments, interpreter, add("kept", files={"kept/a.py": b""}))
    gone = await build(environments, interpreter, add("gone", files={"gone/a.py": b""}))
    now = datetime.now(UTC)
    collect(environments, now=now, older_than_s=-1, keep=[kept.key])
    place = environments.root / PLACE
    assert {path.name for path in place.iterdir()} == {
        *kept.inventory.shared,
        *gone.inventory.shared,
    }
    collect(environments, now=now + timedelta(hours=2), older_than_s=1e9)
    assert [path.name for path in place.iterdir()] == list(kept.inventory.shared)
    assert verify(environments, kept.key) == []
