"""What newcomers did that nobody had thought of."""

import json
import os
import shutil
from pathlib import Path

import pytest

from ..conftest import BUNDLES, Server, run_command, zipped


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"FUMEHOOD_HOME": str(tmp_path / "home")}


def try_(*words: str | Path, environ: dict[str, str], umask: str = "022"):
    return run_command("try", *words, environ=environ, umask=int(umask, 8))


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


def test_doctor_attacks_with_what_a_warm_cell_imports(home):
    told = run_command("doctor", "--json", environ=home)
    findings = json.loads(told.stdout)["findings"]
    imports = [one for one in findings if one["layer"] == "import"]
    assert len(imports) == 7, findings
    assert all(one["held"] for one in imports), imports
    assert any("left" in one["detail"] for one in imports)


def test_doctor_tries_the_walls_elsewhere_where_the_data_folder_cannot_be_written_to():
    told = run_command("doctor", environ={"FUMEHOOD_HOME": "/sys"})
    assert told.returncode == 0, told.stderr
    assert "/sys cannot be written to" in told.stderr
    assert "✘" not in told.stdout  # all held, so nothing is marked as if it had not
    cold = next(line for line in told.stdout.splitlines() if "start a cold cell" in line)
    assert cold.endswith(" ms")


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


def test_a_file_in_a_bundles_folder_whose_name_is_not_utf8_is_refused(tmp_path: Path):
    folder = tmp_path / "bundle"
    shutil.copytree(BUNDLES / "counts-words", folder)
    (folder / "caf\udce9.txt").touch()
    told = run_command("package", "check", folder, environ={})
    assert told.returncode == 3, told.stderr
    assert "'caf\\udce9.txt': its name is not UTF-8" in told.stderr


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


@pytest.mark.parametrize("url", ["banana", "http://", "ftp://x", "http://x:99999", "http://[::1"])
def test_what_is_no_address_of_an_appliance_is_a_usage_error(url: str):
    told = run_command("job", "list", environ={"FUMEHOOD_URL": url})
    assert told.returncode == 2, told.stderr
    assert "FUMEHOOD_URL" in told.stderr and "mend: " in told.stderr


@pytest.mark.parametrize(
    "words", [["up", "--port", "0"], ["env", "list"], ["job", "list"], ["wheelhouse", "verify"]]
)
def test_a_home_that_is_a_file_is_a_usage_error(words: list[str], tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    told = run_command(*words, environ={"FUMEHOOD_HOME": str(file)})
    assert told.returncode == 2, told.stderr
    assert "is not a folder" in told.stderr and "Traceback" not in told.stderr


def test_a_home_that_cannot_be_made_is_a_usage_error():
    told = run_command("up", "--port", "0", "--home", "/proc/home", environ={})
    assert told.returncode == 2, told.stderr
    assert "cannot hold our data" in told.stderr and "Traceback" not in told.stderr


def test_a_name_that_is_no_address_of_this_host_is_a_usage_error(home):
    told = run_command("up", "--host", "no-such-host.invalid", environ=home)
    assert told.returncode == 2, told.stderr
    assert "is not an address of this host" in told.stderr


@pytest.mark.parametrize(
    "words", [["config", "show", "--config", "/nope"], ["package", "check", "/dev/null"]]
)
def test_what_is_not_there_is_said_with_its_mend(words: list[str]):
    told = run_command(*words, environ={})
    assert told.returncode in (2, 4)
    assert "mend: " in told.stderr


def test_an_attempt_that_never_was_has_no_outputs(counting: Server):
    job = counting.ended(counting.submit("counts-words").json()["id"])
    told = counting.command("job", "outputs", job["id"], "--attempt", "9")
    assert told.returncode == 4
    assert "its attempts are 1 to 1" in told.stderr


def test_the_newest_version_is_activated_where_none_is_named(server: Server):
    for version in ("1.9", "1.10"):
        manifest = {"schema": 1, "name": "newest", "version": version}
        changes = {"manifest.json": json.dumps(manifest)}
        server.http.post("/v1/packages", content=zipped("counts-words", changes=changes))
    told = server.command("package", "activate", "newest")
    assert told.returncode == 0, told.stderr
    assert "activating newest 1.10, the newest version" in told.stderr
    assert server.command("package", "activate", "nobody").returncode == 4
    assert server.command("package", "activate", "newest", "1.9").returncode == 0
    back = server.command("package", "rollback", "newest")
    assert (back.returncode, back.stdout.strip()) == (0, "newest 1.10 is active")
