"""The socket in the home is its owner's: a run is not, at any level."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.lacking import lacking
from support.world import open_folder

from runtime.access.access import owners_at
from runtime.faults.errors import SettingsRefused
from runtime.home.guard import guard_home
from sandbox.command import Level

from ..conftest import run_command, running, zipped

NO_NAMESPACES = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
]
WITHOUT_LANDLOCK = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
filters = struct.pack(  # landlock_create_ruleset(2) is 444 everywhere, and answers ENOSYS
    "HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, 444, 6, 0, 0, 0x00050000 | 38, 6, 0, 0, 0x7FFF0000
)
kept = ctypes.create_string_buffer(filters)
program = ctypes.create_string_buffer(struct.pack("HP", 4, ctypes.addressof(kept)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""What a kernel without Landlock is like (seccomp(2)): then nothing is left but processes."""
TRIES = {
    "manifest.json": json.dumps({"schema": 1, "name": "tries-the-door", "version": "1.0"}),
    "extract.py": """
import os
import socket


def extract(*, job, **_):
    told = {}
    for place in job.parameters["places"]:
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(place)
                sock.sendall(b"GET /v1/me HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
                told[place] = sock.recv(100).decode()
        except OSError as error:
            told[place] = type(error).__name__
    return told
""",
}


@pytest.mark.parametrize("within", [[], NO_NAMESPACES], ids=["namespaces", "none"])
def test_a_run_gets_nowhere_at_the_socket(within: list[str]) -> None:
    if within and (os.geteuid() != 0 or shutil.which("unshare") is None):
        lacking("root and unshare(1)")
    with (
        open_folder() as world,
        running(world / "home", within=within, least_level="unprivileged") as server,
    ):
        assert server.activate(zipped("counts-words", changes=TRIES))["state"] == "succeeded"
        places = [str(server.home / "fumehood.sock"), "/proc/1/root/" + str(server.home)]
        job = server.ended(server.submit("tries-the-door", places=places).json()["id"])
        artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
        assert job["state"] == "succeeded", job
        assert all("HTTP" not in told for told in artifact["result"].values()), artifact["result"]


def test_at_level_process_the_socket_admits_nobody() -> None:
    """There a run is the owner to the kernel, and no wall is between it and the socket."""
    assert owners_at(Level.PROCESS) == frozenset()
    assert owners_at(Level.UNPRIVILEGED) == owners_at(Level.FULL) == {0, os.geteuid()}


def test_a_server_at_level_process_admits_nobody_by_its_socket(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        lacking("root and unshare(1)")
    within = [*NO_NAMESPACES, sys.executable, "-c", WITHOUT_LANDLOCK]
    home = tmp_path / "home"
    with running(home, within=within, least_level="process") as server:
        assert "cells run at level process" in (tmp_path / "home.log").read_text()
        assert server.http.get("/healthz").status_code == 200
        for path in ("/v1/me", "/v1/jobs", "/v1/tokens"):
            assert server.http.get(path).status_code == 401, path
        assert server.http.post("/v1/tokens", json={}).status_code == 401
        environ = {"FUMEHOOD_HOME": str(home)}
        made = run_command(
            "token", "create", "first", "--scope", "admin", "--offline", environ=environ
        )
        shown = {"Authorization": f"Bearer {made.stdout.strip()}"}
        assert server.http.get("/v1/me", headers=shown).json()["principal"] == "token:first"


def test_a_home_that_others_could_swap_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(SettingsRefused) as refused:
        guard_home(folder / "home")
    assert "chmod o-w" in refused.value.problems[0].mend


@pytest.mark.parametrize("put", [Path.mkdir, Path.touch], ids=["folder", "file"])
def test_what_is_no_socket_is_not_replaced_by_one(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    put(home / "fumehood.sock")
    done = run_command("up", "--port", "0", environ={"FUMEHOOD_HOME": str(home)})
    assert done.returncode == 2 and "is no socket" in done.stderr, done.stderr


def test_a_link_to_a_socket_of_anothers_is_replaced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "fumehood.sock").symlink_to(tmp_path / "theirs.sock")
    with running(home) as server, server.at_home() as owner:
        assert owner.get("/v1/me").json()["way"] == "socket"
    assert not (tmp_path / "theirs.sock").exists()
