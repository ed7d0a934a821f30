"""A program made of random parts gives the same outside, cold, warm, and at every level.

Each seed is one program: parts of an import, parts of a run, and an end. What it returns, keeps,
prints and ends by is compared with the same program run by a plain interpreter.
"""

import asyncio
import dataclasses
import json
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.interpreters import reachable_copy

from sandbox.command import Command, Ending, Warmth
from sandbox.sandbox import Sandbox

from .conftest import Lab

SEEDS = 24
NO_SHARED_MEMORY = "/dev/shm, which is not there at this level"
OUTSIDE = Path(__file__).parents[1] / "support" / "outside.py"
HEAD = """
import atexit, collections, contextlib, csv, functools, gzip, io, json, logging, multiprocessing
import os, pathlib, pickle, queue, random, shutil, signal, socket, sqlite3, subprocess, sys
import tempfile, threading, time, warnings
told = collections.OrderedDict()
"""
AT_IMPORT = (
    "SEEDED{n} = random.Random({n})",
    "LOCK{n} = threading.Lock()",
    "TABLE{n} = {{number: str(number) for number in range(1000)}}",
    "os.environ['OF_THE_IMPORT_{n}'] = 'yes'",
    "CACHE{n} = functools.lru_cache(lambda at: at * {n})",
    "QUEUE{n} = queue.Queue()",
    "MEMORY{n} = io.BytesIO(b'begun {n}')",
    "random.seed({n})",
    "warnings.simplefilter('ignore')",
    "sys.setrecursionlimit(2000 + {n})",
)
IN_THE_RUN = (
    "(out / 'plain{n}.txt').write_text('plain {n}', encoding='utf-8')",
    "(out / 'deep{n}' / 'er').mkdir(parents=True); (out / 'deep{n}/er/f').write_bytes(bytes(range(256)))",
    "global OPEN{n}; OPEN{n} = open(out / 'unclosed{n}', 'w'); OPEN{n}.write('kept {n}')",
    "atexit.register((out / 'late{n}').write_text, 'by atexit')",
    "threading.Thread(target=lambda: (time.sleep(0.02), (out / 'thread{n}').write_text('t'))).start()",
    "print('line {n}'); print('partial {n}', end='')",
    "print('an error {n}', file=sys.stderr)",
    "sys.stdout.write('x' * 3000 + '\\n')",
    "sys.stdout.buffer.write(b'bytes {n}\\n'); sys.stdout.flush()",
    "os.write(1, b'by descriptor {n}\\n')",
    "logging.getLogger('a{n}').warning('logged %d', {n})",
    "told['env{n}'] = os.environ.get('OF_THE_IMPORT_{n}')",
    "told['draw{n}'] = random.Random({n}).random()",
    "told['seeded{n}'] = [name for name in sorted(globals()) if name.startswith('SEEDED')]",
    "told['sum{n}'] = sum(table[number] == str(number) for table in [globals().get('TABLE{n}') or {{}}] for number in table)",
    "fd, path = tempfile.mkstemp(); os.close(fd); os.replace(path, out / 'moved{n}')",
    "with tempfile.TemporaryDirectory() as folder: pathlib.Path(folder, 'a').touch(); told['listed{n}'] = os.listdir(folder)",
    "with gzip.open(out / 'z{n}.gz', 'wb', mtime=0) as file: file.write(b'z' * 5000)",
    "with contextlib.closing(sqlite3.connect(out / 'db{n}')) as db: told['db{n}'] = db.execute('select {n} + 1').fetchall()",
    "told['child{n}'] = subprocess.run([sys.executable, '-c', 'print({n})'], capture_output=True, text=True).stdout",
    "subprocess.run([sys.executable, '-c', 'print(\"of a child {n}\")'])",
    "told['fork{n}'] = os.waitstatus_to_exitcode(os.waitpid(os.fork() or os._exit({n} % 250), 0)[1])",
    "with multiprocessing.get_context('fork').Pool(1) as pool: told['pool{n}'] = pool.map(abs, [-{n}])",
    "a, b = socket.socketpair(); a.send(b'{n}'); told['pair{n}'] = b.recv(9).decode(); a.close(); b.close()",
    "signal.signal(signal.SIGUSR1, lambda *_: told.update(signal{n}='came')); os.kill(os.getpid(), signal.SIGUSR1)",
    "told['cwd{n}'] = os.listdir('.') == os.listdir(job.scratch_dir)",
    "told['pickled{n}'] = pickle.loads(pickle.dumps({{'a': ({n}, None, 1.5)}}))['a'][0]",
    "(out / 'x{n}').touch(); os.link(out / 'x{n}', out / 'y{n}')",
    "shutil.copytree(os.path.dirname(json.__file__), out / 'copied{n}', ignore=shutil.ignore_patterns('*.pyc', '__pycache__'))",
    "told['argv{n}'] = sys.argv[0]",
    "told['main{n}'] = __name__ == 'extract'",
    "told['umask{n}'] = oct(os.umask(0o022))",
    "told['lock{n}'] = [lock.acquire(blocking=False) for name, lock in sorted(globals().items()) if name.startswith('LOCK')]",
    "writer = csv.writer(open(out / 'rows{n}.csv', 'w', newline='')); writer.writerows([[{n}, 'ä'], [2, 'b']])",
    "print('ünïcode {n} \\N{{snowman}}')",
    "for at in range(5): print(f'\\r{{at}}/5 of {n}', end='')",
)
AT_THE_END = (
    *["return told"] * 6,
    "return [told, {{'nested': [1, 2.5, None, True]}}]",
    "raise ValueError('no {n}')",
    "{{}}['missing {n}']",
    "sys.exit({n} % 100)",
    "raise SystemExit",
    "os._exit(3)",
    "os.kill(os.getpid(), signal.SIGKILL)",
    "os.abort()",
    "1 / 0",
)


