"""A few jobs, and a few kills: nothing is lost, nothing doubled, and what was told was true."""

import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


ON_DEMAND = "CHAOS_FULL" not in os.environ
"""It starts three servers and takes two minutes; the cluster's own tests kill each of them."""


@pytest.mark.parametrize(
    "backend",
    [
        "embedded",
        pytest.param("full", marks=pytest.mark.skipif(ON_DEMAND, reason="CHAOS_FULL is not set")),
    ],
)
def test_what_clients_were_told_is_explained_though_whatever_can_is_killed(backend: str) -> None:
    done = subprocess.run(
        [SCRIPTS / "chaos", "jobs", "--backend", backend, "--jobs", "60", "--kills", "5", "--json"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["accepted"], told["published"], told["kills"] >= 5) == (60, 60, True)
    assert told["lost"] == told["doubled"] == told["unexplained"] == 0
