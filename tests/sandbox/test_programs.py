"""What programs expect of Python holds in a run, cold and warm."""

import pytest

from sandbox.command import Ending


@pytest.fixture(params=["cold", "warm"])
def start(request, warm):
    return warm if request.param == "warm" else lambda command: command


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
async def test_a_pool_of_processes_works_by_every_method(lab, start, method):
    code = f"""
    import multiprocessing, os
    from concurrent.futures import ProcessPoolExecutor

    def twice(number): return 2 * number, os.getpid()

    def extract(*, job, **_):
        context = multiprocessing.get_context({method!r})
        with context.Pool(2) as pool:
            doubled, pids = zip(*pool.map(twice, range(4)))
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            again = [number for number, _ in executor.map(twice, range(4))]
        return [doubled, os.getpid() in pids, again]
    """
    outcome = await lab.run(start(lab.command(code)))
    assert outcome.value == [[0, 2, 4, 6], False, [0, 2, 4, 6]], outcome.failure


async def test_a_child_that_is_told_to_end_at_once_ends(lab, start):
    """However early SIGTERM comes: what a child gets before it is mended is not forgotten."""
    code = """
    import os, signal
    def extract(*, job, **_):
        ends = set()
        for _ in range(300):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(1)
            os.kill(pid, signal.SIGTERM)
            ends.add(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return [sorted(ends), signal.pthread_sigmask(0, ()) == set()]
    """
    outcome = await lab.run(start(lab.command(code)))
    assert outcome.value == [[-15], True], outcome.failure


async def test_a_child_keeps_the_handler_that_the_package_has_set(lab, start):
    code = """
    import os, signal, time
    def extract(*, job, **_):
        signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
        pid = os.fork()
        while pid == 0:
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    """
    outcome = await lab.run(start(lab.command(code)))
    assert outcome.value == 7, outcome.failure


async def test_a_handler_that_an_import_sets_is_the_runs(lab, start):
    code = """
    import os, signal
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append(os.getpid()))
    def extract(*, job, **_):
        os.kill(os.getpid(), signal.SIGTERM)
        return heard == [os.getpid()]
    """
    outcome = await lab.run(start(lab.command(code)))
    assert outcome.value is True, outcome.failure


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [
        ("'no pages'", 1, ["no pages"]),
        ("('a', 1)", 1, ["('a', 1)"]),
        ("", 0, []),
        ("256 + 3", 3, []),
    ],
)
async def test_an_exit_says_what_the_interpreter_would_say(lab, start, argument, code, said):
    outcome = await lab.run(
        start(lab.command(f"import sys\ndef extract(*, job, **_): sys.exit({argument})"))
    )
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, code)
    assert [report["line"] for report in lab.said("stderr")] == said


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("job.log('x', level='loud')", "ValueError: a level is one of debug, info"),
        ("job.event('big', data='x' * 2_000_000)", "ValueError: one event of 2000"),
        ("job.ask('k', 'what?', schema='text')", "TypeError: a schema is an object"),
        ("raise KeyError", "KeyError"),
        ("raise OSError()", "OSError"),
    ],
)
async def test_what_cannot_be_reported_fails_where_it_was_said(lab, start, body, what):
    outcome = await lab.run(start(lab.command(f"def extract(*, job, **_):\n    {body}")))
    assert outcome.ending is Ending.RAISED
    assert outcome.failure.what.startswith(what)
    assert not outcome.failure.what.endswith(": ")
    assert "extract.py" in outcome.failure.traceback
