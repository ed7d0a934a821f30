"""What can be wrong with the database or the home: it has a name and a mend, and is no bug."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ..conftest import Server, run_command, running, zipped
from .test_full_disk import small_disk


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A home in which a job was run, of an appliance that has stopped."""
    home = tmp_path / "home"
    with running(home) as server:
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        assert server.ended(server.submit("counts-words").json()["id"])["state"] == "succeeded"
    return home


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Keep the database of a home locked, as some other program may."""
    with closing(sqlite3.connect(home / "fumehood.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def refused(home: Path) -> tuple[int, str]:
    """Start an appliance that does not come up; return its exit code and what it said."""
    done = run_command("up", "--port", "0", "--home", home, environ={})
    assert "Traceback" not in done.stderr and "bug of ours" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_a_database_that_a_newer_version_wrote_is_refused_and_left_alone(used: Path) -> None:
    with closing(sqlite3.connect(used / "fumehood.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    code, said = refused(used)
    assert code == 6 and "store-newer" in said and "9999" in said
    assert "install the version of fumehood that was used last" in said


@pytest.mark.parametrize("place", [0, 4096], ids=["its head", "a page"])
def test_a_damaged_database_is_refused_at_the_start(used: Path, place: int) -> None:
    with (used / "fumehood.db").open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 4096 * 40)
    code, said = refused(used)
    assert code == 7 and "store-damaged" in said and ".recover" in said


def test_a_locked_database_is_named_at_the_start(used: Path) -> None:
    with locked(used):
        code, said = refused(used)
    assert code == 75 and "store-busy" in said and "fuser" in said


def test_a_home_without_room_and_one_that_is_read_only_are_named_at_the_start(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "small", mb=1) as home:
        (home / "filler").write_bytes(b"x" * (1 << 20))
        code, said = refused(home)
        assert code == 75 and "disk-full" in said, said
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
        code, said = refused(home)
        assert code == 75 and "home-read-only" in said, said


def test_a_database_that_is_locked_meanwhile_is_busy_and_then_goes_on(used: Path) -> None:
    with running(used) as server:
        with locked(used):
            answer = server.submit("counts-words")
            assert (answer.status_code, answer.json()["code"]) == (503, "store-busy")
            assert answer.headers["retry-after"]
            ready = server.http.get("/readyz")
            assert ready.status_code == 503
            assert "store-busy" in [one["code"] for one in ready.json()["problems"]]
            assert server.http.get("/v1/jobs").status_code == 200, "reading goes on"
        goes_on(server)


def test_a_home_that_becomes_read_only_is_named_and_then_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        home = tmp_path / "disk/home"
        with running(home) as server:
            assert server.activate(zipped("counts-words"))["state"] == "succeeded"
            for how in ("bind", "remount,bind,ro"):
                subprocess.run(["mount", "-o", how, str(home), str(home)], check=True)
            try:
                sent = server.submit("counts-words", files={"a.txt": b"a"})
                assert (sent.status_code, sent.json()["code"]) == (503, "home-read-only")
                told = server.http.get("/readyz").json()
                assert [one["code"] for one in told["problems"]] == ["home-read-only"]
            finally:
                subprocess.run(["umount", "-l", str(home)], check=True)
            goes_on(server)


def test_a_database_that_is_damaged_meanwhile_is_named(used: Path) -> None:
    with running(used) as server:
        database = used / "fumehood.db"
        size = database.stat().st_size
        with database.open("r+b") as file:
            file.write(b"\xff" * size)
        answers = [server.http.get("/v1/jobs"), server.submit("counts-words")]
        assert {one.status_code for one in answers} <= {200, 202, 503}
        ready = server.http.get("/readyz")
        assert ready.status_code == 503, ready.text
        assert "store-damaged" in [one["code"] for one in ready.json()["problems"]]


def goes_on(server: Server) -> None:
    """Ready again by itself, and at work."""
    server.until("/readyz", lambda told: told.get("status") == "ok")
    job_id = server.submit("counts-words").json()["id"]
    assert server.ended(job_id)["state"] == "succeeded"
