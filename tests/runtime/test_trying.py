"""`fumehood try`: bundles that say and leave odd things, and inputs that nobody has tried."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from textwrap import indent
from typing import Any

import pytest

from .conftest import run_command

STEERING = "\x1b[2J\x9b31m\r\u202egpj.exe\u2066"

type Try = Callable[..., CompletedProcess[str]]


@pytest.fixture
def try_(tmp_path: Path) -> Try:
    """Offer to try a bundle whose extract has this body, with more words and manifest fields.

    `before` is code of its module that stands before the function.
    """

    def run(
        body: str, *words: str | Path, before: str = "", **fields: Any
    ) -> CompletedProcess[str]:
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        manifest = {"schema": 1, "name": "odd", "version": "1.0", **fields}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        code = f"{before}\ndef extract(*, job, **_):\n{indent(body, '    ')}\n"
        (folder / "extract.py").write_text(code, encoding="utf-8")
        environ = {"FUMEHOOD_HOME": str(tmp_path / "home")}
        return run_command("try", folder, *words, environ=environ)

    return run


def test_what_a_package_says_does_not_steer_the_terminal(try_: Try):
    told = try_(f"raise ValueError({STEERING!r})")
    assert told.returncode == 1, told.stderr
    assert r"\x1b[2J\x9b31m\r\u202egpj.exe\u2066" in told.stdout
    assert not set(told.stdout + told.stderr) & set("\x1b\x9b\r\u202e\u2066")
    value = try_(f"return {STEERING!r}", "--json")
    assert json.loads(value.stdout)["result"] == STEERING
    assert not set(value.stdout) & set("\x1b\x9b\r\u202e\u2066")


@pytest.mark.parametrize(
    ("limit", "value", "body"),
    [
        ("log_lines", 12_000, "for at in range(11_000): print()"),
        ("log_kb", 3072, "for _ in range(50): print('x' * 40_000)"),
        ("result_kb", 4096, "return 'x' * (2 << 20)"),
        ("output_files", 12_000, "for n in range(10_500): (job.output_dir / str(n)).touch()"),
    ],
)
def test_each_limit_that_is_named_may_be_raised_as_the_mend_says(
    try_: Try, limit: str, value: int, body: str
):
    small = json.loads(try_(body, "--json").stdout)
    assert small["error"]["limit"] == limit
    assert f"raise limits.{limit} in the manifest" in small["error"]["mend"]
    assert try_(body, "--json", limits={limit: value}).returncode == 0


def test_a_limit_that_no_run_could_live_with_is_refused_before_it_runs(try_: Try):
    told = try_("return 1", limits={"open_files": 3})
    assert told.returncode == 3, told.stderr
    assert "'open_files' is 3; it should be greater than or equal to 8" in told.stderr
    assert try_("return 1", limits={"open_files": 8}).returncode == 0


def test_a_limit_that_an_import_reached_is_named_too(try_: Try):
    body = """
from threading import Event, Thread
for _ in range(9): Thread(target=Event().wait, daemon=True).start()
"""
    told = try_("return 1", limits={"processes": 4}, before=body)
    assert "the limit on processes (processes = 4) was reached" in told.stdout


def test_a_module_that_is_not_there_is_told_with_where_it_would_come_from(try_: Try):
    told = try_("import no_such_module")
    assert "mend: name what brings that module in requirements.txt" in told.stdout


@pytest.mark.parametrize(
    "body", ["x = []\nfor _ in range(99): x = [x]\nreturn x", "job.log('x', level='fatal')"]
)
def test_an_honest_package_is_not_told_to_leave_the_runner_alone_first(try_: Try, body: str):
    told = try_(body)
    assert told.returncode == 1
    assert "cannot be taken" in told.stdout
    assert "mend: return and report less, or less deeply nested" in told.stdout
