"""A connected machine fetches a closed set for other machines; a killed install tears nothing."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from packages.bundle.requirements import Requirements
from packages.errors import LockFailed
from packages.index.index import Index
from packages.lock.mirror import Mirror
from sandbox.command import Interpreter
from wheelhouse.metadata.target import make_target, platforms_of
from wheelhouse.store import Wheelhouse
from wheelhouse.upkeep import verify

type Wants = Callable[[str], Requirements]
SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def mirror(house: Wheelhouse, index: Index, interpreter: Interpreter) -> Mirror:
    return Mirror(
        wheelhouse=house,
        index=index,
        clock=lambda: datetime.now(UTC),
        python=interpreter.executable,
        by="ana",
    )


@pytest.mark.network
async def test_a_closed_set_is_fetched_for_several_targets(
    mirror: Mirror, house: Wheelhouse, wants: Wants
) -> None:
    pythons, platforms = ["3.11", "3.12"], ["manylinux_2_28_x86_64", "manylinux_2_28_aarch64"]
    done = await mirror.mirror(
        wants("markupsafe==3.0.2|jinja2==3.1.6"), pythons=pythons, platforms=platforms
    )
    named = sorted(wheel.filename.lower() for wheel in done.fetched)
    assert len([name for name in named if name.startswith("markupsafe")]) == 4
    assert "jinja2-3.1.6-py3-none-any.whl" in named
    targets = [
        make_target(p, platforms=platforms_of(where)) for p in pythons for where in platforms
    ]
    assert verify(house, targets=targets) == []
    again = await mirror.mirror(
        wants("markupsafe==3.0.2|jinja2==3.1.6"), pythons=pythons, platforms=platforms
    )
    assert (again.fetched, again.already_here) == ((), 5)


@pytest.mark.network
async def test_what_a_target_cannot_have_is_told(mirror: Mirror, wants: Wants) -> None:
    with pytest.raises(LockFailed) as failed:
        await mirror.mirror(
            wants("docopt==0.6.2"), pythons=["3.12"], platforms=["manylinux_2_28_x86_64"]
        )
    assert [p.code for p in failed.value.problems] == ["source-only"]


def test_installs_that_are_killed_tear_nothing_and_the_next_try_succeeds() -> None:
    argv = [SCRIPTS / "chaos", "packages", "--kills", "4", "--json"]
    run = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=110)
    assert json.loads(run.stdout) == {"kills": 4, "torn": 0, "failed_retries": 0}, run.stderr
    assert run.returncode == 0
