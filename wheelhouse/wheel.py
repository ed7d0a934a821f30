"""Wheel: what one wheel says of itself, judged before it is believed."""

import configparser
import hashlib
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import Parser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from wheelhouse.judging import WHEEL_CEILINGS, Ceilings
from wheelhouse.problem import Problem
from wheelhouse.record import judge_record, spelled
from wheelhouse.schemes import judge_places
from wheelhouse.scripts import launchers
from wheelhouse.zipfiles import Sink, files_of, judge_zip

METADATA_BYTES = 4 << 20
METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """What a judged wheel is, by its name and its METADATA. `sha256` is `sha256:<hex>`."""

    name: str
    version: str
    filename: str
    sha256: str
    size_bytes: int
    tags: tuple[str, ...]
    requires_python: str
    requires_dist: tuple[str, ...]
    licence: str
    summary: str
    metadata_sha256: str

    @property
    def hex_digest(self) -> str:
        """Return the bare hexadecimal digest."""
        return self.sha256.removeprefix("sha256:")


def digest_of(path: Path) -> str:
    """Return `sha256:<hex>` of the file at `path`."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def judge_wheel(
    path: Path, *, filename: str = "", ceilings: Ceilings = WHEEL_CEILINGS
) -> tuple[WheelFacts | None, list[Problem]]:
    """Judge the wheel at `path` (known as `filename`): its facts, or every fault.

    The rules are the binary distribution format's (PEP 427) and the archive's own.
    """
    name = filename or path.name
    digests: dict[str, str] = {}
    hashed = _hashing_into(digests)
    problems = _judge_filename(name)
    problems += judge_zip(path, name=name, ceilings=ceilings, sink=hashed)
    if problems:
        return None, problems
    with zipfile.ZipFile(path) as archive:
        folder, problems = _info_folder(archive, name)
        if problems:
            return None, problems
        problems = [
            *_judge_wheel_file(archive, folder, name),
            *judge_record(archive, folder, name, digests=digests),
        ]
        problems += _judge_spreading(archive, folder, name)
        metadata = archive.read(f"{folder}/METADATA")
    message = Parser().parsestr(metadata.decode("utf-8", "replace"))
    problems += _judge_metadata(message, name)
    if problems:
        return None, problems
    return _facts(path, name, message, metadata), []


def metadata_of(path: Path) -> bytes:
    """Return the METADATA of the judged wheel at `path`."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(n for n in archive.namelist() if METADATA.fullmatch(n)))


def _hashing_into(digests: dict[str, str]) -> Sink:
    def sink(entry: zipfile.ZipInfo, chunks: Iterator[bytes]) -> None:
        running = hashlib.sha256()
        for chunk in chunks:
            running.update(chunk)
        digests[entry.filename] = spelled(running.digest())

    return sink


def _facts(path: Path, filename: str, message: Message, metadata: bytes) -> WheelFacts:
    name, version, _, tags = parse_wheel_filename(filename)
    return WheelFacts(
        name=name,
        version=str(version),
        filename=filename,
        sha256=digest_of(path),
        size_bytes=path.stat().st_size,
        tags=tuple(sorted(str(tag) for tag in tags)),
        requires_python=message.get("Requires-Python") or "",
        requires_dist=tuple(message.get_all("Requires-Dist") or ()),
        licence=_licence(message),
        summary=message.get("Summary") or "",
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
    )


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "fetch the wheel again from a place you trust, or ask its author to build it anew"
    return Problem(code=code, what=what, where=where, mend=mend)


def _judge_filename(name: str) -> list[Problem]:
    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        problem = _fault("bad-wheel-name", str(error), name)
        if name.endswith((".tar.gz", ".zip")):
            mend = f"if it is a source distribution: `fumehood wheelhouse build {name}`"
            problem = replace(problem, mend=mend)
        return [problem]
    return []


