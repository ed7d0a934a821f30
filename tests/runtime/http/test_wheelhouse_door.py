"""The wheelhouse over HTTP and from the command line; the appliance as an index for uv."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.wheels import pack_wheel, wheel_files
from uv import find_uv_bin

from packages.interpreters import running as running_python

from ..conftest import Server, run_command, zipped


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    held = wheel_files("greetings", "1.2")
    return pack_wheel(tmp_path_factory.mktemp("wheels"), "greetings-1.2-py3-none-any.whl", held)


@pytest.fixture(scope="session")
def house(server: Server, wheel: Path) -> Server:
    added = server.command("wheelhouse", "add", wheel, "--json")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)[0]["name"] == "greetings"
    return server


def here(server: Server, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return run_command(*words, environ={"FUMEHOOD_HOME": str(server.home)})


def test_wheels_are_listed_with_their_origin(house: Server) -> None:
    listed = house.http.get("/v1/wheelhouse/wheels", params={"name": "greetings"}).json()["items"]
    assert [one["filename"] for one in listed] == ["greetings-1.2-py3-none-any.whl"]
    assert listed[0]["origin"]["kind"] == "uploaded"
    assert "greetings" in house.command("wheelhouse", "list").stdout
    shown = json.loads(here(house, "wheelhouse", "show", "greetings", "--json").stdout)
    assert shown[0]["sha256"] == listed[0]["sha256"]


def test_a_form_is_as_good_as_a_body(house: Server, wheel: Path) -> None:
    sent = {"wheel": (wheel.name, wheel.read_bytes())}
    assert house.http.post("/v1/wheelhouse/wheels", files=sent).status_code == 201


def with_token(house: Server) -> str:
    """Return the address of the index as pip and uv take it: with a token as the password."""
    return f"{house.url}/simple/".replace("://", f"://token:{house.token_for('viewer')}@")


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_plain_uv_and_pip_install_from_the_appliance(
    tool: str, house: Server, tmp_path: Path
) -> None:
    name = f"drinks_with_{tool}"
    for version, python in (("2.0", ">=3.8"), ("3.0", ">=3.99")):
        held = wheel_files(name, version, requires=["greetings"], requires_python=python)
        made = pack_wheel(tmp_path, f"{name}-{version}-py3-none-any.whl", held)
        assert house.command("wheelhouse", "add", made).returncode == 0
    base = str(running_python().executable)
    words = {
        "uv": [find_uv_bin(), "pip", "install", "--no-config", "--python", base],
        "pip": [base, "-m", "pip", "install", "--isolated", "--no-cache-dir"],
    }[tool]
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "c")}
    done = subprocess.run(
        [*words, "--target", str(tmp_path / "t"), "--index-url", with_token(house), name],
        env=clean | {"PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "t/greetings.py").is_file()
    assert "2.0" in (tmp_path / f"t/{name}.py").read_text(), "3.0 is for another Python"


def test_the_index_speaks_html_and_json(house: Server) -> None:
    as_json = {"Accept": "application/vnd.pypi.simple.v1+json"}
    names = [one["name"] for one in house.http.get("/simple/", headers=as_json).json()["projects"]]
    assert "greetings" in names
    page = house.http.get("/simple/greetings/", headers=as_json).json()
    file = page["files"][0]
    address = house.http.build_request("GET", "/simple/greetings/").url.join(file["url"])
    assert len(house.http.get(address).content) == file["size"]
    assert house.http.get(f"{address}.metadata").text.startswith("Metadata-Version")
    assert "greetings-1.2" in house.http.get("/simple/greetings/").text
    assert house.http.get("/simple/Greetings/").status_code == 301
    assert house.http.get("/simple/nobody/").json()["code"] == "not-found"
    assert house.http.get("/simple/", headers={"Accept": "image/png"}).status_code == 415


def test_a_job_runs_with_what_the_wheelhouse_gave(house: Server) -> None:
    manifest = {"schema": 1, "name": "greets", "version": "1.0"}
    changes = {
        "manifest.json": json.dumps(manifest),
        "requirements.txt": "greetings==1.2\n",
        "extract.py": "import greetings\n\n\ndef extract(*, job, **_):\n"
        "    return greetings.VERSION\n",
    }
    activation = house.activate(zipped("counts-words", changes=changes))
    assert activation["state"] == "succeeded", activation
    job = house.ended(house.submit("greets").json()["id"])
    assert job["state"] == "succeeded", job
    artifact = house.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert artifact["result"] == "1.2"
    installed = artifact["environment"]["installed"]
    assert [(one["name"], one["version"]) for one in installed] == [("greetings", "1.2")]
    assert installed[0]["source"] == "wheelhouse"

    listed = json.loads(here(house, "env", "list", "--json").stdout)
    key = artifact["environment"]["key"]
    assert key in [one["key"] for one in listed]
    assert "greetings" in here(house, "env", "show", key[:16]).stdout
    assert here(house, "env", "verify", key).returncode == 0
    assert json.loads(here(house, "env", "gc", "--dry-run", "--json").stdout) == []
    assert here(house, "env", "show", "nothing").returncode == 4


def test_what_locks_lacked_is_listed_for_a_connected_machine(house: Server, tmp_path: Path) -> None:
    house.activate(zipped("needs-what-is-not-there"))
    rows = json.loads(here(house, "wheelhouse", "missing", "--json").stdout)
    assert any("a-distribution-nobody-has" in one["requirement"] for one in rows)
    file = tmp_path / "missing.txt"
    assert here(house, "wheelhouse", "missing", "-o", file).returncode == 0
    assert "a-distribution-nobody-has" in file.read_text()


def test_a_house_is_verified_and_carried_to_another(house: Server, tmp_path: Path) -> None:
    assert here(house, "wheelhouse", "verify").returncode == 0
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    private.write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    archive = tmp_path / "wheels.tar"
    out = here(house, "wheelhouse", "export", "--to", archive, "--key", private)
    assert out.returncode == 0, out.stderr
    other = {"FUMEHOOD_HOME": str(tmp_path / "other")}
    carried = run_command(
        "wheelhouse", "import", archive, "--trust", public, "--json", environ=other
    )
    assert "greetings-1.2-py3-none-any.whl" in json.loads(carried.stdout)["added"]


def test_a_worker_of_its_own_needs_a_queue_that_can_be_shared(tmp_path: Path) -> None:
    refused = run_command("worker", "--home", tmp_path / "home", environ={})
    assert refused.returncode == 2
    assert "docket_url" in refused.stderr and "Redis" in refused.stderr
