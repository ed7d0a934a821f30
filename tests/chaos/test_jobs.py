"""A few jobs, and a few kills: nothing is lost, nothing doubled, and what was told was true."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.chaos.clocks import library

SCRIPTS = Path(__file__).parents[2] / "scripts"


ON_DEMAND = pytest.mark.skipif("CHAOS_FULL" not in os.environ, reason="CHAOS_FULL is not set")
"""These start three servers, or install a second version, and take minutes."""
EMBEDDED = {
    *("appliance-killed", "cell-killed", "writer-killed", "appliance-paused"),
    *("clock-set", "disk-full"),
}
FULL = EMBEDDED | {
    *("worker-killed", "worker-paused", "queue-forgot", "queue-killed"),
    *("database-restarted", "database-hung-up", "bucket-away"),
}
BESIDE = {"appliance-of-another-version", "worker-of-another-version"}


def what_happens(*words: str) -> dict[str, Any]:
    """Let chaos happen to a few jobs; return what it tells, which must be nothing wrong."""
    done = subprocess.run(
        [SCRIPTS / "chaos", "jobs", "--kills", "5", "--json", *words],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["accepted"] == told["published"], told
    assert told["lost"] == told["doubled"] == told["unexplained"] == 0
    return told


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        pytest.param(("--jobs", "60"), EMBEDDED, id="embedded"),
        pytest.param(("--jobs", "200", "--backend", "full"), FULL, id="full", marks=ON_DEMAND),
        pytest.param(
            ("--jobs", "200", "--backend", "full", "--beside", "HEAD"),
            FULL | BESIDE,
            id="two-versions",
            marks=ON_DEMAND,
        ),
    ],
)
def test_what_clients_were_told_is_explained_though_whatever_can_goes_wrong(
    words: tuple[str, ...], kinds: set[str]
) -> None:
    told = what_happens(*words)
    lacking = {"disk-full"} if os.geteuid() else set[str]()
    lacking |= set() if library() else {"clock-set"}
    assert set(told["faults"]) == kinds - lacking
    assert told["kills"] >= 5
