"""What reads untrusted bytes is a process of its own: limited, killed, and never believed."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from support.interpreters import reachable_copy, run_environment
from support.lacking import lacking
from support.wheels import make_wheel
from support.world import open_folder

from wheelhouse.errors import JudgeFailed
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.judges.pool import Judges
from wheelhouse.judges.warm import Answered
from wheelhouse.metadata.wheel import WHEEL
from wheelhouse.problem import Problem

PROJECT = Path(__file__).parents[2]
SOMEBODY = 60_300
CODE = Judgement(target="timeit:timeit", returns=TypeAdapter(dict[str, int]))
"""Runs any code in a judge: what a reader does that was taken over."""
ANSWER_FROM_HERE = """
import os
def say(raw):
    for fd in range(3, 20):
        try:
            os.write(fd, raw)
        except OSError:
            pass
    os._exit(0)
"""


@pytest.fixture
def fresh() -> Iterator[Judges]:
    """Judges of the test's own."""
    with Judges() as judges:
        yield judges


def told(judges: Judges, code: str, **limits: int | float) -> list[Problem]:
    """Return what comes of a judge in which `code` runs."""
    budget = Budget(**limits)
    value, problems = judges.judge(CODE, about="it.zip", budget=budget, stmt=code, number=1)
    assert value is None
    return problems


def test_a_judgement_is_made_in_another_process_each_time(fresh: Judges, tmp_path: Path) -> None:
    code = f"import os; os.open({str(tmp_path)!r} + f'/{{os.getpid()}}', os.O_CREAT)"
    for _ in range(3):
        told(fresh, code)
    pids = {path.name for path in tmp_path.iterdir()}
    assert len(pids) == 3 and str(os.getpid()) not in pids


@pytest.mark.parametrize(
    ("code", "limits", "said"),
    [
        ("while True: pass", {"cpu_s": 1}, "1 s of CPU time"),
        ("import signal\nsignal.signal(24, signal.SIG_IGN)\nwhile 1: pass", {"cpu_s": 1}, "CPU"),
        ("import time; time.sleep(60)", {"wall_s": 0.3}, "0 s"),
        ("import os, time; os.closerange(3, 20); time.sleep(60)", {"wall_s": 0.3}, "0 s"),
        ("bytearray(2 << 30)", {}, "1024 MiB of memory"),
        ("f = lambda n: f(n)\nf(0)", {}, "depth"),
        ("open('/tmp/large', 'wb').truncate(9 << 20)", {"file_mb": 8}, "8 MiB in one file"),
        (f"{ANSWER_FROM_HERE}\nsay(b'x' * 100_000)", {"answer_bytes": 50_000}, "50000 bytes"),
    ],
)
def test_each_crossing_of_a_budget_is_told_with_the_limit_and_ends_nothing_else(
    code: str, limits: dict[str, int], said: str, fresh: Judges, tmp_path: Path
) -> None:
    (problem,) = told(fresh, code, **limits)
    assert (problem.code, problem.where) == ("too-costly", "it.zip")
    assert said in problem.what and problem.mend
    wheel = make_wheel(tmp_path, "demo")
    arguments = {"path": str(wheel), "filename": wheel.name, "folder": str(tmp_path)}
    facts, problems = fresh.judge(WHEEL, about=wheel.name, **arguments)
    assert facts and facts.name == "demo" and not problems


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.kill(os.getpid(), 11)",
        "import os; os._exit(0)",
        "int('1' * 5000)",
        "b'\\xff'.decode()",
        "open('/' + 'x' * 300)",
        "raise SystemExit",
        "class Odd(Exception): __str__ = lambda self: '\\ud800'\nraise Odd",
        f"{ANSWER_FROM_HERE}\nsay(b'nonsense')",
        f"{ANSWER_FROM_HERE}\nsay(b'{{}}\\n' + b'[' * 100_000)",
        f"{ANSWER_FROM_HERE}\nsay(b'{{}}\\n{{\"a\": [' + b'[],' * 450_000 + b'[]]}}')",
        f"{ANSWER_FROM_HERE}\nsay(b'{{\"problems\": [1]}}\\nnull')",
        f'{ANSWER_FROM_HERE}\nsay(b\'{{}}\\n{{"a": "no number"}}\')',
    ],
)
def test_whatever_a_judge_raises_or_says_is_a_refusal(code: str, fresh: Judges) -> None:
    (problem,) = told(fresh, code)
    assert problem.code == "cannot-be-judged" and problem.where == "it.zip"
    assert len(problem.what) <= 500 and problem.mend


def test_a_full_disk_is_our_fault_and_not_the_inputs(fresh: Judges) -> None:
    with pytest.raises(JudgeFailed) as failed:
        told(fresh, "raise OSError(28, 'No space left on device')")
    assert failed.value.problems[0].code == "judge-failed"


