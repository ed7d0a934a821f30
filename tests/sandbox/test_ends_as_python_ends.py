"""A run ends as a program does, and says where it was: cold and warm, at every level."""

import gzip
import zipfile
from collections.abc import Callable

import pytest

from sandbox.command import Ending

STARTS = pytest.mark.parametrize("start", ["cold", "warm"])


@STARTS
async def test_what_was_written_and_not_closed_is_kept(run: Callable, lab):
    code = """
    import atexit, gzip, os, threading, time, zipfile
    def extract(*, job, **_):
        global KEPT, PACKED, ZIPPED
        out = str(job.output_dir)
        KEPT = open(os.path.join(out, "a.csv"), "w")
        KEPT.write("x,y\\n1,2\\n")
        PACKED = gzip.open(os.path.join(out, "d.gz"), "wt")
        PACKED.write("d")
        ZIPPED = zipfile.ZipFile(os.path.join(out, "e.zip"), "w")
        ZIPPED.writestr("e", "e")
        atexit.register(lambda: open(os.path.join(out, "b.txt"), "w").write("b"))
        def late():
            time.sleep(0.3)
            open(os.path.join(out, "c.txt"), "w").write("c")
        threading.Thread(target=late).start()
        return 1
    """
    outcome = await run(code)
    assert outcome.is_ok, outcome.failure
    sizes = {output.path: output.size_bytes for output in outcome.outputs}
    assert (sizes["a.csv"], sizes["b.txt"], sizes["c.txt"]) == (8, 1, 1)
    assert gzip.decompress((lab.outputs / "d.gz").read_bytes()) == b"d"
    assert zipfile.ZipFile(lab.outputs / "e.zip").read("e") == b"e"


@STARTS
async def test_what_fails_at_the_end_is_printed_and_changes_nothing(run: Callable, lab):
    code = """
    import atexit
    def extract(*, job, **_):
        atexit.register(lambda: 1 / 0)
        return 1
    """
    outcome = await run(code)
    assert outcome.value == 1
    assert any("ZeroDivisionError" in said["line"] for said in lab.said("stderr"))


@STARTS
async def test_a_thread_that_goes_on_is_within_the_limits_of_its_run(run: Callable):
    code = """
    import threading, time
    def extract(*, job, **_):
        threading.Thread(target=time.sleep, args=(60,)).start()
        return 1
    """
    outcome = await run(code, wall_s=1)
    assert outcome.failure is not None
    assert outcome.failure.limit == "wall_s"


@STARTS
async def test_what_was_printed_before_a_crash_is_told_with_the_stack(run: Callable, lab):
    code = """
    import ctypes
    def deep():
        ctypes.string_at(0)
    def extract(*, job, **_):
        print("before the crash")
        deep()
    """
    outcome = await run(code)
    assert (outcome.ending, outcome.signal) == (Ending.KILLED, "SIGSEGV"), outcome
    assert outcome.failure is not None
    assert {"line": "before the crash"} in lab.said("stdout")
    assert "extract.py" in outcome.failure.traceback
    assert " in deep" in outcome.failure.traceback
    assert "fumehood_inside" not in outcome.failure.traceback
    assert any(" in deep" in said["line"] for said in lab.said("stderr"))


@STARTS
@pytest.mark.parametrize("body", ["time.sleep(60)", "while True: n += 1"], ids=["sleeps", "spins"])
async def test_a_run_that_is_out_of_time_says_where_it_was(run: Callable, lab, body: str):
    code = f"""
    import time
    def parse_page(n):
        {body}
    def extract(*, job, **_):
        for at in range(5):
            print("step", at)
        job.progress(3, 10, "page 3 of 10")
        (job.output_dir / "kept.txt").write_text("p")
        parse_page(1)
    """
    outcome = await run(code, wall_s=1)
    assert outcome.failure is not None
    assert outcome.failure.limit == "wall_s"
    assert [said["line"] for said in lab.said("stdout")] == [f"step {at}" for at in range(5)]
    assert "it was in parse_page, extract.py:" in outcome.failure.what, outcome.failure
    assert [output.path for output in outcome.outputs] == ["kept.txt"]


