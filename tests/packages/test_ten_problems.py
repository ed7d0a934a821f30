"""Ten things keep a lock from being made; each has a code, says what was tried, and the mend.

Each is brought about with the real uv; the tenth, a full disk, needs a small disk of its own
and is in test_full_disk.py.
"""

import io
import re
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.index_server import Served, index_of
from support.wheels import UPLOADED, make_wheel

from packages.bundle.requirements import Requirements
from packages.errors import LockFailed
from packages.index.index import Index
from packages.lock.grant import Grant
from packages.lock.locker import Locker
from sandbox.command import Interpreter
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse

type Add = Callable[..., Wheel]
type Wants = Callable[[str], Requirements]
type Fails = Callable[..., Awaitable[Problem]]
type Theirs = tuple[Wheelhouse, Served]
COMMAND = re.compile(r"`fumehood [a-z]+ [a-z]+[^`]*`")


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Theirs]:
    """An index and what it has."""
    house = Wheelhouse(tmp_path / "theirs")
    with index_of(house) as served:
        yield house, served


@pytest.fixture
def failing(locker: Locker, wants: Wants, interpreter: Interpreter) -> Fails:
    """Locks what cannot be locked, and returns the one problem, which has a command."""

    async def fail(text: str, grant: Grant, *, url: str = "", network: str = "if-open") -> Problem:
        with pytest.raises(LockFailed) as failed:
            await replace(locker, index=Index(url=url)).lock(
                wants(text), interpreter=interpreter, grant=grant, network=network
            )
        (problem,) = failed.value.problems
        assert COMMAND.search(problem.mend), problem.mend
        return problem

    return fail


async def test_not_in_wheelhouse(failing: Fails, closed: Grant) -> None:
    problem = await failing("absent>=2", closed)
    assert problem.code == "not-in-wheelhouse"
    assert "absent>=2 is not in the wheelhouse" in problem.what
    assert "tags tried: cp3" in problem.what and "the network gate is closed" in problem.what
    assert "wheelhouse mirror 'absent>=2' --python 3." in problem.mend
    assert "--platform manylinux_" in problem.mend and "gate open" in problem.mend


async def test_no_version_satisfies(
    failing: Fails, add: Add, closed: Grant, opened: Grant, theirs: Theirs
):
    add("demo", "1.0")
    problem = await failing("demo>=2", closed)
    assert problem.code == "no-version-satisfies"
    assert "demo>=2" in problem.what and "demo-1.0-py3-none-any.whl" in problem.what
    house, served = theirs
    house.add(make_wheel(house.root, "demo", "1.5"), origin=UPLOADED)
    problem = await failing("demo>=2", opened, url=served.url)
    assert problem.code == "no-version-satisfies" and "the house's own" in problem.what


async def test_wrong_python_or_platform(
    failing: Fails, add: Add, closed: Grant, opened: Grant, theirs: Theirs
):
    add("elsewhere", tag="cp312-cp312-win_amd64")
    problem = await failing("elsewhere==1.0", closed)
    assert problem.code == "wrong-python-or-platform"
    assert "elsewhere==1.0" in problem.what and "tags tried: cp3" in problem.what
    add("younger", requires_python=">=3.99")
    problem = await failing("younger", closed)
    assert problem.code == "wrong-python-or-platform" and "3.99" in problem.what
    house, served = theirs
    house.add(make_wheel(house.root, "far", tag="cp312-cp312-win_amd64"), origin=UPLOADED)
    problem = await failing("far", opened, url=served.url)
    assert problem.code == "wrong-python-or-platform" and "tags tried: cp3" in problem.what


async def test_hash_mismatch(failing: Fails, add: Add, closed: Grant) -> None:
    add("demo", "1.0")
    problem = await failing(f"demo==1.0 --hash=sha256:{'0' * 64}", closed)
    assert (problem.code, problem.where) == ("hash-mismatch", "requirements.txt:1")
    assert "demo-1.0-py3-none-any.whl" in problem.what and "0" * 64 in problem.what


async def test_corrupt_wheel(failing: Fails, add: Add, closed: Grant, house: Wheelhouse) -> None:
    path = house.path(add("demo", "1.0"))
    path.chmod(0o644)
    path.write_bytes(b"no longer a wheel")
    path.with_name(f"{path.name}.metadata").unlink()
    problem = await failing("demo", closed)
    assert problem.code == "corrupt-wheel"
    assert "demo" in problem.what and "wheelhouse verify demo" in problem.mend


async def test_source_only(failing: Fails, opened: Grant, tmp_path: Path) -> None:
    sdist = tmp_path / "sourced-1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        text = b"Metadata-Version: 2.1\nName: sourced\nVersion: 1.0\n"
        member = tarfile.TarInfo("sourced-1.0/PKG-INFO")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    with index_of(Wheelhouse(tmp_path / "none"), further={"sourced": sdist}) as served:
        problem = await failing("sourced==1.0", opened, url=served.url)
        assert problem.code == "source-only"
        assert "sourced==1.0" in problem.what and "the admin allows wheels only" in problem.what
        allowed = replace(opened, source_builds=True)
        problem = await failing("sourced==1.0", allowed, url=served.url)
        assert "`fumehood wheelhouse build sourced-….tar.gz`" in problem.mend


async def test_gate_closed(failing: Fails, closed: Grant, opened: Grant, theirs: Theirs) -> None:
    problem = await failing("demo", closed, network="required")
    assert problem.code == "gate-closed" and "the network gate is closed" in problem.what
    house, served = theirs
    house.add(make_wheel(house.root, "demo"), origin=UPLOADED)
    narrow = replace(opened, gate=replace(opened.gate, packages=("other",)))
    problem = await failing("demo", narrow, url=served.url)
    assert (problem.code, problem.where) == ("gate-closed", "demo")
    assert "the gate is open for other only" in problem.what


async def test_index_unreachable(failing: Fails, opened: Grant) -> None:
    problem = await failing("demo", opened, url="http://127.0.0.1:9/simple/")
    assert problem.code == "index-unreachable"
    assert "http://127.0.0.1:9/simple/" in problem.what and "config show" in problem.mend


async def test_conflict(failing: Fails, add: Add, closed: Grant) -> None:
    add("a", requires=["c==1"]), add("b", requires=["c==2"]), add("c", "1"), add("c", "2")
    problem = await failing("a|b", closed)
    assert problem.code == "conflict"
    assert "depend on c==1" in problem.what and "depend on c==2" in problem.what
