"""Wheel: what one wheel says of itself, judged before it is believed."""

import hashlib
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Annotated

from packaging.requirements import InvalidRequirement
from packaging.specifiers import InvalidSpecifier
from packaging.utils import InvalidWheelFilename, canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import StringConstraints, TypeAdapter

from frozen.values import frozen
from wheelhouse.archives.judging import WHEEL_CEILINGS, Ceilings
from wheelhouse.archives.zipfiles import Sink, files_of, judge_zip
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.metadata.record import judge_record, spelled
from wheelhouse.metadata.requirement import bounded, read_requirement, read_specifiers
from wheelhouse.metadata.schemes import judge_places
from wheelhouse.metadata.scripts import launchers
from wheelhouse.metadata.wheel_name import read_wheel_name
from wheelhouse.problem import Problem, shown

MOST_BYTES = {
    "METADATA": 4 << 20,
    "WHEEL": 64 << 10,
    "RECORD": 32 << 20,
    "entry_points.txt": 256 << 10,
}
"""Of each file of .dist-info that is read: what real wheels need, and several times more."""
MOST_REQUIRES_DIST = 2_000
MOST_VERSION_CHARS = 255
REHEARSED = {
    "METADATA": "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\nRequires-Python: >=3.9\n"
    "Requires-Dist: other[more]>=1; python_version >= '3.9'\n\ntext\n",
    "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "entry_points.txt": "[console_scripts]\nours = ours:main\n",
    "RECORD": "ours-1.0.dist-info/METADATA,sha256=x,1\n",
}
METADATA = "METADATA"
"""The name under which a judge leaves the METADATA of a wheel."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=200)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Filename = Annotated[str, StringConstraints(pattern=r"^[^/\x00]+\.whl$", max_length=255)]


@frozen
class WheelFacts:
    """What a judged wheel is, by its name and its METADATA. `sha256` is `sha256:<hex>`."""

    name: Name
    version: str
    filename: Filename
    sha256: Digest
    size_bytes: int
    tags: tuple[str, ...]
    requires_python: str
    requires_dist: tuple[str, ...]
    licence: str
    summary: str
    metadata_sha256: str
    record_faults: tuple[str, ...] = ()
    """What its RECORD says and is not so; the wheel's own digest vouches for the bytes."""

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
        faults, unreadable = judge_record(archive, folder, name, digests=digests)
        problems = [*_judge_wheel_file(archive, folder, name), *unreadable]
        problems += _judge_spreading(archive, folder, name)
        metadata = archive.read(f"{folder}/METADATA")
    message = _headers(metadata)
    problems += _judge_metadata(message, name)
    if problems:
        return None, problems
    return replace(_facts(path, name, message, metadata), record_faults=faults), []


def judge_aside(
    path: str, *, filename: str, folder: str
) -> tuple[WheelFacts | None, list[Problem]]:
    """Judge a wheel, in a judge; leave its METADATA in `folder`, byte for byte."""
    facts, problems = judge_wheel(Path(path), filename=filename)
    if facts is not None:
        Path(folder, METADATA).write_bytes(metadata_of(Path(path)))
    return facts, problems


WHEEL = Judgement(
    target="wheelhouse.metadata.wheel:judge_aside", returns=TypeAdapter(WheelFacts), budget=Budget()
)


