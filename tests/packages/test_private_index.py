"""Credentials reach uv and the fetcher, and nothing that is kept, said or run."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.index_server import index_of
from support.wheels import UPLOADED, make_wheel
from uv import find_uv_bin

from packages.bundle.requirements import Requirements
from packages.errors import LockFailed
from packages.index.index import Index
from packages.lock.grant import Grant
from packages.lock.locker import Locker
from sandbox.command import Interpreter, Report
from wheelhouse.store import Wheelhouse

type Wants = Callable[[str], Requirements]
LOGIN = ("robot", "s3cret/with:odd@signs")


@pytest.fixture
def theirs(tmp_path: Path) -> Wheelhouse:
    """What the private index has."""
    house = Wheelhouse(tmp_path / "theirs")
    house.add(make_wheel(tmp_path, "inner", "2.0", requires_python=">=3.8"), origin=UPLOADED)
    house.add(make_wheel(tmp_path, "outer", requires=["inner>=1"]), origin=UPLOADED)
    return house


async def test_a_private_index_is_used_and_its_password_stays_between_us(
    theirs: Wheelhouse, locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    said: list[Report] = []
    with index_of(theirs, login=LOGIN) as served:
        index = Index(url=served.url, username=LOGIN[0], password=LOGIN[1])
        private = replace(locker, index=index)
        locking = await private.lock(
            wants("outer"), interpreter=interpreter, grant=opened, observe=said.append
        )
    assert [(p.name, p.version) for p in locking.lock.packages] == [
        ("inner", "2.0"),
        ("outer", "1.0"),
    ]
    assert any(path.endswith(".metadata") for path in served.asked), "PEP 658 spares whole wheels"
    assert [w.origin.index for w in locking.fetched] == [served.url] * 2
    kept = [p.read_bytes() for p in locker.wheelhouse.root.rglob("*") if p.is_file()]
    everything = [locking.lock.text.encode(), repr(private).encode(), repr(said).encode(), *kept]
    assert not [text for text in everything if b"s3cret" in text or b"robot" in text]


async def test_a_password_in_the_address_is_treated_the_same(
    theirs: Wheelhouse, locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    with index_of(theirs, login=("robot", "plain")) as served:
        url = served.url.replace("http://", "http://robot:plain@")
        private = replace(locker, index=Index(url=url))
        locking = await private.lock(wants("outer"), interpreter=interpreter, grant=opened)
    assert [w.origin.index for w in locking.fetched] == [served.url] * 2


async def test_a_wrong_password_is_told_without_either(
    theirs: Wheelhouse, locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    with index_of(theirs, login=LOGIN) as served:
        index = Index(url=served.url, username="robot", password="wr0ng")
        with pytest.raises(LockFailed) as failed:
            await replace(locker, index=index).lock(
                wants("outer"), interpreter=interpreter, grant=opened
            )
    (problem,) = failed.value.problems
    assert problem.code == "index-unreachable", problem.what
    assert "wr0ng" not in str(failed.value)


async def test_a_wheel_that_was_altered_on_its_way_is_refused(
    theirs: Wheelhouse, locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    with index_of(theirs) as served:
        (wheel,) = theirs.find("inner")
        data = theirs.path(wheel).read_bytes()
        theirs.path(wheel).chmod(0o644)
        theirs.path(wheel).write_bytes(data[:-1] + b"x")
        with pytest.raises(LockFailed) as failed:
            await replace(locker, index=Index(url=served.url)).lock(
                wants("outer"), interpreter=interpreter, grant=opened
            )
    assert [(p.code, p.where) for p in failed.value.problems] == [("hash-mismatch", wheel.filename)]
    assert [w.name for w in locker.wheelhouse.wheels()] == ["outer"], "what was right stays"


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_plain_uv_and_plain_pip_can_use_the_house_as_their_index(
    tool: str, theirs: Wheelhouse, interpreter: Interpreter, tmp_path: Path
) -> None:
    python, target = str(interpreter.executable), str(tmp_path / "target")
    with index_of(theirs) as served:
        argv = {
            "uv": [find_uv_bin(), "pip", "install", "--no-config", "--python", python],
            "pip": [python, "-m", "pip", "install", "--isolated", "--no-cache-dir", "-q"],
        }[tool]
        argv += ["--target", target, "--index-url", served.url, "outer"]
        outside = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
        subprocess.run(argv, check=True, env=outside, capture_output=True)
    assert (tmp_path / "target" / "inner.py").is_file()
