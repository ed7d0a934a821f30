"""An author's first hour: a bundle to begin with, packed, looked up, and a guide that is true."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.wheels import UPLOADED, make_wheel

from wheelhouse.store import Wheelhouse

from ..conftest import Server, run_command

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"FUMEHOOD_HOME": str(tmp_path / "home")}


def test_a_new_bundle_passes_its_own_test_and_every_check(
    tmp_path: Path, environ: dict[str, str], server: Server
):
    folder = tmp_path / "counts"
    made = run_command("package", "new", "my-counter", "--to", folder, environ=environ)
    assert made.returncode == 0, made.stderr
    tested = subprocess.run([sys.executable, "-m", "unittest"], cwd=folder, capture_output=True)
    assert tested.returncode == 0, tested.stderr
    checked = run_command("package", "check", folder, "--resolve", "--json", environ=environ)
    told = json.loads(checked.stdout)
    assert (told["problems"], told["notices"], told["resolved"]) == ([], [], [])
    assert server.command("package", "upload", folder, "--activate").returncode == 0
    (tmp_path / "a.txt").write_text("one two")
    ran = server.command("job", "submit", "my-counter", tmp_path / "a.txt", "--wait")
    assert ran.returncode == 0, ran.stderr
    assert 'result        {"a.txt": 2}' in ran.stdout
    assert "progress      1 of 1 read a.txt" in ran.stdout
    assert "start         warm" in ran.stdout
    job_id = ran.stdout.split()[1]
    assert server.command("job", "show", job_id).stdout == ran.stdout
    shown = json.loads(server.command("job", "show", job_id, "--json").stdout)
    assert (shown["result"], shown["start"]) == ({"a.txt": 2}, "warm")


def test_a_new_bundle_replaces_nothing(tmp_path: Path, environ: dict[str, str]):
    (tmp_path / "extract.py").write_text("mine")
    made = run_command("package", "new", "mine", "--to", tmp_path, environ=environ)
    assert made.returncode == 6
    assert (tmp_path / "extract.py").read_text() == "mine"
    assert not (tmp_path / "manifest.json").exists()


def test_a_name_that_no_package_may_have_is_refused_before_anything_is_made(
    tmp_path: Path, environ: dict[str, str]
):
    made = run_command("package", "new", "Bad_Name", "--to", tmp_path / "x", environ=environ)
    assert made.returncode == 3
    assert not (tmp_path / "x").exists()


def test_packing_leaves_out_what_nobody_wrote_and_gives_the_same_bytes(
    tmp_path: Path, environ: dict[str, str]
):
    folder = tmp_path / "one"
    run_command("package", "new", "one", "--to", folder, environ=environ)
    run_command("package", "pack", folder, "-o", tmp_path / "a.zip", environ=environ)
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._extract.py").write_text("x")
    (folder / ".DS_Store").write_text("x")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "extract.cpython-312.pyc").write_text("x")
    run_command("package", "pack", folder, "-o", tmp_path / "b.zip", environ=environ)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_it_requires_is_looked_up_in_the_house(tmp_path: Path, environ: dict[str, str]):
    folder = tmp_path / "asks"
    run_command("package", "new", "asks", "--to", folder, environ=environ)
    (folder / "requirements.txt").write_text("demo>=1\n")
    absent = run_command("package", "check", folder, "--resolve", environ=environ)
    assert absent.returncode == 3
    assert "demo" in absent.stdout and "--resolve --open-gate" in absent.stdout
    house = Wheelhouse(Path(environ["FUMEHOOD_HOME"]) / "wheelhouse")
    house.add(make_wheel(tmp_path / "made", "demo", "1.5"), origin=UPLOADED)
    there = run_command("package", "check", folder, "--resolve", environ=environ)
    assert there.returncode == 0, there.stdout
    assert "demo==1.5" in there.stdout


def test_a_job_for_a_package_whose_activation_failed_is_told_where_to_look(
    tmp_path: Path, environ: dict[str, str], server: Server
):
    folder = tmp_path / "broken"
    run_command("package", "new", "broken", "--to", folder, environ=environ)
    (folder / "extract.py").write_text("import no_such_thing\ndef extract(**_): pass\n")
    assert server.command("package", "upload", folder, "--activate").returncode == 1
    answer = server.submit("broken").json()
    assert "its last activation failed" in answer["detail"]
    assert "`fumehood package log broken`" in json.dumps(answer["problems"])


def test_the_table_of_the_guide_is_what_the_schema_says(environ: dict[str, str]):
    guide = (PROJECT / "docs/authors.md").read_text()
    table = guide.partition("<!-- begin: manifest -->\n")[2].partition("<!-- end: manifest -->")[0]
    assert table == run_command("schema", "manifest", "--table", environ=environ).stdout


NESTED = ("hooks", "network", "limits", "retry", "concurrency", "rate")
"""Fields that are models of their own."""


def test_every_field_of_the_schema_says_what_it_is_and_gives_an_example():
    from packages.bundle.manifest import manifest_schema

    whole = manifest_schema()
    for part in (whole, *(whole["$defs"][name] for name in ("Hooks", "Network", "Wishes"))):
        for name, field in part["properties"].items():
            assert field["description"], (part["title"], name)
            assert field.get("examples") or name in (*NESTED, "$schema"), (part["title"], name)
