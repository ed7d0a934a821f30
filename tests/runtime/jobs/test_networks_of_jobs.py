"""A package that asks for the network gets what the admin names, and the artifact tells of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from support.servers import saying, serving

from ..conftest import run_command

CODE = '''
import socket, struct

def extract(*, job, **_):
    """Ask our resolver for localhost, which the cell's own /etc/hosts would answer, and connect."""
    question = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\\x09localhost\\0\\0\\1\\0\\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(question, ("127.0.0.1", 53))
        address = socket.inet_ntoa(sock.recv(600)[-4:])
    try:
        with socket.create_connection((address, PORT), timeout=5) as connection:
            return connection.recv(100).decode()
    except OSError as fault:
        return type(fault).__name__
'''
HOOK = "from extract import extract\ndef run(*, context, **_): extract(job=context)\n"


@pytest.fixture
def port() -> Iterator[int]:
    with serving(saying("from the host")) as port:
        yield port


def try_with(
    folder: Path, port: int, network: dict[str, Any], **settings: str
) -> CompletedProcess[str]:
    bundle = folder / "bundle"
    (bundle / "hooks").mkdir(parents=True)
    manifest = {"schema": 1, "name": "reaching", "version": "1", "network": network}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "extract.py").write_text(f"PORT = {port}\n{CODE}")
    (bundle / "hooks/on_after_extract.py").write_text(HOOK)
    granted = {"run_network": "true", "run_network_ports": str(port), **settings}
    environ = {f"FUMEHOOD_{name.upper()}": value for name, value in granted.items()}
    return run_command(
        "try", bundle, "--json", environ=environ | {"FUMEHOOD_HOME": str(folder / "home")}
    )


def network_of(artifact: dict[str, Any]) -> dict[str, Any]:
    (layer,) = [one for one in artifact["isolation"]["layers"] if "network" in one["name"]]
    return layer


def test_a_host_that_the_admin_names_is_reached_and_told(tmp_path: Path, port: int):
    told = try_with(
        tmp_path,
        port,
        {"run": True},
        run_network_hosts="localhost",
        run_network_private="127.0.0.1 ::1",
    )
    artifact = json.loads(told.stdout)
    assert artifact["result"] == "from the host", told.stderr
    layer = network_of(artifact)
    assert layer["in_force"] and layer["name"] == "network"
    assert layer["detail"].startswith(f"proxy: hosts localhost; ports {port}")
    (connection,) = artifact["traffic"]["first"]
    assert (connection["host"], connection["port"], connection["in_bytes"]) == (
        *("localhost", port),
        len("from the host"),
    )
    assert artifact["hooks"][0]["traffic"]["connections"] == 1
    assert artifact["grant"]["network"]["hosts"] == ["localhost"]
    said = f"network carried localhost:{port}, 13 bytes in, 0 out"
    assert told.stderr.count(said) == 2  # the job's and the hook's


def test_the_host_itself_is_refused_whatever_its_name_is(tmp_path: Path, port: int):
    told = try_with(tmp_path, port, {"run": True}, run_network_hosts="*")
    artifact = json.loads(told.stdout)
    assert artifact["result"] == "ConnectionResetError", told.stderr
    assert artifact["traffic"]["refused"] == 1
    assert f"network refused localhost:{port}: " in told.stderr
    assert "of this host itself" in told.stderr


def test_a_manifest_narrows_what_the_admin_allows(tmp_path: Path, port: int):
    told = try_with(
        tmp_path,
        port,
        {"run": True, "hosts": ["api.example.org"]},
        run_network_hosts="*",
        run_network_private="127.0.0.1 ::1",
    )
    artifact = json.loads(told.stdout)
    assert network_of(artifact)["detail"].startswith("proxy: hosts api.example.org; ports")
    assert "refused localhost" in told.stderr and "not on the list of hosts" in told.stderr


def test_without_a_host_on_the_admins_list_there_is_no_network(tmp_path: Path, port: int):
    told = try_with(tmp_path, port, {"run": True})
    artifact = json.loads(told.stdout) if told.returncode == 0 else {}
    assert told.returncode == 1, artifact  # nobody answers the question for the name
    assert "names no host that may be reached (run_network_hosts)" in told.stdout