def rehearse() -> None:
    """Judge a wheel of ours, so that a judge has at hand what it needs for any."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ours-1.0-py3-none-any.whl")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in REHEARSED.items():
                archive.writestr(f"ours-1.0.dist-info/{name}", text)
        judge_wheel(path)


def metadata_of(path: Path) -> bytes:
    """Return the METADATA of the judged wheel at `path`."""
    with zipfile.ZipFile(path) as archive:
        tops = (name for name in archive.namelist() if name.count("/") == 1)
        return archive.read(next(n for n in tops if n.endswith(".dist-info/METADATA")))


def _headers(content: bytes) -> Message:
    """Return the fields of METADATA or WHEEL. What follows them is not looked at.

    As a message it could be a multipart one, whose parts the parser would look for.
    """
    return HeaderParser().parsestr(content.decode("utf-8", "replace"))


def _hashing_into(digests: dict[str, str]) -> Sink:
    def sink(entry: zipfile.ZipInfo, chunks: Iterator[bytes]) -> None:
        running = hashlib.sha256()
        for chunk in chunks:
            running.update(chunk)
        digests[entry.filename] = spelled(running.digest())

    return sink


def _facts(path: Path, filename: str, message: Message, metadata: bytes) -> WheelFacts:
    name, version, _, tags = read_wheel_name(filename)
    return WheelFacts(
        name=name,
        version=str(version),
        filename=filename,
        sha256=digest_of(path),
        size_bytes=path.stat().st_size,
        tags=tuple(sorted(str(tag) for tag in tags)),
        requires_python=bounded(message.get("Requires-Python") or ""),
        requires_dist=tuple(map(bounded, message.get_all("Requires-Dist") or ())),
        licence=shown(_licence(message), most=500),
        summary=shown(message.get("Summary") or "", most=500),
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
    )


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "fetch the wheel again from a place you trust, or ask its author to build it anew"
    return Problem(code=code, what=what, where=where, mend=mend)


def _judge_filename(name: str) -> list[Problem]:
    try:
        read_wheel_name(name)
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
        found = shown(", ".join(folders) or "none")
        return "", [
            _fault("bad-dist-info", f"it needs one .dist-info folder; found {found}", filename)
        ]
    folder = folders[0]
    wanted_name, wanted_version, _, _ = read_wheel_name(filename)
    name, _, version = folder.removesuffix(".dist-info").rpartition("-")
    if canonicalize_name(name) != wanted_name or _version(version) != wanted_version:
        return "", [_fault("bad-dist-info", f"{folder} belongs to another wheel", filename)]
    there = archive.NameToInfo
    missing = [f for f in ("METADATA", "WHEEL", "RECORD") if f"{folder}/{f}" not in there]
    large = [
        f"{f} is larger than {most} bytes"
        for f, most in MOST_BYTES.items()
        if f"{folder}/{f}" in there and there[f"{folder}/{f}"].file_size > most
    ]
    return folder, [
        *(_fault("bad-dist-info", f"{folder}/{f} is missing", filename) for f in missing),
        *(_fault("bad-dist-info", f"{folder}/{f}", filename) for f in large),
    ]


def _judge_wheel_file(archive: zipfile.ZipFile, folder: str, filename: str) -> Iterator[Problem]:
    message = _headers(archive.read(f"{folder}/WHEEL"))
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
        except ValueError as error:
            yield _fault("bad-entry-point", str(error), f"{filename}: entry_points.txt")


def _judge_metadata(message: Message, filename: str) -> Iterator[Problem]:
    """Hold METADATA against the file's name, and check what a resolver will read of it."""
    where = f"{filename}: METADATA"
    name, version, _, _ = read_wheel_name(filename)
    if canonicalize_name(message.get("Name") or "") != name:
        yield _fault("two-names", f"it calls itself {shown(message.get('Name') or '')!r}", where)
    if _version(message.get("Version") or "") != version:
        yield _fault(
            "two-versions", f"it says version {shown(message.get('Version') or '')!r}", where
        )
    try:
        read_specifiers(message.get("Requires-Python") or "")
    except (InvalidSpecifier, InvalidRequirement) as error:
        yield _fault("bad-metadata", f"Requires-Python: {error}", where)
    lines = message.get_all("Requires-Dist") or []
    if len(lines) > MOST_REQUIRES_DIST:
        what = f"{len(lines)} times Requires-Dist; the limit is {MOST_REQUIRES_DIST}"
        yield _fault("bad-metadata", what, where)
    for line in lines[:MOST_REQUIRES_DIST]:
        try:
            read_requirement(line)
        except InvalidRequirement as error:
            yield _fault("bad-metadata", f"Requires-Dist {shown(line)!r}: {error}", where)


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
        return Version(text) if len(text) <= MOST_VERSION_CHARS else None
    except InvalidVersion:
        return None
