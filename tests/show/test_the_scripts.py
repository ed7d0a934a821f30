"""The scripts that CONTRIBUTING and the README name: each starts, and says what it does."""

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


@pytest.mark.parametrize(
    "words",
    [
        "bench cells",
        "bench environments",
        "chaos packages",
        "bench",
        "chaos",
        "fuzz",
        "judge-costs",
        "run",
        "test",
        "vm-test",
    ],
)
def test_a_script_says_what_it_does(words):
    name, *rest = words.split()
    done = subprocess.run(
        [SCRIPTS / name, *rest, "--help"], capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: scripts/{words}" in done.stdout
