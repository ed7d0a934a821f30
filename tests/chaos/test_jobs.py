"""A few jobs, and a few kills: nothing is lost, nothing doubled, and what was told was true."""

import json
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_what_clients_were_told_is_explained_though_the_appliance_and_cells_are_killed() -> None:
    done = subprocess.run(
        [SCRIPTS / "chaos", "jobs", "--jobs", "60", "--kills", "5", "--json"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["accepted"], told["published"], told["kills"]) == (60, 60, 5)
    assert told["lost"] == told["doubled"] == told["unexplained"] == 0
