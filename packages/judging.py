"""Judges a bundle, in a judge: unpacks the archive aside and reads every file that says what it is.

Nothing here keeps a bundle: what comes back is a value, and files in a folder that whoever asked
will keep or throw away (packages.archive).
"""

import ast
import hashlib
import os
import platform
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from pydantic import TypeAdapter

from frozen.values import frozen
from packages.bundle.bundle import BundleFile, module_files
from packages.bundle.entry_points import judge_targets, targets_of
from packages.bundle.leftovers import is_leftover
from packages.bundle.manifest import Manifest, read_manifest
from packages.bundle.manifest_faults import FILE as MANIFEST
from packages.bundle.orders import judge_schema
from packages.bundle.requirements import MOST_BYTES as MOST_REQUIREMENTS_BYTES
from packages.bundle.requirements import Requirements, parse
from packages.bundle.tarballs import judge_tarball
from packages.bundle.text import POWERSHELL, NotUtf8Error, decoded, is_utf_16
from packages.errors import ManifestRefused
from packages.lock.lock import MOST_BYTES as MOST_LOCK_BYTES
from packages.notices import notices
from wheelhouse.archives.judging import Ceilings
from wheelhouse.archives.zipfiles import judge_zip
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.problem import Problem, first_problems

AUTHOR_LOCK = "pylock.toml"
MOST_SOURCE_BYTES = 1 << 18
MOST_PARSED_BYTES = 2 << 20
"""Of all modules together: 1 MB can take 5 s and 900 MB to parse. What is not parsed here is found
by the compiler later, in a cell.
"""
REHEARSED = {
    MANIFEST: '{"schema": 1, "name": "ours", "version": "1.0", "env": {"A": ""}, "preload": "re"}',
    "extract.py": "def extract(*, job, **_):\n    return None\n",
    "requirements.txt": "packaging>=24,<99 ; python_version >= '3.9' # ours\n-r other.txt\n",
}
"""A small bundle with a fault of each common kind: telling faults has to be rehearsed too."""


@frozen
class Judged:
    """What a right bundle says of itself, and its files."""

    is_gzip: bool
    manifest: Manifest
    requirements: Requirements
    files: tuple[BundleFile, ...]
    notices: tuple[Problem, ...] = ()
    """What its author should look at again; nothing is refused for it."""


JUDGED_JSON = TypeAdapter(Judged)
BUNDLE = Judgement(
    target="packages.judging:judge_bundle", returns=JUDGED_JSON, budget=Budget(cpu_s=30)
)
REQUIREMENTS = Judgement(
    target="packages.judging:judge_requirements", returns=TypeAdapter(Requirements)
)
KEPT = Judgement(target="packages.judging:judge_kept", returns=JUDGED_JSON)


def judge_bundle(
    upload: str, *, folder: str, name: str, ceilings: Mapping[str, Any]
) -> tuple[Judged | None, list[Problem]]:
    """Unpack the archive at `upload` into the new `folder`; return what it is, or every fault."""
    archive, bounds = Path(upload), Ceilings(**ceilings)
    with archive.open("rb") as stream:
        begin = stream.read(2)
    is_gzip = begin == b"\x1f\x8b"
    files = _Files(Path(folder))
    judge = judge_tarball if is_gzip else judge_zip
    problems = judge(archive, name=name, ceilings=bounds, sink=files.keep)
    if begin != b"PK":
        problems = [_foreign(one) if one.code == "not-a-zip" else one for one in problems]
    if problems:
        return None, problems
    return _judge_files(Path(folder), files.kept, is_gzip=is_gzip, left_out=files.left_out)


def judge_kept(
    folder: str, *, files: Iterable[Mapping[str, Any]]
) -> tuple[Judged | None, list[Problem]]:
    """Read a bundle that an earlier version of ours has kept."""
    return _judge_files(Path(folder), [BundleFile(**file) for file in files], is_gzip=False)


def judge_requirements(
    texts: Mapping[str, str], *, start: str
) -> tuple[Requirements, list[Problem]]:
    """Read requirements that are in no bundle; `texts` are all the files they may include."""
    return parse({name: text.encode() for name, text in texts.items()}, start=start)