def test_a_judge_sees_no_secret_no_descriptor_of_ours_and_starts_no_program(
    fresh: Judges, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FUMEHOOD_SECRET", "hunter2")
    look = tmp_path / "look"
    code = (
        f"import os\nwith open({str(look)!r}, 'w') as file:\n"
        " print(sorted(os.environ), file=file)\n"
        " print([fd for fd in range(3, 64) if fd != file.fileno() and "
        "os.path.exists(f'/proc/self/fd/{fd}')], file=file)\n"
        " print(os.getcwd(), __import__('sys').flags.isolated, file=file)\n"
    )
    told(fresh, code)
    names, descriptors, place = look.read_text().splitlines()
    assert set(eval(names)) <= {"LANG", "PATH", "LC_CTYPE", "TMPDIR", "PYDANTIC_DISABLE_PLUGINS"}
    assert len(eval(descriptors)) <= 1, "the pipe for the answer only"
    assert place == "/ 1"


def test_a_fork_that_is_left_alone_ends_with_whoever_asked(tmp_path: Path) -> None:
    judges = Judges()
    pid = tmp_path / "pid"
    told(judges, f"import os; open({str(pid)!r}, 'w').write(str(os.getppid()))")
    parent = Path("/proc", pid.read_text())
    assert parent.is_dir()
    judges.close()
    deadline = time.monotonic() + 10
    while parent.is_dir() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not parent.is_dir()


def test_a_judge_that_was_killed_while_it_waited_is_replaced(fresh: Judges, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    told(fresh, f"import os; open({str(pid)!r}, 'w').write(str(os.getppid()))")
    os.kill(int(pid.read_text()), signal.SIGKILL)
    wheel = make_wheel(tmp_path, "demo")
    arguments = {"path": str(wheel), "filename": wheel.name, "folder": str(tmp_path)}
    facts, problems = fresh.judge(WHEEL, about=wheel.name, **arguments)
    assert facts and not problems


def test_judges_that_are_all_killed_are_our_fault(fresh: Judges) -> None:
    with pytest.raises(JudgeFailed):
        told(fresh, "import os; os.kill(os.getppid(), 9); import time; time.sleep(2)")


def test_what_each_judgement_cost_can_be_metered(tmp_path: Path) -> None:
    costs: dict[str, Answered] = {}
    wheel = make_wheel(tmp_path, "demo")
    with Judges(meter=costs.__setitem__) as judges:
        arguments = {"path": str(wheel), "filename": wheel.name, "folder": str(tmp_path)}
        judges.judge(WHEEL, about=wheel.name, **arguments)
    cost = costs[wheel.name]
    assert 0 < cost.peak_kb < 1024 * 1024 and cost.cpu_ms > 0 and not cost.crossed


LOOK = """
import os, socket
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
try:
    socket.create_connection(('127.0.0.1', 9), timeout=5)
except OSError as error:
    said = error.errno
with open({look!r}, 'w') as file:
    print(status['CapEff'].strip(), status['CapPrm'].strip(), status['NoNewPrivs'].strip(), file=file)
    print(said, os.getpriority(os.PRIO_PROCESS, 0), file=file)
"""
UNREACHABLE = 101
"""ENETUNREACH: there is no network; where there is one, nobody listens (ECONNREFUSED)."""


def test_a_judge_has_no_network_hardly_a_capability_and_gives_way(
    fresh: Judges, tmp_path: Path
) -> None:
    look = tmp_path / "look"
    told(fresh, LOOK.format(look=str(look)))
    capabilities, place = look.read_text().splitlines()
    allowed = "0000000000000006" if os.geteuid() == 0 else "0" * 16
    assert capabilities.split() == [allowed, allowed, "1"]
    assert place == f"{UNREACHABLE} 10"


def test_a_judge_of_an_ordinary_user_is_as_alone_and_keeps_what_it_unpacks() -> None:
    if os.geteuid() != 0:
        lacking("root, to act as another user")
    with open_folder() as world:
        interpreter = reachable_copy(world)
        alone = [interpreter.executable, "-I", "-c", "pass"]
        if subprocess.run(alone, env={}, user=SOMEBODY, check=False).returncode != 0:
            lacking("a Python whose library another user finds: it is below a folder of root's")
        # A judge is isolated (-I) and sees no PYTHONPATH, only what is installed.
        environ = run_environment(interpreter, project=PROJECT)
        (site,) = interpreter.prefix.glob("lib/python3.*/site-packages")
        (site / "of-the-test.pth").write_text(environ["PYTHONPATH"].replace(":", "\n"))
        home = world / "home"
        home.mkdir()
        os.chown(home, SOMEBODY, SOMEBODY)
        code = (
            "from wheelhouse.judges.pool import Judges\n"
            "from wheelhouse.judges.judgement import Judgement\n"
            "from pydantic import TypeAdapter\n"
            "code = Judgement(target='timeit:timeit', returns=TypeAdapter(dict[str, int]))\n"
            "with Judges() as judges:\n"
            f"    judges.judge(code, about='x', stmt={LOOK.format(look=f'{home}/look')!r}, number=1)\n"
        )
        subprocess.run(
            [interpreter.executable, "-c", code],
            env=environ,
            user=SOMEBODY,
            group=SOMEBODY,
            extra_groups=[],
            check=True,
        )
        assert (home / "look").read_text() == f"{'0' * 16} {'0' * 16} 1\n{UNREACHABLE} 10\n"
        assert (home / "look").stat().st_uid == SOMEBODY


def test_judges_that_are_ended_at_any_moment_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for round_ in range(6):
        with Judges() as judges:
            judges.judge(WHEEL, about="x", path="/dev/null", filename="x.whl", folder="/")
            time.sleep(0.01 * round_)  # while the next fork rehearses
    assert list(tmp_path.iterdir()) == []
