"""What a bench counts is counted: its figures are for people who look for what a change cost."""

import re
import subprocess
from pathlib import Path

BENCH = Path(__file__).parent.parent / "scripts" / "bench"


def test_where_the_time_of_a_job_goes_is_told():
    done = subprocess.run(
        [BENCH, "jobs", "--attribute", "--jobs", "10"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = dict(re.findall(r"│ ([a-z][^│]*?) +│ +([0-9.]+) │", done.stdout))
    assert 10 < float(told["statements"]) < 40, told
    assert 2 <= float(told["transactions"]) < 6, told
    assert any(name.startswith("cpu ms: fumehood-store") for name in told), told