def _info_folder(archive: zipfile.ZipFile, filename: str) -> tuple[str, list[Problem]]:
    """Return the one .dist-info folder of the wheel, which must be named after the wheel."""
    tops = {entry.split("/", 1)[0] for entry in archive.namelist()}
    folders = sorted(top for top in tops if top.endswith(".dist-info"))
    if len(folders) != 1:
        found = ", ".join(folders) or "none"
        return "", [
            _fault("bad-dist-info", f"it needs one .dist-info folder; found {found}", filename)
        ]
    folder = folders[0]
    wanted_name, wanted_version, _, _ = parse_wheel_filename(filename)
    name, _, version = folder.removesuffix(".dist-info").rpartition("-")
    if canonicalize_name(name) != wanted_name or _version(version) != wanted_version:
        return "", [_fault("bad-dist-info", f"{folder} belongs to another wheel", filename)]
    missing = [
        f for f in ("METADATA", "WHEEL", "RECORD") if f"{folder}/{f}" not in archive.namelist()
    ]
    large = [
        f
        for f in ("METADATA", "WHEEL")
        if f not in missing and archive.getinfo(f"{folder}/{f}").file_size > METADATA_BYTES
    ]
    return folder, [
        *(_fault("bad-dist-info", f"{folder}/{f} is missing", filename) for f in missing),
        *(_fault("bad-dist-info", f"{folder}/{f} is too large", filename) for f in large),
    ]


def _judge_wheel_file(archive: zipfile.ZipFile, folder: str, filename: str) -> Iterator[Problem]:
    message = Parser().parsestr(archive.read(f"{folder}/WHEEL").decode("utf-8", "replace"))
    where = f"{filename}: {folder}/WHEEL"
    version = message.get("Wheel-Version") or ""
    if version.split(".")[0] != "1":
        yield _fault(
            "bad-wheel-version", f"Wheel-Version {version or 'is missing'}, not 1.x", where
        )
    if (message.get("Root-Is-Purelib") or "").lower() not in ("true", "false"):
        yield _fault("bad-wheel-file", "Root-Is-Purelib is neither true nor false", where)


def _judge_spreading(archive: zipfile.ZipFile, folder: str, filename: str) -> Iterator[Problem]:
    """Check that each file has a place of its own in an environment, and each script a name."""
    names = [entry.filename for entry in files_of(archive)]
    data_folder = folder.removesuffix(".dist-info") + ".data"
    yield from judge_places(names, data_folder=data_folder, filename=filename)
    if f"{folder}/entry_points.txt" in names:
        try:
            list(launchers(archive.read(f"{folder}/entry_points.txt").decode("utf-8")))
        except (ValueError, configparser.Error) as error:
            yield _fault("bad-entry-point", str(error), f"{filename}: entry_points.txt")


def _judge_metadata(message: Message, filename: str) -> Iterator[Problem]:
    """Hold METADATA against the file's name, and check what a resolver will read of it."""
    where = f"{filename}: METADATA"
    name, version, _, _ = parse_wheel_filename(filename)
    if canonicalize_name(message.get("Name") or "") != name:
        yield _fault("two-names", f"it calls itself {message.get('Name')!r}", where)
    if _version(message.get("Version") or "") != version:
        yield _fault("two-versions", f"it says version {message.get('Version')!r}", where)
    try:
        SpecifierSet(message.get("Requires-Python") or "")
    except InvalidSpecifier as error:
        yield _fault("bad-metadata", f"Requires-Python: {error}", where)
    for line in message.get_all("Requires-Dist") or ():
        try:
            Requirement(line)
        except InvalidRequirement as error:
            yield _fault("bad-metadata", f"Requires-Dist {line!r}: {error}", where)


def _licence(message: Message) -> str:
    """Return the licence expression, else a short Licence field, else the classifiers."""
    expression = message.get("License-Expression")
    if expression:
        return expression
    classifiers = [
        c.rpartition("::")[2].strip()
        for c in message.get_all("Classifier") or ()
        if c.startswith("License ::")
    ]
    text = (message.get("License") or "").strip()
    if text and "\n" not in text and len(text) <= 100:
        return text
    return "; ".join(classifiers)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
