"""Environments are listed, verified, repaired, and collected when nobody needs them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.locks import lock_of

from packages.environment.environment import Environment, Environments
from packages.environment.maintenance import collect, listing, locked_digests, repair, verify
from sandbox.command import Interpreter
from wheelhouse.store import Wheel, Wheelhouse

type Add = Callable[..., Wheel]
type Build = Callable[..., object]


async def build(
    environments: Environments, interpreter: Interpreter, *wheels: Wheel
) -> Environment:
    return await environments.ensure(lock_of(*wheels), interpreter=interpreter)


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


async def test_uses_are_counted(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    demo = add("demo")
    for _ in range(3):
        built = await build(environments, interpreter, demo)
    (kept,) = listing(environments)
    assert (kept.key, kept.uses, kept.is_in_use) == (built.key, 3, False)
    assert locked_digests(environments) == {demo.sha256}
    async with environments.lease(built.key):
        assert listing(environments)[0].is_in_use


async def test_a_whole_environment_has_no_problems(
    environments: Environments, add: Add, interpreter: Interpreter, house: Wheelhouse
) -> None:
    demo = add("demo", entry_points="[console_scripts]\ndemo = demo:main\n")
    built = await build(environments, interpreter, demo)
    assert verify(environments, built.key) == []
    house.remove(demo)
    assert verify(environments, built.key) == [], "RECORD is enough once the wheel has left"


@pytest.mark.parametrize("is_gone", [False, True], ids=["wheel here", "wheel gone"])
async def test_what_was_altered_removed_or_added_is_told(
    is_gone: bool,  # noqa: FBT001
    environments: Environments,
    add: Add,
    interpreter: Interpreter,
    house: Wheelhouse,
) -> None:
    demo = add("demo", files={"a.py": b"A = 1\n", "b.py": b"B = 1\n", "c.py": b"C = 1\n"})
    built = await build(environments, interpreter, demo)
    site = built.folder / built.site_packages
    if is_gone:
        house.remove(demo)
    overwrite(site / "a.py", b"A = 2\n")
    overwrite(site / "b.py", b"B = 11\n")
    site.chmod(0o755)
    (site / "c.py").unlink()
    (site / "evil.pth").write_bytes(b"import evil\n")
    told = {p.where.rpartition("/")[2]: p.what for p in verify(environments, built.key)}
    assert told["a.py"] == "it is not what was installed"
    assert told["b.py"] == "it has 7 bytes, not 6"
    assert told["c.py"] == "it is missing"
    assert ("evil.pth" in told) is not is_gone
    quick = {p.where.rpartition("/")[2] for p in verify(environments, built.key, is_full=False)}
    assert quick == set(told) - {"a.py"}


async def test_a_damaged_environment_is_built_anew_from_its_lock(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    built = await build(environments, interpreter, add("demo"))
    other = await build(environments, interpreter, add("other"))
    overwrite(built.folder / built.site_packages / "demo.py", b"VERSION = 'evil'\n")
    (told,) = await repair(environments, interpreters=lambda: [interpreter], is_full=True)
    assert (told.key, told.is_rebuilt) == (built.key, True)
    assert told.problems[0].code == "environment-damaged"
    assert verify(environments, built.key) == [] == verify(environments, other.key)
    assert (built.folder / built.site_packages / "demo.py").read_bytes() == b"VERSION = '1.0'\n"
    assert await repair(environments, interpreters=lambda: [interpreter], is_full=True) == []


async def test_an_environment_that_cannot_say_what_it_is_is_removed(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    built = await build(environments, interpreter, add("demo"))
    overwrite(built.folder / "environment.json", b"{}")
    (told,) = await repair(environments, interpreters=lambda: [interpreter])
    assert (told.key, told.is_rebuilt) == (built.key, False)
    assert not environments.is_there(built.key)


async def test_collection_takes_old_ones_and_never_one_in_use(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    old = await build(environments, interpreter, add("old"))
    used = await build(environments, interpreter, add("used"))
    kept = await build(environments, interpreter, add("kept"))
    later = datetime.now(UTC) + timedelta(days=30)
    day = 86_400.0
    assert collect(environments, now=datetime.now(UTC), older_than_s=day) == []
    async with environments.lease(used.key):
        rehearsed = collect(
            environments, now=later, older_than_s=day, keep=[kept.key], is_dry_run=True
        )
        assert [one.key for one in rehearsed] == [old.key]
        removed = collect(environments, now=later, older_than_s=day, keep=[kept.key])
    assert [one.key for one in removed] == [old.key]
    assert not old.folder.exists()
    assert {one.key for one in listing(environments)} == {used.key, kept.key}


async def test_collection_keeps_the_store_below_its_size(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    big = {"big.bin": bytes(100_000)}
    built = [await build(environments, interpreter, add(n, files=big)) for n in ("a", "b", "c")]
    now = datetime.now(UTC)
    removed = collect(environments, now=now, older_than_s=1e9, most_bytes=250_000)
    assert [one.key for one in removed] == [built[0].key]


async def test_what_a_killed_builder_left_is_swept_after_an_hour(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    built = await build(environments, interpreter, add("here"))
    left = [environments.root / f".{built.key}-x1y2", environments.root / ".libraries-x1y2"]
    for folder in left:
        (folder / "outputs").mkdir(parents=True)
    now = datetime.now(UTC)
    collect(environments, now=now, older_than_s=1e9)
    assert all(folder.exists() for folder in left)
    collect(environments, now=now + timedelta(hours=2), older_than_s=1e9)
    assert not any(folder.exists() for folder in left)
    assert verify(environments, built.key) == []
