"""The command line: help for everything, JSON where asked, and exit codes that mean something."""

import json
import os
import shutil
from pathlib import Path

import pytest

from runtime.cli.input.bundle_zip import zip_folder

from ..conftest import BUNDLES, Server, run_command, zipped

GROUPS = ["package", "job", "gate", "wheelhouse", "config"]
ALONE = ["up", "worker", "schema", "version"]
NOWHERE = {"FUMEHOOD_URL": "http://127.0.0.1:9"}


@pytest.mark.parametrize("name", [*GROUPS, *ALONE])
def test_every_command_explains_itself(name: str) -> None:
    told = run_command(name, "--help", environ={})
    assert told.returncode == 0, told.stderr
    assert "Usage" in told.stdout


def test_the_commands_are_listed_without_loading_them() -> None:
    told = run_command("--help", environ={})
    assert told.returncode == 0
    assert all(name in told.stdout for name in [*GROUPS, *ALONE])
    assert run_command("nonsense", environ={}).returncode == 2


def test_a_bundle_is_checked_without_a_server(tmp_path: Path) -> None:
    right = run_command("package", "check", BUNDLES / "counts-words", environ=NOWHERE)
    assert (right.returncode, right.stdout.strip()[-8:]) == (0, "is right")
    (tmp_path / "manifest.json").write_text('{"schema": 1, "name": "Wrong Name"}')
    wrong = run_command("package", "check", tmp_path, "--json", environ=NOWHERE)
    assert wrong.returncode == 3
    problems = json.loads(wrong.stdout)["problems"]
    assert len(problems) >= 2  # the name, and the missing version
    assert all(one["mend"] for one in problems)


def test_what_is_no_archive_is_told_what_would_be(tmp_path: Path) -> None:
    (tmp_path / "bundle.tar").write_bytes(b"x" * 1024)
    done = run_command("package", "check", tmp_path / "bundle.tar", environ={})
    assert done.returncode == 3
    assert "mend: pack it as .zip or .tar.gz" in done.stdout


def test_the_version_is_printed_by_an_option_too() -> None:
    ways = (["--version"], ["version"])
    asked = [run_command(*words, environ={}, is_real=True).stdout for words in ways]
    assert asked[0] == asked[1] != ""


def test_a_wrong_limit_is_told_with_where_it_was_set(tmp_path: Path) -> None:
    environ = {"FUMEHOOD_HOME": str(tmp_path), "FUMEHOOD_LIMITS__MEMORY_MB": "-1"}
    done = run_command("config", "show", environ=environ)
    assert done.returncode == 2
    assert "limits (from environment): limits: memory_mb must be above 0" in done.stderr


def test_a_bundle_is_checked_by_the_limits_of_an_upload(tmp_path: Path) -> None:
    shutil.copytree(BUNDLES / "counts-words", tmp_path / "large")
    (tmp_path / "large/model.bin").write_bytes(os.urandom(2 * 1024 * 1024))
    for most_mb, code in (("1", 3), ("4", 0)):
        environ = NOWHERE | {"FUMEHOOD_BUNDLE_MOST_MB": most_mb}
        told = run_command("package", "check", tmp_path / "large", environ=environ)
        assert told.returncode == code, told.stdout


