"""What rots or is tampered with below a home is found, built anew from its lock, and told."""

import json
import sqlite3
import time
from pathlib import Path

import pytest
from support.wheels import make_wheel

from ..conftest import PATIENCE_S, Server, run_command, running, zipped

READER = {
    "manifest.json": json.dumps({"schema": 1, "name": "reader", "version": "1.0"}),
    "requirements.txt": "sound\n",
    "extract.py": "import sound\n\n\ndef extract(*, job, **_):\n    return sound.VERSION\n",
}


def furnish(server: Server, folder: Path) -> Path:
    """Have a version that needs a wheel; return the module of it in the environment."""
    assert server.command("wheelhouse", "add", make_wheel(folder, "sound")).returncode == 0
    assert server.activate(zipped("counts-words", changes=READER))["state"] == "succeeded"
    (found,) = (server.home / "environments").glob("*/lib/python*/site-packages/sound.py")
    return found


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def until_it_is(path: Path, content: bytes) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.is_file() or path.read_bytes() != content:
        assert time.monotonic() < deadline, f"{path} is not mended"
        time.sleep(0.02)


def test_a_damaged_environment_is_mended_when_a_worker_starts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        module = furnish(server, tmp_path)
    right = module.read_bytes()
    overwrite(module, b"VERSION = 'altered, and longer'\n")
    with running(home) as server:
        until_it_is(module, right)
        job = server.submit("reader").json()
        assert server.ended(job["id"])["state"] == "succeeded"
        artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
        assert artifact["result"] == "1.0"
    told = (tmp_path / "home.log").read_text()
    assert "was damaged and was built anew" in told and "sound.py: it has 32 bytes" in told
    with sqlite3.connect(home / "fumehood.db") as database:
        acts = database.execute("select subject from audit where action = 'environment.repair'")
        assert list(acts) == [(module.relative_to(home / "environments").parts[0],)]


@pytest.mark.parametrize("is_there", [True, False], ids=["wheel here", "wheel gone"])
def test_an_altered_file_is_found_by_its_digest_and_mended_on_request(
    is_there: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    here = {"FUMEHOOD_HOME": str(home)}
    with running(home) as server:
        module = furnish(server, tmp_path)
    key = module.relative_to(home / "environments").parts[0]
    assert run_command("env", "verify", key[:12], environ=here).returncode == 0
    right = module.read_bytes()
    overwrite(module, b"VERSION = '6.6'\n")
    if not is_there:
        wheel = json.loads(
            run_command("wheelhouse", "show", "sound", "--json", environ=here).stdout
        )
        place = home / "wheelhouse/wheels/sound" / wheel[0]["sha256"].removeprefix("sha256:")
        next(place.glob("*.whl")).write_bytes(b"rotten")
        assert run_command("wheelhouse", "remove", wheel[0]["sha256"], environ=here).returncode == 0

    assert run_command("env", "verify", environ=here).returncode == 7
    told = run_command("env", "verify", key[:12], environ=here)
    assert told.returncode == 7 and "it is not what was installed" in told.stdout
    assert "env verify --repair" in told.stderr
    mended = run_command("env", "verify", "--repair", key[:12], environ=here)
    if is_there:
        assert mended.returncode == 0 and "built anew" in mended.stderr
        assert module.read_bytes() == right
        every = run_command("env", "verify", environ=here)
        assert every.returncode == 0 and "1 environments" in every.stdout
    else:
        assert mended.returncode == 7 and "it was removed" in mended.stderr
        assert not module.exists()
