"""What newcomers did that nobody had thought of."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import BUNDLES, FUMEHOOD, Server, run_command


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"FUMEHOOD_HOME": str(tmp_path / "home")}


def try_(*words: str | Path, environ: dict[str, str], umask: str = "022"):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FUMEHOOD_")}
    shell = f'umask {umask}; exec "$0" try "$@"'
    return subprocess.run(
        ["sh", "-c", shell, FUMEHOOD, *words], env=clean | environ, capture_output=True, text=True
    )


@pytest.mark.parametrize("umask", ["022", "077"])
def test_a_bundle_is_tried_with_no_server_whatever_the_umask(home, tmp_path: Path, umask: str):
    (tmp_path / "words.txt").write_text("one two three")
    bundle, words = BUNDLES / "counts-words", tmp_path / "words.txt"
    told = try_(bundle, words, "-o", tmp_path / "out", "--json", environ=home, umask=umask)
    assert told.returncode == 0, told.stderr
    artifact = json.loads(told.stdout)
    assert artifact["state"] == "succeeded"
    assert artifact["isolation"]["level"] in {"full", "no-cgroup"}
    assert {output["path"] for output in artifact["outputs"]} == {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }


def test_a_try_that_fails_exits_1_and_one_that_is_refused_3(home, tmp_path: Path):
    assert try_(BUNDLES / "extract-raises", environ=home).returncode == 1
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{}")
    refused = try_(tmp_path / "bad", "--json", environ=home)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert len(json.loads(refused.stderr)["problems"]) >= 3


def test_doctor_attacks_the_walls_and_says_which_held(home):
    told = run_command("doctor", "--json", environ=home)
    assert told.returncode == 0, told.stdout + told.stderr
    found = json.loads(told.stdout)
    assert found["is_enough"] and len(found["findings"]) >= 14
    assert all(finding["held"] for finding in found["findings"])
    assert run_command("doctor", "--python", "banana", environ=home).returncode == 2


def test_a_level_below_the_demanded_one_is_exit_1(home):
    environ = home | {"FUMEHOOD_LEAST_LEVEL": "full"}
    told = run_command("doctor", "--json", environ=environ)
    is_full = json.loads(told.stdout)["level"] == "full"
    assert told.returncode == (0 if is_full else 1)


@pytest.mark.parametrize(
    "words",
    [
        ("-p", "a=NaN"),
        ("-p", 'a="\\ud800"'),
        ("-p", "=x"),
        ("-p", "novalue"),
        ("--parameters", '{"a": NaN}'),
        ("--parameters", "[1]"),
        ("--parameters", "[" * 5000),
        ("-o", "somewhere"),
    ],
)
def test_parameters_that_json_cannot_hold_are_a_usage_error(words):
    told = run_command("job", "submit", "hello", *words, environ={})
    assert told.returncode == 2, told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("job_id", ["", "..", "../packages", "a b?c#d"])
@pytest.mark.parametrize("verb", ["show", "cancel", "artifact", "logs"])
def test_an_id_never_points_elsewhere(verb: str, job_id: str):
    told = run_command("job", verb, job_id, environ={})
    assert told.returncode == 2 and "Traceback" not in told.stderr


def test_a_link_in_a_bundles_folder_brings_nothing_along(tmp_path: Path):
    folder = tmp_path / "bundle"
    shutil.copytree(BUNDLES / "counts-words", folder)
    (folder / "accounts").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    told = run_command("package", "check", folder, "--json", environ={})
    assert told.returncode == 3
    problems = json.loads(told.stderr)["problems"]
    assert {problem["where"] for problem in problems} == {"accounts", "pipe"}


def test_a_home_without_an_appliance_is_not_another_one(home):
    told = run_command("package", "list", environ=home)
    assert told.returncode == 75
    assert home["FUMEHOOD_HOME"] in told.stderr


@pytest.mark.parametrize(
    "order",
    [
        '{"is_open": true, "minutes": 1e400, "reason": "x"}',
        '{"is_open": true, "minutes": 1, "reason": "\\ud800"}',
        '{"is_open": true, "minutes": 1, "reason": "\\u001b[31mred"}',
    ],
)
def test_a_gate_order_that_cannot_be_shown_is_refused(server: Server, order: str):
    headers = {"content-type": "application/json"}
    answer = server.http.put("/v1/gate", content=order, headers=headers)
    assert answer.status_code in {400, 422}, answer.text
    assert not server.http.get("/v1/gate").json()["is_open"]


def test_not_a_number_is_never_made_null(server: Server):
    headers = {"content-type": "application/json"}
    order = '{"package": "hello", "parameters": {"a": NaN}}'
    answer = server.http.post("/v1/jobs", content=order, headers=headers)
    assert answer.status_code in {400, 422}, answer.text