def program(seed: int) -> str:
    """Return the program of a seed."""
    draw = random.Random(seed)
    at_import = [part.format(n=seed) for part in draw.sample(AT_IMPORT, draw.randint(0, 4))]
    in_the_run = [part.format(n=seed) for part in draw.sample(IN_THE_RUN, draw.randint(1, 7))]
    body = ["out = pathlib.Path(job.output_dir)", *in_the_run]
    end = draw.choice(AT_THE_END).format(n=seed)
    lines = "".join(f"\n    {line}" for line in (*body, end))
    return HEAD + "\n".join(at_import) + "\n\n\ndef extract(*, job, **_):" + lines + "\n"


@dataclass(frozen=True)
class Told:
    """What came of a program: how it ended, what it returned or raised, kept and printed."""

    ending: str
    value: object
    kept: dict[str, bytes] = field(repr=False)
    printed: dict[str, list[str]]


def kept_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def lines_of(text: str) -> list[str]:
    """Return lines as a log has them: of what was drawn over again, the last state."""
    lines = (line.rpartition("\r")[2] for line in text.split("\n"))
    return sorted(line for line in lines if line and "Fatal Python error" not in line)


def outside(bundle: Path, room: Path, python: Path) -> Told:
    for name in ("output", "scratch"):
        (room / name).mkdir(parents=True)
    done = subprocess.run(
        [python, "-P", OUTSIDE, bundle, room / "told.json", room],
        capture_output=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TMPDIR": str(room / "scratch"),
            "PYTHONUNBUFFERED": "1",  # a cell loses nothing of what was printed before a kill
        },
    )
    printed = {"stdout": lines_of(done.stdout.decode()), "stderr": lines_of(done.stderr.decode())}
    told = json.loads((room / "told.json").read_text()) if (room / "told.json").exists() else {}
    kept = kept_in(room / "output")
    if done.returncode < 0 or not told:
        return Told(f"ended {done.returncode}", None, kept, printed)
    what = str(told.get("what", ""))
    if what.startswith("SystemExit"):
        return Told(f"ended {int(what.partition(': ')[2] or 0)}", None, kept, printed)
    return Told(told["ending"], told.get("value", what), kept, printed)


async def in_a_cell(lab: Lab, command: Command) -> Told:
    lab.reports.clear()
    outcome = await lab.run(command)
    printed = {
        stream: lines_of("\n".join(said["line"] for said in lab.said(stream)))
        for stream in ("stdout", "stderr")
    }
    kept = kept_in(lab.outputs)
    assert outcome.isolation.start == ("warm" if command.warmth else "cold"), outcome.isolation
    match outcome.ending:
        case Ending.RETURNED:
            return Told("returned", outcome.value, kept, printed)
        case Ending.RAISED:
            assert outcome.failure is not None
            return Told("raised", outcome.failure.what, kept, printed)
        case Ending.KILLED:
            number = getattr(__import__("signal"), outcome.signal)
            return Told(f"ended {-number}", None, kept, printed)
        case _:
            return Told(f"ended {outcome.exit_code}", None, kept, printed)


def agree(told: Told, outside: Told, *, where: str) -> None:
    assert told.ending == outside.ending, where
    assert told.kept == outside.kept, where
    if outside.ending.startswith("ended -"):  # with the stack at a crash, which names our files
        assert told.printed["stdout"] == outside.printed["stdout"], where
        return
    assert told.value == outside.value, where
    assert told.printed == outside.printed, where


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_program_gives_the_same_everywhere(
    lab: Lab, plain_sandbox: Sandbox, world: Path, seed: int
) -> None:
    interpreter = reachable_copy(world)
    command = dataclasses.replace(lab.command(program(seed)), interpreter=interpreter)
    bundle = command.folders[0].source
    expected = await asyncio.to_thread(
        outside, bundle, world / f"outside-{seed}", Path(sys.executable)
    )
    warm = dataclasses.replace(command, warmth=Warmth(key=str(bundle), preload=("extract",)))
    for level, sandbox in (("full", lab.sandbox), ("unprivileged", plain_sandbox)):
        lab.sandbox = sandbox
        for start, one in (("cold", command), ("warm", warm), ("warm again", warm)):
            told = await in_a_cell(lab, one)
            if level == "unprivileged" and NO_SHARED_MEMORY in str(told.value):
                continue  # it says plainly which wall made the difference
            agree(told, expected, where=f"seed {seed}, {start} at level {level}")
