"""Receives a bundle: streamed, judged whole, and kept only if nothing is wrong with it.

    bundles/<sha256>/bundle.zip | bundle.tar.gz    the upload, byte for byte
    bundles/<sha256>/files/…                       what it holds, read-only
    bundles/<sha256>/bundle.json                   its files with sizes and digests
    bundles/<sha256>/runnable/<cache tag>/…        the same with bytecode (packages.runnable)

The folder appears whole, by a rename. A refused upload leaves nothing.
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
from typing import BinaryIO

from packaging.specifiers import SpecifierSet
from pydantic import TypeAdapter

from packages.bundle import Bundle, BundleFile
from packages.entry_points import judge_targets, targets_of
from packages.errors import BundleNotFound, BundleRefused, ManifestRefused
from packages.manifest import FILE as MANIFEST
from packages.manifest import Manifest, read_manifest
from packages.requirements import MOST_BYTES as MOST_REQUIREMENTS_BYTES
from packages.requirements import parse
from packages.tarballs import judge_tarball
from wheelhouse.durable import (
    close_folders,
    flush_filesystem,
    folder_aside,
    remove_tree,
    write_file,
)
from wheelhouse.judging import Ceilings
from wheelhouse.problem import Problem
from wheelhouse.zipfiles import judge_zip

AUTHOR_LOCK = "pylock.toml"
CHUNK_BYTES = 1 << 18
MOST_SOURCE_BYTES = 1 << 20
FILES_JSON = TypeAdapter(tuple[BundleFile, ...])


class Bundles:
    """The bundles kept below `root`, by digest."""

    def __init__(self, root: Path):
        self.root = root

    def open(self, digest: str) -> Bundle:
        """Return the bundle with the digest `sha256:<hex>`. Raises BundleNotFound."""
        folder = self._folder(digest)
        listing = FILES_JSON.validate_json((folder / "bundle.json").read_bytes())
        return _bundle(digest, self.archive(digest).stat().st_size, folder / "files", listing)

    def archive(self, digest: str) -> Path:
        """Return the file that was uploaded. Raises BundleNotFound."""
        return next(self._folder(digest).glob("bundle.[zt]*"))

    def remove(self, digest: str) -> None:
        """Remove the bundle. Raises BundleNotFound."""
        folder = self._folder(digest)
        gone = folder.with_name(f".gone-{folder.name}")
        folder.rename(gone)
        remove_tree(gone)

    def digests(self) -> list[str]:
        """Return the digests of all bundles here."""
        if not self.root.is_dir():
            return []
        return sorted(f"sha256:{p.name}" for p in self.root.iterdir() if len(p.name) == 64)

    def _folder(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        folder = self.root / name
        if len(name) != 64 or not name.isalnum() or not folder.is_dir():
            raise BundleNotFound(
                Problem(
                    code="bundle-not-found",
                    what=f"no bundle has the digest {digest}",
                    where="bundles",
                    mend="see what is here with `fumehood package list`",
                )
            )
        return folder


def receive(
    source: BinaryIO, *, bundles: Bundles, ceilings: Ceilings | None = None, name: str = "upload"
) -> Bundle:
    """Read a bundle from `source`, judge it and keep it. Raises BundleRefused with every fault.

    `name` is what the upload is called in problems. The same bytes twice are one bundle.
    """
    ceilings = ceilings or Ceilings()
    bundles.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".receive-", dir=bundles.root) as folder:
        upload = Path(folder) / "upload"
        digest = _stream(source, upload, most=ceilings.archive_bytes, name=name)
        final = bundles.root / digest.removeprefix("sha256:")
        if not final.is_dir():
            with folder_aside(final) as aside:
                _judge_and_fill(upload, aside, name=name, ceilings=ceilings)
                flush_filesystem(aside)
    return bundles.open(digest)


def check(
    source: BinaryIO, *, ceilings: Ceilings | None = None, name: str = "upload"
) -> list[Problem]:
    """Return every fault of a bundle, keeping nothing."""
    with tempfile.TemporaryDirectory(prefix="fumehood-check-") as folder:
        try:
            receive(source, bundles=Bundles(Path(folder)), ceilings=ceilings, name=name)
        except BundleRefused as refused:
            return list(refused.problems)
    return []


def _stream(source: BinaryIO, target: Path, *, most: int, name: str) -> str:
    """Write `source` to `target`, at most `most` bytes; return its digest."""
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as kept:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            if size > most:
                what = f"it is larger than {most} bytes"
                raise BundleRefused(_fault("too-large", what, name, "leave out what is not needed"))
            digest.update(chunk)
            kept.write(chunk)
    return f"sha256:{digest.hexdigest()}"


def _judge_and_fill(upload: Path, aside: Path, *, name: str, ceilings: Ceilings) -> None:
    """Fill `aside` with the judged bundle. Raises BundleRefused with every fault."""
    with upload.open("rb") as stream:
        begin = stream.read(2)
    is_gzip = begin == b"\x1f\x8b"
    files = _Files(aside / "files")
    if is_gzip:
        problems = judge_tarball(upload, name=name, ceilings=ceilings, sink=files.keep)
    else:
        problems = judge_zip(upload, name=name, ceilings=ceilings, sink=files.keep)
    if begin != b"PK":
        problems = [_foreign(one) if one.code == "not-a-zip" else one for one in problems]
    problems = problems or judge_files(aside / "files", files.kept)
    if problems:
        raise BundleRefused(*problems)
    listing = tuple(sorted(files.kept, key=lambda file: file.path))
    write_file(aside / "bundle.json", FILES_JSON.dump_json(listing), mode=0o444)
    kept = aside / ("bundle.tar.gz" if is_gzip else "bundle.zip")
    upload.rename(kept)
    kept.chmod(0o444)
    aside.chmod(0o755)
    close_folders(aside / "files")


def _foreign(problem: Problem) -> Problem:
    return replace(problem, mend="pack it as .zip or .tar.gz")


class _Files:
    """Writes files below `folder` as an archive yields them, hashing on the way."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.kept: list[BundleFile] = []
        folder.mkdir()

    def keep(self, entry: zipfile.ZipInfo | tarfile.TarInfo, chunks: Iterator[bytes]) -> None:
        """Write one file."""
        name = entry.filename if isinstance(entry, zipfile.ZipInfo) else entry.name
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


