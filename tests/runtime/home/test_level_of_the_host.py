"""The best level that a host has shown is what its runs get, or they are refused by name."""

import json
import os
import shutil
from pathlib import Path

import pytest
from support.lacking import lacking

from runtime.settings.settings import Settings
from sandbox.command import Level
from sandbox.walls import shown_level

from ..conftest import run_command

HELLO = Path(__file__).parents[3] / "packages/examples/hello"
USED_UP = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lower its own namespaces here")
def test_a_try_is_refused_where_the_namespaces_of_its_user_are_used_up(tmp_path: Path):
    environ = {"FUMEHOOD_HOME": str(tmp_path / "home")}
    first = run_command("try", HELLO, "--json", environ=environ)
    assert first.returncode == 0, first.stderr
    if json.loads(first.stdout)["isolation"]["level"] not in {"full", "no-cgroup"}:
        lacking("namespaces: this host never had any")
    wrapped = ["unshare", "--user", "--map-root-user", "sh", "-c", USED_UP, "sh"]
    if shutil.which("unshare") is None:
        lacking("unshare(1)")
    arguments = ("try", HELLO, "--json")
    fallen = run_command(*arguments, environ=environ, within=wrapped)
    assert fallen.returncode not in {0, 1}, fallen.stdout
    assert "allowed level" in fallen.stderr and "see `fumehood doctor`" in fallen.stderr
    assert "the run demands" in fallen.stderr
    on_purpose = environ | {"FUMEHOOD_LEAST_LEVEL": "process"}
    told = run_command(*arguments, environ=on_purpose, within=wrapped)
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(
    ("demanded", "shown", "on_purpose", "least"),
    [
        (Level.UNPRIVILEGED, Level.FULL, False, Level.FULL),
        (Level.UNPRIVILEGED, Level.FULL, True, Level.UNPRIVILEGED),
        (Level.FULL, Level.UNPRIVILEGED, False, Level.FULL),
        (Level.UNPRIVILEGED, Level.PROCESS, False, Level.UNPRIVILEGED),
    ],
)
def test_nothing_runs_below_what_the_host_has_shown_unless_it_is_meant(
    demanded: Level, shown: Level, *, on_purpose: bool, least: Level
):
    found = shown_level.least(demanded, shown=shown, is_demanded_on_purpose=on_purpose)
    assert found is least


def test_a_home_notes_the_best_level_and_begins_anew_on_another_host(tmp_path: Path, monkeypatch):
    file = tmp_path / "level.json"
    assert shown_level.note(file, Level.NO_CGROUP) is Level.NO_CGROUP
    assert shown_level.note(file, Level.FULL) is Level.FULL
    assert shown_level.note(file, Level.UNPRIVILEGED) is Level.FULL
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(shown_level, "_host", lambda: "another")
    assert shown_level.note(file, Level.UNPRIVILEGED) is Level.UNPRIVILEGED
    file.write_text("[]{")
    assert shown_level.note(file, Level.NO_CGROUP) is Level.NO_CGROUP


def test_a_level_that_is_set_counts_as_meant():
    assert "least_level" in Settings(least_level=Level.UNPRIVILEGED).model_fields_set
    assert "least_level" not in Settings().model_fields_set