@STARTS
async def test_its_standard_streams_can_be_opened_by_name(run: Callable, lab):
    code = """
    import logging
    def extract(*, job, **_):
        with open("/dev/stdout", "w") as out:
            out.write("hi from dev stdout\\n")
        logging.getLogger().addHandler(logging.FileHandler("/dev/stderr"))
        logging.warning("warned")
        return 1
    """
    outcome = await run(code)
    assert outcome.is_ok, outcome.failure
    assert {"line": "hi from dev stdout"} in lab.said("stdout")
    assert {"line": "warned"} in lab.said("stderr")


@STARTS
async def test_a_bar_that_is_drawn_over_and_over_is_one_line(run: Callable, lab):
    code = """
    import sys
    def extract(*, job, **_):
        for at in range(20_000):
            sys.stderr.write("\\r%d of 20000" % (at + 1))
        sys.stderr.write("\\n")
        print("windows\\r")
        print("no end", end="")
        return 1
    """
    outcome = await run(code)
    assert outcome.is_ok, outcome.failure
    assert [said["line"] for said in lab.said("stderr")] == ["20000 of 20000"]
    assert [said["line"] for said in lab.said("stdout")] == ["windows", "no end"]


@STARTS
async def test_values_of_the_usual_kinds_become_json_by_a_rule(run: Callable, lab):
    code = """
    import collections, dataclasses, datetime, decimal, enum, pathlib, uuid
    @dataclasses.dataclass
    class Row:
        n: int
        of: object
    class Colour(enum.Enum):
        RED = "red"
    class Scalar:
        shape = ()
        def item(self): return 3
    Scalar.__module__ = "numpy"
    def extract(*, job, **_):
        job.log("read %d rows", 3)
        job.log("100% sure", "warning")
        job.log.warn("of %(n)s", {"n": 2})
        try:
            1 / 0
        except ZeroDivisionError:
            job.log.exception("while %s", "dividing")
        return {
            "n": Scalar(), "day": datetime.date(2026, 1, 2), "sum": decimal.Decimal("1.50"),
            "where": pathlib.Path("a/b"), "row": Row(1, Row(2, Colour.RED)),
            "id": uuid.UUID(int=1), "at": datetime.datetime(2026, 1, 2, 3, 4, 5),
        }
    """
    outcome = await run(code)
    assert outcome.value == {
        "n": 3,
        "day": "2026-01-02",
        "sum": "1.50",
        "where": "a/b",
        "row": {"n": 1, "of": {"n": 2, "of": "red"}},
        "id": "00000000-0000-0000-0000-000000000001",
        "at": "2026-01-02T03:04:05",
    }, outcome.failure
    told = [(said["level"], said["message"]) for said in lab.said("log")]
    assert told[:3] == [("info", "read 3 rows"), ("warning", "100% sure"), ("warning", "of 2")]
    assert told[3][0] == "error"
    assert told[3][1].startswith("while dividing\nTraceback")
    assert told[3][1].endswith("ZeroDivisionError: division by zero")


async def test_a_small_run_of_a_large_worker_is_told_as_small(lab):
    held = bytearray(300 << 20)
    for at in range(0, len(held), 4096):
        held[at] = 1
    outcome = await lab.run(lab.command("def extract(*, job, **_): return 1"))
    assert outcome.usage.peak_rss_bytes < 64 << 20, outcome.usage
    del held


@STARTS
@pytest.mark.parametrize(
    "body",
    [
        "urllib.request.urlopen('https://example.com/model.bin', timeout=20)",
        "socket.create_connection(('example.com', 443), timeout=20)",
        "http.client.HTTPSConnection('example.com').request('GET', '/')",
    ],
    ids=["urllib", "socket", "http"],
)
async def test_a_run_that_wanted_the_network_is_told_which_host(run: Callable, lab, body: str):
    code = f"""
    import http.client, socket, urllib.request
    def extract(*, job, **_):
        return {body}
    """
    outcome = await run(code)
    assert outcome.failure is not None
    told = "the run tried to reach example.com:443; runs have no network"
    assert told in outcome.failure.what
    assert "network" in outcome.failure.mend
    assert {"level": "error", "message": told} in lab.said("log")
    assert outcome.usage.wall_ms < 5000


@STARTS
async def test_another_failure_names_no_host(run: Callable):
    code = """
    import socket
    def extract(*, job, **_):
        host, port = "example.com", 443
        raise ConnectionRefusedError(111, "no")
    """
    outcome = await run(code)
    assert outcome.failure is not None
    assert "example.com" not in outcome.failure.what