def rehearse() -> None:
    """Judge a bundle of ours, so that a judge has at hand what it needs for any."""
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder, "ours.zip")
        with zipfile.ZipFile(upload, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in REHEARSED.items():
                archive.writestr(name, text)
        judge_bundle(str(upload), folder=f"{folder}/files", name="ours", ceilings={})


def _foreign(problem: Problem) -> Problem:
    return replace(problem, mend="pack it as .zip or .tar.gz")


class _Files:
    """Writes files below `folder` as an archive yields them, hashing on the way."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.kept: list[BundleFile] = []
        self.left_out = 0
        folder.mkdir()

    def keep(self, entry: zipfile.ZipInfo | tarfile.TarInfo, chunks: Iterator[bytes]) -> None:
        """Write one file."""
        name = entry.filename if isinstance(entry, zipfile.ZipInfo) else entry.name
        if is_leftover(name):
            self.left_out += 1
            for _ in chunks:  # its checksum is judged all the same
                pass
            return
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with path.open("xb") as stream:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                stream.write(chunk)
            os.fchmod(stream.fileno(), 0o444)
        sha256 = f"sha256:{digest.hexdigest()}"
        self.kept.append(BundleFile(path=name, size_bytes=size, sha256=sha256))


def _judge_files(
    folder: Path, files: Iterable[BundleFile], *, is_gzip: bool, left_out: int = 0
) -> tuple[Judged | None, list[Problem]]:
    """Judge what a bundle holds: manifest, requirements, lock, entry points, syntax."""
    listed = tuple(sorted(files, key=lambda file: file.path))
    paths = {file.path for file in listed}
    manifest, problems = _judge_manifest(folder, paths)
    requirements, faults = parse(_Texts(folder, listed))
    problems += [*faults, *_judge_lock(folder, paths)]
    targets = targets_of(manifest, paths) if manifest is not None else {}
    parsed, faults = _read_sources(folder, listed, manifest, targets.values())
    problems += judge_targets(targets, paths=paths, parsed=parsed)
    problems += [*faults, *_judge_bytecode(paths)]
    if manifest is None or problems:
        return None, problems
    judged = Judged(
        is_gzip=is_gzip,
        manifest=manifest,
        requirements=requirements,
        files=listed,
        notices=notices(manifest, requirements, paths=paths, left_out=left_out),
    )
    return judged, []


def _judge_lock(folder: Path, paths: set[str]) -> Iterator[Problem]:
    """Yield what keeps the author's lock from being text; what it says is judged with a target."""
    mend = "make the lock anew (`uv pip compile --format pylock.toml`), or leave it out"
    if AUTHOR_LOCK not in paths:
        return
    with (folder / AUTHOR_LOCK).open("rb") as stream:
        content = stream.read(MOST_LOCK_BYTES + 1)
    if len(content) > MOST_LOCK_BYTES:
        what = f"it is larger than {MOST_LOCK_BYTES} bytes"
        yield _fault("too-large", what, AUTHOR_LOCK, mend)
        return
    try:
        decoded(content)
    except NotUtf8Error as error:
        yield _fault("not-utf-8", error.what, AUTHOR_LOCK, error.mend)


def _judge_manifest(folder: Path, paths: set[str]) -> tuple[Manifest | None, list[Problem]]:
    if MANIFEST not in paths:
        inner = sorted(path for path in paths if path.endswith(f"/{MANIFEST}"))
        mend = "add it; `fumehood schema manifest` says what it holds"
        if inner:
            within = inner[0].rpartition("/")[0]
            mend = f"it is in {within}/: pack what is in that folder, not the folder itself"
        return None, [_fault("missing-manifest", f"there is no {MANIFEST}", MANIFEST, mend)]
    try:
        manifest = read_manifest((folder / MANIFEST).read_bytes())
        faults = judge_schema(manifest.parameters) if manifest.parameters is not None else []
        return manifest, list(first_problems(faults))
    except ManifestRefused as refused:
        return None, list(refused.problems)


def _read_sources(
    folder: Path,
    files: Iterable[BundleFile],
    manifest: Manifest | None,
    targets: Iterable[str],
) -> tuple[dict[str, ast.Module], list[Problem]]:
    """Return the modules that `targets` name, by path, and every module that does not parse.

    A module is parsed where this Python is one of the bundle's own. A tree takes a hundred times
    its text in memory, so only the named ones are kept.
    """
    parsed: dict[str, ast.Module] = {}
    problems: list[Problem] = []
    if manifest and not SpecifierSet(manifest.requires_python).contains(_running_python()):
        return parsed, problems
    named = {path for target in targets for path in module_files(target)}
    modules = [f for f in files if f.path.endswith(".py") and f.size_bytes <= MOST_SOURCE_BYTES]
    left = MOST_PARSED_BYTES
    for file in sorted(modules, key=lambda file: file.path not in named):
        left -= file.size_bytes
        if left < 0:
            break
        found = _read_source(folder / file.path, file.path)
        if isinstance(found, Problem):
            problems.append(found)
        elif file.path in named:
            parsed[file.path] = found
    return parsed, problems


def _judge_bytecode(paths: set[str]) -> Iterator[Problem]:
    """Yield a problem for each compiled module: what runs must be what can be read."""
    for path in sorted(paths):
        if path.endswith((".pyc", ".pyo")):
            what = "it is bytecode, which would run in place of the source beside it"
            yield _fault("bytecode", what, path, "leave __pycache__ and .pyc files out")


def _read_source(path: Path, name: str) -> ast.Module | Problem:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = path.read_bytes()
            if is_utf_16(content):
                what = "it is UTF-16, as PowerShell's `>` writes it, and Python reads UTF-8"
                return _fault("not-utf-8", what, name, POWERSHELL)
            return ast.parse(content, filename=name)
    except SyntaxError as error:
        where = f"{name}:{error.lineno or 1}:{error.offset or 1}"
        return _fault("syntax-error", error.msg, where, "mend the syntax at that place")
    except (ValueError, RecursionError, MemoryError) as error:
        return _fault("syntax-error", f"it cannot be parsed: {error}", name, "simplify the module")


def _running_python() -> str:
    return platform.python_version()


class _Texts(Mapping[str, bytes]):
    """The content of each file, read when it is asked for."""

    def __init__(self, folder: Path, files: Iterable[BundleFile]):
        self.folder = folder
        self.paths = {file.path: None for file in files}

    def __getitem__(self, path: str) -> bytes:
        with (self.folder / path).open("rb") as stream:
            return stream.read(MOST_REQUIREMENTS_BYTES + 1)

    def __contains__(self, path: object) -> bool:
        return path in self.paths

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


def _fault(code: str, what: str, where: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where=where, mend=mend)
