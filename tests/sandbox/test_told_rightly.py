"""A failure says where it is and what to do: in what was returned, and at which wall."""

from collections.abc import Callable

import pytest

STARTS = pytest.mark.parametrize("start", ["cold", "warm"])
RETURNED = [
    ("{'rows': [{'n': 1}, {'n': {2}}]}", "rows[1].n is a set", "list(x)"),
    ("[1, (2, b'x')]", "[1][1] is of type bytes", "x.decode()"),
    ("{'a': {'b c': float('nan')}}", "a['b c'] is nan", "None"),
    ("{'made': (n for n in [1])}", "made is of type generator", "list(x)"),
    ("{'z': 1j}", "z is of type complex", "[x.real, x.imag]"),
    ("{'a': {(1, 2): 3}}", "a has a key of type tuple", "str(key)"),
    ("{'text': ['\\ud800']}", "text[0] is text with half a character", "surrogates"),
    ("{'a': [0, 10**400]}", "a[1] is a whole number of more than 308 digits", "str(x)"),
    ("round_and_round()", "itself.a[0] holds what it is in", "once"),
    ("{'own': Own()}", "own is of type Own", "its fields"),
    ("{'kept': Kept({1})}", "kept.field is a set", "list(x)"),
]
CODE = """
import dataclasses
class Own: pass
@dataclasses.dataclass
class Kept:
    field: object
def round_and_round():
    made = {{"a": []}}
    made["a"].append(made)
    return {{"itself": made}}
def extract(*, job, **_):
    {body}
"""


@pytest.mark.parametrize("start", ["warm"])
@pytest.mark.parametrize(("value", "place", "mend"), RETURNED, ids=[r[1] for r in RETURNED])
async def test_what_is_no_json_is_told_with_its_place_and_the_mend(
    run: Callable, value: str, place: str, mend: str
):
    outcome = await run(CODE.format(body=f"return {value}"))
    assert outcome.failure.code == "result-not-json", outcome
    assert place in outcome.failure.what
    assert mend in outcome.failure.what


@STARTS
async def test_so_is_what_an_event_holds(run: Callable):
    outcome = await run(CODE.format(body="job.event('found', rows=[{1}])"))
    assert "rows[0] is a set: list(x)" in outcome.failure.what, outcome


READ_ONLY = "everything but output_dir, scratch_dir and /tmp is read-only"
WALLS = [
    ("open(__file__, 'w')", READ_ONLY),
    ("open(os.path.join(os.path.dirname(__file__), 'made'), 'w')", READ_ONLY),
    ("os.mkdir('/usr/made')", READ_ONLY),
    (
        "p = job.scratch_dir / 'own'; p.write_text('#!/bin/sh'); p.chmod(0o755); subprocess.run([p])",
        "nothing can be executed from scratch, outputs or inputs",
    ),
    ("socket.create_server(('127.0.0.1', 0))", " no network"),
    ("os.setns(os.pidfd_open(os.getpid()), 0)", "is one that runs may not make"),
    ("wrapped()", READ_ONLY),
]
WALL_CODE = """
import asyncio, os, socket, subprocess
def wrapped():
    try:
        open(__file__, "a")
    except OSError as fault:
        raise RuntimeError("cannot cache") from fault
def extract(*, job, **_):
    {body}
"""


@STARTS
@pytest.mark.parametrize(("body", "wall"), WALLS, ids=[w[0][:30] for w in WALLS])
async def test_an_error_that_a_wall_caused_names_the_wall(run: Callable, body: str, wall: str):
    outcome = await run(WALL_CODE.format(body=body))
    assert outcome.failure is not None, outcome
    assert wall in outcome.failure.what


async def test_a_server_is_told_that_it_has_no_port(lab):
    code = WALL_CODE.format(body="asyncio.run(asyncio.start_server(print, '127.0.0.1', 8081))")
    outcome = await lab.run(lab.command(code))
    assert "a run has no port to listen at" in outcome.failure.what, outcome
    assert "pair of sockets" in outcome.failure.mend


@STARTS
@pytest.mark.parametrize(
    "body",
    [
        "raise PermissionError(13, 'not today')",
        "raise PermissionError(1, 'not today', str(job.scratch_dir))",
        "p = job.scratch_dir / 'own'; p.touch(0o000); open(p)",
        "open('/there/is/none')",
        "raise ValueError('bind')",
    ],
)
async def test_an_error_that_no_wall_caused_names_none(run: Callable, body: str):
    outcome = await run(WALL_CODE.format(body=body))
    assert outcome.failure is not None, outcome
    assert " – " not in outcome.failure.what


NO_PROCESS = """
import subprocess
def extract(*, job, **_):
    started = []
    while True:
        started.append(subprocess.Popen(["/bin/sleep", "60"]))
"""
NO_THREAD = """
import threading, time
def extract(*, job, **_):
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
ITS_OWN_WORDS = {
    "a pipe that is empty": "def forklift():\n    raise BlockingIOError(11, 'try again')\n"
    "def extract(*, job, **_):\n    forklift()",
    "a class of the same name": "class ModuleNotFoundError(Exception): pass\n"
    "def extract(*, job, **_):\n    raise ModuleNotFoundError('x')",
    "the words of another": "class NoThread(RuntimeError): pass\nNoThread.__name__ = 'RuntimeError'\n"
    'def extract(*, job, **_):\n    raise NoThread("can\'t start new thread")',
}


@STARTS
@pytest.mark.parametrize("code", [NO_PROCESS, NO_THREAD], ids=["process", "thread"])
async def test_a_run_that_gets_no_more_processes_is_told_the_limit(
    run: Callable, code: str, start: str
):
    outcome = await run(code)
    assert outcome.failure.limit == "processes", outcome


@STARTS
@pytest.mark.parametrize("code", ITS_OWN_WORDS.values(), ids=ITS_OWN_WORDS)
async def test_an_error_is_told_by_what_it_is_and_not_by_its_words(
    run: Callable, code: str, start: str
):
    outcome = await run(code)
    assert outcome.failure.code == "package-raised", outcome
    assert outcome.failure.limit == ""
    assert outcome.failure.mend.startswith("read the traceback")


@STARTS
async def test_a_module_that_is_not_there_is_named(run: Callable, start: str):
    outcome = await run("def extract(*, job, **_):\n    import unheard_of.part")
    assert outcome.failure.missing_module == "unheard_of"
    assert "requirements.txt" in outcome.failure.mend