def test_a_folder_makes_the_same_bundle_whenever_and_wherever_it_is_zipped(
    tmp_path: Path,
) -> None:
    shutil.copytree(BUNDLES / "counts-words", tmp_path / "copy")
    (tmp_path / "copy/__pycache__").mkdir()
    (tmp_path / "copy/__pycache__/x.pyc").write_bytes(b"cache")
    zip_folder(tmp_path / "copy", archive=tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == zipped("counts-words")


def test_a_server_that_is_away_is_said_to_be() -> None:
    told = run_command("job", "list", environ=NOWHERE)
    assert (told.returncode, told.stdout) == (75, "")
    assert "fumehood up" in told.stderr
    as_json = run_command("job", "list", "--json", environ=NOWHERE)
    assert json.loads(as_json.stderr)["code"] == "server-unreachable"


def test_packages_and_jobs_from_the_command_line(server: Server, tmp_path: Path) -> None:
    uploaded = server.command("package", "upload", BUNDLES / "counts-words", "--activate", "--json")
    assert uploaded.returncode == 0, uploaded.stderr
    assert json.loads(uploaded.stdout)["state"] == "succeeded"
    listed = json.loads(server.command("package", "list", "--json").stdout)
    assert "counts-words" in [one["name"] for one in listed]
    assert "1.0" in server.command("package", "show", "counts-words").stdout

    asked = server.command("job", "submit", "counts-words")
    job_id = asked.stdout.strip()
    followed = server.command("job", "logs", job_id, "--follow", "--json")
    assert followed.returncode == 0
    lines = [json.loads(line) for line in followed.stdout.splitlines()]
    assert lines[-1]["event"] == "job.finished"
    assert json.loads(server.command("job", "artifact", job_id).stdout)["job"] == job_id
    assert "counts.json" in server.command("job", "outputs", job_id).stdout
    one = server.command("job", "outputs", job_id, "--path", "tables/counts.json")
    assert json.loads(one.stdout) == {}
    shown = json.loads(server.command("job", "show", job_id, "--json").stdout)
    assert shown["state"] == "succeeded"
    assert server.command("job", "retry", job_id, "--wait").returncode == 0
    assert server.command("job", "cancel", job_id).returncode == 6


def test_exit_codes_say_what_happened(server: Server) -> None:
    server.command("package", "upload", BUNDLES / "extract-raises", "--activate")
    failed = server.command("job", "submit", "extract-raises", "--wait")
    assert failed.returncode == 1
    assert "the third column is empty" in failed.stdout + failed.stderr
    assert server.command("job", "show", "nobody").returncode == 4
    assert server.command("job", "submit").returncode == 2
    assert server.command("job", "submit", "x", "-p", "novalue").returncode == 2
    hook = server.command("package", "upload", BUNDLES / "on-activate-raises", "--activate")
    assert hook.returncode == 1 and "model.bin" in hook.stdout
    lacking = server.command("package", "upload", BUNDLES / "needs-what-is-not-there", "--activate")
    assert lacking.returncode == 3 and "a-distribution-nobody-has" in lacking.stdout


def test_the_gate_is_opened_shown_and_closed(server: Server) -> None:
    assert server.command("gate", "open").returncode == 2  # a reason is needed
    opened = server.command("gate", "open", "--for", "300s", "-r", "first install", "--json")
    assert opened.returncode == 0, opened.stderr
    gate = json.loads(opened.stdout)
    assert gate["is_open"] and gate["reason"] == "first install" and gate["until"].endswith("Z")
    assert gate["who"].startswith("token:tests-"), "whoever shows the token, whatever is said"
    assert "open until" in server.command("gate", "show").stdout
    closed = json.loads(server.command("gate", "close", "--json").stdout)
    assert not closed["is_open"]
    assert server.command("gate", "open", "--for", "soon", "-r", "x").returncode == 2


def test_settings_are_shown_with_their_origin_and_without_secrets() -> None:
    environ = {
        "FUMEHOOD_SLOTS": "7",
        "FUMEHOOD_SECRETS__KEY": "hunter2",
        "FUMEHOOD_DOCKET_URL": "redis://:hunter2@queue.example:6379/0",
    }
    shown = run_command("config", "show", "--json", environ=environ)
    rows = {one["setting"]: one for one in json.loads(shown.stdout)}
    assert (rows["slots"]["value"], rows["slots"]["origin"]) == (7, "environment")
    assert rows["port"]["origin"] == "default"
    assert "hunter2" not in shown.stdout
    address = {"FUMEHOOD_INDEX__URL": "https://robot:hunter2@index.invalid/simple/"}
    shown = run_command("config", "show", "--json", environ=address)
    assert "https://**********@index.invalid/simple/" in shown.stdout
    assert "hunter2" not in shown.stdout and "robot" not in shown.stdout
    wrong = run_command("config", "show", environ={"FUMEHOOD_SLOTTS": "7"})
    assert wrong.returncode == 2 and "slotts" in wrong.stderr


@pytest.mark.parametrize("name", ["manifest", "artifact"])
def test_schemas_are_printed(name: str) -> None:
    schema = json.loads(run_command("schema", name, environ={}).stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
