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
    """Offer to try a bundle whose extract has this body, with more words and manifest fields."""

    def run(body: str, *words: str | Path, **fields: Any) -> CompletedProcess[str]:
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        manifest = {"schema": 1, "name": "odd", "version": "1.0", **fields}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        code = f"def extract(*, job, **_):\n{indent(body, '    ')}\n"
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
