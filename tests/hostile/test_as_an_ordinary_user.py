"""The hostile suite as other kinds of worker: an ordinary user, and without or with a cgroup.

The files that are named run always, each attack at one level and start; with FUMEHOOD_MATRIX=whole
all of them do, in all their variants, for each kind (scripts/hostile-matrix). The table of
docs/security.md says the same.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.interpreters import reachable_copy, run_environment
from support.lacking import lacking

PROJECT = Path(__file__).parent.parent.parent
SOMEBODY = 54_321
CGROUPS = Path("/sys/fs/cgroup")
ALL = (
    *("attacks", "imports", "ways_between_jobs", "what_forks_may_do", "granted_network"),
    "ends",
)


@dataclass(frozen=True)
class Kind:
    """A kind of worker, the files that always run as it, and how many tests pass at least."""

    name: str
    is_root: bool
    has_cgroup: bool
    files: tuple[str, ...]
    least: int


KINDS = [
    Kind("user", is_root=False, has_cgroup=False, files=ALL, least=380),
    Kind("user-with-cgroup", is_root=False, has_cgroup=True, files=ALL[1:4], least=60),
    Kind("root-without-cgroup", is_root=True, has_cgroup=False, files=ALL[1:4], least=60),
]
EACH_TIME = {"user"}
"""The kinds that every run of the suite goes through, as the one with the fewest means."""


@pytest.mark.xdist_group("ordinary-user")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_hostile_suite_holds_for_other_kinds_of_worker(kind: Kind, world: Path):
    if os.geteuid() != 0:
        pytest.skip("the suite runs as an ordinary user already")
    whole = os.environ.get("FUMEHOOD_MATRIX") == "whole"
    if kind.name not in EACH_TIME and not whole:
        pytest.skip("on demand: scripts/hostile-matrix runs it")
    interpreter = reachable_copy(world)
    home = world / f"somebody-{kind.name}"
    home.mkdir()
    os.chown(home, SOMEBODY, SOMEBODY)
    run = [
        str(interpreter.executable),
        *("-m", "pytest", "-q", "-rf", "-o", f"cache_dir={home}/cache"),
        *("--basetemp", f"{home}/tmp"),
        *(f"tests/hostile/test_{name}.py" for name in (ALL if whole else kind.files)),
    ]
    environ = run_environment(interpreter, project=PROJECT) | {
        "HOME": str(home),
        "FUMEHOOD_TEST_CGROUP": "needed" if kind.has_cgroup else "none",
        "FUMEHOOD_TEST_PAIRWISE": "" if whole else "1",
    }
    with delegated_cgroup() if kind.has_cgroup else contextlib.nullcontext(()) as groups:
        done = started([*run, "-n", "2"], environ, kind, groups)
        passed = re.search(r"(\d+) passed", done.stdout)
        failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
        print(f"{kind.name}: {done.stdout.splitlines()[-1]}", *failed, sep="\n")
        assert passed is not None and int(passed[1]) >= kind.least, done.stdout[-2000:]
        if done.returncode != 0:  # a loaded machine trips a limit early: once more, with it alone
            again = started([*run, "--last-failed"], environ, kind, groups)
            assert again.returncode == 0, done.stdout[-6000:] + again.stdout[-6000:]


def started(
    command: list[str], environ: dict[str, str], kind: Kind, groups: tuple[Path, ...]
) -> subprocess.CompletedProcess[str]:
    """Run the command as that kind of worker, born in `groups`."""
    enter = "".join(f"echo $$ >{folder}/cgroup.procs && " for folder in groups)
    become = [] if kind.is_root else ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}"]
    become += [] if kind.is_root else ["--clear-groups"]
    words = ["sh", "-c", f'{enter} exec "$@"', "sh", *become, *command]
    return subprocess.run(
        words, env=environ, cwd=PROJECT, capture_output=True, text=True, check=False
    )


@contextlib.contextmanager
def delegated_cgroup() -> Iterator[tuple[Path, ...]]:
    """Offer a group that belongs to the ordinary user: one, or one for each controller of v1."""
    if (CGROUPS / "cgroup.controllers").exists():
        controllers: tuple[Path, ...] = (CGROUPS,)
    else:
        controllers = tuple(CGROUPS / name for name in ("memory", "pids", "cpu", "cpuacct"))
    folders = tuple(folder / f"fumehood-test-{os.getpid()}" for folder in controllers)
    try:
        for folder in folders:
            folder.mkdir()
            for path in (folder, *folder.iterdir()):
                os.chown(path, SOMEBODY, SOMEBODY)
    except OSError as fault:
        lacking(f"a cgroup to delegate: {fault}")
    yield folders
    for folder in folders:
        for below in sorted(folder.glob("**/"), reverse=True):
            with contextlib.suppress(OSError):
                below.rmdir()
