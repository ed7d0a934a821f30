"""The home is its owner's alone: other local users read nothing of it and cannot swap it."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lacking import lacking
from support.preloaded.starting import start
from support.world import open_folder

from runtime.faults.errors import SettingsRefused
from runtime.home.folders import locks_of_all, make_home

from ..conftest import run_command, running, zipped

NOBODY = 65_534
WAITS = """
import time

def extract(*, job, **_):
    print("begun", job.inputs[0].read_text(), flush=True)
    while not (job.scratch_dir / "never").exists() and time.sleep(0.1) is None:
        pass
"""


def what_others_read(folder: Path) -> list[str]:
    """Return the files below `folder` that another local user can open."""
    if os.geteuid() != 0:
        lacking("root, to act as another user")
    done = subprocess.run(
        ["find", folder, "-type", "f", "-readable"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


@pytest.fixture
def world() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def test_other_users_read_nothing_of_a_home_where_a_job_runs(world: Path) -> None:
    home = world / "home"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    (home / "left.txt").write_text("by an earlier version")
    assert what_others_read(world) == [str(home / "left.txt")]
    changes = {
        "manifest.json": json.dumps({"schema": 1, "name": "waits", "version": "1.0"}),
        "extract.py": WAITS,
    }
    with running(home) as server:
        server.activate(zipped("counts-words", changes=changes))
        job = server.submit("waits", files={"a.txt": b"secret"}).json()["id"]
        with server.http.stream("GET", f"/v1/jobs/{job}/events?follow=true") as lines:
            next(line for line in lines.iter_lines() if "begun secret" in line)
        assert what_others_read(world) == [str(world / "home.log")]
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        server.http.post(f"/v1/jobs/{job}/cancel")
        server.ended(job)


def test_other_users_read_nothing_of_a_try(world: Path) -> None:
    bundle = world / "bundle"
    bundle.mkdir(mode=0o700)
    manifest = {"schema": 1, "name": "waits", "version": "1.0"}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "extract.py").write_text(WAITS)
    (bundle / "input.txt").write_text("secret")
    (bundle / "input.txt").chmod(0o600)
    environ = {name: v for name, v in os.environ.items() if not name.startswith("FUMEHOOD_")}
    trying = start(
        ["try", bundle, bundle / "input.txt"],
        environ=environ | {"FUMEHOOD_HOME": str(world / "home")},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        assert trying.stderr
        assert any("begun secret" in line for line in trying.stderr)
        assert what_others_read(world) == []
        places = list(Path("/var/tmp").glob("fumehood-try-*"))
        assert places
        assert [read for place in places for read in what_others_read(place)] == []
    finally:
        trying.terminate()
        trying.wait()
        trying.stderr.close()


def test_a_home_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "real")
    assert refused_where(tmp_path / "home") == [str(tmp_path / "home")]
    told = run_command("try", tmp_path, environ={"FUMEHOOD_HOME": str(tmp_path / "home")})
    assert told.returncode != 0


def test_a_home_below_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (tmp_path / "link").symlink_to(open_to_all)
    assert refused_where(open_to_all / "home") == [str(open_to_all)]
    assert str(open_to_all) in refused_where(tmp_path / "link" / "home")
    open_to_all.chmod(0o1777)
    make_home(open_to_all / "home")  # sticky: nobody else may rename it
    assert stat.S_IMODE((open_to_all / "home").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_home_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    os.chown(tmp_path / "home", NOBODY, NOBODY)
    assert refused_where(tmp_path / "home") == [str(tmp_path / "home")]
    (tmp_path / "given").mkdir()
    os.chown(tmp_path / "given", NOBODY, NOBODY)
    assert refused_where(tmp_path / "given/home") == [str(tmp_path / "given")]


def refused_where(home: Path) -> list[str]:
    with pytest.raises(SettingsRefused) as refused:
        make_home(home)
    assert all(problem.mend for problem in refused.value.problems)
    return [problem.where for problem in refused.value.problems]


def test_every_lock_in_a_home_is_shut_to_others(world: Path) -> None:
    home = world / "home"
    (home / "environments/.leases").mkdir(parents=True)
    for name in ("fumehood.lock", "migrate.lock", "environments/.leases/old"):
        (home / name).touch(mode=0o644)
    with running(home) as server:
        server.activate(zipped("counts-words"))
        server.ended(server.submit("counts-words", files={"a.txt": b"a"}).json()["id"])
        locks = {path for part in ("*.lock", ".*.lock") for path in home.rglob(part)}
        locks |= set(home.glob("environments/.l*s/*"))
        assert len(locks) >= 6
        assert {stat.S_IMODE(path.stat().st_mode) for path in locks} == {0o600}


def test_who_uses_a_home_is_named(world: Path) -> None:
    with running(world / "home") as server:
        environ = {"FUMEHOOD_HOME": str(world / "home")}
        told = run_command("up", "--port", "0", environ=environ)
        assert told.returncode == 6
        assert f"process {server.process.pid} (" in told.stderr


def test_doctor_says_of_a_home_that_others_may_look_into_it(world: Path) -> None:
    home = world / "home"
    home.mkdir()
    environ = {"FUMEHOOD_HOME": str(home)}
    for mode, code in ((0o755, 1), (0o700, 0)):
        home.chmod(mode)
        told = run_command("doctor", "--json", environ=environ)
        assert told.returncode == code, told.stdout
        (found,) = [
            one for one in json.loads(told.stdout)["findings"] if one["layer"] == "data folder"
        ]
        assert found["held"] is (mode == 0o700)


def test_doctor_names_a_lock_that_others_could_hold(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "environments/.locks").mkdir(parents=True)
    home.chmod(0o700)
    for name in ("fumehood.lock", "environments/.locks/key"):
        (home / name).touch(mode=0o600)
    assert locks_of_all(home) == ()
    (home / "environments/.locks/key").chmod(0o644)
    (problem,) = locks_of_all(home)
    assert problem.where.endswith("environments/.locks/key")
    assert "0644" in problem.what
