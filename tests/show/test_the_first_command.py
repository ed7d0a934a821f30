"""scripts/run as a newcomer would use it: once, again, and with the network unplugged."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.lacking import lacking

PROJECT = Path(__file__).parent.parent.parent
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("show")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("show") / "fumehood"


@pytest.fixture(scope="module")
def first(home: Path) -> dict:
    return show(home)


def show(home: Path, *before: str) -> dict:
    done = subprocess.run(
        [*before, PROJECT / "scripts" / "run", "--once", "--json", "--port", "0"],
        env=os.environ | {"FUMEHOOD_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_first_run_shows_the_whole_idea(first: dict):
    artifacts = {artifact["package"]["name"]: artifact for artifact in first["artifacts"]}
    assert set(artifacts) == {"hello", "spreadsheet", "pdf-text"}
    installed = {item["name"] for item in artifacts["spreadsheet"]["environment"]["installed"]}
    assert {"pandas", "openpyxl"} <= installed
    for artifact in artifacts.values():
        assert artifact["state"] == "succeeded"
        assert {layer["name"] for layer in artifact["isolation"]["layers"] if layer["in_force"]}
        assert artifact["usage"]["wall_ms"] > 0
        assert artifact["timeline"]


def test_its_outputs_come_from_the_real_documents(first: dict):
    outputs = {output["path"]: Path(output["file"]) for output in first["outputs"]}
    table = outputs["table.csv"].read_text()
    assert "Releases,3.12,2023-10-02,Thomas Wouters,2028-10-31,PEP 693" in table
    issues = json.loads(outputs["issues.json"].read_text())
    assert {issue["cell"] for issue in issues} == {"G8", "H11"}
    assert "Grant of Patent License" in outputs["apache-license.txt"].read_text()


def test_the_second_run_needs_no_network_and_keeps_the_gate_closed(first: dict, home: Path):
    unplugged = unplug()
    again = show(home, *unplugged)
    assert [a["lock_digest"] for a in again["artifacts"]] == [
        a["lock_digest"] for a in first["artifacts"]
    ]
    assert all(a["install"]["reused"] for a in again["artifacts"])
    assert all(not a["install"]["gate"]["is_open"] for a in again["artifacts"][:1])
    assert [o["sha256"] for o in again["outputs"]] == [o["sha256"] for o in first["outputs"]]


def unplug() -> list[str]:
    """Return what puts a command into a network namespace with nothing in it."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run([*command, "true"]).returncode == 0:
            return command
    return lacking("network namespaces for a test")


def test_clean_removes_everything(first: dict, home: Path):
    assert (home / "fumehood.db").exists()
    done = subprocess.run(
        [PROJECT / "scripts" / "run", "--clean"],
        env=os.environ | {"FUMEHOOD_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not home.exists()
