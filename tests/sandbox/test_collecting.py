"""Collecting from a folder that an enemy filled, even while the enemy is still at it."""

import itertools
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.limits import Limits
from sandbox.runs import outputs

SWAPPER = """
import os, sys
target, secret = sys.argv[1:]
print("swapping", flush=True)
while True:
    for make in (lambda: os.symlink(secret, target), lambda: os.close(os.open(target, os.O_CREAT | os.O_EXCL)), lambda: os.mkdir(target), lambda: os.mkfifo(target)):
        try:
            os.rmdir(target) if os.path.isdir(target) and not os.path.islink(target) else os.unlink(target)
        except OSError:
            pass
        try:
            make()
        except OSError:
            pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "output"
    made.mkdir()
    return made


def gather(folder: Path, limits: Limits | None = None) -> outputs.Collected:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return outputs.collect(fd, folder.parent / "collected", limits or Limits())
    finally:
        os.close(fd)


def test_regular_files_are_copied_with_their_digest(folder: Path):
    (folder / "a").mkdir()
    (folder / "a" / "b.txt").write_text("text")
    (output,) = gather(folder).outputs
    assert output.path == "a/b.txt"
    assert output.sha256.startswith("982d9e3eb996f559e633f4d194def376")


def test_a_flood_of_what_is_refused_is_counted_and_not_kept(folder: Path):
    for number in range(5_000):
        (folder / f"link-{number:05}-{'x' * 200}").symlink_to("nowhere")
    gathered = gather(folder)
    assert (len(gathered.refusals), gathered.refused) == (100, 5_000)
    assert gathered.refusals[0].path.startswith("link-00000-")


@pytest.mark.parametrize("kind", ["symlink", "fifo", "socket", "absolute link", "magic link"])
def test_what_is_not_a_file_is_refused_by_name(folder: Path, kind: str):
    make_odd(folder / "odd", kind)
    gathered = gather(folder)
    assert gathered.outputs == ()
    assert [refusal.path for refusal in gathered.refusals] == ["odd"]
    assert "only regular files" in gathered.refusals[0].why


def make_odd(path: Path, kind: str) -> None:
    match kind:
        case "symlink":
            path.symlink_to("../secret.txt")
        case "absolute link":
            path.symlink_to("/etc/passwd")
        case "magic link":
            path.symlink_to("/proc/self/root")
        case "fifo":
            os.mkfifo(path)
        case _:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.close()


def test_a_name_that_is_not_utf8_is_refused_not_mangled(folder: Path):
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))).write_text("x")
    gathered = gather(folder)
    assert gathered.outputs == () and gathered.refusals[0].why == "its name is not UTF-8"


def test_a_hole_costs_what_it_claims(folder: Path):
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    gathered = gather(folder, Limits(output_mb=1))
    assert gathered.outputs == ()
    assert gathered.crossed == ("output_mb", 1, 1 << 20)


def test_too_many_files_are_not_all_taken(folder: Path):
    for number in range(20):
        (folder / str(number)).touch()
    gathered = gather(folder, Limits(output_files=10))
    assert len(gathered.outputs) == 10
    assert gathered.crossed == ("output_files", 10, 11)


def test_a_racing_swapper_never_gets_the_secret_out(folder: Path, tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    swapper = subprocess.Popen(
        [sys.executable, "-I", "-c", SWAPPER, str(folder / "swap"), str(secret)],
        stdout=subprocess.PIPE,
    )
    try:
        assert swapper.stdout is not None
        swapper.stdout.readline()
        seen = set()
        deadline = time.monotonic() + 30
        for attempt in itertools.count():
            if (attempt > 500 and len(seen) > 1) or time.monotonic() > deadline:
                break
            destination = tmp_path / f"collected-{attempt}"
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                gathered = outputs.collect(fd, destination, Limits())
            finally:
                os.close(fd)
            for output in gathered.outputs:
                seen.add("file")
                assert (destination / output.path).read_text() == ""
            seen |= {refusal.why.split(":")[0] for refusal in gathered.refusals}
        assert len(seen) > 1, "the swapper was too slow to race"
    finally:
        swapper.kill()
        swapper.wait()
