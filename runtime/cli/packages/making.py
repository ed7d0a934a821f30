"""`fumehood package new` and `pack`: a bundle to begin with, and a bundle to send."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from packages.bundle.manifest import read_manifest
from runtime.cli.input.arguments import plain
from runtime.cli.input.bundle_zip import zip_folder
from runtime.cli.output.printing import AsJson, emit
from runtime.cli.packages.evidence import app
from runtime.faults.errors import StateConflict

EXTRACT = '''"""What a job of this package does."""


def extract(*, job, **_):
    """Count the words of each input."""
    counted = {}
    for done, path in enumerate(job.inputs, start=1):
        counted[path.name] = len(path.read_text(encoding="utf-8").split())
        job.progress(done, len(job.inputs), f"read {path.name}")
    job.log("counted %d files", len(counted))
    (job.output_dir / "words.csv").write_text(
        "".join(f"{name},{words}\\n" for name, words in counted.items()), encoding="utf-8"
    )
    return counted
'''
TEST = '''"""Run it by `python -m unittest` here: a job is an object with a few attributes."""

import pathlib
import tempfile
import types
import unittest

from extract import extract


class Extracting(unittest.TestCase):
    def test_words_are_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder, "a.txt")
            text.write_text("one two three", encoding="utf-8")
            job = types.SimpleNamespace(
                inputs=[text],
                parameters={},
                output_dir=pathlib.Path(folder),
                progress=lambda *_: None,
                log=lambda *_: None,
            )
            self.assertEqual(extract(job=job), {"a.txt": 3})
'''


@app.command("new")
def new_package(
    name: Annotated[str, typer.Argument(help="Its name, such as word-counter.", callback=plain)],
    folder: Annotated[
        Path | None, typer.Option("--to", help="Where to make it; a folder of that name here.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a bundle that passes every check, with a test, to begin with."""
    manifest = {
        "schema": 1,
        "name": name,
        "version": "0.1.0",
        "title": "Counts the words of texts",
        "accepts": ["text/*"],
        "limits": {"wall_s": 30, "memory_mb": 256},
    }
    content = json.dumps(manifest, indent=2) + "\n"
    read_manifest(content.encode())
    target = folder or Path(name)
    files = {
        "manifest.json": content,
        "requirements.txt": "# one requirement a line, such as pandas>=2.2\n",
        "extract.py": EXTRACT,
        "test_extract.py": TEST,
    }
    _write_all(target, files)
    made: dict[str, Any] = {"folder": str(target), "files": sorted(files)}
    emit(made, as_json=as_json, show=lambda one: _made(one["folder"]))


def _write_all(folder: Path, files: dict[str, str]) -> None:
    """Write `files` below `folder`, and nothing where one of them is there already."""
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise StateConflict(
            f"{folder} has {', '.join(there)} already",
            where=str(folder),
            mend="give another folder: `fumehood package new NAME --to FOLDER`",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        with (folder / name).open("x", encoding="utf-8") as stream:
            stream.write(text)


def _made(folder: str) -> str:
    return (
        f"{folder} is a bundle; run it by `fumehood try {folder} SOME.txt`, "
        f"check it by `fumehood package check {folder}`"
    )


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Its folder.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it to this file; NAME.zip.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Pack a bundle's folder: the same files give the same bytes, on every system.

    Caches, version control and what macOS leaves behind stay out.
    """
    target = output or Path(f"{folder.resolve().name}.zip")
    zip_folder(folder, archive=target)
    made = {"bundle": str(target), "size_bytes": target.stat().st_size}
    emit(made, as_json=as_json, show=lambda one: f"packed {one['bundle']}")
