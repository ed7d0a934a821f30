"""Packs bundles as an author would."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXTRACT = b"def extract(*, job, **_):\n    return {'seen': len(job.inputs)}\n"


def manifest(**fields: Any) -> bytes:
    """Return a right manifest.json with `fields` put over it."""
    return json.dumps({"schema": 1, "name": "demo", "version": "1.0", **fields}).encode()


def bundle_files(files: Mapping[str, str | bytes] | None = None) -> dict[str, bytes]:
    """Return a small right bundle, with `files` added or put in place."""
    held = {"manifest.json": manifest(), "extract.py": EXTRACT}
    for name, text in (files or {}).items():
        held[name] = text.encode() if isinstance(text, str) else text
    return held


def zipped(files: Mapping[str, bytes]) -> io.BytesIO:
    """Return `files` as a zip."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    target.seek(0)
    return target


def tarred(files: Mapping[str, bytes]) -> io.BytesIO:
    """Return `files` as a tar.gz."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    target.seek(0)
    return target


def folder_files(folder: Path) -> dict[str, bytes]:
    """Return what is in `folder`, by relative path."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
