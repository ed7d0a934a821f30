"""The whole hostile suite once more, by somebody who is not root."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.interpreters import reachable_copy, run_environment

PROJECT = Path(__file__).parent.parent.parent
SOMEBODY = 54_321


@pytest.mark.xdist_group("ordinary-user")
def test_the_hostile_suite_holds_for_an_ordinary_user(world: Path):
    if os.geteuid() != 0:
        pytest.skip("the suite runs as an ordinary user already")
    interpreter = reachable_copy(world)
    home = world / "somebody"
    home.mkdir()
    os.chown(home, SOMEBODY, SOMEBODY)
    run = [
        str(interpreter.executable),
        *("-m", "pytest", "-q", "-rf", "-o", f"cache_dir={home}/cache"),
        *("--basetemp", f"{home}/tmp"),
        *(f"tests/hostile/test_{name}.py" for name in ("attacks", "imports", "granted_network")),
    ]
    environ = run_environment(interpreter, project=PROJECT) | {"HOME": str(home)}
    done = as_somebody([*run, "-n", "2"], environ)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) > 400, done.stdout[-2000:] + done.stderr[-2000:]
    if done.returncode != 0:  # a loaded machine trips a limit early: once more, with it alone
        again = as_somebody([*run, "--last-failed"], environ)
        assert again.returncode == 0, done.stdout[-6000:] + again.stdout[-6000:]


def as_somebody(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environ,
        cwd=PROJECT,
        user=SOMEBODY,
        group=SOMEBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