def _bundle(digest: str, size: int, folder: Path, files: tuple[BundleFile, ...]) -> Bundle:
    requirements, _ = parse(_Texts(folder, files))
    lock = folder / AUTHOR_LOCK
    return Bundle(
        digest=digest,
        size_bytes=size,
        folder=folder,
        manifest=read_manifest((folder / MANIFEST).read_bytes()),
        requirements=requirements,
        files=files,
        author_lock=lock.read_text("utf-8") if lock.is_file() else None,
    )


def judge_files(folder: Path, files: Iterable[BundleFile]) -> list[Problem]:
    """Return every fault of what a bundle holds: manifest, requirements, entry points, syntax."""
    listed = tuple(files)
    paths = {file.path for file in listed}
    manifest, problems = _judge_manifest(folder, paths)
    problems += parse(_Texts(folder, listed))[1]
    parsed, faults = _read_sources(folder, listed, manifest)
    if manifest is not None:
        problems += judge_targets(targets_of(manifest, paths), paths=paths, parsed=parsed)
    problems += [*faults, *_judge_bytecode(paths)]
    return problems


def _judge_manifest(folder: Path, paths: set[str]) -> tuple[Manifest | None, list[Problem]]:
    if MANIFEST not in paths:
        inner = sorted(path for path in paths if path.endswith(f"/{MANIFEST}"))
        mend = "add it; `fumehood schema manifest` says what it holds"
        if inner:
            within = inner[0].rpartition("/")[0]
            mend = f"it is in {within}/: pack what is in that folder, not the folder itself"
        return None, [_fault("missing-manifest", f"there is no {MANIFEST}", MANIFEST, mend)]
    try:
        return read_manifest((folder / MANIFEST).read_bytes()), []
    except ManifestRefused as refused:
        return None, list(refused.problems)


def _read_sources(
    folder: Path, files: Iterable[BundleFile], manifest: Manifest | None
) -> tuple[dict[str, ast.Module], list[Problem]]:
    """Return the modules by path, and what does not parse, where this Python is one of its own."""
    parsed: dict[str, ast.Module] = {}
    problems: list[Problem] = []
    if manifest is None or SpecifierSet(manifest.requires_python).contains(_running_python()):
        for file in files:
            if file.path.endswith(".py") and file.size_bytes <= MOST_SOURCE_BYTES:
                found = _read_source(folder / file.path, file.path)
                if isinstance(found, Problem):
                    problems.append(found)
                else:
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
            return ast.parse(path.read_bytes(), filename=name)
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
        self.paths = [file.path for file in files]

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
