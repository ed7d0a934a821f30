"""A short walk of the fuzzer through every reader of what authors send; `scripts/fuzz` goes on."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.lacking import lacking

HARNESS = Path(__file__).with_name("fuzz_readers.py")
RUNS = {
    "zip": 10_000,
    "tar": 5_000,
    "manifest": 10_000,
    "requirements": 5_000,
    "lock": 5_000,
    "entry-points": 10_000,
    "advisories": 3_000,
}


@pytest.mark.parametrize("target", RUNS)
def test_no_input_crashes_a_reader_reads_differently_elsewhere_or_costs_too_much(
    target: str, tmp_path: Path
) -> None:
    if importlib.util.find_spec("atheris") is None:
        lacking("atheris, which has no wheel for this Python or platform")
    options = [f"-runs={RUNS[target]}", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    # By a shell in between: the fuzzer takes for its own what its parent had in memory at most.
    apart = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]
    argv = [*apart, sys.executable, HARNESS, target, tmp_path / "corpus", *options]
    told = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-4000:]
    done = re.search(r"Done (\d+) runs", told.stderr)
    assert done and int(done[1]) >= RUNS[target]  # it ends the mutations that it has begun
