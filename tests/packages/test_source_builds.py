"""A source distribution becomes a wheel in a cell, if the admin allows it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.sdists import BACKEND, SYSTEM, sdist_of

from packages.environment.environment import Environments
from packages.environment.source_build import SourceBuilder
from packages.errors import BuildFailed
from packages.lock.grant import Grant
from packages.lock.locker import Locker
from sandbox.command import Interpreter
from sandbox.sandbox import Sandbox
from wheelhouse.store import Wheel, Wheelhouse

type Add = Callable[..., Wheel]


@pytest.fixture
def builder(
    house: Wheelhouse, locker: Locker, environments: Environments, sandbox: Sandbox
) -> SourceBuilder:
    return SourceBuilder(
        wheelhouse=house,
        locker=locker,
        environments=environments,
        run=sandbox.run,
        clock=lambda: datetime(2026, 11, 24, tzinfo=UTC),
    )


@pytest.fixture
def allowed(closed: Grant) -> Grant:
    return replace(closed, source_builds=True)


async def test_a_source_distribution_is_built_and_kept_with_how_it_came_about(
    builder: SourceBuilder,
    add: Add,
    interpreter: Interpreter,
    allowed: Grant,
    house: Wheelhouse,
    tmp_path: Path,
) -> None:
    add("tool"), add("extra-tool", "3.0")
    sdist = sdist_of(tmp_path, {"pyproject.toml": SYSTEM, "backend.py": BACKEND})
    wheel = await builder.build(sdist, interpreter=interpreter, grant=allowed, by="ana")
    assert (wheel.name, wheel.version, wheel.origin.kind) == ("thing", "1.0", "built")
    assert wheel.origin.note.startswith("from thing-1.0.tar.gz sha256:")
    assert "build requirements locked as sha256:" in wheel.origin.note
    assert house.find("thing") == [wheel]


async def test_a_build_is_refused_unless_the_admin_allows_it(
    builder: SourceBuilder, interpreter: Interpreter, closed: Grant, tmp_path: Path
) -> None:
    sdist = sdist_of(tmp_path, {"pyproject.toml": SYSTEM, "backend.py": BACKEND})
    with pytest.raises(BuildFailed) as failed:
        await builder.build(sdist, interpreter=interpreter, grant=closed, by="ana")
    assert [p.code for p in failed.value.problems] == ["source-only"]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"pyproject.toml": "not toml ["}, "bad-pyproject"),
        ({"pyproject.toml": SYSTEM.replace('"."', '"../.."')}, "bad-pyproject"),
        ({"pyproject.toml": SYSTEM.replace("tool", "absent")}, "not-in-wheelhouse"),
        ({"pyproject.toml": SYSTEM.replace("tool", "git+https://x.invalid/y")}, "vcs"),
        ({"pyproject.toml": SYSTEM, "backend.py": "1 / 0\n"}, "build-failed"),
        (
            {"pyproject.toml": SYSTEM, "backend.py": "def build_wheel(*a):\n    return 'x'\n"},
            "build-failed",
        ),
        (
            {"pyproject.toml": SYSTEM, "backend.py": BACKEND.replace("thing", "numpy")},
            "build-failed",
        ),
    ],
    ids=[
        "no toml",
        "path out",
        "lacks a tool",
        "direct url",
        "raises",
        "makes nothing",
        "makes another",
    ],
)
async def test_a_build_that_fails_says_why_and_leaves_nothing(
    files: dict[str, str],
    code: str,
    builder: SourceBuilder,
    add: Add,
    interpreter: Interpreter,
    allowed: Grant,
    house: Wheelhouse,
    tmp_path: Path,
) -> None:
    add("tool"), add("extra-tool")
    with pytest.raises(BuildFailed) as failed:
        await builder.build(
            sdist_of(tmp_path, files), interpreter=interpreter, grant=allowed, by="ana"
        )
    assert [p.code for p in failed.value.problems] == [code]
    assert house.names() == ["extra-tool", "tool"]
    assert not list(house.root.glob(".build-*"))
